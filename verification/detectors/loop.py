"""A cycle of calls: the same one to eight calls, three times in a row, with the same results.

Nothing new was asked and nothing new was learnt. Where a result changes (a test that fails
otherwise after each edit, a file that grows) it is no loop. One finding a cycle, where it begins.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

from harness.terminal import one_line
from verification.detectors import Seen
from verification.detectors._transcript import Call, Transcript, timeless

LONGEST_CYCLE = 8
ROUNDS = 3


def find(run: Transcript) -> Iterator[Seen]:
    """Cycles, the shortest that explains each stretch of calls."""
    often = Counter((call.name, call.arguments) for call in run.calls)
    if not often or max(often.values()) < ROUNDS:
        return
    numbers: dict[tuple[str, str, str | None], int] = {}
    steps = [
        numbers.setdefault((call.name, call.arguments, timeless(call.result)), len(numbers))
        for call in run.calls
    ]
    yield from (_seen(run.calls[first:end], period) for first, end, period in _cycles(steps))


def _cycles(steps: Sequence[int]) -> list[tuple[int, int, int]]:
    """Begin, end and period of each stretch that repeats itself often enough, in order."""
    found: list[tuple[int, int, int]] = []
    for period in range(1, LONGEST_CYCLE + 1):
        first = 0
        for i in range(period, len(steps) + 1):
            if i < len(steps) and steps[i] == steps[i - period]:
                continue
            whole = (i - first) // period
            if whole >= ROUNDS and not any(a <= first and i <= b for a, b, _ in found):
                found.append((first, i, period))
            first = i - period + 1
    return sorted(found)


def _seen(calls: Sequence[Call], period: int) -> Seen:
    names = ", ".join(f"{c.name} {one_line(c.arguments, 40)}" for c in calls[: min(period, 3)])
    cycle = "one call" if period == 1 else f"a cycle of {period} calls"
    return Seen(
        calls[0].turn,
        calls[0].line,
        f"{cycle}, {len(calls) // period} times with the same results, turns {calls[0].turn} to "
        f"{calls[-1].turn}: {names}",
    )
