"""Leaks that are met with a nudge, or whose calls are recovered: the strict score never moves."""

from __future__ import annotations

import asyncio
import csv
import json
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness import dialects
from harness.conversation import final_answer, take_in
from harness.leaks import leaks_in
from harness.loop import play
from harness.outcome import classify
from harness.records import (
    Budgets,
    Check,
    Completion,
    Ended,
    Event,
    Graded,
    Message,
    ModelRecord,
    OnLeak,
    Outcome,
    Prompt,
    Recovered,
    Reply,
    Sampling,
    Signal,
    Started,
    ToolCall,
    ToolResult,
)
from harness.rescue import NUDGE, dialect_of, recover, rescue_of
from harness.store import CampaignFolder, read_transcript
from tests import model_server as models
from tests.conftest import MakeCampaign, command, fairtrial
from tests.test_leaks import labelled, text_of
from tests.test_templates import OPENING as CONVERSATION
from tests.test_templates import SPOKEN, TOOLS, called, template
from tests.waiting import HANGS, until_then

HERMES = '<tool_call>\n{"name": "shell", "arguments": {"command": "ls"}}\n</tool_call>'
CHANNEL = "<|channel>fs_read{file: src/price.py}"
OPENING = (Prompt(role="system", content="Work."), Prompt(role="user", content="Do it."))


def model_of(kind: str = "openai", **observed: object) -> ModelRecord:
    return ModelRecord(
        name="m", kind=kind, settings={}, observed=observed, sampling=Sampling(), price=None
    )


def saying(text: str, **changes: object) -> Completion:
    return Completion(text=text, finish_reason="stop").model_copy(update=changes)


def calling(name: str = "shell") -> Completion:
    call = ToolCall(id="c", name=name, arguments='{"command": "ls"}')
    return Completion(tool_calls=(call,), finish_reason="tool_calls")


def played(script: Sequence[Completion], on_leak: OnLeak, turns: int = 15) -> list[Event]:
    """The events of a run whose model replies so, and then answers; every call is answered."""

    async def respond(turn: int, conversation: Sequence[Message]) -> Completion:
        return script[turn - 1] if turn <= len(script) else saying("done")

    async def act(turn: int, call: ToolCall) -> tuple[ToolResult, Signal | None]:
        result = ToolResult(
            turn=turn, call_id=call.id, name=call.name, content="ok", ok=True, seconds=0.0
        )
        return result, None

    async def run() -> list[Event]:
        rescue = rescue_of(on_leak, model_of())
        budgets = Budgets(turns=turns)
        return [event async for event in play(OPENING, respond, act, budgets, rescue)]

    return asyncio.run(run())


def graded(events: Sequence[Event], *, passed: bool = True) -> list[Event]:
    return [*events, Graded(checks=(Check(name="c", passed=passed, detail=""),), seconds=0.0)]


def kinds(events: Sequence[Event]) -> list[str]:
    return [event.type for event in events]


def test_a_leak_fails_unless_a_campaign_says_otherwise() -> None:
    events = played([saying(HERMES)], "fail")
    assert kinds(events) == ["prompt", "prompt", "reply", "signal", "ended"]
    assert classify(graded(events))[:1] == ("wrong_answer",)
    assert classify(graded(events)).rescued is None


def test_a_nudge_is_given_once_and_the_second_leak_ends_the_run() -> None:
    events = played([saying(HERMES), saying(CHANNEL), saying("never asked for")], "nudge")
    assert kinds(events[2:]) == ["reply", "signal", "prompt", "reply", "signal", "ended"]
    assert events[4] == Prompt(role="user", content=NUDGE, nudge_after=1)
    assert classify(graded(events))[0] == "wrong_answer"
    assert classify(graded(events)).rescued == "wrong_answer"


def test_a_model_that_answers_after_a_nudge_is_rescued_and_has_failed() -> None:
    found = classify(graded(played([saying(CHANNEL), calling(), saying("25")], "nudge")))
    assert (found.outcome, found.rescued) == ("wrong_answer", "pass")


def test_a_nudge_that_no_turn_is_left_for_is_not_given() -> None:
    events = played([calling(), saying(CHANNEL)], "nudge", turns=2)
    assert kinds(events)[-2:] == ["signal", "ended"]
    assert events[-1] == Ended(turn=2)


