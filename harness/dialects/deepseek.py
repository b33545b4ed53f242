# ruff: noqa: RUF001, RUF002 (the bars are the family's own)
"""Calls as DeepSeek V3, R1 (and its distillations) and V3.1 spell them. The bars are U+FF5C, the
blocks between words U+2581.

    <｜tool▁calls▁begin｜><｜tool▁call▁begin｜>function<｜tool▁sep｜>shell
    ```json
    {"command": "ls"}
    ```<｜tool▁call▁end｜><｜tool▁calls▁end｜>

V3.1 writes ``shell<｜tool▁sep｜>{"command": "ls"}`` instead. Distillations write a blank or an
underscore for the block, and leave a beginning out.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from harness.dialects import Dialect, Parsed, _mentions
from harness.dialects._calls import Call, take
from harness.dialects._json import members
from harness.dialects._thoughts import split

_B = r"(?:▁|\\?_| )"
_CALLS = rf"<｜tool{_B}calls(?:{_B}begin)?｜>"
_CALL = rf"<｜tool{_B}call{_B}begin｜>"
_SEPARATOR = rf"<｜tool{_B}sep｜>"
_OPENING = re.compile(rf"{_CALLS}\s*(?:{_CALL})?|{_CALL}")
_NAME = re.compile(
    rf"\s*(?:function{_SEPARATOR}\s*([^\s<`{{]{{1,200}})|([^\s<`{{]{{1,200}}){_SEPARATOR})"
    r"\s*(?:```(?:json)?)?\s*"
)
_END = re.compile(
    rf"(?:\s*```)?(?:\s*<｜tool{_B}call{_B}end｜>)?(?:\s*<｜tool{_B}calls{_B}end｜>)?"
)


def parse(text: str, turn: int) -> Parsed:
    """Take reasoning and calls out of a reply; each call's arguments stay as they were written."""
    reasoning, text = split(text, "<think>", "</think>", calls=(_OPENING, _read))
    return take(text, turn, _OPENING, _read, reasoning)


def _read(start: re.Match[str]) -> Iterator[Call]:
    _mentions.refuse(start)
    text = start.string
    name = _NAME.match(text, start.end())
    if name is None:
        raise ValueError("no tool's name and <｜tool▁sep｜> follow")
    *_, end = members(text, name.end())
    closing = _END.match(text, end)
    yield Call(name[1] or name[2], text[name.end() : end], closing.end() if closing else end)


DIALECT = Dialect(
    family="DeepSeek V3, R1 and V3.1",
    version=3,
    parse=parse,
    markup=rf"<｜tool{_B}(?:calls?|outputs?|sep)(?:{_B}(?:begin|end))?｜>",
    in_template=r"<｜tool▁call▁begin｜>",
    stops=("<｜end▁of▁sentence｜>",),
)
