"""One attempt at one run: from an empty folder to the last line of its transcript.

This is where a run is attributed. Faults of the world, known and unknown, are caught here and
nowhere else, and become ``infrastructure_error`` with a cause.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import structlog

from harness.attribution import RULES
from harness.conversation import as_carried_out, final_answer
from harness.errors import BadInput, InfrastructureFault, from_os_error
from harness.left import take_down
from harness.loop import play
from harness.models import Model, Request
from harness.outcome import classify
from harness.records import (
    Completion,
    Earlier,
    Event,
    Fault,
    Graded,
    Message,
    Outcome,
    Prompt,
    Signal,
    Started,
    ToolCall,
    ToolResult,
    Verdict,
)
from harness.rescue import Rescue, none
from harness.sandbox import Limits, Sandbox
from harness.schedule import turn_seed
from harness.task import FinishedRun, Task, grade
from harness.toolbox import Toolbox
from harness.tools import Bench
from harness.variant import Variant

log = structlog.get_logger()

CPYTHON_106905 = "AST constructor recursion depth mismatch"
"""What CPython 3.11 at times says of ast.parse in one thread while another parses: issue 106905.
It is no fault of the checker's, and does not come twice."""

Record = Callable[[Event], None]
"""Takes each event as it happens; a transcript's writer, for one."""

Ask = Callable[[Request, Record], Awaitable[Completion]]
"""How a model is asked; what the world spoils meanwhile is recorded."""


@dataclass(frozen=True)
class Stage:
    """What an attempt needs beside its header. ``earlier`` is what stands before its task."""

    task: Task
    variant: Variant
    ask: Ask
    sandbox: Sandbox
    limits: Limits
    judge: Callable[[FinishedRun], Verdict] = grade
    earlier: Earlier | None = None
    rescue: Rescue = none


def directly(model: Model) -> Ask:
    """Ask ``model`` itself, once."""

    async def ask(request: Request, note: Record) -> Completion:
        return await model.reply(request)

    return ask


async def play_attempt(started: Started, stage: Stage, record: Record) -> Outcome:
    """Play, grade and classify one attempt; every event goes to ``record`` as it happens.

    Returns the outcome, which is the last event recorded. Raises only where no more can be
    recorded (a full disk), where a person must act first (BadInput), and on cancellation, after
    the attempt has been recorded as interrupted.
    """
    began = time.monotonic()
    events: list[Event] = []

    def note(event: Event) -> None:
        record(event)
        events.append(event)

    def finish() -> Outcome:
        verdict = classify(events)
        outcome = Outcome(
            **verdict._asdict(),
            seconds=round(time.monotonic() - began, 6),
            ended_at=datetime.now(UTC),
        )
        note(outcome)
        return outcome

    note(started)
    try:
        await _play_and_grade(started, stage, events, note)
    except InfrastructureFault as fault:
        rule = RULES[fault.kind]
        final = fault.final or rule.remedy == "stop"
        note(Fault(kind=fault.kind, cause=rule.cause, detail=str(fault), final=final))
    except asyncio.CancelledError:
        note(
            Fault(
                kind="interrupted", cause="interrupted", detail="stopped before the run had ended"
            )
        )
        finish()
        raise
    except BadInput:
        raise
    except Exception as bug:
        log.exception("harness bug", run=started.run, attempt=started.attempt)
        note(Fault(kind="bug", cause="harness_bug", detail=f"{type(bug).__name__}: {bug}"))
    return finish()


async def _play_and_grade(
    started: Started, stage: Stage, events: Sequence[Event], note: Record
) -> None:
    budgets, seed = started.budgets, started.seed
    assert budgets is not None  # it and the seed are unknown only of runs played elsewhere
    assert seed is not None
    workspace, database = await asyncio.to_thread(_lay_out, stage)
    try:
        bench = Bench(workspace, stage.sandbox, stage.limits, database)
        toolbox = Toolbox(stage.task.tools, bench)

        async def respond(turn: int, conversation: Sequence[Message]) -> Completion:
            request = Request(
                run=f"{started.run}.{started.attempt}",
                turn=turn,
                conversation=conversation,
                tools=started.tools,
                max_tokens=budgets.tokens_per_turn,
                seed=turn_seed(seed, turn),
                task_folder=stage.task.folder,
                facts=stage.variant.facts,
            )
            return await stage.ask(request, note)

        async def act(turn: int, call: ToolCall) -> tuple[ToolResult, Signal | None]:
            return await asyncio.to_thread(toolbox.call, turn, call)

        async for event in play(opening(stage), respond, act, budgets, stage.rescue):
            note(event)
        note(await asyncio.to_thread(take_down, workspace, stage.variant))
        note(await asyncio.to_thread(_grade, stage, workspace, events))
    finally:
        await asyncio.shield(asyncio.to_thread(_clear_away, stage.sandbox, workspace, database))


def opening(stage: Stage) -> tuple[Prompt | Earlier, ...]:
    """What a run begins with."""
    return (
        Prompt(role="system", content=stage.task.system_prompt),
        *([stage.earlier] if stage.earlier else []),
        Prompt(role="user", content=stage.variant.instruction),
    )


def _lay_out(stage: Stage) -> tuple[Path, Path | None]:
    """A fresh workspace and, in a folder of its own, the task's database where it has one."""
    try:
        workspace = stage.sandbox.make_workspace()
        stage.variant.fill(workspace)
        stage.sandbox.adopt(workspace)
        if stage.variant.database is None:
            return workspace, None
        database = stage.sandbox.make_workspace() / "task.db"
        database.write_bytes(stage.variant.database)
        database.chmod(0o444)
    except OSError as error:
        raise from_os_error(error, "sandbox") from error
    return workspace, database


def _clear_away(sandbox: Sandbox, workspace: Path, database: Path | None) -> None:
    sandbox.remove_workspace(workspace)
    if database is not None:
        sandbox.remove_workspace(database.parent)


def _grade(stage: Stage, workspace: Path, events: Sequence[Event]) -> Graded:
    began = time.monotonic()
    run = FinishedRun(
        task=stage.task,
        variant=stage.variant,
        answer=final_answer(events),
        events=tuple(as_carried_out(events)),
        workspace=workspace,
        sandbox=stage.sandbox,
    )
    try:
        verdict = stage.judge(run)
    except InfrastructureFault as fault:
        if CPYTHON_106905 not in str(fault):
            raise
        verdict = stage.judge(run)
    return Graded(checks=verdict.checks, seconds=round(time.monotonic() - began, 6))