def test_recovered_calls_are_carried_out_and_stand_in_the_conversation() -> None:
    events = played([saying(f"I look.\n{HERMES}"), saying("25")], "recover")
    assert kinds(events[2:]) == ["reply", "signal", "recovered", "tool_result", "reply", "ended"]
    recovered = events[4]
    assert isinstance(recovered, Recovered)
    assert (recovered.dialect, recovered.text) == ("hermes", "I look.")
    conversation: list[Message] = []
    for event in events:
        take_in(conversation, event)
    reply = conversation[2]
    assert isinstance(reply, Reply)
    assert reply.tool_calls == recovered.tool_calls
    assert [type(message) for message in conversation[3:]] == [ToolResult, Reply]
    assert events[2] == Reply(turn=1, text=f"I look.\n{HERMES}", finish_reason="stop")


def test_every_leak_of_a_run_may_be_recovered_but_not_past_its_turns() -> None:
    events = played([saying(HERMES)] * 20, "recover")
    assert kinds(events).count("recovered") == 15
    assert events[-1] == Ended(turn=15, budget="turns")
    found = classify(graded(events))
    assert (found.outcome, found.rescued, found.budget) == ("wrong_answer", "gave_up", None)
    assert final_answer(events) == ""


def test_what_no_dialect_reads_ends_as_it_would() -> None:
    events = played([saying("The answer is 25.<|im_end|>")], "recover")
    assert kinds(events[2:]) == ["reply", "signal", "ended"]
    assert classify(graded(events)).rescued is None


def test_calls_that_are_only_spoken_of_are_not_carried_out() -> None:
    events = played([saying(f"Hermes spells it so:\n```\n{HERMES}\n```")], "recover")
    assert kinds(events[2:]) == ["reply", "ended"]


def test_a_sample_before_a_leak_is_not_carried_out_with_it() -> None:
    sample = HERMES.replace("ls", "rm -rf .")
    text = f"Hermes spells it so:\n```\n{sample}\n```\nI do it.\n{HERMES}"
    recovered = recover(Reply(turn=1, text=text, finish_reason="stop"))
    assert recovered is not None
    assert [call.arguments for call in recovered.tool_calls] == ['{"command": "ls"}']


def test_a_call_that_could_not_be_parsed_is_a_leak_where_its_text_holds_markup() -> None:
    text = '<tool_call>{"name": "shell", "arguments": {</tool_call>\n' + HERMES
    malformed = saying(text, malformed="no object")
    assert kinds(played([malformed], "recover")).count("recovered") == 1
    assert kinds(played([malformed], "nudge")).count("prompt") == 3
    assert kinds(played([saying("{", malformed="no object")], "nudge")).count("prompt") == 2


def test_a_leak_inside_a_leak_gives_the_calls_of_one_family() -> None:
    inner = '{"name": "shell", "arguments": {"command": "echo [TOOL_CALLS]x[ARGS]{}"}}'
    recovered = recover(Reply(turn=1, text=f"<tool_call>{inner}</tool_call>", finish_reason="stop"))
    assert recovered is not None
    assert [call.name for call in recovered.tool_calls] == ["shell"]


def test_the_models_own_dialect_reads_first_and_that_of_the_markup_after_it() -> None:
    assert dialect_of(model_of("llama_cpp", dialect="fewshot 1")) == "fewshot"
    assert dialect_of(model_of("openai")) is None
    reply = Reply(turn=1, text=HERMES, finish_reason="stop")
    recovered = recover(reply, "fewshot")
    assert recovered is not None
    assert recovered.dialect == "hermes"


@pytest.mark.parametrize("name", [name for name, one in labelled("leak").items() if "calls" in one])
def test_what_leaked_whole_is_recovered(name: str) -> None:
    label = labelled("leak")[name]
    if label["dialect"] not in dialects.names():
        pytest.skip(f"no dialect {label['dialect']} here")
    recovered = recover(Reply(turn=1, text=text_of(label), finish_reason="stop"))
    assert recovered is not None
    assert [call.name for call in recovered.tool_calls] == label["calls"]
    assert all(isinstance(json.loads(call.arguments), dict) for call in recovered.tool_calls)


