"""Re-execute: the recorded calls again in a fresh sandbox, and the checker on what they leave.

The recorded replies are played as an attempt of their own; no model is asked. Each tool result
and each file that is left is compared with the recorded one.
"""

from __future__ import annotations

import asyncio
import difflib
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

from harness import rescue
from harness.attempt import Stage, directly, play_attempt
from harness.errors import InfrastructureFault
from harness.models import scripted
from harness.records import Completion, Earlier, Event, Fault, Reply, ToolResult
from harness.replay import Play, Replayed
from harness.replay.recorded import (
    Recorded,
    alike,
    graded_in,
    left_difference,
    verdict_difference,
)
from harness.sandbox import Limits
from harness.sandbox import make as make_sandbox

_MOST_LINES = 20
"""Lines of a result's difference that are shown."""


@asynccontextmanager
async def opened(hide: Sequence[Path]) -> AsyncIterator[Play]:
    """What executes runs again."""
    sandbox = make_sandbox("bubblewrap")

    async def play(recorded: Recorded) -> Replayed:
        model = scripted.Model(
            scripted.Settings(name="replay", script="nothing"), _script(recorded.events)
        )
        stage = Stage(
            recorded.task,
            recorded.variant,
            directly(model),
            sandbox,
            Limits(),
            earlier=next((e for e in recorded.events if isinstance(e, Earlier)), None),
            rescue=rescue.recorded(recorded.events),
        )
        again: list[Event] = []
        await play_attempt(recorded.started, stage, again.append)
        for event in again:
            if isinstance(event, Fault):
                raise InfrastructureFault(
                    "sandbox", f"the replay met {event.cause}: {event.detail}"
                )
        return compare(recorded.events, again)

    try:
        await asyncio.to_thread(sandbox.open, hide)
        yield play
    finally:
        await asyncio.to_thread(sandbox.close)


def compare(recorded: Sequence[Event], again: Sequence[Event]) -> Replayed:
    """Hold an attempt's tool results, what it left and its verdict against the recorded ones."""
    then = [event for event in recorded if isinstance(event, ToolResult)]
    now = [event for event in again if isinstance(event, ToolResult)]
    other = [(a, b) for a, b in zip(then, now, strict=False) if _alike(a) != _alike(b)]
    differences = [_difference(a, b) for a, b in other[:1]]
    if len(now) < len(then):
        missing = then[len(now)]
        differences.append(f"turn {missing.turn}: the recorded {missing.name} was not reached")
    differences += filter(None, [verdict_difference(recorded, again)])
    differences += filter(None, [left_difference(recorded, again)])
    identical = min(len(then), len(now)) - len(other)
    results = f"{identical} of {len(then)} results identical"
    if differences:
        return Replayed(results, differences[0])
    graded = "no verdict was recorded" if graded_in(recorded) is None else "same verdict"
    return Replayed(f"{graded}, {results}")


def _script(events: Sequence[Event]) -> list[Completion]:
    """The replies that were recorded."""
    replies = (event for event in events if isinstance(event, Reply))
    return [Completion.model_validate(r.model_dump(exclude={"type", "turn"})) for r in replies]


def _alike(result: ToolResult) -> tuple[str, bool, str]:
    return result.name, result.ok, alike(result.content)


def _difference(then: ToolResult, now: ToolResult) -> str:
    lines = difflib.unified_diff(
        then.content.splitlines(), now.content.splitlines(), "recorded", "replayed", lineterm=""
    )
    return f"turn {then.turn}, {then.name}:\n" + "\n".join(list(lines)[:_MOST_LINES])
