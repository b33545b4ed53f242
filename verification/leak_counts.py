"""How often markup leaked, counted: by model, family, depth and load.

A run is the unit: the replies of one are not independent of each other. What leaked is told by
``harness.leaks``; a reply that made a call as well did not leak. Runs that infrastructure spoiled
are left out.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from verification.evidence import Evidence
from verification.totals import DEPTHS, NO_DEPTH

RESCUES: Mapping[str, str] = {"nudge": "nudged", "recover": "recovered"}
"""What a score is called that counts a rescue, by the campaign's ``on_leak``."""

COLUMNS = (
    *("kind", "model", "run", "outcome", "rescued", "on_leak", "context_load", "context_tokens"),
    *("depths", "leak_depths", "leak_families"),
)
"""Of a run, all that is counted here."""

Place = tuple[str, str, str]
"""A model, what its runs are told apart by (all, family, depth, load), and which of these."""


@dataclass(slots=True)
class Cell:
    """Runs of the model's own and their replies, and those that leaked. ``context`` sums up the
    tokens before each run's first reply, as far as ``contexts`` runs say."""

    on_leak: str
    runs: int = 0
    leaked_runs: int = 0
    replies: int = 0
    leaked_replies: int = 0
    passes: int = 0
    rescued_passes: int = 0
    context: float = 0.0
    contexts: int = 0

    @property
    def rescue(self) -> str | None:
        """What the rescued score is called; None where the campaign rescues nothing."""
        return RESCUES.get(self.on_leak)


def tally(evidence: Evidence) -> dict[Place, Cell]:
    """Every cell: by model, then all of it, by family, depth and load, each in its order."""
    cells: dict[Place, Cell] = {}
    for run in runs(evidence):
        replies, leaked = sum(run.depths.values()), sum(run.leak_depths.values())
        for which in (("all", ""), ("load", str(run.context_load))):
            _add(cells, run, which, replies, leaked)
        for depth, count in run.depths.items():
            _add(cells, run, ("depth", depth), count, run.leak_depths.get(depth, 0))
        for family, count in run.leak_families.items():
            _add(cells, run, ("family", family), replies, count)
    for (model, by, _), cell in cells.items():
        if by == "family":  # a run that leaked nothing of a family is a run all the same
            everything = cells[model, "all", ""]
            cell.runs, cell.replies = everything.runs, everything.replies
    return {place: cells[place] for place in sorted(cells, key=_order)}


def _add(
    cells: dict[Place, Cell], run: Any, which: tuple[str, str], replies: int, leaked: int
) -> None:
    cell = cells.setdefault((run.model, *which), Cell(run.on_leak))
    cell.runs += 1
    cell.leaked_runs += leaked > 0
    cell.replies += replies
    cell.leaked_replies += leaked
    cell.passes += run.outcome == "pass"
    cell.rescued_passes += "pass" in (run.outcome, run.rescued)
    if not np.isnan(run.context_tokens):
        cell.context += run.context_tokens
        cell.contexts += 1


def runs(evidence: Evidence) -> Iterator[Any]:
    """The model's own runs, one by one."""
    for part in evidence.run_parts(COLUMNS):
        own = part[part["outcome"] != "infrastructure_error"]
        yield from own.itertuples(index=False)


def _order(place: Place) -> tuple[str, int, int, str]:
    model, by, value = place
    within = 0
    if by == "depth":
        within = (*DEPTHS, NO_DEPTH).index(value)
    elif by == "load":
        within = int(value)
    return model, ("all", "family", "depth", "load").index(by), within, value
