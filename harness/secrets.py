"""Keys that must not be written anywhere.

Whoever reads a key says so here; whatever goes to a disk, a log or a terminal passes through
``redacted``. It is one more wall behind the care taken where keys are used.
"""

from __future__ import annotations

import json

_SHORTEST = 8
"""A shorter key is a placeholder such as ``EMPTY``, and hiding it would garble what is written."""

_spellings: set[str] = set()


def keep(secret: str) -> None:
    """From now on ``secret`` is written as ``[key]``, also where JSON escapes parts of it."""
    if len(secret) >= _SHORTEST:
        _spellings.update((secret, json.dumps(secret)[1:-1]))


def redacted(text: str) -> str:
    """``text`` without any of the secrets."""
    for spelling in sorted(_spellings, key=len, reverse=True):
        text = text.replace(spelling, "[key]")
    return text
