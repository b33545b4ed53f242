"""A reply that was cut off at the budget of tokens, and whether it was repeating itself.

The harness's signal of the same name says that it was cut; this adds how it came to that.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from harness.terminal import one_line
from verification.detectors import Seen
from verification.detectors._transcript import Said, Transcript

_FEW_WORDS = 0.2
"""Different words of all words, below which a text goes round in circles; prose has over 0.4."""


def find(run: Transcript) -> Iterator[Seen]:
    """Replies that were cut off."""
    for reply in run.replies:
        if reply.cut:
            size = f"{reply.tokens} tokens" if reply.tokens is not None else "the budget of tokens"
            yield Seen(reply.turn, reply.line, f"cut off after {size}; {_manner(reply)}")


def _manner(reply: Said) -> str:
    if reply.calls:
        return "it had made a call"
    lines = Counter(line for line in reply.text.split("\n") if line.strip())
    if not lines:
        return "no text came of it"
    line, times = lines.most_common(1)[0]
    if times > 2 and times > lines.total() / 2:
        return f"{times} of its {lines.total()} lines are the same: {one_line(line, 60)!r}"
    words = reply.text.split()
    if len(words) > 50 and len(set(words)) < _FEW_WORDS * len(words):
        return f"{len(words)} words, of which {len(set(words))} are different: it repeats itself"
    return "it was not repeating itself"
