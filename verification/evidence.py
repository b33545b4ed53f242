"""Transcripts -> one table of attempts, one of findings. All other evidence follows from these.

The first line of every transcript holds the whole plan, so that what is missing is known from
what is there.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from functools import cached_property
from pathlib import Path

import pandas as pd

from harness.errors import BadInput
from harness.records import Plan, Price, Started
from harness.store import CampaignFolder
from verification.totals import UNKNOWN, Attempt, Finding, Totals, read_totals

TIMES = ["seconds", "model_seconds", "tool_seconds", "first_token_seconds"]
"""Columns of seconds. A script's say nothing of any model, so a scripted run has none."""

Place = tuple[str, str, int]
"""Model, task, repetition: what a run is one of."""


@dataclass(frozen=True)
class Evidence:
    """What the transcripts of a campaign say.

    ``plan`` is None where no run has begun. ``attempts`` has a row per attempt with the columns
    of ``Attempt``, and ``latest`` where a run has no later one; ``findings`` a row per signal of
    these, with the columns of ``Finding``. Both are sorted by model, task and repetition.
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
    plan: Plan | None = None
    places: dict[Place, list[Totals]] = {}
    for path in folder.transcript_paths():
        totals = read_totals(path)
        if totals is None:
            continue
        started = totals.started
        plan = plan or _in_order(started.plan)
        _refuse_strays(path, started, plan)
        tries = places.setdefault((started.model.name, started.task, started.repetition), [])
        for other in (known.started for known in tries):
            if other.run != started.run or other.attempt == started.attempt:
                raise BadInput(f"{path}: holds the same run as another transcript; move one away")
        tries.append(totals)
    return _gather(plan, list(places.values()))


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


def _gather(plan: Plan | None, runs: list[list[Totals]]) -> Evidence:
    """One evidence of what was added up; each run's tries are in the order of their names."""
    every = [totals for tries in runs for totals in tries]
    last = [max(tries, key=lambda totals: totals.started.attempt) for tries in runs]
    attempts = _frame(
        Attempt, (t.attempt for t in every), ["model", "task", "repetition", "attempt"]
    )
    latest = {totals.attempt.transcript for totals in last}
    prices: dict[str, set[Price | None]] = {}
    for totals in every:
        prices.setdefault(totals.attempt.model, set()).add(totals.started.model.price)
    return Evidence(
        plan=plan,
        attempts=attempts.assign(latest=attempts["transcript"].isin(latest)),
        findings=_frame(
            Finding,
            (finding for totals in last for finding in totals.findings),
            ["model", "task", "repetition", "line"],
        ),
        prices={model: one.pop() if len(one) == 1 else None for model, one in prices.items()},
        tools={
            totals.started.task: tuple(tool.name for tool in totals.started.tools)
            for totals in every
        },
    )


def _frame(row: type, rows: Iterable[object], order: list[str]) -> pd.DataFrame:
    columns = [field.name for field in fields(row)]
    frame = pd.DataFrame([vars(one) for one in rows], columns=columns)
    return frame.sort_values(order, ignore_index=True)
