"""Earlier turns, nudges and recovered calls, wherever a run is read: never the model's doing."""

from __future__ import annotations

import io
from pathlib import Path

import atif
import pytest
from inspect_ai.model import ChatMessageAssistant, ChatMessageUser
from rich.console import Console

from harness.earlier import turns
from harness.records import (
    Event,
    Outcome,
    Prompt,
    Recovered,
    Reply,
    Signal,
    ToolCall,
    ToolResult,
    Usage,
)
from harness.store import CampaignFolder, JsonLines
from tests.transcripts import ending, plan_of, started, turn
from verification.episode import Episode, read_episode
from verification.evidence import read
from verification.export.atif import trajectory
from verification.export.inspect.sample import sample_of
from verification.report.transcript import pages
from verification.show import show

HERMES = '<tool_call>{"name": "shell", "arguments": {"command": "ls"}}</tool_call>'
CALL = ToolCall(id="call_1_1", name="shell", arguments='{"command": "ls"}')


def leaked(number: int) -> list[Event]:
    usage = Usage(input=900, output=9)
    return [
        Reply(turn=number, text=HERMES, finish_reason="stop", usage=usage),
        Signal(turn=number, name="template_leakage", detail="as it was seen"),
    ]


@pytest.fixture
def folder(tmp_path: Path) -> CampaignFolder:
    """A campaign of one run that begins with earlier turns, is nudged and recovered."""
    earlier = turns(1, 1000, ("fs_read", "shell"))
    assert earlier is not None
    answer = ToolResult(
        turn=2, call_id=CALL.id, name="shell", content="a.txt", ok=False, seconds=0.1
    )
    outcome = ending("pass", turns=3)[-1]
    assert isinstance(outcome, Outcome)
    events: list[Event] = [
        Prompt(role="system", content="Work."),
        earlier,
        Prompt(role="user", content="What is in the folder?"),
        *leaked(1),
        Prompt(role="user", content="You leaked.", nudge_after=1),
        *leaked(2),
        Recovered(turn=2, dialect="hermes", version=1, text="", tool_calls=(CALL,)),
        answer,
        *turn(3, text="a.txt"),
        *ending("pass", turns=3)[:-1],
        outcome.model_copy(
            update={
                "outcome": "wrong_answer",
                "signals": ("template_leakage",),
                "rescued": "pass",
            }
        ),
    ]
    header = started(plan_of(runs_per_task=1)).model_copy(
        update={"context_load": 1000, "on_leak": "recover"}
    )
    found = CampaignFolder(tmp_path)
    found.prepare()
    with JsonLines(found.transcript(header.run)) as lines:
        for event in (header, *events):
            lines.append(event)
    return found


@pytest.fixture
def episode(folder: CampaignFolder) -> Episode:
    (path,) = folder.transcript_paths()
    return read_episode(folder, path.stem)


def test_tables_count_none_of_it_as_turns_or_calls(folder: CampaignFolder) -> None:
    run = read(folder).runs.iloc[0]
    assert (run["turns"], run["tool_calls"], run["tool_errors"]) == (3, 0, 0)
    assert (run["nudges"], run["recovered_calls"], run["rescued"]) == (1, 1, "pass")
    assert (run["context_load"], run["context_tokens"], run["outcome"]) == (
        1000,
        900,
        "wrong_answer",
    )


def test_it_is_shown_for_what_it_is(folder: CampaignFolder) -> None:
    (path,) = folder.transcript_paths()
    console = Console(file=io.StringIO(), width=80, color_system=None)
    show(path, console)
    assert isinstance(console.file, io.StringIO)
    text = " ".join(console.file.getvalue().split())
    assert "earlier turns, made up: about 1000 tokens" in text
    assert "user: a nudge, for it had leaked" in text
    assert "1 call recovered from its text, by the dialect hermes 1; the model made none" in text
    assert "rescued, it would be pass" in text


def test_a_page_tells_it_apart_from_what_the_model_did(folder: CampaignFolder) -> None:
    ((_, html),) = pages(folder, read(folder))
    for words in ("earlier turns, made up", "a nudge, for it had leaked", "1 call recovered"):
        assert words in html
    assert "rescued, passed" in html


def test_in_atif_earlier_turns_are_copied_context_and_recovered_calls_a_programs(
    episode: Episode,
) -> None:
    told = trajectory(episode)
    atif.Trajectory.model_validate(told)
    steps = told["steps"]
    copied = [step for step in steps if step.get("is_copied_context")]
    assert len(copied) == len(next(e for e in episode.events if e.type == "earlier").messages)
    own = [step for step in steps if step.get("llm_call_count") == 1]
    assert [step.get("tool_calls") for step in own] == [None, None, None]
    (by_program,) = [step for step in steps if "recovered" in step.get("extra", {})]
    assert by_program["llm_call_count"] == 0
    assert by_program["tool_calls"][0]["function_name"] == "shell"
    assert told["final_metrics"]["total_prompt_tokens"] == 1900


def test_in_inspect_none_of_it_was_generated(episode: Episode) -> None:
    sample = sample_of(episode, [])
    assert sample.input == "What is in the folder?"
    assert sample.turn_count == 3
    said = [m for m in sample.messages if isinstance(m, ChatMessageAssistant)]
    assert [m.text for m in said if m.source != "input"] == [HERMES, HERMES, "a.txt"]
    assert not any(m.tool_calls for m in said if m.source != "input")
    nudges = [m for m in sample.messages if isinstance(m, ChatMessageUser) and "leaked" in m.text]
    assert len(nudges) == 1


def test_the_answer_is_that_of_the_last_reply_alone(episode: Episode) -> None:
    assert episode.answer == "a.txt"
    cut = Episode(episode.started, episode.events[:-4])
    assert isinstance(cut.events[-1], ToolResult)
    assert cut.answer == ""
