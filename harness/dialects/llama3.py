"""Calls as bare JSON, as Llama 3.1, 3.2 and 3.3 spell them.

    {"name": "shell", "parameters": {"command": "ls"}}

``<|python_tag|>`` may stand before, ``;`` between several. Without that tag only what begins a
reply or is its last lines is a call, and only where the object has a name, its parameters and
nothing else: any other JSON is an answer. Tools that the models were trained with they call in
another way (``template_arguments = { builtin_tools = ["shell"] }`` makes any tool one of these):

    <|python_tag|>brave_search.call(query="a word")

Values are texts there, see ``_untyped``, and nothing in one is escaped: it ends at the first quote
that another argument or the end of the call follows. Meta's own parser (llama-models,
models/llama3/api/tool_utils.py) reads this as well. What stands behind the tag and is no call is
Python for an interpreter, which is no tool here: a malformed call. ``<function=shell>{...}``, which
it also reads, belongs to another prompt than the template's, and is a leak.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from harness.dialects import Dialect, Parsed, _mentions, _untyped
from harness.dialects._calls import (
    QUOTES,
    Call,
    CutShort,
    Prose,
    at_the_end,
    closed,
    named,
    past,
    take,
)
from harness.dialects._json import members

_TAG = "<|python_tag|>"
_REST = (
    r'\s*(?:"type"\s*:\s*"function"\s*,\s*)?'
    r'"name"\s*:\s*"[^"\s]{1,200}"\s*,\s*"(?:parameters|arguments)"\s*:\s*\{'
)
_OPENING = re.compile(rf"<\|python_tag\|>|(?:\A\s*|(?P<line>\n)[ \t]*)\{{(?={_REST})")
_NEXT = re.compile(rf"\s*+[;,]?\s*+(?=\{{{_REST})")
_BUILT_IN = re.compile(r"\s*+;?\s*+([A-Za-z_][\w-]{0,199})\.call\(")
_ARGUMENT = re.compile(r"\s*+,?\s*+([A-Za-z_]\w{0,199})\s*=\s*(?:([\"'])|([\w.+-]{1,200}))")
_VALUE_ENDS = {
    quote: re.compile(
        rf"{quote}(?=\s*,\s*[A-Za-z_]\w{{0,199}}\s*=\s*[\"'\w.+-]"
        rf"|\s*\)(?:\s*<\||\s*\Z|{_BUILT_IN.pattern}))"
    )
    for quote in "\"'"
}
_OF_A_CALL = {"type", "id", "name", "parameters", "arguments"}


def parse(text: str, turn: int) -> Parsed:
    """Take the calls out of a reply."""
    return take(text, turn, _OPENING, _read)


def _read(start: re.Match[str]) -> Iterator[Call]:
    text, at = start.string, start.end()
    if start[0] == _TAG:
        _mentions.refuse(start)
        yield from _built_in(_unquoted(start), at) if _BUILT_IN.match(text, at) else _row(text, at)
    else:
        values, _, _ = members(text, at - 1)
        if not _OF_A_CALL.issuperset(values):
            raise Prose
        calls = _row(text, at - 1)
        yield from at_the_end(text, calls) if start["line"] else calls


def _row(text: str, at: int) -> Iterator[Call]:
    """Calls in JSON that follow one another."""
    while True:
        call = named(text, at)
        following = _NEXT.match(text, call.end)
        if following is None:
            break
        at = following.end()
        yield call._replace(end=at)
    yield call


def _unquoted(tag: re.Match[str]) -> str:
    """The text up to where the quotation ends in which a call stands, if it stands in one."""
    text = tag.string
    closing = QUOTES.get(text[max(0, tag.start() - 1) : tag.start()])
    end = text.find(f"){closing}", tag.end()) if closing else -1
    return text[: end + 1] if end >= 0 else text


def _built_in(text: str, at: int) -> Iterator[Call]:
    """Calls of tools that the models were trained with, which follow one another."""
    while tool := _BUILT_IN.match(text, at):
        at = tool.end()
        values: dict[str, str] = {}
        while argument := _ARGUMENT.match(text, at):
            name, quote, bare = argument.groups()
            at = argument.end()
            if quote:
                end = _VALUE_ENDS[quote].search(text, at)
                if end is None:
                    raise CutShort("a value has no end")
                bare, at = text[at : end.start()], end.end()
            values[name] = bare
        at = past(text, closed(text, at, ")"), ";")
        yield Call(tool[1], _untyped.arguments(values), at)


DIALECT = Dialect(
    family="Llama 3.1, 3.2 and 3.3",
    version=3,
    parse=parse,
    markup=rf"<\|python_tag\|>|<\|e(?:om|ot)_id\|>|<\|(?:start|end)_header_id\|>|\{{{_REST}",
    in_template=r'\{"name": function name, "parameters": ',
    stops=("<|eot_id|>", "<|eom_id|>"),
)
