"""A model asked again says the same, or where it parts from what was recorded: real models."""

from __future__ import annotations

import asyncio
import json
import shutil
from pathlib import Path

import pytest

from harness.records import Completion, ToolCall
from tests.conftest import ORACLE, fairtrial
from tests.llama_server import smollm2
from tests.model_server import Question, model_server
from tests.test_replay import Event, rewrite, transcripts

SMOLLM2 = """
[[models]]
name = "smollm2"
kind = "llama_cpp"
path = "{path}"
dialect = "fewshot"
n_ctx = 2048
n_threads = 1
sampling = {{ temperature = 1.5 }}

[budgets]
turns = 3
tokens_per_turn = 48
"""


def resample(path: Path, *more: str) -> tuple[int, str, str]:
    done = fairtrial("replay", path, "--grade", "resample", *more)
    return done.returncode, done.stdout, done.stderr


@pytest.fixture(scope="module")
def played(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A campaign of SmolLM2, at a temperature that varies its replies, and the oracle."""
    folder = tmp_path_factory.mktemp("played") / "trial"
    folder.mkdir()
    model = SMOLLM2.format(path=smollm2())
    (folder / "campaign.toml").write_text(
        f'suite = "first-steps-v1"\nruns_per_task = 1\n{ORACLE}{model}'
    )
    assert fairtrial("run", folder, "--skip-preflight").returncode == 0
    return folder


@pytest.fixture
def campaign(played: Path, tmp_path: Path) -> Path:
    """A copy of that campaign, to be changed."""
    return shutil.copytree(played, tmp_path / "copy" / "trial")


@pytest.fixture
def run(campaign: Path) -> Path:
    """A run in which the model had several turns."""
    return max(transcripts(campaign, model="smollm2"), key=lambda p: p.read_text().count('"reply"'))


def test_a_local_model_says_the_same_again_in_every_turn_of_every_run(played: Path) -> None:
    code, stdout, stderr = resample(played, "--all")
    assert (code, stderr) == (0, "")
    rows = [line.split() for line in stdout.splitlines()]
    assert ["smollm2", "4", "4", "0", "0", "0", "100.0%"] in rows
    assert ["oracle", "4", "0", "0", "4", "0"] in rows
    assert "oracle is a script; there is nothing to sample" in stdout


def test_another_seed_parts_in_a_turn_and_at_a_character_that_are_named(run: Path) -> None:
    def change(event: Event) -> None:
        if event["type"] == "started":
            event["seed"] += 1

    rewrite(run, change)
    code, stdout, stderr = resample(run)
    assert code == 1
    assert stdout.startswith("turn ")
    assert " was recorded, and it is " in stdout
    assert "the replay differs: " in stderr


def test_a_word_put_into_the_models_mouth_is_found_and_another_engine_named(run: Path) -> None:
    def change(event: Event) -> None:
        if event["type"] == "started":
            event["model"]["observed"]["engine"] = "llama-cpp-python 0.0"
        if event["type"] == "reply" and event["turn"] == 2:
            event["text"] = event["text"][:3] + "~" + event["text"][3:]

    rewrite(run, change)
    code, stdout, _ = resample(run)
    assert code == 1
    assert "not as it was then: engine was llama-cpp-python 0.0, and is llama-cpp-" in stdout
    assert stdout.startswith("turn 2, text, character ")
    assert "'~" in stdout


def test_the_same_text_from_other_tokens_is_a_difference(run: Path) -> None:
    def change(event: Event) -> None:
        if event["type"] == "reply":
            event["compute"]["reply_sha256"] = "0" * 64
            event["compute"]["prompt_sha256"] = "0" * 64

    rewrite(run, change)
    code, stdout, _ = resample(run)
    assert code == 1
    assert stdout.startswith(
        "turn 1, the same text from other tokens; its prompt was put into other tokens\n"
    )


def test_a_run_that_was_not_made_to_be_the_same_again_says_so_where_it_is_not(run: Path) -> None:
    def change(event: Event) -> None:
        if event["type"] == "started":
            event["model"]["observed"]["reproducible"] = False
            event["model"]["observed"]["not_reproducible_because"] = "batch = 4"
            event["model"]["observed"]["n_threads"] = 7
            event["seed"] += 1

    rewrite(run, change)
    code, stdout, _ = resample(run)
    assert code == 1
    assert "\nit was not made to be the same again: batch = 4\n" in stdout
    assert "n_threads was 7, and is 1" in stdout


def test_a_turn_that_differs_does_not_make_those_after_it_differ(run: Path) -> None:
    def change(event: Event) -> None:
        if event["type"] == "reply" and event["turn"] == 1:
            event["finish_reason"] = "filtered"

    replies = run.read_text().count('"type":"reply"')
    assert replies > 1
    rewrite(run, change)
    code, stdout, stderr = resample(run)
    assert code == 1
    assert stdout.startswith("turn 1, the reason it ended, character 1: 'filtered' was recorded")
    assert f"{replies - 1} of {replies} replies identical" in stderr


def test_another_file_is_refused_by_its_digest(run: Path) -> None:
    def change(event: Event) -> None:
        if event["type"] == "started":
            event["model"]["observed"]["sha256"] = "0" * 64

    rewrite(run, change)
    code, _, stderr = resample(run)
    assert code == 2
    assert "smollm2 is another file now: SHA-256 " + "0" * 64 + " was played" in stderr
    assert "has b179c952" in stderr


def test_a_model_that_was_moved_is_found_where_the_campaign_says(
    run: Path, campaign: Path, tmp_path: Path
) -> None:
    def change(event: Event) -> None:
        if event["type"] == "started":
            event["model"]["settings"]["path"] = "/nowhere/smollm2.gguf"

    rewrite(run, change)
    assert resample(run)[0] == 0
    lonely = tmp_path / "lonely.jsonl"
    shutil.copy(run, lonely)
    code, _, stderr = resample(lonely)
    assert code == 2
    assert "/nowhere/smollm2.gguf" in stderr


def test_a_script_is_not_sampled(campaign: Path) -> None:
    (path, *_) = transcripts(campaign, model="oracle")
    assert resample(path) == (
        2,
        "",
        "fairtrial: oracle is a script; there is nothing to sample\n",
    )


async def test_an_endpoint_is_asked_again_at_the_recorded_seeds(tmp_path: Path) -> None:
    word = "25"

    def play(question: Question) -> Completion:
        if question.turn == 1:
            call = ToolCall(id="call", name=question.tool, arguments='{"path": "a"}')
            return Completion(tool_calls=(call,), finish_reason="tool_calls")
        return Completion(text=f"It is {word}.", finish_reason="stop")

    async with model_server({"m": play}) as server:
        (tmp_path / "campaign.toml").write_text(
            'suite = "first-steps-v1"\nruns_per_task = 1\n[[models]]\nname = "m"\nkind = "openai"\n'
            f'model = "m"\nbase_url = "http://127.0.0.1:{server.port}/v1"\n'
            'api_key_env = "FAIRTRIAL_TEST_KEY"\n'
        )
        key = {"FAIRTRIAL_TEST_KEY": "a key of no value"}

        async def command(*arguments: str | Path) -> tuple[int, str, str]:
            done = await asyncio.to_thread(fairtrial, *arguments, env=key)
            return done.returncode, done.stdout, done.stderr

        assert (await command("run", tmp_path, "--skip-preflight"))[0] == 0
        asked, server.asked[:] = list(server.asked), []
        again = ("replay", tmp_path, "--all", "--grade", "resample")
        code, stdout, stderr = await command(*again)
        assert (code, stderr) == (0, "")
        assert "100.0%" in stdout
        assert _bodies(server.asked) == _bodies(asked)
        word = "26"
        code, stdout, _ = await command(*again)
        assert code == 1
        assert "turn 2, text, character 8: '5.' was recorded, and it is '6.'" in stdout
    code, _, stderr = await command(*again)
    assert code == 2
    assert "none of its 4 runs could be replayed" in stderr


def _bodies(questions: list[Question]) -> list[str]:
    """What was asked, in one order, but for probes."""
    return sorted(json.dumps(dict(q.body), sort_keys=True) for q in questions if "tools" in q.body)
