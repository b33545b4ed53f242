# ruff: noqa: RUF001, RUF002 (the bars are the family's own)
"""Calls as tags, as DeepSeek V3.2 and V4 spell them. The bars are U+FF5C.

    <｜DSML｜function_calls>
    <｜DSML｜invoke name="shell">
    <｜DSML｜parameter name="command" string="true">ls -l</｜DSML｜parameter>
    </｜DSML｜invoke>
    </｜DSML｜function_calls>

V4 writes ``tool_calls`` for ``function_calls``. A value is text as it is, or JSON where ``string``
is "false". It ends at the first closing tag that another parameter or the call's end follows.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator

from harness.dialects import Dialect, Parsed, _mentions
from harness.dialects._calls import Call, closed, elements, take
from harness.dialects._thoughts import split

_CALLS = r"<｜DSML｜(?:function|tool)_?calls>"
_INVOKE = r'<｜DSML｜invoke name="([^"<>\n]{1,200})">'
_OPENING = re.compile(rf"(?:{_CALLS}\s*)?{_INVOKE}|{_CALLS}|<｜DSML｜invoke")
_PARAMETER = re.compile(r'<｜DSML｜parameter name="([^"<>\n]{1,200})"(?: string="(true|false)")?>')
_PARAMETER_END = re.compile(r"</｜DSML｜parameter>(?=\s*(?:<｜DSML｜parameter |</｜DSML｜invoke>))")

_ENDS = ("</｜DSML｜invoke>", "</｜DSML｜function_calls>", "</｜DSML｜tool_calls>")


def parse(text: str, turn: int) -> Parsed:
    """Take reasoning and calls out of a reply."""
    reasoning, text = split(text, "<think>", "</think>", calls=(_OPENING, _read))
    return take(text, turn, _OPENING, _read, reasoning)


def _read(start: re.Match[str]) -> Iterator[Call]:
    _mentions.refuse(start)
    if start[1] is None:
        raise ValueError('no <｜DSML｜invoke name="..."> follows')
    text, at = start.string, start.end()
    arguments: dict[str, object] = {}
    for parameter, value, after in elements(text, at, _PARAMETER, _PARAMETER_END):
        raw = parameter[2] == "false"
        arguments[parameter[1]] = json.loads(value, strict=False) if raw else value
        at = after
    end = closed(text, at, *_ENDS)
    yield Call(start[1], json.dumps(arguments, ensure_ascii=False), end)


DIALECT = Dialect(
    family="DeepSeek V3.2 and V4",
    version=3,
    parse=parse,
    markup=r"</?｜DSML｜",
    in_template=r"'｜DSML｜'",
    stops=("<｜end▁of▁sentence｜>",),
)
