"""Transcripts for tests of the evidence: real records, written by the store's own writer."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from harness.attribution import RULES
from harness.records import (
    Budgets,
    Cause,
    Check,
    Compute,
    Ended,
    Event,
    Fault,
    Graded,
    ModelRecord,
    Outcome,
    OutcomeName,
    Plan,
    Price,
    Prompt,
    Reply,
    Sampling,
    Started,
    ToolCall,
    ToolResult,
    ToolSchema,
    Usage,
)
from harness.store import CampaignFolder, JsonLines

KIND_OF = {rule.cause: kind for kind, rule in RULES.items()}
"""A kind of fault for each cause."""

NOON = datetime(2026, 6, 10, 12, tzinfo=UTC)


def plan_of(
    models: Sequence[str] = ("m",), tasks: Sequence[str] = ("task_01",), runs_per_task: int = 3
) -> Plan:
    return Plan(
        campaign="trial",
        suite="suite-v1",
        models=tuple(models),
        tasks=tuple(tasks),
        runs_per_task=runs_per_task,
        seed=1,
    )


def started(
    plan: Plan,
    *,
    task: str = "task_01",
    repetition: int = 1,
    attempt: int = 1,
    model: str = "m",
    kind: str = "openai",
    price: Price | None = None,
    tools: Sequence[str] = ("fs_read", "shell"),
    observed: dict[str, Any] | None = None,
) -> Started:
    """The header of a run; its UUID follows from what it is a run of."""
    words = f"{plan.campaign}/{model}/{task}/{repetition}"
    return Started(
        run=str(uuid.uuid5(uuid.NAMESPACE_URL, words)),
        attempt=attempt,
        plan=plan,
        task=task,
        task_digest="d" * 64,
        variant_seed=None,
        variant_digest="e" * 64,
        repetition=repetition,
        model=ModelRecord(
            name=model,
            kind=kind,
            settings={},
            observed=observed or {},
            sampling=Sampling(),
            price=price,
        ),
        seed=7,
        budgets=Budgets(),
        tools=tuple(ToolSchema(name=tool, description="", parameters={}) for tool in tools),
        sandbox={"kind": "bubblewrap"},
        versions={"fairtrial": "0"},
        started_at=NOON,
    )


def turn(
    number: int,
    *tools: str,
    ok: bool = True,
    text: str = "",
    seconds: float | None = 2.0,
    usage: Usage | None = None,
    compute: Compute | None = None,
) -> list[Event]:
    """A reply that calls ``tools``, and what they answered."""
    calls = tuple(
        ToolCall(id=f"call_{number}_{n}", name=tool, arguments="{}") for n, tool in enumerate(tools)
    )
    reply = Reply(
        turn=number,
        text=text,
        tool_calls=calls,
        finish_reason="tool_calls" if calls else "stop",
        usage=usage or Usage(input=100, cached=40, output=10),
        first_token_seconds=seconds and seconds / 4,
        model_seconds=seconds,
        compute=compute,
    )
    results = [
        ToolResult(turn=number, call_id=call.id, name=call.name, content="out", ok=ok, seconds=0.5)
        for call in calls
    ]
    return [reply, *results]


def ending(
    outcome: OutcomeName, *, cause: Cause = "timeout", seconds: float = 10.0, turns: int = 1
) -> list[Event]:
    """The last events of an attempt that had this outcome."""
    ended_at = NOON + timedelta(seconds=seconds)
    if outcome == "infrastructure_error":
        return [
            Fault(kind=KIND_OF[cause], cause=cause, detail="the world failed"),
            Outcome(outcome=outcome, cause=cause, seconds=seconds, ended_at=ended_at),
        ]
    budget: Any = "turns" if outcome == "gave_up" else None
    check = Check(name="answer", passed=outcome == "pass", detail="as asked")
    return [
        Ended(turn=turns, budget=budget),
        Graded(checks=(check,), seconds=0.1),
        Outcome(outcome=outcome, budget=budget, seconds=seconds, ended_at=ended_at),
    ]


def write(path: Path, header: Started, events: Sequence[Event], *, asked: str = "Do it.") -> Path:
    """Write a transcript where the store would have: as the run's latest, or as ``path``."""
    target = CampaignFolder(path)
    target.prepare()
    file = target.transcript(header.run)
    opening = Prompt(role="user", content=asked)
    with JsonLines(file) as lines:
        for event in (header, opening, *events):
            lines.append(event)
    return file


def play(
    path: Path,
    plan: Plan,
    outcome: OutcomeName,
    *,
    cause: Cause = "timeout",
    calls: int = 1,
    seconds: float = 10.0,
    **header: Any,
) -> Path:
    """Write a plain run: ``calls`` turns with a call each, a last word, and the outcome."""
    events: list[Event] = []
    if outcome != "infrastructure_error":
        for number in range(1, calls + 1):
            events += turn(number, "fs_read")
        events += turn(calls + 1, text="done")
    events += ending(outcome, cause=cause, seconds=seconds, turns=calls + 1)
    return write(path, started(plan, **header), events)
