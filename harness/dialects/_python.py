"""A call as Python writes one: ``fs_read(path="notes/a.txt", length=100)``.

Read here and not by Python's own parser, which would have to fail where models and templates do
not escape: ``shell(command='echo 'hi'')``. So a string ends at the first quote of its kind that
another argument or the call's end follows. Nothing is ever evaluated: strings, numbers, words such
as ``True``, lists and dicts are all there is, and become JSON.
"""

from __future__ import annotations

import json
import re

from harness.dialects._brackets import between
from harness.dialects._calls import Call, CutShort
from harness.dialects._json import skip_blanks, value

_CALL = re.compile(r"\s*([A-Za-z_][\w.-]{0,199})\s*\(")
_ARGUMENT = re.compile(r"\s*([A-Za-z_]\w{0,199})\s*=\s*")
# Models write 09 for 9, as no Python does.
_NUMBER = re.compile(r"(-?)\+?(?:0+(?=\d))?(\d+(?:\.\d+)?(?:[eE][+-]?\d+)?)(?![\w.])")
_WORD = re.compile(r"(?:True|true|False|false|None|null)\b")
_WORDS = {"True": "true", "False": "false", "None": "null"}
_ESCAPE = re.compile(r"\\(?:[\\'\"nrtbf]|x[0-9a-fA-F]{2}|u[0-9a-fA-F]{4}|\n)")
_QUOTE = re.compile(r"""\"\"\"|'''|"|'""")
_MARKS = {quote: re.compile(rf"\\.|{quote}", re.DOTALL) for quote in ('"""', "'''", '"', "'")}
_ESCAPES = {"n": "\n", "r": "\r", "t": "\t", "b": "\b", "f": "\f", "\n": ""}
_CALL_ENDS = r",?\s*\)[\s);]*(?:\]|,?\s*[A-Za-z_][\w.-]*\s*\(|<\||```|\Z)"
_ENDS_ARGUMENT = re.compile(rf"\s*(?:,\s*[A-Za-z_]\w*\s*=|{_CALL_ENDS})")
_ENDS_ITEM = re.compile(r"\s*[,\]}:]")
_ANYWHERE = re.compile("")
_DEEPEST = 64


def python_call(text: str, at: int) -> Call:
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


def python_value(text: str, at: int) -> tuple[str, int]:
    """The dict that begins at ``at`` as JSON, and where it ends. It may as well be JSON with a
    comma too many. Here a string ends at its first quote, and in double quotes has JSON's
    escapes."""
    if text[at : at + 1] != "{":
        raise ValueError("no dict follows")
    return _value(text, at, _ANYWHERE, 1)


def _value(text: str, at: int, ends: re.Pattern[str], depth: int) -> tuple[str, int]:
    """The value at ``at`` as JSON, and where it ends. ``ends`` is what must follow a string."""
    if depth > _DEEPEST:
        raise ValueError("the arguments are nested too deep")

    ends_item = _ANYWHERE if ends is _ANYWHERE else _ENDS_ITEM

    def item(at: int) -> tuple[str, int]:
        return _value(text, at, ends_item, depth + 1)

    def member(at: int) -> tuple[str, int]:
        key, at = _string(text, at, ends_item)
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
    if number := _NUMBER.match(text, at):
        return number[1] + number[2], number.end()
    if word := _WORD.match(text, at):
        return _WORDS.get(word[0], word[0]), word.end()
    return _string(text, at, ends)


def _string(text: str, at: int, ends: re.Pattern[str]) -> tuple[str, int]:
    """The string at ``at`` as JSON, and where it ends."""
    opening = _QUOTE.match(text, at)
    if not opening:
        raise ValueError("a value is no string, number, word, list or dict, or is cut short")
    quote = opening[0]
    if ends is _ANYWHERE and quote == '"':
        read, end = value(text, at)
        return _json(read), end
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
