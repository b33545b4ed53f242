"""Calls as FireFunction 2 spells them: one list behind a word.

functools[{"name": "shell", "arguments": {"command": "ls"}}]
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from harness.dialects import Dialect, Parsed
from harness.dialects._calls import Call, listed, take

_OPENING = re.compile(r"\bfunctools(?=\[\s*\{)")


def parse(text: str, turn: int) -> Parsed:
    """Take the calls out of a reply; each call's arguments stay as they were written."""
    return take(text, turn, _OPENING, _read)


def _read(start: re.Match[str]) -> Iterator[Call]:
    return listed(start.string, start.end())


DIALECT = Dialect(
    family="FireFunction 2",
    version=3,
    parse=parse,
    markup=r"\bfunctools\[\s*\{",
    in_template=r" functools\[",
    stops=("<|eot_id|>",),
)
