"""A transcript played again says the same, or says where it does not."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from harness.records import ToolResult
from harness.replay.reexecute import compare
from tests.conftest import NOTHING, ORACLE, MakeCampaign, fairtrial

CORE = {"suite": "agentic-core-v1", "runs_per_task": 1}


def transcripts(folder: Path, task: str) -> list[Path]:
    paths = sorted(folder.glob("data/transcripts/*.jsonl"))
    return [path for path in paths if f'"task":"{task}' in path.read_text().split("\n")[0]]


def rewrite(path: Path, change: Callable[[dict[str, Any]], None]) -> None:
    """Apply ``change`` to every event of a transcript."""
    events = [json.loads(line) for line in path.read_text().splitlines()]
    for event in events:
        change(event)
    path.write_text("".join(json.dumps(event) + "\n" for event in events))


@pytest.fixture
def oracle_run(make_campaign: MakeCampaign) -> Path:
    """The transcript of an oracle that fixed the failing test, with the shell."""
    folder = make_campaign(ORACLE, **CORE)
    assert fairtrial("run", folder).returncode == 0
    return transcripts(folder, "task_01")[0]


def test_an_oracles_run_replays_to_the_same_results_and_verdict(
    make_campaign: MakeCampaign,
) -> None:
    folder = make_campaign(ORACLE + NOTHING, **CORE)
    fairtrial("run", folder)
    for path in folder.glob("data/transcripts/*.jsonl"):
        done = fairtrial("replay", path)
        calls = path.read_text().count('"type":"tool_result"')
        assert done.stdout == f"same verdict, {calls} of {calls} results identical\n", done.stderr
        assert done.returncode == 0


def test_a_result_that_differs_is_shown_and_fails(oracle_run: Path) -> None:
    def change(event: dict[str, Any]) -> None:
        if event["type"] == "tool_result" and event["turn"] == 1:
            event["content"] += "\nand a line that nobody printed"

    rewrite(oracle_run, change)
    done = fairtrial("replay", oracle_run)
    assert done.returncode == 1
    assert "turn 1" in done.stdout
    assert "-and a line that nobody printed" in done.stdout
    assert "the replay differs" in done.stderr


def test_a_verdict_that_differs_is_shown_and_fails(oracle_run: Path) -> None:
    def change(event: dict[str, Any]) -> None:
        if event["type"] == "graded":
            event["checks"][0]["passed"] = False

    rewrite(oracle_run, change)
    done = fairtrial("replay", oracle_run)
    assert done.returncode == 1
    assert "another verdict" in done.stdout


def test_an_outcome_that_was_changed_by_hand_is_shown_and_fails(oracle_run: Path) -> None:
    def change(event: dict[str, Any]) -> None:
        if event["type"] == "outcome":
            event["outcome"] = "wrong_answer"

    rewrite(oracle_run, change)
    done = fairtrial("replay", oracle_run)
    assert done.returncode == 1
    assert "another outcome: wrong_answer is recorded, and it is pass" in done.stdout


def test_nothing_that_a_transcript_holds_is_obeyed_by_the_terminal(oracle_run: Path) -> None:
    def change(event: dict[str, Any]) -> None:
        if event["type"] == "tool_result":
            event["content"] = "\x1b]0;owned\x07" + event["content"]

    rewrite(oracle_run, change)
    done = fairtrial("replay", oracle_run)
    assert done.returncode == 1
    assert "\x1b" not in done.stdout + done.stderr
    assert "\\x1b]0;owned" in done.stdout


def test_a_run_cut_off_by_a_kill_replays_as_far_as_it_came(oracle_run: Path) -> None:
    lines = oracle_run.read_text().splitlines(keepends=True)
    kept = next(n for n, line in enumerate(lines) if '"type":"tool_result"' in line)
    oracle_run.write_text("".join(lines[: kept + 1]) + lines[kept + 1][:20])
    done = fairtrial("replay", oracle_run)
    assert done.stdout == "no verdict was recorded, 1 of 1 results identical\n"


def test_a_task_that_is_no_longer_the_same_is_refused(
    make_campaign: MakeCampaign, oracle_run: Path
) -> None:
    def change(event: dict[str, Any]) -> None:
        if event["type"] == "started":
            event["task_digest"] = "0" * 64

    rewrite(oracle_run, change)
    done = fairtrial("replay", oracle_run)
    assert done.returncode == 2
    assert "another digest" in done.stderr


def test_a_transcript_away_from_its_campaign_is_replayed_on_the_suite_of_its_name(
    oracle_run: Path, tmp_path: Path
) -> None:
    lonely = tmp_path / "a" / "b" / "lonely.jsonl"
    lonely.parent.mkdir(parents=True)
    shutil.copy(oracle_run, lonely)
    assert fairtrial("replay", lonely).returncode == 0


@pytest.mark.parametrize(
    ("then", "now", "same"),
    [
        ("Ran 3 tests in 0.002s", "Ran 3 tests in 0.914s", True),
        ("at 2026-06-11T10:10:02Z", "at 2026-06-12T01:00:59.25Z", True),
        ("<Price object at 0x7f3c2a1b4d90>", "<Price object at 0x7ffe01234560>", True),
        ("File /tmp/tmpa8f/x.py", "File /tmp/tmpzz1/x.py", True),
        ("Ran 3 tests in 0.002s", "Ran 4 tests in 0.002s", False),
        ("total 25", "total 26", False),
    ],
)
def test_only_what_no_two_runs_share_may_differ(then: str, now: str, same: bool) -> None:
    def result(content: str) -> ToolResult:
        return ToolResult(turn=1, call_id="c", name="shell", content=content, ok=True, seconds=0)

    assert compare([result(then)], [result(now)]).same is same
