"""Calls as ``<invoke name="...">`` with a ``<parameter name="...">`` an argument, under the names
that a family gives these tags.

Values are texts, see ``_untyped``, and nothing in one is escaped: it ends at the first closing tag
that another argument or the call's end follows, or where its ``<![CDATA[...]]>`` does.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from harness.dialects import _mentions, _untyped
from harness.dialects._calls import Call, CutShort, closed
from harness.dialects._json import skip_blanks

_NAMED = r"""\s++name\s*+=\s*+["']?([^\s"'<>][^"'<>\n]{0,199})["']?\s*+>"""
_CDATA = "<![CDATA["


class Reader:
    """Reads the calls of a family: ``block`` is the tag around all of a reply's calls, if any."""

    def __init__(self, invoke: str, parameter: str, block: str | None = None) -> None:
        around = f"<{block}>" if block else f"<{invoke}(?=\\s+name)"
        follows = rf"(?=\s*+(?:<{parameter}\s|</{invoke}>))"
        self.opening = re.compile(rf"(?:{around}\s*+)?<{invoke}{_NAMED}|{around}")
        self._parameter = re.compile(rf"<{parameter}{_NAMED}")
        # Where a parameter's end was forgotten, the call's is its own.
        self._ends = re.compile(
            rf"</{parameter}>{follows}|(?=\n?</{invoke}>\s*+(?:<{invoke}\s|</{block}>|\Z))"
        )
        self._cdata_ends = re.compile(rf"\]\]>\s*+</{parameter}>{follows}")
        self._closings = (f"</{invoke}>", f"</{block}>")

    def __call__(self, mark: re.Match[str]) -> Iterator[Call]:
        """The call that ``mark``, a match of ``opening``, begins."""
        if not mark[1]:
            _mentions.refuse(mark)
            raise ValueError("no call with a name follows")
        text, at = mark.string, mark.end()
        values: dict[str, str] = {}
        while named := self._parameter.match(text, skip_blanks(text, at)):
            values[named[1].strip()], at = self._value(text, named.end())
        yield Call(mark[1].strip(), _untyped.arguments(values), closed(text, at, *self._closings))

    def _value(self, text: str, at: int) -> tuple[str, int]:
        """The value that begins at ``at``, and where its closing tag ends."""
        start = skip_blanks(text, at)
        if text.startswith(_CDATA, start) and (end := self._cdata_ends.search(text, start)):
            return text[start + len(_CDATA) : end.start()], end.end()
        end = self._ends.search(text, at)
        if end is None:
            raise CutShort("a parameter has no end")
        return text[at : end.start()], end.end()
