"""A campaign from its file to its evidence, however often it is stopped on the way."""

from __future__ import annotations

import json
import os
import shlex
import shutil
import signal
import subprocess
from pathlib import Path
from typing import Any

import pytest

from harness.store import LEDGER_ENTRY, AttemptEntry, CampaignFolder, last_outcome
from harness.task import BUILT_IN
from tests.conftest import NOTHING, ORACLE, MakeCampaign, command, evidence, fairtrial
from tests.waiting import HANGS, until

ONE_AT_A_TIME = "[infrastructure]\nconcurrency = 1\n"
"""Slow enough for a test to step in between two runs."""


PIPES: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}


def finished_runs(folder: Path) -> int:
    paths = CampaignFolder(folder).transcript_paths()
    return sum(last_outcome(path) is not None for path in paths)


def start(folder: Path, *options: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        command("run", folder, *options), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def stop_after(
    folder: Path, runs: int, with_signal: signal.Signals, *options: str
) -> tuple[int, str]:
    """Start a campaign and send it a signal once so many runs are finished."""
    with start(folder, *options) as process:
        until(lambda: finished_runs(folder) >= runs or process.poll() is not None)
        process.send_signal(with_signal)
        _, errors = process.communicate(timeout=HANGS)
    return process.returncode, errors


def test_a_campaign_runs_from_its_file_to_its_evidence(make_campaign: MakeCampaign) -> None:
    folder = make_campaign(ORACLE + NOTHING, runs_per_task=2)
    done = fairtrial("run", folder)
    assert (done.returncode, done.stderr) == (0, "")
    rows = (folder / "verification" / "runs.csv").read_text().splitlines()
    assert len(rows) == 1 + 2 * 4 * 2
    assert sum(",pass," in row for row in rows) == 8
    assert sum(",wrong_answer," in row for row in rows) == 8
    assert fairtrial("verify", folder).returncode == 0


def test_a_finished_campaign_run_again_does_nothing_and_says_so(
    make_campaign: MakeCampaign,
) -> None:
    folder = make_campaign(runs_per_task=1)
    fairtrial("run", folder)
    before = {path: path.stat().st_mtime_ns for path in folder.rglob("*.*sv") if path.is_file()}
    again = fairtrial("run", folder)
    assert again.returncode == 0
    assert "nothing to run" in again.stdout
    assert {path: path.stat().st_mtime_ns for path in before} == before
    assert finished_runs(folder) == 4


@pytest.mark.parametrize("finished", [0, 3, 11])
def test_a_killed_campaign_goes_on_and_ends_with_the_same_evidence(
    make_campaign: MakeCampaign, finished: int
) -> None:
    folder = make_campaign(ORACLE + NOTHING + ONE_AT_A_TIME, runs_per_task=5)
    fairtrial("run", folder)
    undisturbed = evidence(folder)
    shutil.rmtree(folder / "data")
    shutil.rmtree(folder / "verification")

    code, _ = stop_after(folder, finished, signal.SIGKILL)
    kept = finished_runs(folder)
    assert code == -signal.SIGKILL
    assert finished <= kept < 40
    assert fairtrial("run", folder).returncode == 0
    assert evidence(folder) == undisturbed
    assert fairtrial("verify", folder).returncode == 0


def test_the_order_of_tasks_and_models_does_not_matter(
    make_campaign: MakeCampaign, tmp_path: Path
) -> None:
    suite = tmp_path / "first-steps-v1"
    shutil.copytree(BUILT_IN / "first-steps-v1", suite)
    forwards = make_campaign(ORACLE + NOTHING, suite=str(suite), runs_per_task=2)
    fairtrial("run", forwards)
    expected = evidence(forwards)
    shutil.rmtree(forwards)

    text = (suite / "suite.toml").read_text()
    tasks = sorted(path.parent.name for path in suite.glob("*/task.toml"))
    order = json.dumps(tasks), json.dumps(tasks[::-1])
    assert "tasks = " in text
    head, _, rest = text.partition("tasks = ")
    (suite / "suite.toml").write_text(f"{head}tasks = {order[1]}{rest[rest.index(']') + 1 :]}")
    backwards = make_campaign(NOTHING + ORACLE, suite=str(suite), runs_per_task=2)
    fairtrial("run", backwards)
    assert evidence(backwards) == expected


@pytest.mark.parametrize("with_signal", [signal.SIGINT, signal.SIGTERM])
def test_a_campaign_asked_to_stop_says_what_is_kept_and_goes_on_later(
    make_campaign: MakeCampaign, with_signal: signal.Signals
) -> None:
    folder = make_campaign(ORACLE + ONE_AT_A_TIME, runs_per_task=8)
    code, errors = stop_after(folder, 4, with_signal, "--skip-preflight")
    kept = finished_runs(folder)
    assert code == 130
    assert "runs are finished and kept" in errors
    assert " --skip-preflight' goes on from there" in errors
    assert "Traceback" not in errors
    assert 4 <= kept < 32
    for asks in ("verify", "report"):
        told = fairtrial(asks, folder)
        assert told.returncode == 1
        assert "no evidence yet" in told.stderr
        assert told.stderr.count("\n") == 1
    assert fairtrial("run", folder).returncode == 0


def test_a_campaign_whose_folder_was_renamed_goes_on_with_its_own_runs(
    make_campaign: MakeCampaign,
) -> None:
    folder = make_campaign(ORACLE + ONE_AT_A_TIME, runs_per_task=2)
    stop_after(folder, 3, signal.SIGKILL)
    kept = finished_runs(folder)
    moved = folder.rename(folder.with_name("elsewhere"))
    assert fairtrial("run", moved).returncode == 0
    assert finished_runs(moved) == 8
    assert kept >= 3
    assert fairtrial("verify", moved).returncode == 0


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        (
            'prompt = "You',
            'prompt = "Be quick. You',
            "the task has changed since the campaign began",
        ),
        (', "task_04_two_hops"', "", "the task has changed since the campaign began"),
    ],
)
def test_a_suite_that_changed_since_the_campaign_began_is_refused(
    make_campaign: MakeCampaign, tmp_path: Path, old: str, new: str, said: str
) -> None:
    suite = tmp_path / "my-suite-v1"
    shutil.copytree(BUILT_IN / "first-steps-v1", suite)
    folder = make_campaign(suite=str(suite), runs_per_task=1)
    fairtrial("run", folder)
    text = (suite / "suite.toml").read_text()
    assert text.count(old) == 1
    (suite / "suite.toml").write_text(text.replace(old, new))
    again = fairtrial("run", folder)
    assert again.returncode == 2
    assert said in again.stderr


