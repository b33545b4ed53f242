"""Calls as Apertus spells them: a list of objects whose one key is the tool's name.

    <|tools_prefix|>[{"shell": {"command": "ls"}}, {"shell": {"command": "pwd"}}]<|tools_suffix|>

What it thinks stands between ``<|inner_prefix|>`` and ``<|inner_suffix|>``; it calls tools
without ending its thought.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from harness.dialects import Dialect, Parsed, _mentions
from harness.dialects._calls import Call, listed, take
from harness.dialects._json import members, skip_blanks
from harness.dialects._thoughts import split

_PREFIX, _SUFFIX = "<|tools_prefix|>", "<|tools_suffix|>"
_OPENING = re.compile(r"<\|tools_prefix\|>")


def parse(text: str, turn: int) -> Parsed:
    """Take reasoning and calls out of a reply; each call's arguments stay as they were written."""
    reasoning, text = split(text, "<|inner_prefix|>", "<|inner_suffix|>", until=(_PREFIX,))
    return take(text, turn, _OPENING, _read, reasoning)


def _read(start: re.Match[str]) -> Iterator[Call]:
    _mentions.refuse(start)
    return listed(start.string, start.end(), _SUFFIX, _keyed)


def _keyed(text: str, at: int) -> Call:
    _, raw, end = members(text, skip_blanks(text, at))
    if len(raw) != 1:
        raise ValueError("a call has one key, the tool's name")
    [(name, arguments)] = raw.items()
    return Call(name, arguments, end)


DIALECT = Dialect(
    family="Apertus",
    version=2,
    parse=parse,
    markup=r"<\|(?:tools|inner)_(?:prefix|suffix)\|>",
    in_template=r"<\|tools_prefix\|>",
    stops=("<|assistant_end|>",),
)
