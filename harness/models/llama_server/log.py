"""What a llama-server's log tells, in a sentence."""

from __future__ import annotations

import re

from harness.models.llama_cpp.complaints import meaning
from harness.secrets import redacted

_LONGEST_LINE = 200
"""Characters of it that are shown."""

_CLOCK = re.compile(r"^[\d.]+ [A-Z] +")
"""What opens a line: the time since the start, and how grave it is."""

_TELLING = re.compile(
    r"error|fail|invalid|unknown|unrecognized|cannot|couldn't|unable|assert", re.I
)

_ECHO = re.compile(
    r"failed to load model|failed to create.context|exiting due to|encountered an error while|"
    r"failed to init server|^usage:|^traceback",
    re.I,
)
"""Errors that follow from another, which was told before."""


def cause(said: str) -> str:
    """Why it did not start, which is what it complained of first."""
    return _sentence(_telling(said)[:2])


def last_words(said: str) -> str:
    """Why it ended, which is what it complained of last."""
    return _sentence(_telling(said)[-2:])


def last_line(said: str) -> str:
    """What it was at."""
    return _sentence(_lines(said)[-1:])


def why_not(said: str) -> str | None:
    """What its complaints mean and how to mend it, where that is known."""
    return meaning(_telling(said), "llama-server")


def _telling(said: str) -> list[str]:
    lines = _lines(said)
    telling = [line for line in lines if _TELLING.search(line)]
    return [line for line in telling if not _ECHO.search(line)] or telling or lines


def _lines(said: str) -> list[str]:
    """Each line once, without the clock."""
    lines = (_CLOCK.sub("", " ".join(line.split())) for line in said.splitlines())
    return list(dict.fromkeys(line for line in lines if line))


def _sentence(lines: list[str]) -> str:
    words = "; ".join(redacted(line)[:_LONGEST_LINE] for line in lines)
    return "".join(c if c.isprintable() else " " for c in words)
