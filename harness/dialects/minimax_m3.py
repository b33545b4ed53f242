"""MiniMax M3, where a mark before every tag tells it from the tags in an argument.

    <mm:think>The file is small.</mm:think>]<]minimax[>[<tool_call>
    ]<]minimax[>[<invoke name="fs_read">]<]minimax[>[<path>notes/a.txt]<]minimax[>[</path>
    ]<]minimax[>[</invoke>
    ]<]minimax[>[</tool_call>

An argument holds a text, see ``_untyped``, or a tag for each member of an object, or an ``<item>``
for each of a list.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from harness.dialects import Dialect, Parsed, _mentions, _untyped
from harness.dialects._calls import Call, CutShort, take
from harness.dialects._thoughts import split

_MARK = re.escape("]<]minimax[>[")
_OPENING = re.compile(
    rf'(?:{_MARK}<tool_call>\s*)?{_MARK}<invoke name="([^"<>\n]{{1,200}})">|{_MARK}<tool_call>'
)
_TAG = re.compile(rf"{_MARK}<(/?)([^<>\n]{{1,200}})>")
_CLOSE = re.compile(rf"\s*{_MARK}</tool_call>")
_DEEPEST = 64


def parse(text: str, turn: int) -> Parsed:
    """Take reasoning and calls out of a reply."""
    reasoning, text = split(text, "<mm:think>", "</mm:think>", calls=(_OPENING, _read))
    return take(text, turn, _OPENING, _read, reasoning)


def _read(mark: re.Match[str]) -> Iterator[Call]:
    if not mark[1]:
        _mentions.refuse(mark)
        raise ValueError("no call with a name follows")
    text = mark.string
    members, _, at = _inside(text, mark.end(), "invoke", 0)
    closed = _CLOSE.match(text, at)
    yield Call(mark[1], _untyped.arguments(dict(members)), closed.end() if closed else at)


def _inside(text: str, at: int, name: str, depth: int) -> tuple[list[tuple[str, Any]], str, int]:
    """What the tag ``name`` holds that was opened before ``at``: its tags with their values, or
    its text; and where it is closed."""
    if depth > _DEEPEST:
        raise ValueError("the arguments are nested too deep")
    start = at
    members: list[tuple[str, Any]] = []
    while tag := _TAG.search(text, at):
        closes, tagged = tag.groups()
        if closes and tagged == name:
            return members, text[start : tag.start()], tag.end()
        if closes:
            raise ValueError(f"</{tagged}> closes <{name}>")
        inner, said, at = _inside(text, tag.end(), tagged, depth + 1)
        members.append((tagged, _value(inner) if inner else said))
    raise CutShort(f"<{name}> has no end")


def _value(members: list[tuple[str, Any]]) -> list[Any] | dict[str, Any]:
    if all(name == "item" for name, _ in members):
        return [value for _, value in members]
    return dict(members)


DIALECT = Dialect(
    family="MiniMax M3",
    version=3,
    parse=parse,
    markup=rf"{_MARK}|</?mm:think>|\]~b\]|\]~!b\[|\[e~\[",
    in_template=r"\]<\]minimax\[>\[",
    stops=("[e~[", "]~b]"),
)
