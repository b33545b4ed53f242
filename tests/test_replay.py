"""A transcript played again says the same, or says where it does not: its checks, its calls."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest

from harness.records import ToolResult
from harness.replay.reexecute import compare
from tests.conftest import NOTHING, ORACLE, MakeCampaign, command, fairtrial
from tests.waiting import HANGS, command_of, until

Event = dict[str, Any]
GRADES = ["regrade", "reexecute"]
"""The grades that need no model."""


def transcripts(folder: Path, task: str = "", model: str = "") -> list[Path]:
    """The transcripts of a campaign whose task and model have names that begin so."""
    paths = sorted(folder.glob("data/transcripts/*.jsonl"))
    headers = {path: json.loads(path.read_text().split("\n")[0]) for path in paths}
    return [
        path
        for path, header in headers.items()
        if header["task"].startswith(task) and header["model"]["name"].startswith(model)
    ]


def rewrite(path: Path, change: Callable[[Event], None]) -> None:
    """Apply ``change`` to every event of a transcript."""
    events = [json.loads(line) for line in path.read_text().splitlines()]
    for event in events:
        change(event)
    path.write_text("".join(json.dumps(event) + "\n" for event in events))


def without(path: Path, kind: str) -> None:
    """Take the events of one type out of a transcript."""
    lines = path.read_text().splitlines(keepends=True)
    path.write_text("".join(line for line in lines if json.loads(line)["type"] != kind))


@pytest.fixture(scope="module")
def played(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A campaign of the ten tasks, played by the oracle and by nobody."""
    folder = tmp_path_factory.mktemp("played") / "trial"
    folder.mkdir()
    (folder / "campaign.toml").write_text(
        f'suite = "agentic-core-v1"\nruns_per_task = 1\n{ORACLE}{NOTHING}'
    )
    assert fairtrial("run", folder).returncode == 0
    return folder


@pytest.fixture
def core(played: Path, tmp_path: Path) -> Path:
    """A copy of that campaign, to be changed."""
    return shutil.copytree(played, tmp_path / "copy" / "trial")


@pytest.fixture
def oracle_run(core: Path) -> Path:
    """The transcript of an oracle that fixed the failing test, with the shell."""
    return transcripts(core, "task_01", "oracle")[0]


def table(stdout: str) -> dict[str, list[str]]:
    """The rows of the table that --all ends in, by model."""
    rows = [line.split() for line in stdout.splitlines()]
    return {row[0]: row[1:] for row in rows if row and row[0] in ("oracle", "nothing", "stuck")}


def test_an_oracles_run_replays_to_the_same_results_and_verdict(core: Path) -> None:
    for path in transcripts(core, "task_01") + transcripts(core, "task_10"):
        done = fairtrial("replay", path)
        calls = path.read_text().count('"type":"tool_result"')
        assert done.stdout == f"same verdict, {calls} of {calls} results identical\n", done.stderr
        assert done.returncode == 0


@pytest.mark.parametrize("grade", GRADES)
def test_all_runs_of_a_campaign_come_out_as_they_were_recorded(played: Path, grade: str) -> None:
    done = fairtrial("replay", played, "--all", "--grade", grade)
    assert (done.returncode, done.stderr) == (0, "")
    assert table(done.stdout) == {
        "oracle": ["10", "10", "0", "0", "0", "100.0%"],
        "nothing": ["10", "10", "0", "0", "0", "100.0%"],
    }


def test_a_regrading_executes_no_call(oracle_run: Path) -> None:
    def change(event: Event) -> None:
        if event["type"] == "reply":
            for call in event["tool_calls"]:
                call["arguments"] = '{"command": "rm -rf ."}'

    rewrite(oracle_run, change)
    done = fairtrial("replay", oracle_run, "--grade", "regrade")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("same verdict, ")
    assert fairtrial("replay", oracle_run).returncode == 1


