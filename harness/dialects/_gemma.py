"""The objects of Gemma 4 and FunctionGemma, which are JSON but for bare keys and quotes that are
tokens: ``{path:<|"|>a.txt<|"|>,lines:[1,2]}``.

They are rewritten as JSON, with numbers as they were written. What the models write beside it is
read where nothing else could be meant: quotes of JSON and of Python, words without any, ``=`` for
the colon, and a string whose closing quote alone is there.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from itertools import islice
from typing import Any

from harness.dialects import _mentions
from harness.dialects._brackets import between
from harness.dialects._calls import Call, past
from harness.dialects._json import skip_blanks, value

_NAME = re.compile(r"\s*call:([^\s{}<>]+)\s*")
_KEY = re.compile(r"[^\s:=,{}\[\]<\"]+")
_BEGINS_VALUE = re.compile(r"[,{]\s*[\w.-]{1,200}\s*[:=]|[:=,{\[]\s*\Z")
_ENDS_QUOTED = re.compile(r"'(?=\s*[,}\]])")
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
_DEEPEST, _OUTERMOST = 64, 2
"""How deep values may be nested, and how deep the arguments themselves lie."""

_LONGEST_UNQUOTED = 8_000
"""Characters of a string that does not begin with the family's own quote."""

_MOST_QUOTES = 1_000
"""Quotes within a string that are looked at for its end."""


class Reader:
    """Reads calls as a family spells them: with marks that open and close a call, and one
    ``quote`` for both ends of a string; ``inner`` is what that stands for within one."""

    def __init__(self, opens: str, closes: str, quote: str, inner: str) -> None:
        self._opens = opens
        self._closes = closes
        self._quote = quote
        self._inner = inner
        self._ends_key = re.compile(re.escape(quote) + r"(?=\s*[:=])")
        self._ends_value = re.compile(re.escape(quote) + r"(?=\s*[,}\]])")
        mark = re.escape(quote)
        quoted = rf"{mark}(?:(?!{mark}).){{0,200}}{mark}"
        bare = r"""[\w.-]{1,200}+\s*+(?::|=\s*+(?:["'\[]|-?\d|true|false|null))"""
        member = rf"""{bare}|{quoted}\s*+:|"[^"]{{0,200}}"\s*+:"""
        item = rf"""{quoted}\s*+[,\]]|["'\[{{]|[^\s,{{}}\[\]<"'][^,{{}}\[\]<\n]*+[,\]]"""
        # What goes on behind a string in the arguments, and in an object or list among them.
        self._rest = re.compile(rf"\s*+(?:,\s*+(?:{member}|\}})|\}}\s*+(?:<|\Z))", re.DOTALL)
        self._inner_rest = re.compile(
            rf"\s*+(?:,\s*+(?:{member}|{item}|[}}\]])|(?:[}}\]]\s*+)++(?:,|<|\Z))", re.DOTALL
        )
        # Where a string's end was forgotten, the next member's beginning stands in it.
        self._next_member = re.compile(r"[,\n]\s*[A-Za-z_]\w{0,199}:" + re.escape(quote))

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
            rest = self._rest if depth == _OUTERMOST else self._inner_rest
            return self._string(text, at, self._ends_value, rest)
        if quoted := self._quoted(text, at) if first == "'" else self._unopened(text, at):
            return quoted
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
            if text[at : at + 1] not in (":", "="):
                raise ValueError(f"no ':' after {key[:80]}")
            written, at = self._value(text, skip_blanks(text, at + 1), depth + 1)
            return f"{key}: {written}", at

        return between(text, at, "{}", member)

    def _list(self, text: str, at: int, depth: int) -> tuple[str, int]:
        return between(text, at, "[]", lambda at: self._value(text, at, depth + 1))

    def _key(self, text: str, at: int) -> tuple[str, int]:
        if text[at : at + 1] == '"' or text.startswith(self._quote, at):
            return self._string(text, at, self._ends_key, None)
        bare = _KEY.match(text, at)
        if not bare:
            raise ValueError("an argument has no name, or the call is cut short")
        key = bare[0]
        quoted = len(key) > 1 and key[0] == key[-1] == "'"
        return _text(key[1:-1] if quoted else key), bare.end()

    def _string(
        self, text: str, at: int, ends: re.Pattern[str], rest: re.Pattern[str] | None
    ) -> tuple[str, int]:
        """A string and its end. One that holds quotes of its own ends at the first that the
        ``rest`` follows, else what ``ends`` one, as long as it has not run into another call."""
        if not text.startswith(self._quote, at):
            read, at = value(text, at)
            return _text(read), at
        start = at + len(self._quote)
        first = text.find(self._quote, start)
        nearest = ends.search(text, start)
        if not nearest:
            raise ValueError("a string has no end")
        possible = islice(ends.finditer(text, start), _MOST_QUOTES)
        meant = (end for end in possible if not rest or rest.match(text, end.end()))
        closing = next(meant, nearest)
        if self._opens in text[nearest.end() : closing.start()]:
            closing = nearest
        said = text[start : closing.start()]
        if closing.start() != first and self._opens in said:
            raise ValueError("more follows a string's end")
        if closing.start() != first and self._next_member.search(said + self._quote):
            raise ValueError("a string has no end")
        return _text(said.replace(self._quote, self._inner)), closing.end()

    def _quoted(self, text: str, at: int) -> tuple[str, int] | None:
        """A string in Python's single quotes, and its end, if there is one at ``at``."""
        closing = _ENDS_QUOTED.search(text, at + 1, at + _LONGEST_UNQUOTED)
        if not closing or self._opens in text[at : closing.start()]:
            return None
        return _text(text[at + 1 : closing.start()]), closing.end()

    def _unopened(self, text: str, at: int) -> tuple[str, int] | None:
        """A string that has no opening quote, and its end, if there is one at ``at``."""
        end = text.find(self._quote, at, at + _LONGEST_UNQUOTED)
        said = text[at : max(end, at)]
        other = self._opens in said or self._closes in said or _BEGINS_VALUE.search(said)
        if end < 0 or other or not self._ends_value.match(text, end):
            return None
        return _text(said), end + len(self._quote)


def _text(text: Any) -> str:
    return json.dumps(text, ensure_ascii=False)
