"""Gemma 2 and 3, whose templates know no tools: these are asked for by prompt.

    {"name": "shell", "parameters": {"command": "ls"}}

So Google's guide to function calling with Gemma has it. The models also write several objects, a
list of them, or a fence of Markdown around it (``json``, or ``tool_code`` as they learned it).
Only an object of nothing but a name and its parameters is a call: in a fence, at a reply's
beginning, or as its last lines. Any other JSON is an answer.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence

from harness.dialects import ByPrompt, Dialect, Parsed
from harness.dialects._calls import Call, Prose, listed, named, past, take
from harness.dialects._json import members, skip_blanks
from harness.records import ToolCall, ToolSchema

_FENCE = "```"
_OBJECT = r'\{\s*"name"\s*:\s*"[^"\s]{1,200}"\s*,\s*"(?:parameters|arguments)"\s*:'
_OPENING = re.compile(
    rf"(?P<fence>{_FENCE}(?:json|tool_code|tool_call)?\s*)(?P<fenced>\[\s*)?(?={_OBJECT})"
    rf"|(?:\A\s*|(?P<line>\n)[ \t]*)(?P<bare>\[\s*)?(?={_OBJECT})"
)
_NEXT = re.compile(rf"\s*[,;]?\s*(?={_OBJECT})")


def parse(text: str, turn: int) -> Parsed:
    """Take the calls out of a reply."""
    return take(text, turn, _OPENING, _read)


def describe(tools: Sequence[ToolSchema]) -> str:
    """The tools, and how to call one."""
    lines = [json.dumps(tool.model_dump(), ensure_ascii=False) for tool in tools]
    return (
        "You have these functions; each line describes one:\n" + "\n".join(lines) + "\n\n"
        "To call one, answer with nothing but a JSON object of its name and its parameters:\n"
        '{"name": <name>, "parameters": <object>}\n'
        "You are then told what it gave, and go on. Answer in words when you need none."
    )


def spell(call: ToolCall) -> str:
    """A call as a model writes it."""
    name = json.dumps(call.name, ensure_ascii=False)
    return f'{{"name": {name}, "parameters": {call.arguments}}}'


def answer(name: str, content: str) -> str:
    """A result as the user tells it."""
    return f"{_FENCE}tool_output\n{content}\n{_FENCE}"


def _read(start: re.Match[str]) -> Iterator[Call]:
    text, closing = start.string, _FENCE if start["fence"] else ""
    opened = start.end("fenced") if start["fenced"] else start.end("bare")
    if opened >= 0:
        calls = listed(text, text.rindex("[", 0, opened), closing)
    else:
        calls = _row(text, start, closing)
    yield from _at_the_end(text, calls) if start["line"] else calls


def _at_the_end(text: str, calls: Iterator[Call]) -> Iterator[Call]:
    """The calls if nothing follows them, else none of them."""
    found: list[Call] = []
    try:
        for call in calls:
            found.append(call)
    except (Prose, ValueError):
        if not found:
            raise
    if skip_blanks(text, found[-1].end) < len(text):
        raise Prose(found[-1].end)
    yield from found


def _row(text: str, start: re.Match[str], closing: str) -> Iterator[Call]:
    """Calls that follow one another."""
    following: re.Match[str] | None = start
    while following:
        values, _, _ = members(text, skip_blanks(text, following.end()))
        if len(values) > 2:
            raise Prose
        call = named(text, following.end())
        following = _NEXT.match(text, call.end)
        end = following.end() if following else past(text, call.end, closing)
        yield call._replace(end=end)


DIALECT = Dialect(
    family="Gemma 2 and 3, by prompt",
    version=1,
    parse=parse,
    markup=rf"<(?:start|end)_of_turn>|{_FENCE}tool_(?:code|call|output)|{_OBJECT}\s*\{{",
    stops=("<end_of_turn>", "<start_of_turn>"),
    by_prompt=ByPrompt(describe, spell, answer),
)
