"""The objects of Gemma 4 and FunctionGemma, which are JSON but for bare keys and quotes that are
tokens: ``{path:<|"|>a.txt<|"|>,lines:[1,2]}``.

They are rewritten as JSON, with numbers as they were written. Quotes of JSON are read as well, and
words without any: small models write both.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

from harness.dialects import _mentions
from harness.dialects._brackets import between
from harness.dialects._calls import Call, past
from harness.dialects._json import skip_blanks, value

_NAME = re.compile(r"\s*call:([^\s{}<>]+)\s*")
_KEY = re.compile(r"[^\s:,{}\[\]<\"]+")
_BARE = re.compile(r"[^,{}\[\]<\n]+")
_NUMBER = re.compile(r"-?(0|[1-9]\d*)(\.\d+)?([eE][+-]?\d+)?")
_WORDS = {
    "true": "true",
    "false": "false",
    "null": "null",
    "True": "true",
    "False": "false",
    "None": "null",
}
_DEEPEST = 64


class Reader:
    """Reads calls as a family spells them: with marks that open and close a call, and one
    ``quote`` for both ends of a string."""

    def __init__(self, opens: str, closes: str, quote: str) -> None:
        self._opens = opens
        self._closes = closes
        self._quote = quote
        self._ends_key = re.compile(re.escape(quote) + r"(?=\s*:)")
        self._ends_value = re.compile(re.escape(quote) + r"(?=\s*[,}\]])")

    def __call__(self, mark: re.Match[str]) -> Iterator[Call]:
        """The call behind ``mark``, its arguments as JSON. That it is not closed is nothing: its
        last brace says where it ends."""
        text = mark.string
        named = _NAME.match(text, mark.end())
        if not named:
            _mentions.refuse(mark)
            raise ValueError("no 'call:' and a name follow")
        if text[named.end() : named.end() + 1] != "{":
            raise ValueError("no arguments follow the name")
        arguments, at = self._object(text, named.end(), 1)
        yield Call(named[1], arguments, past(text, at, self._closes))

    def _value(self, text: str, at: int, depth: int) -> tuple[str, int]:
        if depth > _DEEPEST:
            raise ValueError("the arguments are nested too deep")
        first = text[at : at + 1]
        if first == "{":
            return self._object(text, at, depth)
        if first == "[":
            return self._list(text, at, depth)
        if first == '"' or text.startswith(self._quote, at):
            return self._string(text, at, self._ends_value)
        word = _BARE.match(text, at)
        if not word:
            raise ValueError("an argument has no value, or the call is cut short")
        bare = word[0].strip()
        if _NUMBER.fullmatch(bare):
            return bare, word.end()
        return _WORDS.get(bare) or _text(bare), word.end()

    def _object(self, text: str, at: int, depth: int) -> tuple[str, int]:
        def member(at: int) -> tuple[str, int]:
            key, at = self._key(text, at)
            at = skip_blanks(text, at)
            if text[at : at + 1] != ":":
                raise ValueError(f"no ':' after {key[:80]}")
            written, at = self._value(text, skip_blanks(text, at + 1), depth + 1)
            return f"{key}: {written}", at

        return between(text, at, "{}", member)

    def _list(self, text: str, at: int, depth: int) -> tuple[str, int]:
        return between(text, at, "[]", lambda at: self._value(text, at, depth + 1))

    def _key(self, text: str, at: int) -> tuple[str, int]:
        if text[at : at + 1] == '"' or text.startswith(self._quote, at):
            return self._string(text, at, self._ends_key)
        bare = _KEY.match(text, at)
        if not bare:
            raise ValueError("an argument has no name, or the call is cut short")
        return _text(bare[0]), bare.end()

    def _string(self, text: str, at: int, ends: re.Pattern[str]) -> tuple[str, int]:
        """A string and its end. One that holds quotes of its own ends at the first that what must
        follow follows, as long as it has not run into another call."""
        if not text.startswith(self._quote, at):
            read, at = value(text, at)
            return _text(read), at
        start = at + len(self._quote)
        first = text.find(self._quote, start)
        closing = ends.search(text, start)
        if not closing:
            raise ValueError("a string has no end")
        if closing.start() != first and self._opens in text[start : closing.start()]:
            raise ValueError("more follows a string's end")
        return _text(text[start : closing.start()]), closing.end()


def _text(text: Any) -> str:
    return json.dumps(text, ensure_ascii=False)
