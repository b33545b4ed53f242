"""LFM2 and LFM2.5, which call in Python.

    <|tool_call_start|>[fs_read(path="notes/a.txt", length=100)]<|tool_call_end|>

Calls as a JSON list are read too.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence

from harness.dialects import ByPrompt, Dialect, Parsed, _mentions
from harness.dialects._calls import Call, closed, listed, past, take
from harness.dialects._json import skip_blanks
from harness.dialects._python import python_call
from harness.dialects._thoughts import split
from harness.records import ToolCall, ToolSchema

_OPENING = re.compile(r"<\|tool_call_start\|>")
_CLOSE = "<|tool_call_end|>"


def parse(text: str, turn: int) -> Parsed:
    """Take reasoning and calls out of a reply."""
    reasoning, text = split(text, "<think>", "</think>", calls=(_OPENING, _read))
    return take(text, turn, _OPENING, _read, reasoning)


def describe(tools: Sequence[ToolSchema]) -> str:
    """The tools as the templates that know any describe them."""
    return f"List of tools: {json.dumps([tool.model_dump() for tool in tools], ensure_ascii=False)}"


def spell(call: ToolCall) -> str:
    """A call as a model writes it: the older templates show none."""
    given = ", ".join(f"{key}={value!r}" for key, value in json.loads(call.arguments).items())
    return f"<|tool_call_start|>[{call.name}({given})]{_CLOSE}"


def answer(name: str, content: str) -> str:
    """A result as the older templates show it."""
    return f"<|tool_response_start|>{content}<|tool_response_end|>"


def _read(mark: re.Match[str]) -> Iterator[Call]:
    _mentions.refuse(mark)
    text = mark.string
    at = skip_blanks(text, mark.end())
    in_list = text[at : at + 1] == "["
    if in_list and text.startswith("{", skip_blanks(text, at + 1)):
        yield from listed(text, at, _CLOSE)
        return
    at += in_list
    while True:
        call = python_call(text, at)
        at = skip_blanks(text, call.end)
        if text[at : at + 1] != ",":
            break
        at += 1
        yield call._replace(end=at)
    yield call._replace(end=closed(text, at, "]", _CLOSE) if in_list else past(text, at, _CLOSE))


DIALECT = Dialect(
    family="LFM2 and LFM2.5",
    version=3,
    parse=parse,
    markup=r"<\|tool_(?:call|response|list)_(?:start|end)\|>",
    in_template=r"<\|tool_(?:call|list)_start\|>|List of tools: \[",
    stops=("<|im_end|>", "<|im_start|>"),
    by_prompt=ByPrompt(describe, spell, answer),
)
