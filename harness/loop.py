"""THE loop: one run, turn by turn. It touches no file and no network of its own: who replies
and who acts are handed in, so that live runs, replays and tests all play through here."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence

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
from harness.signals import signals_in

Respond = Callable[[int, Sequence[Message]], Awaitable[Completion]]
"""Turn and conversation so far -> the model's next reply."""

Act = Callable[[int, ToolCall], Awaitable[tuple[ToolResult, Signal | None]]]
"""Turn and call -> what the tool answered, and whether the call itself was notable."""


async def play(
    opening: Sequence[Prompt], respond: Respond, act: Act, budgets: Budgets
) -> AsyncIterator[Event]:
    """The events of one run, as they happen, up to the ``ended`` that says why it stopped.

    It stops at the first reply without a tool call, or where a budget of the model's runs out.
    Infrastructure faults raised by ``respond`` and ``act`` pass through.
    """
    conversation: list[Message] = []
    for prompt in opening:
        conversation.append(prompt)
        yield prompt
    model_seconds = 0.0
    for turn in range(1, budgets.turns + 1):
        reply = Reply(turn=turn, **dict(await respond(turn, conversation)))
        conversation.append(reply)
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
        if not reply.tool_calls:
            yield Ended(turn=turn)
            return
        for call in reply.tool_calls:
            result, notable = await act(turn, call)
            conversation.append(result)
            yield result
            if notable:
                yield notable
    yield Ended(turn=budgets.turns, budget="turns")
