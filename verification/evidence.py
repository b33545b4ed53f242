"""Transcripts -> attempts, runs and findings. All other evidence follows from these.

The first line of every transcript holds the whole plan, so that what is missing is known from
what is there.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property

import pandas as pd

from harness.errors import InfrastructureFault
from harness.records import Plan, Price
from harness.store import CampaignFolder
from verification.index import ALL, Index
from verification.reading import read_all
from verification.totals import UNKNOWN

TIMES = ["seconds", "model_seconds", "tool_seconds", "first_token_seconds"]
"""Columns of seconds. A script's say nothing of any model, so a scripted run has none."""


class Evidence:
    """What the transcripts of a campaign say.

    ``plan`` is None where no run has begun. ``prices`` holds, by model, the price that all of
    its attempts had, or None; ``tools`` the tools that any run of a task offered,
    sorted. What has not begun is missing from these two. ``transcripts_read`` is how many files
    had to be read for it.

    ``attempts``, ``runs`` and ``findings`` are whole tables, in memory once they are asked for.
    What is to hold for 100,000 runs takes them in parts, or a model and task at a time.
    """

    def __init__(self, index: Index, *, transcripts_read: int) -> None:
        self._index = index
        self.transcripts_read = transcripts_read
        headers = index.headers()
        self.plan = Plan.model_validate_json(headers[0].plan) if headers else None
        prices: dict[str, set[str]] = {}
        for header in headers:
            prices.setdefault(header.model, set()).add(header.price)
        self.prices: Mapping[str, Price | None] = {
            model: _price(next(iter(several))) if len(several) == 1 else None
            for model, several in prices.items()
        }
        tools: dict[str, set[str]] = {}
        for header in headers:
            tools.setdefault(header.task, set()).update(json.loads(header.tools))
        self.tools: Mapping[str, tuple[str, ...]] = {
            task: tuple(sorted(names)) for task, names in tools.items()
        }

    @cached_property
    def attempts(self) -> pd.DataFrame:
        """A row per attempt with the columns of ``Attempt``, and ``latest`` where a run has no
        later one; sorted by model, task, repetition and attempt."""
        return _whole(self.attempt_parts())

    @cached_property
    def runs(self) -> pd.DataFrame:
        """The latest attempt of each run, with the columns of ``attempts``."""
        return _whole(self.run_parts())

    @cached_property
    def findings(self) -> pd.DataFrame:
        """A row per signal or thing a detector saw in one of ``runs``, with the columns of
        ``Finding``; sorted by model, task, repetition and line."""
        return _whole(self.finding_parts())

    @cached_property
    def outcomes(self) -> pd.DataFrame:
        """How many ``runs`` there are of each model, task, outcome, cause and budget."""
        return _whole(self.counts(["model", "task", "outcome", "cause", "budget"]))

    def counts(self, columns: Sequence[str]) -> Iterator[pd.DataFrame]:
        """How many ``runs`` agree in all of these columns, which stand before it, in such parts as
        ``run_parts``, sorted by the columns. Far fewer rows, where the columns hold few values."""
        return self._index.counts(columns)

    def attempt_parts(self, columns: Sequence[str] = ALL) -> Iterator[pd.DataFrame]:
        """``attempts``, or some columns of them, in parts of some thousand rows; at least one, if
        an empty one."""
        return self._index.attempts(columns)

    def run_parts(self, columns: Sequence[str] = ALL) -> Iterator[pd.DataFrame]:
        """``runs`` in such parts; the columns must include ``kind``."""
        return map(_untimed, self._index.attempts(columns, "latest"))

    def finding_parts(self) -> Iterator[pd.DataFrame]:
        """``findings`` in such parts."""
        return self._index.findings()

    def runs_of(self, model: str, task: str, columns: Sequence[str]) -> pd.DataFrame:
        """Some columns of the ``runs`` of one model and task."""
        where = "latest AND model = ? AND task = ?"
        parts = self._index.attempts(("kind", *columns), where, model, task)
        return _whole(map(_untimed, parts))[list(columns)]

    def attempts_of(self, model: str, columns: Sequence[str]) -> pd.DataFrame:
        """Some columns of the ``attempts`` of one model."""
        return _whole(self._index.attempts(columns, "model = ?", model))


def read(folder: CampaignFolder, *, anew: bool = False) -> Evidence:
    """Read a campaign: each transcript once, and those that have changed since again.

    With ``anew``, each is read whatever was known of it: for proofs. Raises BadInput, naming
    the file, for a transcript that holds a bad record, is not named for the run it holds, or
    belongs to another plan than the others; InfrastructureFault where space for temporary files
    ran out.
    """
    try:
        index = Index(folder)
        if not anew:
            index.take_over()
        unread = index.unread()
        index.add(read_all(unread))
        if unread:
            index.save()
        index.settle()
        return Evidence(index, transcripts_read=len(unread))
    except sqlite3.OperationalError as error:
        raise InfrastructureFault("disk_full", f"the index of {folder.path}: {error}") from error


def _price(text: str) -> Price | None:
    value = json.loads(text)
    return None if value is None else Price.model_validate(value)


def _untimed(runs: pd.DataFrame) -> pd.DataFrame:
    """``runs`` without the times of scripts."""
    scripted = runs["kind"] == "scripted"
    if scripted.any():
        runs.loc[scripted, [name for name in TIMES if name in runs.columns]] = UNKNOWN
    return runs


def _whole(parts: Iterator[pd.DataFrame]) -> pd.DataFrame:
    return pd.concat(parts, ignore_index=True)
