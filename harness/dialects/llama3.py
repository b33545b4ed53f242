"""Calls as bare JSON, as Llama 3.1, 3.2 and 3.3 spell them.

    {"name": "shell", "parameters": {"command": "ls"}}

``<|python_tag|>`` may stand before, ``;`` between several. Without that tag only what begins a
reply or is its last lines is a call, and only where the object has a name, its parameters and
nothing else: any other JSON is an answer.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from harness.dialects import Dialect, Parsed, _mentions
from harness.dialects._calls import Call, Prose, at_the_end, named, take
from harness.dialects._json import members, skip_blanks

_TAG = "<|python_tag|>"
_REST = (
    r'\s*(?:"type"\s*:\s*"function"\s*,\s*)?'
    r'"name"\s*:\s*"[^"\s]{1,200}"\s*,\s*"(?:parameters|arguments)"\s*:\s*\{'
)
_OPENING = re.compile(rf"<\|python_tag\|>|(?:\A\s*|(?P<line>\n)[ \t]*)\{{(?={_REST})")
_NEXT = re.compile(rf"\s*;?\s*(?=\{{{_REST})")
_OF_A_CALL = {"type", "id", "name", "parameters", "arguments"}


def parse(text: str, turn: int) -> Parsed:
    """Take the calls out of a reply."""
    return take(text, turn, _OPENING, _read)


def _read(start: re.Match[str]) -> Iterator[Call]:
    text = start.string
    if start[0] == _TAG:
        _mentions.refuse(start)
        at = skip_blanks(text, start.end())
    else:
        at = start.end() - 1
        values, _, _ = members(text, at)
        if not _OF_A_CALL.issuperset(values):
            raise Prose
    calls = _row(text, at)
    yield from at_the_end(text, calls) if start["line"] else calls


def _row(text: str, at: int) -> Iterator[Call]:
    """Calls that follow one another."""
    while True:
        call = named(text, at)
        following = _NEXT.match(text, call.end)
        if following is None:
            break
        at = following.end()
        yield call._replace(end=at)
    yield call


DIALECT = Dialect(
    family="Llama 3.1, 3.2 and 3.3",
    version=2,
    parse=parse,
    markup=rf"<\|python_tag\|>|<\|e(?:om|ot)_id\|>|<\|(?:start|end)_header_id\|>|\{{{_REST}",
    in_template=r'\{"name": function name, "parameters": ',
    stops=("<|eot_id|>", "<|eom_id|>"),
)
