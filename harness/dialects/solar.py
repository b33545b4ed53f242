"""Solar Open.

    <|think|>The file is small.<|end|><|begin|>assistant<|tool_calls|><|tool_call:begin|>a1b2c3d4e5
    <|tool_call:name|>fs_read<|tool_call:args|>{"path": "notes/a.txt"}<|tool_call:end|><|calls|>

(in one line). A reply is a row of messages, each of one kind: ``<|think|>``, ``<|tool_calls|>`` or
``<|content|>``. The ids that the model gives its calls are not kept.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace

from harness.dialects import Dialect, Parsed
from harness.dialects._calls import Call, past, take
from harness.dialects._json import members, skip_blanks
from harness.dialects._messages import messages

_HEADER = re.compile(r"\s*+(?:<\|begin\|>assistant\s*+)?<\|(think|tool_calls|content)\|>")
_END = re.compile(r"<\|(?:end|calls)\|>(?=\s*(?:<\|begin\|>|\Z))\s*")
_CALL = re.compile(
    r"<\|tool_call:begin\|>"
    r"(?:[^<>\n]{0,200}<\|tool_call:name\|>\s*([^\s<>]{1,200})\s*<\|tool_call:args\|>)?"
)
_CLOSE = "<|tool_call:end|>"


def parse(text: str, turn: int) -> Parsed:
    """Take a reply's messages apart: thoughts, calls, and what it says."""
    thoughts: list[str] = []
    said: list[str] = []
    called: list[str] = []
    for kind, body in messages(text, _HEADER, _END):
        {"think": thoughts, "tool_calls": called}.get(kind or "", said).append(body)
    parsed = take("\n".join(called), turn, _CALL, _read)
    empty = "<|tool_calls|> without a call" if called and not parsed.tool_calls else None
    return replace(
        parsed,
        text="\n".join(filter(None, [*(part.strip() for part in said), parsed.text])),
        malformed=parsed.malformed or empty,
        reasoning="\n".join(thoughts).strip() or None,
    )


def _read(mark: re.Match[str]) -> Iterator[Call]:
    if not mark[1]:
        raise ValueError("no name and arguments follow")
    text = mark.string
    start = skip_blanks(text, mark.end())
    _, _, end = members(text, start)
    yield Call(mark[1], text[start:end], past(text, end, _CLOSE))


DIALECT = Dialect(
    family="Solar Open",
    version=2,
    parse=parse,
    markup=r"<\|tool_(?:calls|call:(?:begin|name|args|end)|response(?::\w+)?)\|>"
    r"|<\|(?:calls|begin|content|think|end)\|>",
    in_template=r"<\|tool_call:begin\|>",
    stops=("<|calls|>",),
)
