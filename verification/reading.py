"""Transcripts -> rows of plain values, on all processors where there are many transcripts.

Nothing here imports pandas: every process that reads would have to load it.
"""

from __future__ import annotations

import gc
import os
import signal
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import fields
from functools import lru_cache
from itertools import chain, islice
from multiprocessing import get_context
from operator import attrgetter
from pathlib import Path
from typing import Any, NamedTuple

from pydantic_core import to_json

from harness.errors import BadInput
from harness.records import Plan, Started
from verification.totals import Attempt, Finding, read_totals

MANY = 5_000
"""Transcripts that are worth more processes than this one; with fewer, it is done before these
have started."""

AT_ONCE = 100
"""Transcripts that a process is given at a time."""

ATTEMPT = tuple(field.name for field in fields(Attempt))
FINDING = tuple(field.name for field in fields(Finding) if field.name not in ATTEMPT)
"""The columns of a finding that its attempt does not have."""

_of_attempt, _of_finding = attrgetter(*ATTEMPT), attrgetter(*FINDING)

Values = tuple[Any, ...]


class Header(NamedTuple):
    """What many transcripts of a campaign share; ``plan``, ``price`` and ``tools`` are JSON."""

    plan: str
    model: str
    price: str
    task: str
    tools: str


class Rows(NamedTuple):
    """A transcript: its values of ``ATTEMPT``, and for each finding its values of ``FINDING``."""

    header: Header
    attempt: Values
    findings: list[Values]


def read_all(paths: Sequence[Path]) -> Iterator[Rows]:
    """The rows of every transcript that has a first line, in the order of ``paths``.

    From ``MANY`` on they are read by a process for each processor; on the way are never more
    than a few hundred. Raises BadInput for the first transcript that cannot be read, or is not
    named for the run it holds, or holds a run that its plan does not know.
    """
    workers = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    if len(paths) < MANY or not workers or workers < 2:
        yield from chain.from_iterable(map(_read, paths))
        return
    parts = (paths[start : start + AT_ONCE] for start in range(0, len(paths), AT_ONCE))
    # Spawned, not forked: whoever calls may have threads.
    pool = ProcessPoolExecutor(workers, get_context("spawn"), initializer=_prepare)
    try:
        pending = deque(pool.submit(_read_part, part) for part in islice(parts, 2 * workers))
        while pending:
            rows = pending.popleft().result()
            pending.extend(pool.submit(_read_part, part) for part in islice(parts, 1))
            yield from rows
    finally:
        pool.shutdown(cancel_futures=True)


def _prepare() -> None:
    """Make a process one that does nothing but read. Ctrl-C reaches all processes of a terminal;
    the one that began this ends it. Events hold no circles, and to look for some among so many
    would take half of the time."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    gc.disable()


def _read_part(paths: Sequence[Path]) -> list[Rows]:
    return list(chain.from_iterable(map(_read, paths)))


def _read(path: Path) -> Iterator[Rows]:
    """The rows of one transcript; none where not even its first line is whole."""
    totals = read_totals(path)
    if totals is None:
        return
    started, attempt, findings = totals
    _refuse_stray(path, started)
    yield Rows(
        header=Header(
            plan=_in_order(started.plan),
            model=started.model.name,
            price=price.model_dump_json() if (price := started.model.price) else "null",
            task=started.task,
            tools=to_json([tool.name for tool in started.tools]).decode(),
        ),
        attempt=tuple(map(_plain, _of_attempt(attempt))),
        findings=[_of_finding(finding) for finding in findings],
    )


def _refuse_stray(path: Path, started: Started) -> None:
    """Raise BadInput for what would be counted twice, or was never planned."""
    names = (f"{started.run}.jsonl", f"{started.run}.attempt-{started.attempt}.jsonl")
    if path.name not in names:
        raise BadInput(
            f"{path}: holds attempt {started.attempt} of run {started.run} and is not named for "
            f"it; a copy? move it away"
        )
    plan = started.plan
    if (
        started.model.name not in plan.models
        or started.task not in plan.tasks
        or started.repetition > plan.runs_per_task
    ):
        raise BadInput(f"{path}: holds a run that its own plan does not know; move it away")


@lru_cache(maxsize=1)
def _in_order(plan: Plan) -> str:
    """The plan with its models and tasks sorted, as JSON: their order decides nothing. One text
    for all transcripts of a plan, so that it is made, and handed over, once for many."""
    models, tasks = tuple(sorted(plan.models)), tuple(sorted(plan.tasks))
    return plan.model_copy(update={"models": models, "tasks": tasks}).model_dump_json()


def _plain(value: object) -> object:
    return to_json(value).decode() if isinstance(value, dict) else value
