"""THE loop: one run, turn by turn. It touches no file and no network of its own: who replies
and who acts are handed in, so that live runs, replays and tests all play through here."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence

from harness.conversation import take_in
from harness.records import (
    Budgets,
    Completion,
    Earlier,
    Ended,
    Event,
    Message,
    Prompt,
    Recovered,
    Reply,
    Signal,
    ToolCall,
    ToolResult,
)
from harness.rescue import Rescue, none
from harness.signals import signals_in

Respond = Callable[[int, Sequence[Message]], Awaitable[Completion]]
"""Turn and conversation so far -> the model's next reply."""

Act = Callable[[int, ToolCall], Awaitable[tuple[ToolResult, Signal | None]]]
"""Turn and call -> what the tool answered, and whether the call itself was notable."""


async def play(
    opening: Sequence[Prompt | Earlier],
    respond: Respond,
    act: Act,
    budgets: Budgets,
    rescue: Rescue = none,
) -> AsyncIterator[Event]:
    """The events of one run, as they happen, up to the ``ended`` that says why it stopped.

    It stops at the first reply without a tool call, unless ``rescue`` knows how to go on, or
    where a budget of the model's runs out. Infrastructure faults raised by ``respond`` and
    ``act`` pass through.
    """
    conversation: list[Message] = []
    for event in opening:
        take_in(conversation, event)
        yield event
    model_seconds = 0.0
    for turn in range(1, budgets.turns + 1):
        reply = Reply(turn=turn, **dict(await respond(turn, conversation)))
        take_in(conversation, reply)
        yield reply
        for signal in signals_in(reply):
            yield signal
        model_seconds += reply.model_seconds or 0.0
        if reply.finish_reason == "context":
            yield Ended(turn=turn, budget="context")
            return
        if budgets.model_seconds is not None and model_seconds > budgets.model_seconds:
            yield Ended(turn=turn, budget="clock")
            return
        calls = reply.tool_calls
        if not calls:
            rescued = rescue(reply, conversation)
            if rescued is None or (isinstance(rescued, Prompt) and turn == budgets.turns):
                yield Ended(turn=turn)
                return
            take_in(conversation, rescued)
            yield rescued
            calls = rescued.tool_calls if isinstance(rescued, Recovered) else ()
        for call in calls:
            result, notable = await act(turn, call)
            take_in(conversation, result)
            yield result
            if notable:
                yield notable
    yield Ended(turn=budgets.turns, budget="turns")
