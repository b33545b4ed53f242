"""Calls as GigaChat 3 spells them: a message of its own, or (3.1) what a token opens.

function call<|role_sep|>
{"name": "shell", "arguments": {"command": "ls"}}

<|function_call|>{"name": "shell", "arguments": {"command": "ls"}}
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from harness.dialects import Dialect, Parsed, _mentions
from harness.dialects._calls import Call, named, past, take

_OPENING = re.compile(r"(?:<\|message_sep\|>\s*)?function call<\|role_sep\|>|<\|function_call\|>")


def parse(text: str, turn: int) -> Parsed:
    """Take the calls out of a reply; each call's arguments stay as they were written."""
    return take(text, turn, _OPENING, _read)


def _read(start: re.Match[str]) -> Iterator[Call]:
    _mentions.refuse(start)
    call = named(start.string, start.end())
    yield call._replace(end=past(start.string, call.end, "<|message_sep|>"))


DIALECT = Dialect(
    family="GigaChat 3 and 3.1",
    version=3,
    parse=parse,
    markup=r"<\|function_call\|>|function call<\|role_sep\|>",
    in_template=r"<\|function_call\|>|'function call'",
)
