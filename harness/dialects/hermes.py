"""ChatML with Hermes tool calls, as Hermes, Qwen 2.5 and 3, and Granite 4 spell them.

    <|im_start|>assistant
    <tool_call>
    {"name": "shell", "arguments": {"command": "ls"}}
    </tool_call><|im_end|>

What a model thinks, ``<think>...</think>`` at the beginning, is kept apart and not sent back.
Results go back in the user's turn, inside ``<tool_response>``; those of one reply share a turn.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from typing import Any

from harness.dialects import Parsed, Segment, markup, plain
from harness.dialects._gbnf import JSON_VALUES, literal, members
from harness.records import Message, Prompt, Reply, ToolCall, ToolResult, ToolSchema

VERSION = 1
STOPS = ("<|im_end|>", "<|im_start|>")

_OPEN, _CLOSE = "<tool_call>", "</tool_call>"
_THOUGHT = re.compile(r"\s*<think>(.*?)(?:</think>|\Z)", re.DOTALL)
_BLANKS = frozenset(" \t\r\n")
# Not strict: models write line breaks inside strings as they are.
_JSON = json.JSONDecoder(strict=False)


def render(conversation: Sequence[Message], tools: Sequence[ToolSchema]) -> list[Segment]:
    """The prompt, with the tools described at the end of the system's message."""
    befores: list[Message | None] = [None, *conversation]
    afters: list[Message | None] = [*conversation[1:], None]
    segments = [
        _segment(before, message, after, tools)
        for before, message, after in zip(befores, conversation, afters, strict=False)
    ]
    return [*segments, (markup("<|im_start|>assistant\n"),)]


def parse(text: str, turn: int) -> Parsed:
    """Take reasoning and calls out of a reply; each call's arguments stay as they were written."""
    reasoning, text = _reasoning(text)
    outside: list[str] = []
    calls: list[ToolCall] = []
    malformed: str | None = None
    at = 0
    while (start := text.find(_OPEN, at)) >= 0:
        try:
            name, arguments, end = _call(text, start + len(_OPEN))
        except (ValueError, RecursionError) as error:
            malformed = malformed or f"{_OPEN} at character {start}: {error}"
            outside.append(text[at : start + len(_OPEN)])
            at = start + len(_OPEN)
            continue
        outside.append(text[at:start])
        calls.append(ToolCall(id=f"call_{turn}_{len(calls) + 1}", name=name, arguments=arguments))
        at = end
    outside.append(text[at:])
    return Parsed("".join(outside).strip(), tuple(calls), malformed, reasoning)


def _reasoning(text: str) -> tuple[str | None, str]:
    """What a reply thinks before it speaks, and what it says."""
    thought = _THOUGHT.match(text)
    return (thought[1].strip(), text[thought.end() :]) if thought else (None, text)


def grammar(tools: Sequence[ToolSchema], *, force_call: bool = False) -> str | None:
    """None: a model of this family needs no grammar, but where it must call."""
    if not force_call:
        return None
    opening = [literal(f'{_OPEN}\n{{"name": "{tool.name}", "arguments": {{') for tool in tools]
    calls = [
        f"{start} {members(tool.parameters)}" for start, tool in zip(opening, tools, strict=True)
    ]
    end = literal("}}\n" + _CLOSE)
    return f"root ::= ({' | '.join(calls)}) {end}" + JSON_VALUES


def _segment(
    before: Message | None,
    message: Message,
    after: Message | None,
    tools: Sequence[ToolSchema],
) -> Segment:
    match message:
        case Prompt(role="system"):
            about = (plain(_describe(tools)),) if tools else ()
            content = plain(message.content)
            return (markup("<|im_start|>system\n"), content, *about, markup("<|im_end|>\n"))
        case Prompt():
            return (
                markup("<|im_start|>user\n"),
                plain(message.content),
                markup("<|im_end|>\n"),
            )
        case Reply():
            return (
                markup("<|im_start|>assistant\n"),
                plain(message.text),
                *(piece for call in message.tool_calls for piece in _spell(call)),
                markup("<|im_end|>\n"),
            )
        case ToolResult():
            first = not isinstance(before, ToolResult)
            last = not isinstance(after, ToolResult)
            return (
                markup("<|im_start|>user\n<tool_response>\n" if first else "\n<tool_response>\n"),
                plain(message.content),
                markup("\n</tool_response>" + ("<|im_end|>\n" if last else "")),
            )


def _spell(call: ToolCall) -> Segment:
    name = json.dumps(call.name, ensure_ascii=False)
    body = f'{{"name": {name}, "arguments": {call.arguments or "{}"}}}'
    return (markup(f"\n{_OPEN}\n"), plain(body), markup(f"\n{_CLOSE}"))


def _describe(tools: Sequence[ToolSchema]) -> str:
    lines = [
        json.dumps({"type": "function", "function": tool.model_dump()}, ensure_ascii=False)
        for tool in tools
    ]
    return (
        "\n\n# Tools\n\nThese functions can be called; each line is the signature of one:\n"
        "<tools>\n" + "\n".join(lines) + "\n</tools>\n\n"
        "To call one, write a JSON object with its name and arguments between these tags:\n"
        '<tool_call>\n{"name": <name>, "arguments": <object>}\n</tool_call>'
    )


def _call(text: str, at: int) -> tuple[str, str, int]:
    """Name, raw arguments and end of the call at ``at``; raises ValueError where there is none."""
    at = _skip(text, at)
    if text[at : at + 1] != "{":
        raise ValueError("no JSON object follows")
    values, raw, at = _object(text, at)
    name = values.get("name")
    if not isinstance(name, str):
        raise ValueError("the call has no name")
    end = _skip(text, at)
    end = end + len(_CLOSE) if text.startswith(_CLOSE, end) else at
    return name, raw.get("arguments", raw.get("parameters", "{}")), end


def _object(text: str, at: int) -> tuple[dict[str, Any], dict[str, str], int]:
    """The members of the object at ``at``, parsed and as they were written, and where it ends."""
    values: dict[str, Any] = {}
    raw: dict[str, str] = {}
    at = _skip(text, at + 1)
    while text[at : at + 1] != "}":
        key, at = _value(text, at)
        at = _skip(text, at)
        if not isinstance(key, str) or text[at : at + 1] != ":":
            raise ValueError("the call is no JSON object")
        start = _skip(text, at + 1)
        values[key], at = _value(text, start)
        raw[key] = text[start:at]
        at = _skip(text, at)
        if text[at : at + 1] == ",":
            at = _skip(text, at + 1)
        elif text[at : at + 1] != "}":
            raise ValueError("the call is cut short or no JSON object")
    return values, raw, at + 1


def _value(text: str, at: int) -> tuple[Any, int]:
    return _JSON.raw_decode(text, at)


def _skip(text: str, at: int) -> int:
    while text[at : at + 1] in _BLANKS:
        at += 1
    return at
