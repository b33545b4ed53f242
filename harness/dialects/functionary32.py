"""Calls as Functionary 3.2 spells them: every message has a recipient, a tool's name or ``all``.

    >>>all
    I will look.
    >>>shell
    {"command": "ls"}

The prompt writes the first ``>>>``.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace

from harness.dialects import Dialect, Parsed
from harness.dialects._calls import Call, Prose, take
from harness.dialects._json import members, skip_blanks

_TO_ALL = ">>>all\n"
_OPENING = re.compile(r">>>([^\s>]{1,200})\n")


def parse(text: str, turn: int) -> Parsed:
    """Take the calls out of a reply; each call's arguments stay as they were written."""
    parsed = take(text, turn, _OPENING, _read)
    return replace(parsed, text=parsed.text.removeprefix(_TO_ALL))


def _read(start: re.Match[str]) -> Iterator[Call]:
    text, at = start.string, skip_blanks(start.string, start.end())
    if start[1] == "all" or (start.start() > 0 and text[at : at + 1] != "{"):
        raise Prose
    *_, end = members(text, at)
    yield Call(start[1], text[at:end], end)


DIALECT = Dialect(
    family="Functionary 3.2",
    version=2,
    parse=parse,
    markup=r"\A>>>[^\s>]+\n|>>>all\n|>>>[^\s>]+\n\s*+\{",
    in_template=r"version=v3\.llama3",
    stops=("<|eot_id|>",),
)
