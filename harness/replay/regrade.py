"""Re-grade: what the run left is put back into a fresh workspace, and its checker looks again."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path

from harness.conversation import as_carried_out, final_answer
from harness.errors import BadInput
from harness.left import put_back
from harness.outcome import classify
from harness.records import Event, Graded, Left, Outcome, Verdict
from harness.replay import Play, Replayed
from harness.replay.recorded import Recorded, graded_in, left_in, verdict_difference
from harness.sandbox import Sandbox
from harness.sandbox import make as make_sandbox
from harness.task import FinishedRun, grade


@asynccontextmanager
async def opened(hide: Sequence[Path]) -> AsyncIterator[Play]:
    """What grades runs again, each from what its transcript says that it left."""
    sandbox = make_sandbox("bubblewrap")

    async def play(recorded: Recorded) -> Replayed:
        return await asyncio.to_thread(_regrade, recorded, sandbox)

    try:
        await asyncio.to_thread(sandbox.open, hide)
        yield play
    finally:
        await asyncio.to_thread(sandbox.close)


def _regrade(recorded: Recorded, sandbox: Sandbox) -> Replayed:
    graded, left = graded_in(recorded.events), left_in(recorded.events)
    if graded is None:
        raise BadInput("no verdict was recorded; there is nothing to grade again")
    if left is None:
        raise BadInput(
            "the transcript does not tell what its run left (an earlier version wrote it); "
            "replay it with --grade reexecute"
        )
    before = recorded.events[: recorded.events.index(graded)]
    verdict = _verdict(recorded, before, left, sandbox)
    again = [*before, Graded(checks=verdict.checks, seconds=0)]
    last = Outcome(**classify(again)._asdict(), seconds=0, ended_at=datetime.now(UTC))
    difference = verdict_difference(recorded.events, [*again, last])
    count = len(verdict.checks)
    return Replayed(
        f"{'same' if difference is None else 'another'} verdict, {count} checks", difference
    )


def _verdict(recorded: Recorded, events: Sequence[Event], left: Left, sandbox: Sandbox) -> Verdict:
    """What the checker says of the state that was left."""
    workspace = sandbox.make_workspace()
    try:
        recorded.variant.fill(workspace)
        put_back(left, workspace)
        sandbox.adopt(workspace)
        return grade(
            FinishedRun(
                task=recorded.task,
                variant=recorded.variant,
                answer=final_answer(events),
                events=tuple(as_carried_out(events)),
                workspace=workspace,
                sandbox=sandbox,
            )
        )
    finally:
        sandbox.remove_workspace(workspace)
