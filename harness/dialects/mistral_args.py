"""Calls as Mistral spells them since its tokenizer v11: a name and its arguments, again and again
(Small 3.2, Devstral, Magistral, Ministral 3).

    [TOOL_CALLS]shell[ARGS]{"command": "ls"}[TOOL_CALLS]shell[ARGS]{"command": "pwd"}

Some write ``[CALL_ID]`` and nine characters before ``[ARGS]``; calls are named after their turn.
What a model thinks stands between ``[THINK]`` and ``[/THINK]``.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from harness.dialects import Dialect, Parsed, _mentions
from harness.dialects._calls import Call, take
from harness.dialects._json import members, skip_blanks
from harness.dialects._thoughts import split

_OPENING = re.compile(r"\[TOOL_CALLS\]")
# A client that drops control tokens drops [ARGS]; a name goes straight into an object nowhere
# else.
_NAME = re.compile(
    r"\s*+([^\s\[\]{}]{1,200}+)\s*+(?:\[CALL_ID\][^\[\]{}]{0,50})?(?:\[ARGS\])?"
    r'(?=\s*+\{\s*+["}])'
)


def parse(text: str, turn: int) -> Parsed:
    """Take reasoning and calls out of a reply; each call's arguments stay as they were written."""
    reasoning, text = split(text, "[THINK]", "[/THINK]", calls=(_OPENING, _read))
    return take(text, turn, _OPENING, _read, reasoning)


def _read(start: re.Match[str]) -> Iterator[Call]:
    text = start.string
    name = _NAME.match(text, start.end())
    if name is None:
        _mentions.refuse(start)
        raise ValueError("no tool's name and arguments follow")
    at = skip_blanks(text, name.end())
    *_, end = members(text, at)
    yield Call(name[1], text[at:end], end)


DIALECT = Dialect(
    family="Mistral Small 3.2, Devstral, Magistral, Ministral 3",
    version=3,
    parse=parse,
    markup=r"\[(?:/?(?:TOOL_CALLS|AVAILABLE_TOOLS|TOOL_RESULTS|INST|THINK)|ARGS|CALL_ID"
    r"|TOOL_CONTENT)\]",
    in_template=r"\[ARGS\]",
    stops=("</s>",),
)
