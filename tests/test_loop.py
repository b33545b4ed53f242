"""The loop, played with scripted replies and acts."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from harness.errors import InfrastructureFault
from harness.loop import play
from harness.records import (
    Budgets,
    Completion,
    Ended,
    Event,
    Message,
    Prompt,
    Reply,
    Signal,
    ToolCall,
    ToolResult,
)

OPENING = (Prompt(role="system", content="Use tools."), Prompt(role="user", content="Count."))


def calling(*names: str) -> Completion:
    calls = tuple(ToolCall(id=f"c{n}", name=name, arguments="{}") for n, name in enumerate(names))
    return Completion(tool_calls=calls, finish_reason="tool_calls", model_seconds=2.0)


def answering(text: str) -> Completion:
    return Completion(text=text, finish_reason="stop")


async def act(turn: int, call: ToolCall) -> tuple[ToolResult, Signal | None]:
    result = ToolResult(
        turn=turn, call_id=call.id, name=call.name, content="done", ok=True, seconds=0.0
    )
    return result, None


async def events_of(*script: Completion, budgets: Budgets | None = None) -> list[Event]:
    async def respond(turn: int, conversation: Sequence[Message]) -> Completion:
        return script[(turn - 1) % len(script)]

    return [event async for event in play(OPENING, respond, act, budgets or Budgets())]


async def test_a_reply_without_a_tool_call_ends_the_run() -> None:
    events = await events_of(calling("shell"), answering("25"))
    assert [event.type for event in events] == [
        "prompt",
        "prompt",
        "reply",
        "tool_result",
        "reply",
        "ended",
    ]
    assert events[-1] == Ended(turn=2)


async def test_several_calls_in_one_reply_run_in_order() -> None:
    events = await events_of(calling("fs_read", "sql", "shell"), answering("x"))
    assert [e.name for e in events if isinstance(e, ToolResult)] == ["fs_read", "sql", "shell"]


async def test_the_turns_of_the_budget_are_played_and_no_more() -> None:
    events = await events_of(calling("shell"))
    assert sum(isinstance(event, Reply) for event in events) == 15
    assert events[-1] == Ended(turn=15, budget="turns")


async def test_a_full_context_ends_the_run_as_a_budget() -> None:
    events = await events_of(calling("shell"), Completion(finish_reason="context"))
    assert events[-1] == Ended(turn=2, budget="context")


async def test_the_clock_counts_the_models_own_seconds_alone() -> None:
    events = await events_of(calling("shell"), budgets=Budgets(model_seconds=5))
    assert events[-1] == Ended(turn=3, budget="clock")


async def test_an_answer_that_came_after_the_models_time_was_up_is_none() -> None:
    late = answering("x").model_copy(update={"model_seconds": 6.0})
    events = await events_of(late, budgets=Budgets(model_seconds=5))
    assert events[-1] == Ended(turn=1, budget="clock")


async def test_every_message_that_enters_the_prompt_is_an_event() -> None:
    seen: list[Sequence[Message]] = []
    script = [calling("shell"), calling("sql", "shell"), answering("x")]

    async def respond(turn: int, conversation: Sequence[Message]) -> Completion:
        seen.append(list(conversation))
        return script[turn - 1]

    events = [event async for event in play(OPENING, respond, act, Budgets())]
    messages = [e for e in events if isinstance(e, Prompt | Reply | ToolResult)]
    assert seen == [messages[:2], messages[:4], messages[:7]]


async def test_a_fault_of_the_world_passes_through_the_loop() -> None:
    async def respond(turn: int, conversation: Sequence[Message]) -> Completion:
        raise InfrastructureFault("refused", "connection refused")

    with pytest.raises(InfrastructureFault):
        [event async for event in play(OPENING, respond, act, Budgets())]


@pytest.mark.parametrize(
    ("text", "signals"),
    [
        ("The answer is 25.", []),
        ("", ["empty_reply"]),
        ("  \n", ["empty_reply"]),
        ("<|channel>fs_read{file: src/price.py}", ["template_leakage"]),
        ('<tool_call>{"name": "shell"}</tool_call>', ["template_leakage"]),
        ('{"name": "shell", "arguments": {"command": "ls"}}', ["template_leakage"]),
        ('[TOOL_CALLS][{"name": "shell"}]', ["template_leakage"]),
        ("<\uff5ctool\u2581calls\u2581begin\uff5c>", ["template_leakage"]),
        ("```tool_code\nshell('ls')\n```", ["template_leakage"]),
        ("x < y | z > w, a <b> tag and [INFO] lines", []),
    ],
)
async def test_a_leak_in_a_final_answer_is_named(text: str, signals: list[str]) -> None:
    events = await events_of(answering(text))
    assert [event.name for event in events if isinstance(event, Signal)] == signals


async def test_markup_beside_a_real_call_is_no_leak() -> None:
    call = calling("shell").model_copy(update={"text": "<tool_call>"})
    events = await events_of(call, answering("x"))
    assert not [event for event in events if isinstance(event, Signal)]
