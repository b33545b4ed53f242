"""Going through a reply from call to call, and the two ways of naming one in JSON."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from typing import Any, NamedTuple

from harness.dialects import Parsed
from harness.dialects._json import members, skip_blanks
from harness.records import ToolCall


class Call(NamedTuple):
    """A call as it was read: its arguments are JSON, and ``end`` is where its markup ends."""

    name: str
    arguments: str
    end: int


class _Row(NamedTuple):
    """Calls that one mark opened, and where it stands."""

    start: int
    calls: list[Call]


class Prose(Exception):
    """What looked like a call's beginning means none, nor does anything before ``end``."""

    def __init__(self, end: int = 0) -> None:
        super().__init__()
        self.end = end


class CutShort(ValueError):
    """A call that has no end, so that nothing after its beginning can be one either."""


_BESIDE_ARGUMENTS = {"name", "tool_name", "id", "tool_call_id", "type", "index"}

QUOTES = {"`": "`", '"': '"', "'": "'", "\u201c": "\u201d", "\u201e": "\u201c", "\u00ab": "\u00bb"}
"""Marks that open a quotation, and what closes it."""

Read = Callable[[re.Match[str]], Iterator[Call]]
"""What opens calls -> the calls there, one or more. Raises Prose, or ValueError or RecursionError
for what cannot be read; the calls before it count."""


def take(
    text: str, turn: int, opening: re.Pattern[str], read: Read, reasoning: str | None = None
) -> Parsed:
    """Take the calls out of a reply. What cannot be read, or is none, stays in the text."""
    outside: list[str] = []
    calls: list[ToolCall] = []
    rows: list[_Row] = []
    malformed: str | None = None
    at = seek = 0
    over = False
    while not over and seek <= len(text) and (start := opening.search(text, seek)):
        seek = max(start.end(), start.start() + 1)
        row: list[Call] = []
        try:
            for call in read(start):
                row.append(call)
                seek = call.end
        except Prose as prose:
            seek = max(seek, prose.end)
        except (ValueError, RecursionError) as error:
            what = start[0].strip() or "a call"
            malformed = malformed or f"{what} at character {start.start()}: {error}"
            over = isinstance(error, CutShort)
        if row:
            rows.append(_Row(start.start(), row))
    for start_of_row, row in _meant(text, rows):
        outside.append(text[at:start_of_row])
        at = row[-1].end
        for call in row:
            name = f"call_{turn}_{len(calls) + 1}"
            calls.append(ToolCall(id=name, name=call.name, arguments=call.arguments))
    outside.append(text[at:])
    return Parsed("".join(outside).strip(), tuple(calls), malformed, reasoning)


def _meant(text: str, rows: Sequence[_Row]) -> Iterator[_Row]:
    """The rows of calls without those that the reply speaks of: rows with nothing between them
    that stand in quotation marks or backticks, and behind which it goes on. As its last words
    they are meant."""
    first = 0
    for number, (_, calls) in enumerate(rows, start=1):
        end = calls[-1].end
        behind = skip_blanks(text, end)
        if number < len(rows) and behind >= rows[number].start:
            continue
        start = rows[first].start
        closing = QUOTES.get(text[max(0, start - 1) : start])
        quoted = closing and text.startswith(closing, end)
        if not quoted or skip_blanks(text, end + 1) == len(text):
            yield from rows[first:number]
        first = number


def at_the_end(text: str, calls: Iterator[Call]) -> Iterator[Call]:
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


def named(text: str, at: int) -> Call:
    """The call ``{"name": ..., "arguments": {...}}`` that begins at ``at``, by whatever of the
    usual words it calls its arguments; raises ValueError where there is none."""
    values, raw, end = members(text, skip_blanks(text, at))
    return Call(_name(values), given(values, raw, "arguments", "parameters"), end)


def given(values: dict[str, Any], raw: dict[str, str], *names: str) -> str:
    """A call's arguments as they were written under the first of ``names`` that is there, or
    taken out of the text in which some models wrap them: ``"{\\"path\\": \\"a.txt\\"}"``. Where
    there are none, raises ValueError if something else might be meant for them."""
    name = next((name for name in names if name in raw), None)
    if name is None:
        if others := sorted(values.keys() - _BESIDE_ARGUMENTS):
            raise ValueError(f"the call has {others[0][:80]!r} and no {names[0]}")
        return "{}"
    text = values[name]
    if isinstance(text, str) and text.lstrip().startswith("{"):
        with suppress(ValueError, RecursionError):
            start = skip_blanks(text, 0)
            *_, end = members(text, start)
            if skip_blanks(text, end) == len(text):
                return text[start:end]
    return raw[name]


def listed(
    text: str, at: int, closing: str = "", read: Callable[[str, int], Call] = named
) -> Iterator[Call]:
    """The calls of the JSON list that begins at ``at``, and ``closing`` after it if it is there."""
    at = skip_blanks(text, at)
    if text[at : at + 1] != "[":
        raise ValueError("no list of calls follows")
    separator = "["
    while separator != "]":
        call = read(text, at + 1)
        at = skip_blanks(text, call.end)
        separator = text[at : at + 1]
        if separator not in (",", "]"):
            raise ValueError("the list of calls is cut short or no JSON")
        end = at + 1 if separator == "," else past(text, at + 1, closing)
        yield call._replace(end=end)


def elements(
    text: str, at: int, opening: re.Pattern[str], closing: re.Pattern[str]
) -> Iterator[tuple[re.Match[str], str, int]]:
    """The elements that follow each other from ``at`` on, blanks between them: what opened each,
    its text, and where its ``closing`` ends. Raises CutShort where there is none."""
    while start := opening.match(text, skip_blanks(text, at)):
        end = closing.search(text, start.end())
        if end is None:
            raise CutShort(f"{start[0]} has no end")
        at = end.end()
        yield start, text[start.end() : end.start()], at


def closed(text: str, at: int, *closings: str) -> int:
    """Where the last of ``closings`` ends that stand at ``at`` in this order, blanks between; some
    may lack. Raises ValueError where all do."""
    end = at
    for closing in closings:
        end = past(text, end, closing)
    if end == at:
        if skip_blanks(text, at) == len(text):
            raise CutShort("the call is cut short")
        raise ValueError(f"{text[at : at + 20].strip()!r} follows where the call should end")
    return end


def past(text: str, at: int, closing: str) -> int:
    """Where ``closing`` ends if nothing but blanks stands before it, else ``at``."""
    start = skip_blanks(text, at)
    return start + len(closing) if closing and text.startswith(closing, start) else at


def _name(values: dict[str, Any]) -> str:
    name = values.get("name")
    if not isinstance(name, str) or not name:
        raise ValueError("the call has no name")
    return name
