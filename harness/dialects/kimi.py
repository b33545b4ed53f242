"""Calls as Kimi K2 spells them.

    <|tool_calls_section_begin|><|tool_call_begin|>functions.shell:0<|tool_call_argument_begin|>
    {"command": "ls"}<|tool_call_end|><|tool_calls_section_end|>

(One line.) The number counts the calls of the conversation; calls are named after their turn.
K2 Thinking calls tools without ending its thought.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from harness.dialects import Dialect, Parsed, _mentions
from harness.dialects._calls import Call, take
from harness.dialects._json import members, skip_blanks
from harness.dialects._thoughts import split

_SECTION = "<|tool_calls_section_begin|>"
_OPENING = re.compile(
    r"<\|tool_calls?_section_begin\|>\s*(?:<\|tool_call_begin\|>)?|<\|tool_call_begin\|>"
)
_NAME = re.compile(
    r"\s*(?:functions\.)?([^\s:<|]{1,200})(?::\d{1,9})?\s*<\|tool_call_argument_begin\|>"
)
_END = re.compile(r"(?:\s*<\|tool_call_end\|>)?(?:\s*<\|tool_calls?_section_end\|>)?")


def parse(text: str, turn: int) -> Parsed:
    """Take reasoning and calls out of a reply; each call's arguments stay as they were written."""
    reasoning, text = split(text, "<think>", "</think>", until=(_SECTION,), calls=(_OPENING, _read))
    return take(text, turn, _OPENING, _read, reasoning)


def _read(start: re.Match[str]) -> Iterator[Call]:
    text = start.string
    name = _NAME.match(text, start.end())
    if name is None:
        _mentions.refuse(start)
        raise ValueError("no functions.NAME:NUMBER and <|tool_call_argument_begin|> follow")
    at = skip_blanks(text, name.end())
    *_, end = members(text, at)
    closing = _END.match(text, end)
    yield Call(name[1], text[at:end], closing.end() if closing else end)


DIALECT = Dialect(
    family="Kimi K2",
    version=3,
    parse=parse,
    markup=r"<\|tool_calls?(?:_section|_argument)?_(?:begin|end)\|>",
    in_template=r"<\|tool_calls_section_begin\|>",
    stops=("<|im_end|>",),
)
