"""Calls as Granite 3 spells them: one list behind a token.

    <|tool_call|>[{"name": "shell", "arguments": {"command": "ls"}}]

(3.1 writes ``<tool_call>``, which is no token of its own.)

Thinking, it writes ``<think>...</think>`` and then ``<response>...</response>``.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence

from harness.dialects import ByPrompt, Dialect, Parsed, _mentions
from harness.dialects._calls import Call, listed, take
from harness.dialects._thoughts import split
from harness.records import ToolCall, ToolSchema

_MARK = "<|tool_call|>"
_OPENING = re.compile(rf"{re.escape(_MARK)}|<tool_call>(?=\s*+\[\s*+\{{)")


def parse(text: str, turn: int) -> Parsed:
    """Take reasoning and calls out of a reply; each call's arguments stay as they were written."""
    reasoning, text = split(text, "<think>", "</think>", calls=(_OPENING, _read))
    if reasoning is not None:
        text = text.strip().removeprefix("<response>").removesuffix("</response>")
    return take(text, turn, _OPENING, _read, reasoning)


def describe(tools: Sequence[ToolSchema]) -> str:
    """The tools, and how to call one."""
    schemas = json.dumps([tool.model_dump() for tool in tools], ensure_ascii=False)
    return f"These tools can be called with {_MARK} and a JSON list of calls:\n{schemas}"


def spell(call: ToolCall) -> str:
    """A call as a model writes it: the template shows none."""
    name = json.dumps(call.name, ensure_ascii=False)
    return f'{_MARK}[{{"name": {name}, "arguments": {call.arguments}}}]'


def answer(name: str, content: str) -> str:
    """A result as the user tells it."""
    return f"{name} answered:\n{content}"


def _read(start: re.Match[str]) -> Iterator[Call]:
    _mentions.refuse(start)
    return listed(start.string, start.end())


DIALECT = Dialect(
    family="Granite 3",
    version=3,
    parse=parse,
    markup=r"<\|tool_call\|>|<tool_call>(?=\s*+\[\s*+\{)|<\|(?:start|end)_of_role\|>",
    in_template=r"<\|tool_call\|>",
    stops=("<|end_of_text|>", "<|start_of_role|>"),
    by_prompt=ByPrompt(describe, spell, answer),
)
