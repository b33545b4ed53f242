"""What a llama-server's log tells, in a sentence."""

from __future__ import annotations

import re

from harness.models.llama_cpp.complaints import meaning
from harness.secrets import redacted

_LONGEST_LINE = 200
"""Characters of it that are shown."""

_OPENING = re.compile(r"^[\d.]+ (?P<level>[A-Z]) +")
"""What opens a line of llama-server's: the time since the start, and how grave it is."""

_COMPLAINT = re.compile(
    r"error|fail|invalid|unknown|unrecognized|cannot|couldn't|unable|assert", re.IGNORECASE
)
"""What tells a complaint where a line does not say how grave it is."""

_ECHO = re.compile(
    r"failed to load model|failed to create.context|exiting due to|encountered an error while|"
    r"failed to init server|^usage:|^traceback",
    re.IGNORECASE,
)
"""A complaint that follows from another, which was made before."""


def cause(said: str) -> str:
    """Why it did not start, which is what it complained of first."""
    return _sentence((_complaints(said) or _lines(said))[:2])


def last_words(said: str) -> str:
    """Why it ended, which is what it complained of last, if it did."""
    return _sentence(_complaints(said)[-2:])


def last_line(said: str) -> str:
    """What it was at."""
    return _sentence(_lines(said)[-1:])


def why_not(said: str) -> str | None:
    """What its complaints mean and how to mend it, where that is known."""
    return meaning(_complaints(said), "llama-server")


def _complaints(said: str) -> list[str]:
    complaints = _lines(said, only_complaints=True)
    return [line for line in complaints if not _ECHO.search(line)] or complaints


def _lines(said: str, *, only_complaints: bool = False) -> list[str]:
    """Each line once, without what opens it."""
    found: dict[str, None] = {}
    for line in said.splitlines():
        opening = _OPENING.match(line)
        text = " ".join(line[opening.end() if opening else 0 :].split())
        complains = opening["level"] == "E" if opening else _COMPLAINT.search(text)
        if text and (complains or not only_complaints):
            found[text] = None
    return list(found)


def _sentence(lines: list[str]) -> str:
    words = "; ".join(redacted(line)[:_LONGEST_LINE] for line in lines)
    return "".join(c if c.isprintable() else " " for c in words)
