"""Calls as Nemotron Nano 2 spells them: one list between tags.

<TOOLCALL>[{"name": "shell", "arguments": {"command": "ls"}}]</TOOLCALL>
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from harness.dialects import Dialect, Parsed, _mentions
from harness.dialects._calls import Call, listed, take
from harness.dialects._thoughts import split

_OPENING = re.compile(r"<TOOLCALL>")


def parse(text: str, turn: int) -> Parsed:
    """Take reasoning and calls out of a reply; each call's arguments stay as they were written."""
    reasoning, text = split(text, "<think>", "</think>", calls=(_OPENING, _read))
    return take(text, turn, _OPENING, _read, reasoning)


def _read(start: re.Match[str]) -> Iterator[Call]:
    _mentions.refuse(start)
    return listed(start.string, start.end(), "</TOOLCALL>")


DIALECT = Dialect(
    family="Nemotron Nano 2",
    version=3,
    parse=parse,
    markup=r"</?TOOLCALL>|</?TOOL_RESPONSE>|<SPECIAL_1[012]>",
    in_template=r"<TOOLCALL>",
    stops=("<SPECIAL_12>",),
)
