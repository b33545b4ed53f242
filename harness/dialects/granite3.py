"""Calls as Granite 3 spells them: one list behind a token.

    <|tool_call|>[{"name": "shell", "arguments": {"command": "ls"}}]

Thinking, it writes ``<think>...</think>`` and then ``<response>...</response>``.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from harness.dialects import Dialect, Parsed, _mentions
from harness.dialects._calls import Call, listed, take
from harness.dialects._thoughts import split

_OPENING = re.compile(r"<\|tool_call\|>")


def parse(text: str, turn: int) -> Parsed:
    """Take reasoning and calls out of a reply; each call's arguments stay as they were written."""
    reasoning, text = split(text, "<think>", "</think>")
    if reasoning is not None:
        text = text.strip().removeprefix("<response>").removesuffix("</response>")
    return take(text, turn, _OPENING, _read, reasoning)


def _read(start: re.Match[str]) -> Iterator[Call]:
    _mentions.refuse(start)
    return listed(start.string, start.end())


DIALECT = Dialect(
    family="Granite 3",
    version=1,
    parse=parse,
    markup=r"<\|tool_call\|>|<\|(?:start|end)_of_role\|>",
    in_template=r"<\|tool_call\|>",
    stops=("<|end_of_text|>", "<|start_of_role|>"),
)