@pytest.mark.parametrize("name", SPOKEN)
def test_a_call_that_leaks_as_a_template_writes_it_is_seen_and_recovered(name: str) -> None:
    meant = {"command": "grep -c '\"a\"' *.txt | sort"}
    written = template(name).written(CONVERSATION, called(1, meant), TOOLS)
    assert leaks_in(written)
    recovered = recover(Reply(turn=1, text=written, finish_reason="stop"))
    assert recovered is not None
    assert [json.loads(call.arguments) for call in recovered.tool_calls] == [meant]


REPLIES = st.sampled_from(
    [
        saying(HERMES),
        saying(CHANNEL),
        saying("25<|im_end|>"),
        saying("25"),
        saying(""),
        saying(HERMES, finish_reason="length"),
        saying(HERMES, finish_reason="context"),
        saying(HERMES, malformed="cut short"),
        saying("{", malformed="cut short"),
        calling(),
        calling("no_such_tool"),
    ]
)


@settings(deadline=None)
@given(st.lists(REPLIES, max_size=8), st.booleans(), st.integers(1, 6))
def test_the_strict_outcome_is_the_same_whatever_is_rescued(
    script: list[Completion], passed: bool, turns: int
) -> None:
    strict, *others = (
        classify(graded(played(script, on_leak, turns), passed=passed))
        for on_leak in ("fail", "nudge", "recover")
    )
    assert strict.rescued is None
    for other in others:
        assert (other.outcome, other.cause, other.budget) == strict[:3]


# --- campaigns --------------------------------------------------------------------------------

REMOTE = """
[[models]]
name = "{name}"
kind = "openai"
model = "{name}"
base_url = "http://127.0.0.1:{port}/v1"
"""
ORACLE = models.oracle("first-steps-v1")
PLAYERS = {
    "hermes": models.spelling_its_calls(ORACLE, models.as_hermes),
    "channel": models.spelling_its_calls(ORACLE, models.as_nobody),
    "at-the-end": models.in_place_of_answers(ORACLE, models.leaks_at_the_end),
    "stubborn": models.leaks,
    "honest": ORACLE,
}


async def run(folder: Path, *options: str) -> int:
    process = await asyncio.create_subprocess_exec(
        *command("run", folder, "--skip-preflight", *options), stdout=asyncio.subprocess.DEVNULL
    )
    return await asyncio.wait_for(process.wait(), HANGS)


def outcomes(folder: Path) -> dict[str, set[tuple[str, str | None]]]:
    """What each model's runs came to, strictly and rescued."""
    found: dict[str, set[tuple[str, str | None]]] = {}
    for path in CampaignFolder(folder).transcript_paths():
        header, *_, last = read_transcript(path)
        assert isinstance(header, Started)
        assert isinstance(last, Outcome)
        found.setdefault(header.model.name, set()).add((last.outcome, last.rescued))
    return found


def rows(folder: Path, name: str) -> list[dict[str, str]]:
    with (folder / "verification" / name).open(encoding="utf-8") as file:
        return list(csv.DictReader(file))


EXPECTED: dict[str, dict[str, tuple[str, str | None]]] = {
    "fail": {
        "hermes": ("wrong_answer", None),
        "channel": ("wrong_answer", None),
        "at-the-end": ("wrong_answer", None),
        "stubborn": ("wrong_answer", None),
        "honest": ("pass", None),
    },
    "nudge": {
        "hermes": ("wrong_answer", "pass"),
        "channel": ("wrong_answer", "pass"),
        "at-the-end": ("wrong_answer", "wrong_answer"),
        "stubborn": ("wrong_answer", "wrong_answer"),
        "honest": ("pass", None),
    },
    "recover": {
        "hermes": ("wrong_answer", "pass"),
        "channel": ("wrong_answer", None),
        "at-the-end": ("wrong_answer", None),
        "stubborn": ("wrong_answer", "gave_up"),
        "honest": ("pass", None),
    },
}


