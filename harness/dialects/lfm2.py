"""LFM2 and LFM2.5, which call in Python.

    <|tool_call_start|>[fs_read(path="notes/a.txt", length=100)]<|tool_call_end|>

Read here and not by Python's own parser, which would have to fail where the templates of LFM2.5
do not escape: ``shell(command='echo 'hi'')``. So a string ends at the first quote of its kind that
another argument or the call's end follows. Nothing is ever evaluated: strings, numbers, words such
as ``True``, lists and dicts are all there is, and become JSON. Calls as a JSON list are read too.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence

from harness.dialects import ByPrompt, Dialect, Parsed, _mentions
from harness.dialects._brackets import between
from harness.dialects._calls import Call, CutShort, closed, listed, past, take
from harness.dialects._json import skip_blanks
from harness.dialects._thoughts import split
from harness.records import ToolCall, ToolSchema

_OPENING = re.compile(r"<\|tool_call_start\|>")
_CLOSE = "<|tool_call_end|>"
_CALL = re.compile(r"\s*([A-Za-z_][\w.-]{0,199})\s*\(")
_ARGUMENT = re.compile(r"\s*([A-Za-z_]\w{0,199})\s*=\s*")
_NUMBER = re.compile(r"-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?(?![\w.])")
_WORD = re.compile(r"(?:True|true|False|false|None|null)\b")
_WORDS = {"True": "true", "False": "false", "None": "null"}
_ESCAPE = re.compile(r"\\(?:[\\'\"nrtbf]|x[0-9a-fA-F]{2}|u[0-9a-fA-F]{4}|\n)")
_QUOTE = re.compile(r"""\"\"\"|'''|"|'""")
_MARKS = {quote: re.compile(rf"\\.|{quote}", re.DOTALL) for quote in ('"""', "'''", '"', "'")}
_ESCAPES = {"n": "\n", "r": "\r", "t": "\t", "b": "\b", "f": "\f", "\n": ""}
_CALL_ENDS = r",?\s*\)\s*(?:\]|,\s*[A-Za-z_][\w.-]*\s*\(|<\||\Z)"
_ENDS_ARGUMENT = re.compile(rf"\s*(?:,\s*[A-Za-z_]\w*\s*=|{_CALL_ENDS})")
_ENDS_ITEM = re.compile(r"\s*[,\]}:]")
_DEEPEST = 64


def parse(text: str, turn: int) -> Parsed:
    """Take reasoning and calls out of a reply."""
    reasoning, text = split(text, "<think>", "</think>")
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
        call = _call(text, at)
        at = skip_blanks(text, call.end)
        if text[at : at + 1] != ",":
            break
        at += 1
        yield call._replace(end=at)
    yield call._replace(end=closed(text, at, "]", _CLOSE) if in_list else past(text, at, _CLOSE))


def _call(text: str, at: int) -> Call:
    """The call at ``at``, its arguments as JSON."""
    named = _CALL.match(text, at)
    if not named:
        raise ValueError("no name and '(' follow")

    def argument(at: int) -> tuple[str, int]:
        given = _ARGUMENT.match(text, at)
        if not given:
            raise ValueError("an argument without a name, or the call is cut short")
        value, at = _value(text, given.end(), _ENDS_ARGUMENT, 1)
        return f"{_json(given[1])}: {value}", at

    arguments, end = between(text, named.end() - 1, "()", argument)
    return Call(named[1], f"{{{arguments[1:-1]}}}", end)


def _value(text: str, at: int, ends: re.Pattern[str], depth: int) -> tuple[str, int]:
    """The value at ``at`` as JSON, and where it ends. ``ends`` is what must follow a string."""
    if depth > _DEEPEST:
        raise ValueError("the arguments are nested too deep")

    def item(at: int) -> tuple[str, int]:
        return _value(text, at, _ENDS_ITEM, depth + 1)

    def member(at: int) -> tuple[str, int]:
        key, at = _string(text, at, _ENDS_ITEM)
        at = skip_blanks(text, at)
        if text[at : at + 1] != ":":
            raise ValueError(f"no ':' after {key[:80]}")
        written, at = item(skip_blanks(text, at + 1))
        return f"{key}: {written}", at

    first = text[at : at + 1]
    if first == "[":
        return between(text, at, "[]", item)
    if first == "{":
        return between(text, at, "{}", member)
    if plain := _NUMBER.match(text, at) or _WORD.match(text, at):
        return _WORDS.get(plain[0], plain[0]), plain.end()
    return _string(text, at, ends)


def _string(text: str, at: int, ends: re.Pattern[str]) -> tuple[str, int]:
    """The string at ``at`` as JSON, and where it ends."""
    opening = _QUOTE.match(text, at)
    if not opening:
        raise ValueError("a value is no string, number, word, list or dict, or is cut short")
    quote = opening[0]
    for mark in _MARKS[quote].finditer(text, opening.end()):
        if mark[0] == quote and (len(quote) == 3 or ends.match(text, mark.end())):
            written = text[opening.end() : mark.start()]
            return _json(_ESCAPE.sub(_unescape, written)), mark.end()
    raise CutShort("a string has no end")


def _unescape(escape: re.Match[str]) -> str:
    written = escape[0][1:]
    if written[0] in "xu":
        return chr(int(written[1:], 16))
    return _ESCAPES.get(written, written)


def _json(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)


DIALECT = Dialect(
    family="LFM2 and LFM2.5",
    version=1,
    parse=parse,
    markup=r"<\|tool_(?:call|response|list)_(?:start|end)\|>",
    in_template=r"<\|tool_(?:call|list)_start\|>|List of tools: \[",
    stops=("<|im_end|>", "<|im_start|>"),
    by_prompt=ByPrompt(describe, spell, answer),
)
