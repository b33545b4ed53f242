"""Calls as Hermes, Qwen 2.5 and 3, and Granite 4 spell them.

    <tool_call>
    {"name": "shell", "arguments": {"command": "ls"}}
    </tool_call>

Several calls between one pair of tags, in a list or not, are read as well, so is a fence around
them, and JSON with a comma too many or with Python's quotes and words: Qwen's own parser, of
Qwen-Agent, reads JSON5.

What a model thinks, ``<think>...</think>`` at the beginning, is kept apart. This is also how tools
are put into words for a chat template that has none: results then go into the user's turn, inside
``<tool_response>``.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from contextlib import suppress

from harness.dialects import ByPrompt, Dialect, Parsed, _gbnf, _mentions
from harness.dialects._calls import Call, listed, named, past, take
from harness.dialects._json import skip_blanks
from harness.dialects._python import python_value
from harness.dialects._thoughts import split
from harness.records import ToolCall, ToolSchema

_OPEN, _CLOSE = "<tool_call>", "</tool_call>"
_OPENING = re.compile(rf"{_OPEN}(?:\s*+```(?:json)?\s*+(?=[\[{{]))?")
_END = re.compile(rf"(?:\s*+\}}*+\s*+(?:```\s*+)?{_CLOSE})?")
"""Models lose count of the braces before it."""


def parse(text: str, turn: int) -> Parsed:
    """Take reasoning and calls out of a reply; each call's arguments stay as they were written."""
    reasoning, text = split(text, "<think>", "</think>", calls=(_OPENING, _read))
    return take(text, turn, _OPENING, _read, reasoning)


def grammar(tools: Sequence[ToolSchema], *, force_call: bool = False) -> str | None:
    """None: a model of this family needs no grammar, but where it must call."""
    if not force_call:
        return None
    opening = [
        _gbnf.literal(f'{_OPEN}\n{{"name": "{tool.name}", "arguments": {{') for tool in tools
    ]
    calls = [
        f"{start} {_gbnf.members(tool.parameters)}"
        for start, tool in zip(opening, tools, strict=True)
    ]
    end = _gbnf.literal("}}\n" + _CLOSE)
    return f"root ::= ({' | '.join(calls)}) {end}" + _gbnf.JSON_VALUES


def describe(tools: Sequence[ToolSchema]) -> str:
    """The tools, and how to call one."""
    lines = [
        json.dumps({"type": "function", "function": tool.model_dump()}, ensure_ascii=False)
        for tool in tools
    ]
    return (
        "# Tools\n\nThese functions can be called; each line is the signature of one:\n"
        "<tools>\n" + "\n".join(lines) + "\n</tools>\n\n"
        "To call one, write a JSON object with its name and arguments between these tags:\n"
        '<tool_call>\n{"name": <name>, "arguments": <object>}\n</tool_call>'
    )


def spell(call: ToolCall) -> str:
    """A call as a model writes it."""
    name = json.dumps(call.name, ensure_ascii=False)
    return f'{_OPEN}\n{{"name": {name}, "arguments": {call.arguments}}}\n{_CLOSE}'


def answer(name: str, content: str) -> str:
    """A result as the user tells it."""
    return f"<tool_response>\n{content}\n</tool_response>"


def _read(start: re.Match[str]) -> Iterator[Call]:
    _mentions.refuse(start)
    text, at = start.string, skip_blanks(start.string, start.end())
    calls = listed(text, at, read=_named) if text.startswith("[", at) else _row(text, at)
    for call in calls:
        closing = _END.match(text, call.end)
        yield call._replace(end=closing.end() if closing else call.end)


def _row(text: str, at: int) -> Iterator[Call]:
    """Calls that follow one another."""
    follows = True
    while follows:
        call = _named(text, at)
        at = skip_blanks(text, past(text, call.end, ","))
        follows = text.startswith("{", at)
        yield call


def _named(text: str, at: int) -> Call:
    try:
        return named(text, at)
    except ValueError:
        with suppress(ValueError):
            written, end = python_value(text, skip_blanks(text, at))
            return named(written, 0)._replace(end=end)
        raise


DIALECT = Dialect(
    family="Hermes, Qwen 2.5 and 3, Granite 4",
    version=4,
    parse=parse,
    markup=r"</?tool_call>|</?tool_response>",
    in_template=r"<tool_call>",
    stops=("<|im_end|>", "<|im_start|>"),
    by_prompt=ByPrompt(describe, spell, answer),
    grammar=grammar,
)