@pytest.mark.parametrize("on_leak", EXPECTED)
async def test_a_campaign_tells_strict_and_rescued_scores_side_by_side(
    on_leak: str, make_campaign: MakeCampaign
) -> None:
    async with models.model_server(PLAYERS) as server:
        tables = "".join(REMOTE.format(name=name, port=server.port) for name in PLAYERS)
        keys = {} if on_leak == "fail" else {"on_leak": on_leak}
        folder = make_campaign(tables, runs_per_task=1, **keys)
        assert await run(folder) == 0
        resampled = await asyncio.to_thread(
            fairtrial, "replay", folder, "--all", "--grade", "resample"
        )
    assert outcomes(folder) == {name: {found} for name, found in EXPECTED[on_leak].items()}
    assert resampled.returncode == 0, resampled.stdout + resampled.stderr
    for grade in ("reexecute", "regrade"):
        done = fairtrial("replay", folder, "--all", "--grade", grade)
        assert done.returncode == 0, done.stdout + done.stderr
    assert fairtrial("verify", folder).returncode == 0
    everything = {row["model"]: row for row in rows(folder, "leakage.csv") if row["by"] == "all"}
    for name, (outcome, rescued) in EXPECTED[on_leak].items():
        row = everything[name]
        assert row["leaked_runs"] == ("0" if name == "honest" else "4")
        assert float(row["strict_rate"]) == (outcome == "pass")
        for way, of in (("nudged", "nudge"), ("recovered", "recover")):
            expected = "" if of != on_leak else f"{'pass' in (outcome, rescued):.6f}"
            assert row[f"{way}_rate"] == expected
    own = [row for row in rows(folder, "runs.csv") if row["model"] == "hermes"]
    assert {row["tool_calls"] for row in own} == ({"0"} if on_leak != "nudge" else {"1", "2"})
    assert all((int(row["nudges"]) > 0) == (on_leak == "nudge") for row in own)
    assert all((int(row["recovered_calls"]) > 0) == (on_leak == "recover") for row in own)


async def test_a_campaign_that_is_killed_goes_on_with_its_rescues(
    make_campaign: MakeCampaign,
) -> None:
    async with models.model_server({"hermes": PLAYERS["hermes"]}) as server:
        server.seconds = 0.3
        tables = REMOTE.format(name="hermes", port=server.port)
        world = "[infrastructure]\nconcurrency = 1\n"
        folder = make_campaign(tables + world, runs_per_task=1, on_leak="nudge")
        process = await asyncio.create_subprocess_exec(
            *command("run", folder, "--skip-preflight"), stdout=asyncio.subprocess.DEVNULL
        )
        await until_then(lambda: sum(question.nudged for question in server.asked) >= 2)
        process.kill()
        await process.wait()
        assert await run(folder) == 0
    latest = [
        path for path in CampaignFolder(folder).transcript_paths() if ".attempt-" not in path.name
    ]
    for path in latest:
        events = list(read_transcript(path))
        nudges = [e for e in events if isinstance(e, Prompt) and e.nudge_after is not None]
        assert len(nudges) == 1
        last = events[-1]
        assert isinstance(last, Outcome)
        assert (last.outcome, last.rescued) == ("wrong_answer", "pass")
    assert len(latest) == 4
    assert fairtrial("verify", folder).returncode == 0


async def test_a_recovered_call_of_a_tool_that_there_is_none_of_is_answered_as_any(
    make_campaign: MakeCampaign,
) -> None:
    unknown = ToolCall(id="c", name="rm\x1b[31m", arguments='{"path": "/"}')

    def play(question: models.Question) -> Completion:
        said = models.as_hermes(unknown) if question.turn == 1 else "I cannot."
        return Completion(text=said, finish_reason="stop")

    async with models.model_server({"m": play}) as server:
        tables = REMOTE.format(name="m", port=server.port)
        folder = make_campaign(tables, runs_per_task=1, on_leak="recover")
        assert await run(folder) == 0
    for path in CampaignFolder(folder).transcript_paths():
        events = list(read_transcript(path))
        (result,) = [event for event in events if isinstance(event, ToolResult)]
        assert "there is no tool" in result.content
        assert [e.name for e in events if isinstance(e, Signal)] == [
            "template_leakage",
            "unknown_tool",
        ]
        shown = fairtrial("show", path).stdout
        assert "1 call recovered from its text, by the dialect hermes" in shown
        assert "\x1b" not in shown
    assert outcomes(folder) == {"m": {("wrong_answer", "wrong_answer")}}
