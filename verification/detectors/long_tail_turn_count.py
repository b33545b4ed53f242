"""A run that came near the end of its turns: more than 13 of 15, or that share of another budget.

Cited at the first turn beyond. Budgets under five turns are too small to have a tail.
"""

from __future__ import annotations

from collections.abc import Iterator

from verification.detectors import Seen
from verification.detectors._transcript import Transcript

SHARE = 13 / 15
SMALLEST_BUDGET = 5


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