def test_a_result_that_differs_is_shown_and_fails(oracle_run: Path) -> None:
    def change(event: Event) -> None:
        if event["type"] == "tool_result" and event["turn"] == 1:
            event["content"] += "\nand a line that nobody printed"

    rewrite(oracle_run, change)
    done = fairtrial("replay", oracle_run)
    assert done.returncode == 1
    assert "turn 1" in done.stdout
    assert "-and a line that nobody printed" in done.stdout
    assert "the replay differs" in done.stderr


@pytest.mark.parametrize("grade", GRADES)
def test_a_verdict_that_differs_is_shown_and_fails(oracle_run: Path, grade: str) -> None:
    def change(event: Event) -> None:
        if event["type"] == "graded":
            event["checks"][0]["passed"] = False

    rewrite(oracle_run, change)
    done = fairtrial("replay", oracle_run, "--grade", grade)
    assert done.returncode == 1
    assert "another verdict" in done.stdout


@pytest.mark.parametrize("grade", GRADES)
def test_an_outcome_that_was_changed_by_hand_is_shown_and_fails(
    oracle_run: Path, grade: str
) -> None:
    def change(event: Event) -> None:
        if event["type"] == "outcome":
            event["outcome"] = "wrong_answer"

    rewrite(oracle_run, change)
    done = fairtrial("replay", oracle_run, "--grade", grade)
    assert done.returncode == 1
    assert "another outcome: wrong_answer is recorded, and it is pass" in done.stdout


def test_nothing_that_a_transcript_holds_is_obeyed_by_the_terminal(oracle_run: Path) -> None:
    def change(event: Event) -> None:
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


def test_a_task_that_is_no_longer_the_same_is_refused(oracle_run: Path) -> None:
    def change(event: Event) -> None:
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


def put_the_bug_back(event: Event) -> None:
    """As if the run had left the one file that it mended as it was."""
    if event["type"] == "left":
        (change,) = event["changes"]
        change["after"] = change["before"]


def test_other_files_than_the_run_left_are_another_verdict(oracle_run: Path) -> None:
    rewrite(oracle_run, put_the_bug_back)
    done = fairtrial("replay", oracle_run, "--grade", "regrade")
    assert done.returncode == 1
    assert "another verdict" in done.stdout


def test_other_files_than_the_calls_leave_are_named(oracle_run: Path) -> None:
    rewrite(oracle_run, put_the_bug_back)
    done = fairtrial("replay", oracle_run)
    assert done.returncode == 1
    assert "it left another workspace: instalments/plan.py" in done.stdout


def test_an_older_transcript_is_re_executed_but_not_regraded(oracle_run: Path) -> None:
    without(oracle_run, "left")
    assert fairtrial("replay", oracle_run).returncode == 0
    done = fairtrial("replay", oracle_run, "--grade", "regrade")
    assert done.returncode == 2
    assert "does not tell what its run left" in done.stderr


def test_nothing_is_graded_from_half_a_state(oracle_run: Path) -> None:
    def change(event: Event) -> None:
        if event["type"] == "left":
            event["left_out"] = "17 more changes"

    rewrite(oracle_run, change)
    done = fairtrial("replay", oracle_run, "--grade", "regrade")
    assert done.returncode == 2
    assert "not all that the run left was written down; missing: 17 more changes" in done.stderr


@pytest.fixture
def stuck(make_campaign: MakeCampaign, tmp_path: Path) -> Path:
    """A campaign with a model that leaves files of many kinds, and whose turns run out."""
    commands = "echo hi > notes.txt; ln -s /etc/passwd door; mkfifo pipe; chmod +x notes.txt"
    call = {"name": "shell", "arguments": {"command": commands}}
    (tmp_path / "stuck.jsonl").write_text(f"{json.dumps({'calls': [call]})}\n" * 2)
    model = '[[models]]\nname = "stuck"\nkind = "scripted"\nscript = "../stuck.jsonl"\n'
    folder = make_campaign(f"{model}[budgets]\nturns = 1\n", runs_per_task=1)
    assert fairtrial("run", folder).returncode == 0
    return folder


