"""Marks that are spoken of: "the token <tool_call> begins a call" calls nothing."""

from __future__ import annotations

import re

from harness.dialects._calls import Prose

_SPOKEN = re.compile(
    r"[`'\"\u2019\u201c\u201d»)\].,;:!?*]|[ \t]*+\||\s*+(?:```|~~~)|[ \t]+[a-z]+[ .,;:!?)]"
)


def refuse(mark: re.Match[str]) -> None:
    """Raise Prose where a quote, a full stop, a word of a sentence, or the end of a table's cell or
    of a fence follows ``mark``: nothing that a call begins with."""
    if _SPOKEN.match(mark.string, mark.end()):
        raise Prose
