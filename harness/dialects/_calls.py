"""Going through a reply from call to call, and the two ways of naming one in JSON."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

from harness.dialects import Parsed
from harness.dialects._json import members, skip_blanks
from harness.records import ToolCall


class Call(NamedTuple):
    """A call as it was read: its arguments are JSON, and ``end`` is where its markup ends."""

    name: str
    arguments: str
    end: int


class Prose(Exception):
    """What looked like a call's beginning means none."""


class CutShort(ValueError):
    """A call that has no end, so that nothing after its beginning can be one either."""


Read = Callable[[re.Match[str]], Iterator[Call]]
"""What opens calls -> the calls there, one or more. Raises Prose, or ValueError or RecursionError
for what cannot be read; the calls before it count."""


def take(text: str, turn: int, opening: re.Pattern[str], read: Read) -> Parsed:
    """Take the calls out of a reply. What cannot be read, or is none, stays in the text."""
    outside: list[str] = []
    calls: list[ToolCall] = []
    malformed: str | None = None
    at, over = 0, False
    while not over and (start := opening.search(text, at)):
        outside.append(text[at : start.start()])
        at, before = start.end(), len(calls)
        try:
            for name, arguments, at in read(start):  # noqa: B020
                number = len(calls) + 1
                calls.append(ToolCall(id=f"call_{turn}_{number}", name=name, arguments=arguments))
        except Prose:
            pass
        except (ValueError, RecursionError) as error:
            what = start[0].strip() or "a call"
            malformed = malformed or f"{what} at character {start.start()}: {error}"
            over = isinstance(error, CutShort)
        if len(calls) == before:
            outside.append(start[0])
    outside.append(text[at:])
    return Parsed("".join(outside).strip(), tuple(calls), malformed)


def named(text: str, at: int) -> Call:
    """The call ``{"name": ..., "arguments": {...}}`` that begins at ``at``, by whatever of the
    usual words it calls its arguments; raises ValueError where there is none."""
    values, raw, end = members(text, skip_blanks(text, at))
    return Call(_name(values), raw.get("arguments", raw.get("parameters", "{}")), end)


def listed(text: str, at: int, closing: str = "") -> Iterator[Call]:
    """The calls of the JSON list that begins at ``at``, and ``closing`` after it if it is there."""
    at = skip_blanks(text, at)
    if text[at : at + 1] != "[":
        raise ValueError("no list of calls follows")
    separator = "["
    while separator != "]":
        call = named(text, at + 1)
        at = skip_blanks(text, call.end)
        separator = text[at : at + 1]
        if separator not in (",", "]"):
            raise ValueError("the list of calls is cut short or no JSON")
        end = at + 1 if separator == "," else past(text, at + 1, closing)
        yield call._replace(end=end)


def past(text: str, at: int, closing: str) -> int:
    """Where ``closing`` ends if nothing but blanks stands before it, else ``at``."""
    start = skip_blanks(text, at)
    return start + len(closing) if closing and text.startswith(closing, start) else at


def _name(values: dict[str, Any]) -> str:
    name = values.get("name")
    if not isinstance(name, str) or not name:
        raise ValueError("the call has no name")
    return name
