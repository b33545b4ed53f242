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

from harness.dialects import Dialect, Parsed, Segment, _gbnf, markup, plain
from harness.dialects._json import members, skip_blanks
from harness.records import Message, Prompt, Reply, ToolCall, ToolResult, ToolSchema

_OPEN, _CLOSE = "<tool_call>", "</tool_call>"
_THOUGHT = re.compile(r"\s*<think>(.*?)(?:</think>|\Z)", re.DOTALL)


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
    opening = [
        _gbnf.literal(f'{_OPEN}\n{{"name": "{tool.name}", "arguments": {{') for tool in tools
    ]
    calls = [
        f"{start} {_gbnf.members(tool.parameters)}"
        for start, tool in zip(opening, tools, strict=True)
    ]
    end = _gbnf.literal("}}\n" + _CLOSE)
    return f"root ::= ({' | '.join(calls)}) {end}" + _gbnf.JSON_VALUES


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
    values, raw, at = members(text, skip_blanks(text, at))
    name = values.get("name")
    if not isinstance(name, str):
        raise ValueError("the call has no name")
    end = skip_blanks(text, at)
    end = end + len(_CLOSE) if text.startswith(_CLOSE, end) else at
    return name, raw.get("arguments", raw.get("parameters", "{}")), end


DIALECT = Dialect(
    family="Hermes, Qwen 2.5 and 3, Granite 4",
    version=1,
    parse=parse,
    markup=r"</?tool_call>|</?tool_response>",
    in_template=r"<tool_call>",
    stops=("<|im_end|>", "<|im_start|>"),
    render=render,
    grammar=grammar,
)