def test_a_campaign_in_the_background_of_a_script_can_be_asked_to_stop(
    make_campaign: MakeCampaign,
) -> None:
    folder = make_campaign(ORACLE + ONE_AT_A_TIME, runs_per_task=20)
    words = " ".join(shlex.quote(word) for word in command("run", folder))
    # Without job control a shell starts what is in its background deaf to SIGINT.
    with subprocess.Popen(["sh", "-c", f"{words} & echo $!; wait $!"], **PIPES) as shell:
        assert shell.stdout is not None
        process = int(shell.stdout.readline())
        until(lambda: finished_runs(folder) >= 2)
        os.kill(process, signal.SIGTERM)
        _, errors = shell.communicate(timeout=HANGS)
    assert "runs are finished and kept" in errors
    entries = (folder / "data" / "ledger.jsonl").read_text()
    assert entries.count('"event":"begun"') == entries.count('"event":"ended"')


def test_of_two_at_once_on_one_campaign_the_second_is_refused_and_status_names_the_first(
    make_campaign: MakeCampaign,
) -> None:
    folder = make_campaign(ORACLE + ONE_AT_A_TIME, runs_per_task=5)
    with start(folder) as first:
        until(lambda: finished_runs(folder) >= 1 or first.poll() is not None)
        first.send_signal(signal.SIGSTOP)
        second, told = fairtrial("run", folder), fairtrial("status", folder)
        first.send_signal(signal.SIGCONT)
        first.communicate(timeout=HANGS)
    assert (first.returncode, second.returncode) == (0, 2)
    assert f"already being run by process {first.pid}" in second.stderr
    assert f"Process {first.pid} is playing it" in told.stdout
    assert "are owed" not in told.stdout
    assert "is playing it" not in fairtrial("status", folder).stdout


def test_the_ledger_tells_every_attempt_begun_and_ended(make_campaign: MakeCampaign) -> None:
    folder = make_campaign(runs_per_task=1)
    fairtrial("run", folder)
    lines = (folder / "data" / "ledger.jsonl").read_text().splitlines()
    entries = [LEDGER_ENTRY.validate_json(line) for line in lines]
    attempts = [entry for entry in entries if isinstance(entry, AttemptEntry)]
    begun = {entry.run for entry in attempts if entry.event == "begun"}
    ended = {entry.run: entry.outcome for entry in attempts if entry.event == "ended"}
    assert [entry.event for entry in entries if entry not in attempts] == ["opened", "closed"]
    assert len(attempts) == 8
    assert set(ended) == begun
    assert set(ended.values()) == {"pass"}


def test_a_campaign_that_has_begun_is_not_played_on_under_other_rules(
    make_campaign: MakeCampaign,
) -> None:
    folder = make_campaign(runs_per_task=1, seed=1)
    fairtrial("run", folder)
    config = folder / "campaign.toml"
    config.write_text(config.read_text().replace("seed = 1", "seed = 2"))
    again = fairtrial("run", folder)
    assert again.returncode == 2
    assert "'seed' has changed since the campaign began (it was 1)" in again.stderr


def test_a_task_that_changed_since_the_campaign_began_is_refused(
    make_campaign: MakeCampaign, tmp_path: Path
) -> None:
    suite = tmp_path / "my-suite-v1"
    shutil.copytree(BUILT_IN / "first-steps-v1", suite)
    folder = make_campaign(suite=str(suite), runs_per_task=1)
    fairtrial("run", folder)
    instruction = next(suite.glob("task_01*/instruction.md"))
    instruction.write_text(instruction.read_text() + "Be quick.\n")
    again = fairtrial("run", folder)
    assert again.returncode == 2
    assert "the task has changed since the campaign began" in again.stderr


