"""Gemma 2 and 3, whose templates know no tools: these are asked for by prompt.

    {"name": "shell", "parameters": {"command": "ls"}}

So Google's guide to function calling with Gemma has it. The models also write several objects, a
list of them, or a fence of Markdown around it (``json``, or ``tool_code`` as they learned it).
Only an object of nothing but a name and its parameters is a call: in a fence that says so, at a
reply's beginning, or as its last lines, be they a fence of JSON. Any other JSON is an answer. In a
``tool_code`` fence a call may stand in Python as well: ``print(shell(command="ls"))``.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence

from harness.dialects import ByPrompt, Dialect, Parsed
from harness.dialects._calls import Call, Prose, at_the_end, listed, named, past, take
from harness.dialects._json import members, skip_blanks
from harness.dialects._python import python_call
from harness.records import ToolCall, ToolSchema

_FENCE = "```"
_TOOL = f"{_FENCE}tool"
_OBJECT = r'\{\s*"name"\s*:\s*"[^"\s]{1,200}"\s*,\s*"(?:parameters|arguments)"\s*:'
_PYTHON = r"(?:print\s*\(\s*)?[A-Za-z_][\w.-]{0,199}\s*\((?:\s*\)|\s*[A-Za-z_]\w{0,199}\s*=)"
_OPENING = re.compile(
    rf"(?P<code>{_FENCE}tool_code\s*)(?={_PYTHON})"
    rf"|(?P<fence>{_FENCE}(?:json|tool_code|tool_call)?\s*)(?P<fenced>\[\s*)?(?={_OBJECT})"
    rf"|(?:\A\s*|(?P<line>\n)[ \t]*)(?P<bare>\[\s*)?(?={_OBJECT})"
)
_PRINT = re.compile(r"\s*print\s*\(\s*(?=[A-Za-z_][\w.-]{0,199}\s*\()")
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
    if start["code"]:
        yield from _code(start.string, start.end())
        return
    sample = start["fence"] and not start["fence"].startswith(_TOOL)
    calls = _fences(start) if sample else _objects(start)
    yield from at_the_end(start.string, calls) if sample or start["line"] else calls


def _fences(start: re.Match[str]) -> Iterator[Call]:
    """The calls of a fence, and of those that follow it with nothing between."""
    following: re.Match[str] | None = start
    while following and following["fence"]:
        for call in _objects(following):
            yield call
        following = _OPENING.match(start.string, skip_blanks(start.string, call.end))


def _objects(start: re.Match[str]) -> Iterator[Call]:
    """Objects that follow one another or stand in a list, and the fence's end if there is one."""
    text, closing = start.string, _FENCE if start["fence"] else ""
    opened = start.end("fenced") if start["fenced"] else start.end("bare")
    if opened >= 0:
        return listed(text, text.rindex("[", 0, opened), closing)
    return _row(text, start, closing)


def _code(text: str, at: int) -> Iterator[Call]:
    """Calls in Python, a line or more each, up to the fence's end."""
    over = False
    while not over:
        printed = _PRINT.match(text, at)
        call = python_call(text, printed.end() if printed else skip_blanks(text, at))
        at = past(text, call.end, ")") if printed else call.end
        at = past(text, at, ";")
        end = past(text, at, _FENCE)
        over = end > at or skip_blanks(text, at) == len(text)
        yield call._replace(end=end)
        at = end


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
    version=4,
    parse=parse,
    markup=rf"<(?:start|end)_of_turn>|{_FENCE}tool_(?:code|call|output)|{_OBJECT}\s*\{{",
    stops=("<end_of_turn>", "<start_of_turn>"),
    by_prompt=ByPrompt(describe, spell, answer),
)
