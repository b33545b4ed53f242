"""A run that came near the end of its turns: more than 13 of 15, or that share of another budget.

Cited at the first turn beyond. Budgets under five turns are too small to have a tail.
"""

from __future__ import annotations

from collections.abc import Iterator

from harness.records import Started
from verification.detectors import Seen
from verification.detectors._transcript import Transcript

SHARE = 13 / 15
SMALLEST_BUDGET = 5


def blind(header: Started) -> str | None:
    """Why it sees nothing in a run, where it knows of no budget, or of one that is too small."""
    if header.budgets is None:
        return "the header does not say how many turns were allowed"
    return "too few turns were allowed" if header.budgets.turns < SMALLEST_BUDGET else None


def find(run: Transcript) -> Iterator[Seen]:
    """The first turn beyond the share, if there is one."""
    allowed = run.turns_allowed
    if allowed is None or allowed < SMALLEST_BUDGET or not run.replies:
        return
    for reply in run.replies:
        if reply.turn > SHARE * allowed:
            used = run.replies[-1].turn
            yield Seen(reply.turn, reply.line, f"{used} of {allowed} turns used")
            return
