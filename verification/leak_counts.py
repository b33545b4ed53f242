"""How often markup leaked, counted: by model, family, depth and load.

A run is the unit: the replies of one are not independent of each other. What leaked is told by
``harness.leaks``; a reply that made a call as well did not leak. Runs that infrastructure spoiled
are left out.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import pandas as pd

from verification.evidence import Evidence
from verification.totals import DEPTHS, NO_DEPTH

RESCUES: Mapping[str, str] = {"nudge": "nudged", "recover": "recovered"}
"""What a score is called that counts a rescue, by the campaign's ``on_leak``."""

COLUMNS = (
    *("model", "outcome", "rescued", "on_leak", "context_load"),
    *("depths", "leak_depths", "leak_families"),
)
"""Of a run, all that is counted here."""

Place = tuple[str, str, str]
"""A model, what its runs are told apart by (all, family, depth, load), and which of these."""


@dataclass(slots=True)
class Cell:
    """Runs of the model's own and their replies, and those that leaked."""

    on_leak: str
    runs: int = 0
    leaked_runs: int = 0
    replies: int = 0
    leaked_replies: int = 0
    passes: int = 0
    rescued_passes: int = 0

    @property
    def rescue(self) -> str | None:
        """What the rescued score is called; None where the campaign rescues nothing."""
        return RESCUES.get(self.on_leak)


def tally(evidence: Evidence) -> dict[Place, Cell]:
    """Every cell: by model, then all of it, by family, depth and load, each in its order."""
    cells: dict[Place, Cell] = {}
    for alike in _own(evidence.counts(COLUMNS)):
        replies, leaked = sum(alike.depths.values()), sum(alike.leak_depths.values())
        for which in (("all", ""), ("load", str(alike.context_load))):
            _add(cells, alike, which, replies, leaked)
        for depth, count in alike.depths.items():
            _add(cells, alike, ("depth", depth), count, alike.leak_depths.get(depth, 0))
        for family, count in alike.leak_families.items():
            _add(cells, alike, ("family", family), replies, count)
    for (model, by, _), cell in cells.items():
        if by == "family":  # a run that leaked nothing of a family is a run all the same
            everything = cells[model, "all", ""]
            cell.runs, cell.replies = everything.runs, everything.replies
    return {place: cells[place] for place in sorted(cells, key=_order)}


def _add(
    cells: dict[Place, Cell], alike: Any, which: tuple[str, str], replies: int, leaked: int
) -> None:
    """Count ``alike.runs`` runs, each with so many replies."""
    cell = cells.setdefault((alike.model, *which), Cell(alike.on_leak))
    cell.runs += alike.runs
    cell.replies += alike.runs * replies
    cell.leaked_replies += alike.runs * leaked
    if leaked:
        cell.leaked_runs += alike.runs
    if alike.outcome == "pass":
        cell.passes += alike.runs
    if "pass" in (alike.outcome, alike.rescued):
        cell.rescued_passes += alike.runs


def _own(parts: Iterable[pd.DataFrame]) -> Iterator[Any]:
    """The rows of the model's own runs, one by one."""
    for part in parts:
        yield from part[part["outcome"] != "infrastructure_error"].itertuples(index=False)


def _order(place: Place) -> tuple[str, int, int, str]:
    model, by, value = place
    within = 0
    if by == "depth":
        within = (*DEPTHS, NO_DEPTH).index(value)
    elif by == "load":
        within = int(value)
    return model, ("all", "family", "depth", "load").index(by), within, value