def test_what_is_left_where_a_budget_ran_out_is_told_before_the_verdict(stuck: Path) -> None:
    path = transcripts(stuck, "task_03")[0]
    events = [json.loads(line) for line in path.read_text().splitlines()]
    assert [event["type"] for event in events][-4:] == ["ended", "left", "graded", "outcome"]
    assert events[-4]["budget"] == "turns"
    assert [(c["path"], c["after"]["kind"]) for c in events[-3]["changes"]] == [
        ("door", "link"),
        ("notes.txt", "text"),
        ("pipe", "other"),
    ]
    done = fairtrial("replay", stuck, "--all", "--grade", "regrade")
    assert table(done.stdout) == {"stuck": ["4", "4", "0", "0", "0", "100.0%"]}
    assert "  notes.txt: added, +1 -0\n" in fairtrial("show", path).stdout


def test_runs_that_differ_are_counted_listed_and_fail(core: Path) -> None:
    (run,) = transcripts(core, "task_01", "oracle")
    rewrite(run, put_the_bug_back)
    without(transcripts(core, "task_02", "oracle")[0], "left")
    cut = transcripts(core, "task_03", "oracle")[0]
    cut.write_bytes(cut.read_bytes()[:-20])
    transcripts(core, "task_04", "oracle")[0].write_text('{"type":"started"\n')
    done = fairtrial("replay", core, "--all", "--grade", "regrade")
    assert done.returncode == 1
    assert "1 runs differ from their replay" in done.stderr
    assert table(done.stdout) == {
        "oracle": ["9", "6", "1", "1", "1", "85.7%"],
        "nothing": ["10", "10", "0", "0", "0", "100.0%"],
    }
    assert "(unreadable)" in done.stdout
    assert "oracle, task_01_fix_failing_test #1 differs" in done.stdout
    assert "another verdict: " in done.stdout
    assert "does not tell what its run left" in done.stdout


def test_a_long_list_of_differences_is_cut(core: Path) -> None:
    def change(event: Event) -> None:
        if event["type"] == "outcome":
            event["outcome"] = "gave_up"

    for path in transcripts(core):
        rewrite(path, change)
    done = fairtrial("replay", core, "--all", "--grade", "regrade")
    assert done.stdout.count("another outcome: gave_up is recorded") == 10
    assert "... and 10 more that differ" in done.stdout


def test_where_nothing_could_be_replayed_is_not_called_a_success(core: Path) -> None:
    for path in transcripts(core):
        without(path, "left")
    done = fairtrial("replay", core, "--all", "--grade", "regrade")
    assert done.returncode == 2
    assert "none of its 20 runs could be replayed" in done.stderr
    assert table(done.stdout)["oracle"] == ["10", "0", "0", "10", "0"]


def test_a_campaign_is_asked_for_as_one(core: Path, make_campaign: MakeCampaign) -> None:
    done = fairtrial("replay", core)
    assert done.returncode == 2
    assert "add --all" in done.stderr
    done = fairtrial("replay", make_campaign(), "--all")
    assert done.returncode == 2
    assert "nothing has run yet" in done.stderr


def test_a_replay_that_is_stopped_shows_what_it_found(core: Path) -> None:
    def dawdle(event: Event) -> None:
        if event["type"] == "reply":
            for call in event["tool_calls"]:
                call["name"], call["arguments"] = "shell", '{"command": "sleep 25"}'

    rewrite(transcripts(core, "task_01", "oracle")[0], dawdle)
    with subprocess.Popen(
        command("replay", core, "--all"), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        replay = psutil.Process(process.pid)
        until(lambda: ["sleep", "25"] in map(command_of, replay.children(recursive=True)))
        process.send_signal(signal.SIGINT)
        stdout, stderr = process.communicate(timeout=HANGS)
    assert (process.returncode, stderr) == (130, "")
    assert "of 20 runs were looked at." in stdout


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
