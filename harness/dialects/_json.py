"""JSON as models write it: found where it begins, and kept as it was written.

Not strict: models write line breaks inside strings as they are.
"""

from __future__ import annotations

import json
from typing import Any

_BLANKS = frozenset(" \t\r\n")
_JSON = json.JSONDecoder(strict=False)


def value(text: str, at: int) -> tuple[Any, int]:
    """The JSON value that begins at ``at``, and where it ends.

    Raises ValueError where there is none, RecursionError where it is nested without end.
    """
    return _JSON.raw_decode(text, at)


def members(text: str, at: int) -> tuple[dict[str, Any], dict[str, str], int]:
    """The members of the object that begins at ``at``, parsed and as they were written, and where
    it ends; raises as ``value`` does."""
    if text[at : at + 1] != "{":
        raise ValueError("no JSON object follows")
    values: dict[str, Any] = {}
    raw: dict[str, str] = {}
    at = skip_blanks(text, at + 1)
    while text[at : at + 1] != "}":
        key, at = value(text, at)
        at = skip_blanks(text, at)
        if not isinstance(key, str) or text[at : at + 1] != ":":
            raise ValueError("the call is no JSON object")
        start = skip_blanks(text, at + 1)
        values[key], at = value(text, start)
        raw[key] = text[start:at]
        at = skip_blanks(text, at)
        if text[at : at + 1] == ",":
            at = skip_blanks(text, at + 1)
        elif text[at : at + 1] != "}":
            raise ValueError("the call is cut short or no JSON object")
    return values, raw, at + 1


def skip_blanks(text: str, at: int) -> int:
    """The first place from ``at`` on that is no blank."""
    while text[at : at + 1] in _BLANKS:
        at += 1
    return at
