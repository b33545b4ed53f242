"""MiniMax M1.

<tool_calls>
{"name": "fs_read", "arguments": {"path": "notes/a.txt"}}
{"name": "shell", "arguments": {"command": "ls"}}
</tool_calls>
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from harness.dialects import Dialect, Parsed, _mentions
from harness.dialects._calls import Call, named, past, take
from harness.dialects._json import skip_blanks
from harness.dialects._thoughts import split

_OPENING = re.compile(r"<tool_calls>")
_CLOSE = "</tool_calls>"


def parse(text: str, turn: int) -> Parsed:
    """Take reasoning and calls out of a reply; each call's arguments stay as they were written."""
    reasoning, text = split(text, "<think>", "</think>", calls=(_OPENING, _read))
    return take(text, turn, _OPENING, _read, reasoning)


def _read(mark: re.Match[str]) -> Iterator[Call]:
    _mentions.refuse(mark)
    text, at = mark.string, mark.end()
    while True:
        call = named(text, at)
        at = past(text, call.end, _CLOSE)
        yield call._replace(end=at)
        if at > call.end or not text.startswith("{", skip_blanks(text, at)):
            return


DIALECT = Dialect(
    family="MiniMax M1",
    version=3,
    parse=parse,
    markup=r"</?tool_calls>|<(?:beginning|end)_of_sentence>",
    in_template=r"<beginning_of_sentence>",
    stops=("<end_of_sentence>",),
)
