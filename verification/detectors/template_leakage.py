"""Delimiters of a chat template, or the spelling of a tool call, in the text of a reply.

One finding a reply, with the family whose markup it is, where it begins, how often it comes and
whether it is one line over and over. What leaked is told by ``harness.leaks``, as it is for the
harness's signal of the same name; that one counts only where a reply makes no call, and a
detector's finding stands in for the signal of its turn (see ``verification.totals``).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

from harness.leaks import Leak, in_words, leaks_in
from harness.terminal import one_line
from verification.detectors import Seen
from verification.detectors._transcript import Said, Transcript


def find(run: Transcript) -> Iterator[Seen]:
    """Replies in which markup stands as text."""
    for reply in run.replies:
        if leaks := leaks_in(reply.text):
            yield Seen(reply.turn, reply.line, _words(reply, leaks))


def _words(reply: Said, leaks: Sequence[Leak]) -> str:
    lines = Counter(line for line in reply.text.split("\n") if line.strip())
    line, times = lines.most_common(1)[0]
    repeated = f", one line {times} times: {one_line(line, 60)!r}" if times > 2 else ""
    beside = f", beside {len(reply.calls)} calls" if reply.calls else ""
    return f"{in_words(leaks)}{beside}{repeated}"
