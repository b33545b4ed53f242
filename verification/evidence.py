"""Transcripts -> one table of attempts, one of findings. All other evidence follows from these.

The first line of every transcript holds the whole plan, so that what is missing is known from
what is there.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from functools import cached_property
from operator import attrgetter
from pathlib import Path

import pandas as pd

from harness.errors import BadInput
from harness.records import Plan, Price, Started
from harness.store import CampaignFolder
from verification.totals import UNKNOWN, Attempt, Finding, read_totals

TIMES = ["seconds", "model_seconds", "tool_seconds", "first_token_seconds"]
"""Columns of seconds. A script's say nothing of any model, so a scripted run has none."""

Place = tuple[str, str, int]
"""Model, task, repetition: what a run is one of."""


@dataclass(frozen=True)
class Evidence:
    """What the transcripts of a campaign say.

    ``plan`` is None where no run has begun. ``attempts`` has a row per attempt with the columns
    of ``Attempt``, and ``latest`` where a run has no later one; ``findings`` a row per signal or
    thing a detector saw in these, with the columns of ``Finding``. Both are sorted by model, task
    and repetition.
    ``prices`` holds, by model, the price that all of its attempts had, or None; ``tools`` the
    tools that a task offers. What has not begun is missing from these two.
    """

    plan: Plan | None
    attempts: pd.DataFrame
    findings: pd.DataFrame
    prices: Mapping[str, Price | None]
    tools: Mapping[str, tuple[str, ...]]

    @cached_property
    def runs(self) -> pd.DataFrame:
        """The latest attempt of each run, with the columns of ``attempts``."""
        runs = self.attempts[self.attempts["latest"]].reset_index(drop=True)
        runs.loc[runs["kind"] == "scripted", TIMES] = UNKNOWN
        return runs


def read(folder: CampaignFolder) -> Evidence:
    """Read every transcript of a campaign.

    Raises BadInput, naming the file, for a transcript that holds a bad record, is not named for
    the run it holds, or belongs to another plan than the others.
    """
    gathered = _Gathered()
    for path in folder.transcript_paths():
        totals = read_totals(path)
        if totals is not None:
            gathered.add(path, *totals)
    return gathered.evidence()


class _Gathered:
    """What has been read so far. No header is kept: 100,000 of them would fill the memory."""

    def __init__(self) -> None:
        self._plan: Plan | None = None
        self._tries: dict[Place, list[Attempt]] = {}
        self._findings: dict[str, list[Finding]] = {}
        self._prices: dict[str, set[Price | None]] = {}
        self._tools: dict[str, tuple[str, ...]] = {}

    def add(self, path: Path, started: Started, attempt: Attempt, findings: list[Finding]) -> None:
        """Take one transcript in; raises BadInput for one that does not belong."""
        self._plan = self._plan or _in_order(started.plan)
        _refuse_strays(path, started, self._plan)
        tries = self._tries.setdefault((attempt.model, attempt.task, attempt.repetition), [])
        for other in tries:
            if other.run != attempt.run or other.attempt == attempt.attempt:
                raise BadInput(f"{path}: holds the same run as {other.transcript}; move one away")
        tries.append(attempt)
        self._findings[path.name] = findings
        self._prices.setdefault(attempt.model, set()).add(started.model.price)
        self._tools[attempt.task] = tuple(tool.name for tool in started.tools)

    def evidence(self) -> Evidence:
        every = [attempt for tries in self._tries.values() for attempt in tries]
        last = {max(tries, key=lambda a: a.attempt).transcript for tries in self._tries.values()}
        findings = [one for name in last for one in self._findings[name]]
        attempts = _frame(Attempt, every, ["model", "task", "repetition", "attempt"])
        return Evidence(
            plan=self._plan,
            attempts=attempts.assign(latest=attempts["transcript"].isin(last)),
            findings=_frame(
                Finding, findings, ["model", "task", "repetition", "line", "name", "detail"]
            ),
            prices={m: next(iter(p)) if len(p) == 1 else None for m, p in self._prices.items()},
            tools=self._tools,
        )


def _in_order(plan: Plan) -> Plan:
    """The plan with its models and tasks sorted: their order decides nothing."""
    models, tasks = tuple(sorted(plan.models)), tuple(sorted(plan.tasks))
    return plan.model_copy(update={"models": models, "tasks": tasks})


def _refuse_strays(path: Path, started: Started, plan: Plan) -> None:
    """Raise BadInput for what would be counted twice, or in the wrong campaign."""
    names = (f"{started.run}.jsonl", f"{started.run}.attempt-{started.attempt}.jsonl")
    if path.name not in names:
        raise BadInput(
            f"{path}: holds attempt {started.attempt} of run {started.run} and is not named for "
            f"it; a copy? move it away"
        )
    planned = (
        started.model.name in plan.models
        and started.task in plan.tasks
        and started.repetition <= plan.runs_per_task
    )
    if not planned or _in_order(started.plan) != plan:
        raise BadInput(
            f"{path}: belongs to another plan than the transcripts before it; "
            "move it to the campaign it came from"
        )


def _frame(row: type, rows: Iterable[object], order: list[str]) -> pd.DataFrame:
    columns = [field.name for field in fields(row)]
    frame = pd.DataFrame.from_records(list(map(attrgetter(*columns), rows)), columns=columns)
    return frame.sort_values(order, ignore_index=True)
