"""Calls as Functionary 3.1 spells them: a tag around the arguments.

<function=shell>{"command": "ls"}</function>
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from harness.dialects import Dialect, Parsed, _mentions
from harness.dialects._calls import Call, past, take
from harness.dialects._json import members, skip_blanks

_OPENING = re.compile(r"<function=([^<>\s]{1,200})>")


def parse(text: str, turn: int) -> Parsed:
    """Take the calls out of a reply; each call's arguments stay as they were written."""
    return take(text, turn, _OPENING, _read)


def _read(start: re.Match[str]) -> Iterator[Call]:
    _mentions.refuse(start)
    text, at = start.string, skip_blanks(start.string, start.end())
    *_, end = members(text, at)
    yield Call(start[1], text[at:end], past(text, end, "</function>"))


DIALECT = Dialect(
    family="Functionary 3.1",
    version=2,
    parse=parse,
    markup=r"<function=[^<>\s]+>|</function>|<\|python_tag\|>",
    in_template=r"version=v3-llama3\.1",
    stops=("<|eot_id|>", "<|eom_id|>"),
)