def test_running_without_a_sandbox_is_said_and_recorded(make_campaign: MakeCampaign) -> None:
    folder = make_campaign(NOTHING, runs_per_task=1, sandbox="none")
    done = fairtrial("run", folder)
    assert done.returncode == 0
    assert "WARNING" in done.stdout
    assert json.loads((folder / "data" / "manifest.json").read_text())["sandbox"]["kind"] == "none"


def test_nothing_of_a_campaign_is_left_in_the_systems_temporary_folder(
    make_campaign: MakeCampaign, tmp_path: Path
) -> None:
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    temporary.chmod(0o1777)
    folder = make_campaign(ORACLE + NOTHING, runs_per_task=1)
    assert fairtrial("run", folder, env={"TMPDIR": str(temporary)}).returncode == 0
    assert list(temporary.iterdir()) == []


@pytest.mark.parametrize("concurrency", [1, 3, 16])
def test_how_many_runs_play_at_once_does_not_matter(
    make_campaign: MakeCampaign, concurrency: int
) -> None:
    models = ORACLE + NOTHING
    one = make_campaign(models, runs_per_task=3, name="one/trial")
    other = make_campaign(
        f"{models}[infrastructure]\nconcurrency = {concurrency}\n",
        runs_per_task=3,
        name="other/trial",
    )
    for folder in (one, other):
        assert fairtrial("run", folder).returncode == 0
    assert evidence(one) == evidence(other)


# What is played again.


def spoiled_and_owed(make_campaign: MakeCampaign) -> tuple[Path, str, str, str]:
    """A campaign with one run that is settled, one that was cut off and others that never
    began; and the UUIDs of the first two and of another."""
    folder = make_campaign(runs_per_task=2)
    assert fairtrial("run", folder).returncode == 0
    settled, cut, *others = CampaignFolder(folder).transcript_paths()
    cut.write_bytes(b"".join(cut.read_bytes().splitlines(keepends=True)[:2]))
    for path in others:
        path.unlink()
    return folder, settled.stem, cut.stem, others[0].stem


def test_only_the_runs_that_the_world_spoiled_are_retried_where_that_is_asked(
    make_campaign: MakeCampaign,
) -> None:
    folder, settled, cut, _ = spoiled_and_owed(make_campaign)
    done = fairtrial("run", folder, "--retry-infrastructure")
    assert done.returncode == 3
    names = {path.name for path in CampaignFolder(folder).transcript_paths()}
    assert names == {f"{settled}.jsonl", f"{cut}.jsonl", f"{cut}.attempt-1.jsonl"}
    assert fairtrial("run", folder).returncode == 0
    assert len(CampaignFolder(folder).transcript_paths()) == 9


def test_one_run_is_retried_by_its_name_unless_it_has_a_score(make_campaign: MakeCampaign) -> None:
    folder, settled, cut, other = spoiled_and_owed(make_campaign)
    refused = fairtrial("run", folder, "--retry", settled[:8])
    assert refused.returncode == 2
    assert "a score is not drawn again" in refused.stderr
    unknown = fairtrial("run", folder, "--retry", "nosuch")
    assert unknown.returncode == 2
    assert "nosuch: 0 runs of trial begin so" in unknown.stderr
    both = fairtrial("run", folder, "--retry", cut[:8], "--retry-infrastructure")
    assert (both.returncode, "give one of them" in both.stderr) == (2, True)
    assert fairtrial("run", folder, "--retry", cut[:8], "--retry", other[:8]).returncode == 3
    names = {path.stem for path in CampaignFolder(folder).transcript_paths()}
    assert names == {settled, cut, f"{cut}.attempt-1", other}


def test_a_fault_of_pythons_own_parser_is_not_taken_for_the_checkers(
    make_campaign: MakeCampaign, tmp_path: Path
) -> None:
    suite = tmp_path / "suite"
    shutil.copytree(Path("tasks/first-steps-v1"), suite)
    checker = suite / "task_01_read_a_number" / "checker.py"
    once = f"""
from pathlib import Path

_check, _met = check, Path({str(tmp_path / "met")!r})


def check(run):
    if not _met.exists():
        _met.touch()
        raise SystemError("AST constructor recursion depth mismatch (before=27, after=23)")
    return _check(run)
"""
    checker.write_text(checker.read_text(encoding="utf-8") + once, encoding="utf-8")
    folder = make_campaign(ORACLE, suite=str(suite), runs_per_task=1, uncertified=True)
    assert fairtrial("run", folder).returncode == 0
    rows = (folder / "verification" / "attempts.csv").read_text(encoding="utf-8").splitlines()
    assert len(rows) == 1 + 4  # no attempt was lost to it
    assert all(",pass," in row for row in rows[1:])
