"""Where a text speaks of something and does not say it: quoted, in code, in a table.

Every span is found in one pass, so that it takes time linear in the text's length whatever a
model wrote.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence

Span = tuple[int, int]
"""Where something begins, and where it has ended."""

_FENCE = re.compile(r"^[ \t>]{0,16}(`{3,}+|~{3,}+)[ \t]*+([\w+.#-]*+)[^\n`]*+$", re.MULTILINE)
_CALL_FENCE = re.compile(r"tool_(?:code|calls?)\Z")
_TICKS = re.compile(r"`+|\n[ \t]*\n")
_QUOTES = re.compile(r"""\\.|["'\n\u2018\u2019\u201c\u201d\u201e\u00ab\u00bb]""", re.DOTALL)
_CLOSING = {"\u201c": "\u201d", "\u201e": "\u201c", "\u2018": "\u2019", "\u00ab": "\u00bb"}
_TABLE = re.compile(r"(?:^[ \t]*\|[^\n]*(?:\n|\Z))+", re.MULTILINE)
_RULE = re.compile(r"^[ \t]*\|(?:[ \t]*:?-+:?[ \t]*\|)+[ \t]*$", re.MULTILINE)
_JINJA = re.compile(r"\{%-?[ \t]*+\w|\{\{-?[ \t]*+[\w(]")
_INDENTED = re.compile(r"(?<=\n)[ \t]*\n(?:(?: {4}|\t)[^\n]*(?:\n|\Z))+")


def spoken_of(text: str) -> Spans:
    """The spans of ``text`` in which words are quoted, or are a sample of something."""
    fences = list(_fences(text))
    code = [*fences, *_inline(text, Spans(fences))]
    return Spans(
        [*code, *_quoted(text, Spans(code)), *_tables(text), *_jinja(text), *_blocks(text)]
    )


class Spans:
    """Spans of a text, to be asked what lies in one of them."""

    def __init__(self, spans: Iterable[Span]) -> None:
        self._starts: list[int] = []
        self._ends: list[int] = []
        for start, end in sorted(spans):
            if self._ends and start <= self._ends[-1]:
                self._ends[-1] = max(self._ends[-1], end)
            else:
                self._starts.append(start)
                self._ends.append(end)

    def end_around(self, at: int) -> int | None:
        """Where the span ends that holds the character at ``at``; None: it is in none."""
        found = bisect_right(self._starts, at) - 1
        return self._ends[found] if found >= 0 and at < self._ends[found] else None


def _fences(text: str) -> Iterator[Span]:
    """Fenced code that is closed. A fence that calls itself a call is one, and no sample."""
    opened: re.Match[str] | None = None
    for line in _FENCE.finditer(text):
        if opened is None:
            opened = line
        elif not line[2] and line[1].startswith(opened[1]):
            if not _CALL_FENCE.match(opened[2]):
                yield opened.start(), line.end()
            opened = None


def _inline(text: str, fenced: Spans) -> Iterator[Span]:
    """Code between one or two backticks before and as many behind, in one paragraph."""
    runs: list[Span] = []
    for run in _TICKS.finditer(text):
        if run[0][0] == "\n" or fenced.end_around(run.start()) is not None:
            yield from _paired(runs)
            runs.clear()
        elif len(run[0]) < 3:  # longer ones are a fence's
            runs.append(run.span())
    yield from _paired(runs)


def _paired(runs: Sequence[Span]) -> Iterator[Span]:
    """From each run of backticks to the next one that is as long; what lies between is code."""
    places: dict[int, list[int]] = {1: [], 2: []}
    for number in reversed(range(len(runs))):
        places[runs[number][1] - runs[number][0]].append(number)
    number = 0
    while number < len(runs):
        start, end = runs[number]
        alike = places[end - start]
        while alike and alike[-1] <= number:
            alike.pop()
        if alike:
            number = alike[-1]
            yield start, runs[number][1]
        number += 1


def _quoted(text: str, code: Spans) -> Iterator[Span]:
    """What stands between quotation marks on one line."""
    opened: dict[str, int] = {}
    for mark in _QUOTES.finditer(text):
        quote, at = mark[0], mark.start()
        if quote == "\n":
            opened.clear()
        elif len(quote) == 2 or code.end_around(at) is not None:
            continue
        elif quote in opened and (quote != "'" or not _is_word(text[at + 1 : at + 2])):
            yield opened.pop(quote), mark.end()
        elif quote in _CLOSING:
            opened[_CLOSING[quote]] = at
        elif quote == '"' or (quote == "'" and not _is_word(text[at - 1 : at])):
            opened.setdefault(quote, at)


def _is_word(character: str) -> bool:
    return character.isalnum()


def _tables(text: str) -> Iterator[Span]:
    """Markdown's tables, which have a rule below their heading."""
    for table in _TABLE.finditer(text):
        if _RULE.search(text, table.start(), table.end()):
            yield table.span()


def _jinja(text: str) -> Iterator[Span]:
    """From the first statement of a template to the end of the last."""
    first = _JINJA.search(text)
    if first is not None:
        yield first.start(), max(text.rfind("%}"), text.rfind("}}"), first.start()) + 2


def _blocks(text: str) -> Iterator[Span]:
    """Code that is indented, under a paragraph."""
    return (block.span() for block in _INDENTED.finditer(text))
