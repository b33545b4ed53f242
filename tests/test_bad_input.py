"""Whatever a person gets wrong is one clear sentence on stderr, exit code 2, and no traceback."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import NOTHING, ORACLE, MakeCampaign, command, fairtrial

LOCAL = '[[models]]\nname = "local"\nkind = "llama_cpp"\npath = "{path}"\n'
REMOTE = """
[[models]]
name = "remote"
kind = "openai"
model = "m"
base_url = "{url}"
"""


def refused(done: subprocess.CompletedProcess[str], *words: str) -> None:
    """Assert that ``done`` was refused in one sentence that has these words."""
    assert done.returncode == 2, done.stdout + done.stderr
    assert done.stderr.startswith("fairtrial: ")
    assert done.stderr.count("\n") == 1, done.stderr
    for word in words:
        assert word in done.stderr


def test_no_such_campaign(tmp_path: Path) -> None:
    refused(fairtrial("run", tmp_path / "gone"), "no campaign here", "new-campaign")


@pytest.mark.parametrize("name", ["run", "status", "verify", "histogram"])
def test_every_command_refuses_a_folder_that_is_no_campaign(name: str, tmp_path: Path) -> None:
    refused(fairtrial(name, tmp_path), "no campaign.toml")


@pytest.mark.parametrize(
    ("models", "keys", "words"),
    [
        ("[[models]]\nname = = 1\n", {}, ["campaign.toml", "not valid TOML", "line 3"]),
        (ORACLE, {"runs_per_tasks": 3}, ["unknown key 'runs_per_tasks'", "'runs_per_task'"]),
        (ORACLE, {"runs_per_task": 0}, ["runs_per_task", "greater than or equal to 1", "got 0"]),
        (ORACLE, {"suite": "first-step-v1"}, ["no suite", "did you mean 'first-steps-v1'?"]),
        (ORACLE, {"sandbox": "bublewrap"}, ["no sandbox", "did you mean 'bubblewrap'?"]),
        (ORACLE.replace("scripted", "script"), {}, ["no model kind", "'scripted'"]),
        (ORACLE.replace("script =", "scirpt ="), {}, ["models[1]", "did you mean 'script'?"]),
        (ORACLE + ORACLE, {}, ["two models are named 'oracle'"]),
        ("", {}, ["the key 'models' is missing"]),
        ('[[models]]\nname = "m"\n', {}, ["models[1]", "the key 'kind' is missing"]),
        (ORACLE + "[budgets]\nturn = 3\n", {}, ["'budgets.turn'", "did you mean 'turns'?"]),
        (LOCAL.format(path="/gone/m.gguf"), {}, ["/gone/m.gguf"]),
        (LOCAL.format(path=sys.executable), {}, ["GGUF"]),
        (LOCAL.format(path="hf:a/b:../../x.gguf"), {}, ["outside the repository"]),
        (LOCAL.format(path="~nobodyxyz/x.gguf"), {}, ["no such user"]),
        (LOCAL.replace("path =", "package =").format(path="nope.sub"), {}, ["no package"]),
        (LOCAL.format(path="m.gguf") + "n_batch = 99999999999\n", {}, ["n_batch", "less than"]),
        (ORACLE.replace('script = "oracle"', 'script = "/gone.jsonl"'), {}, ["/gone.jsonl"]),
    ],
)  # fmt: skip
def test_what_is_wrong_in_a_campaign_is_named(
    make_campaign: MakeCampaign, models: str, keys: dict[str, object], words: list[str]
) -> None:
    folder = make_campaign(models)
    config = folder / "campaign.toml"
    text = config.read_text()
    if "suite" in keys:
        text = text.replace('"first-steps-v1"', f'"{keys.pop("suite")}"')
    config.write_text("".join(f"{key} = {value!r}\n" for key, value in keys.items()) + text)
    refused(fairtrial("run", folder), *words)
    assert not list(folder.glob("data/transcripts/*"))


def test_a_folder_that_cannot_be_written(make_campaign: MakeCampaign) -> None:
    folder = make_campaign(NOTHING)
    if os.geteuid() == 0:
        bound = subprocess.run(["mount", "--bind", folder, folder], check=False)
        if bound.returncode != 0:
            pytest.skip("root can write anywhere, and can mount nothing here")
        subprocess.run(["mount", "-o", "remount,ro,bind", folder], check=True)
    else:
        folder.chmod(0o500)
    try:
        refused(fairtrial("run", folder), "cannot be written")
    finally:
        if os.geteuid() == 0:
            subprocess.run(["umount", folder], check=True)
        else:
            folder.chmod(0o700)


def test_an_endpoint_that_refuses(make_campaign: MakeCampaign) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{taken.getsockname()[1]}/v1"
        refused(fairtrial("run", make_campaign(REMOTE.format(url=url))), url)


def test_a_key_variable_that_is_not_set(make_campaign: MakeCampaign) -> None:
    models = REMOTE.format(url="http://127.0.0.1:9/v1") + 'api_key_env = "NO_SUCH_KEY"\n'
    refused(fairtrial("run", make_campaign(models)), "NO_SUCH_KEY", "remote")


def test_a_transcript_cut_short_is_no_transcript(tmp_path: Path) -> None:
    cut = tmp_path / "cut.jsonl"
    cut.write_text('{"type":"started","schema_ver')
    refused(fairtrial("show", cut), "cut.jsonl", "started")
    refused(fairtrial("replay", cut), "cut.jsonl", "started")


def test_a_run_that_nobody_knows(tmp_path: Path) -> None:
    refused(fairtrial("show", "0123", cwd=tmp_path), "0123", "give its path")


@pytest.mark.parametrize("run", ["*", "14*", "**", "[", "../x"])
def test_a_run_that_is_a_pattern_is_only_a_name(run: str, tmp_path: Path) -> None:
    refused(fairtrial("replay", run, cwd=tmp_path), "no run in ./campaigns begins so")
    refused(fairtrial("show", run, cwd=tmp_path), "no run in ./campaigns begins so")


def test_an_empty_run_is_no_beginning(tmp_path: Path) -> None:
    refused(fairtrial("replay", "", cwd=tmp_path), "RUN is empty")


def test_nothing_is_verified_before_anything_has_run(make_campaign: MakeCampaign) -> None:
    folder = make_campaign()
    refused(fairtrial("verify", folder), f"nothing has run yet; fairtrial run {folder}")


def test_a_campaigns_paths_are_seen_from_its_own_folder(make_campaign: MakeCampaign) -> None:
    folder = make_campaign(ORACLE.replace('script = "oracle"', 'script = "mine.jsonl"'))
    refused(fairtrial("status", folder), f"models[1]: 'script': {folder}/mine.jsonl: no such file")

    (folder / "mine.jsonl").write_text('{"text": "47"}\n', encoding="utf-8")
    assert fairtrial("run", folder, cwd=folder.parent).returncode == 0


def test_a_campaign_that_plays_a_script_of_its_own_may_be_moved(
    make_campaign: MakeCampaign,
) -> None:
    folder = make_campaign(ORACLE.replace('script = "oracle"', 'script = "mine.jsonl"'))
    (folder / "mine.jsonl").write_text('{"text": "47"}\n', encoding="utf-8")
    assert fairtrial("run", folder).returncode == 0
    moved = folder.rename(folder.with_name("moved"))

    assert fairtrial("run", moved).returncode == 0


def test_a_new_campaign_names_its_suite_as_seen_from_its_own_folder(tmp_path: Path) -> None:
    assert fairtrial("new-task", "suites/mine-v1/task_01_a", cwd=tmp_path).returncode == 0
    done = fairtrial("new-campaign", "--suite", "suites/mine-v1", "campaigns/a", cwd=tmp_path)
    assert done.returncode == 0, done.stderr

    text = (tmp_path / "campaigns" / "a" / "campaign.toml").read_text()
    assert 'suite = "../../suites/mine-v1"\n' in text
    assert fairtrial("status", "campaigns/a", cwd=tmp_path).returncode == 0


def test_a_campaign_is_not_written_over_another(make_campaign: MakeCampaign) -> None:
    folder = make_campaign()
    before = (folder / "campaign.toml").read_text()
    refused(fairtrial("new-campaign", folder), "exists already")
    assert (folder / "campaign.toml").read_text() == before


def test_a_full_disk_stops_the_campaign_and_loses_no_finished_run(
    make_campaign: MakeCampaign,
) -> None:
    folder = make_campaign(ORACLE, runs_per_task=5)
    mounted = folder / "data"
    mounted.mkdir()
    small = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", mounted],
        capture_output=True,
        check=False,
    )
    if small.returncode != 0:
        pytest.skip("a small disk can only be mounted as root")
    try:
        done = fairtrial("run", folder)
        assert done.returncode == 3
        assert "No space left on device" in done.stderr
        assert "Traceback" not in done.stderr
        subprocess.run(["mount", "-o", "remount,size=8m", mounted], check=True)
        assert fairtrial("run", folder).returncode == 0
    finally:
        subprocess.run(["umount", mounted], check=True)


def test_the_command_itself_starts_quickly_and_needs_no_model_package() -> None:
    code = (
        "import sys, harness.cli; "
        "heavy = {'pandas', 'openai', 'llama_cpp', 'matplotlib', 'scipy', 'pydantic'}; "
        "sys.exit(sorted(heavy & sys.modules.keys()) or 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_help_teaches_every_command() -> None:
    done = subprocess.run(command("--help"), capture_output=True, text=True, check=True)
    for name in ("run", "status", "show", "verify", "histogram", "replay", "doctor", "schema"):
        assert name in done.stdout
    assert "Exit codes" in done.stdout
