"""Calls as tags, as Kimi K3 spells them.

    <|open|>response<|sep|>I will look.<|close|>response<|sep|>
    <|open|>tools<|sep|>
    <|open|>call tool="shell" index="1"<|sep|>
    <|open|>argument key="command" type="string"<|sep|>ls -l<|close|>argument<|sep|>
    <|close|>call<|sep|><|close|>tools<|sep|>

(Without the line breaks.) A value is text as it is where its type is "string", else JSON; all of
a call's arguments may stand in one ``<|open|>json type="object"<|sep|>`` instead.
"""

from __future__ import annotations

import html
import json
import re
from collections.abc import Iterator
from dataclasses import replace

from harness.dialects import Dialect, Parsed, _mentions
from harness.dialects._calls import Call, closed, elements, past, take
from harness.dialects._json import members, skip_blanks
from harness.dialects._thoughts import split

_ASSISTANT = re.compile(r'\s*<\|open\|>message role="assistant"[^<\n]{0,200}<\|sep\|>')
_THINK, _END_OF_THOUGHT = "<|open|>think<|sep|>", "<|close|>think<|sep|>"
_TOOLS, _END_OF_TOOLS = "<|open|>tools<|sep|>", "<|close|>tools<|sep|>"
_CHANNELS = re.compile(r"<\|(?:open|close)\|>response<\|sep\|>|<\|close\|>message<\|sep\|>")
_OPENING = re.compile(
    r'(?:<\|open\|>tools<\|sep\|>\s*)?<\|open\|>call tool="([^"\n]{1,200})"[^<\n]{0,100}<\|sep\|>'
    r"|<\|open\|>(?:tools|call)\b"
)
_ARGUMENT = re.compile(r'<\|open\|>argument key="([^"\n]{1,200})"(?: type="(\w{1,20})")?<\|sep\|>')
_ARGUMENT_END = re.compile(
    r"<\|close\|>argument<\|sep\|>(?=\s*(?:<\|open\|>argument |<\|close\|>call<\|sep\|>))"
)
_JSON = '<|open|>json type="object"<|sep|>'


def parse(text: str, turn: int) -> Parsed:
    """Take reasoning and calls out of a reply."""
    if opened := _ASSISTANT.match(text):
        text = text[opened.end() :]
    reasoning, text = split(text, _THINK, _END_OF_THOUGHT, until=(_TOOLS,))
    parsed = take(text, turn, _OPENING, _read, reasoning)
    return replace(parsed, text=_CHANNELS.sub("", parsed.text).strip())


def _read(start: re.Match[str]) -> Iterator[Call]:
    _mentions.refuse(start)
    if start[1] is None:
        raise ValueError('no <|open|>call tool="..." follows')
    text, at = start.string, start.end()
    block = past(text, at, _JSON)
    if block > at:
        begin = skip_blanks(text, block)
        *_, end = members(text, begin)
        arguments = text[begin:end]
        at = past(text, end, "<|close|>json<|sep|>")
    else:
        arguments, at = _arguments(text, at)
    end = closed(text, at, "<|close|>call<|sep|>", _END_OF_TOOLS)
    yield Call(html.unescape(start[1]), arguments, end)


def _arguments(text: str, at: int) -> tuple[str, int]:
    arguments: dict[str, object] = {}
    for argument, value, after in elements(text, at, _ARGUMENT, _ARGUMENT_END):
        raw = argument[2] not in (None, "string")
        key = html.unescape(argument[1])
        arguments[key] = json.loads(value, strict=False) if raw else value
        at = after
    return json.dumps(arguments, ensure_ascii=False), at


DIALECT = Dialect(
    family="Kimi K3",
    version=2,
    parse=parse,
    markup=r"<\|(?:open|close)\|>(?:think|response|tools|call|argument|json|message)\b",
    in_template=r"<\|open\|>",
    stops=("<|end_of_msg|>",),
)
