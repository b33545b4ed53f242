"""The same call twice or more in a row: same tool, same arguments, nothing called in between.

One finding a streak, at the first of its calls. It says whether the results differ, and whether
the workspace can have changed between: only the call itself could have changed it.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import groupby, pairwise

from harness.terminal import one_line
from verification.detectors import Seen
from verification.detectors._shell import only_reads
from verification.detectors._transcript import Call, Transcript, timeless


def find(run: Transcript) -> Iterator[Seen]:
    """Streaks of identical calls."""
    for _, streak in groupby(run.calls, key=lambda call: (call.name, call.arguments)):
        calls = list(streak)
        if len(calls) > 1:
            yield Seen(calls[0].turn, calls[0].line, _words(calls))


def _words(calls: list[Call]) -> str:
    first, last = calls[0], calls[-1]
    turns = (
        f"in turn {first.turn}" if first.turn == last.turn else f"turns {first.turn} to {last.turn}"
    )
    return (
        f"{len(calls)} identical calls in a row, {turns}, {_results(calls)}; "
        f"the workspace {_workspace(first)} between: {first.name} {one_line(first.arguments, 80)}"
    )


def _results(calls: list[Call]) -> str:
    alike = all(timeless(a.result) == timeless(b.result) for a, b in pairwise(calls))
    return "the results alike" if alike else "the results differ"


def _workspace(call: Call) -> str:
    if call.name != "shell" or only_reads(call.argument("command")):
        return "did not change"
    return "may have changed"
