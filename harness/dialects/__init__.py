"""Dialects: one file per way a model family spells a conversation and its tool calls in text.

A dialect ``x`` is the module ``harness.dialects.x`` with:

    VERSION                          an integer, raised when its output changes
    render(conversation, tools)      -> list[Segment]: the whole prompt, a segment a message,
                                        then what opens the model's next reply, if anything
    parse(text, turn)                -> Parsed: a reply's text taken apart; never raises
    STOPS                            texts that end a reply (not part of it)
    grammar(tools, force_call=...)   -> a GBNF grammar that every reply must fit, or None;
                                        forced, one that admits nothing but a call

A dialect knows nothing of providers or engines: strings in, strings out.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, cast

from harness.errors import BadInput, did_you_mean
from harness.records import Message, ToolCall, ToolSchema


@dataclass(frozen=True)
class Piece:
    """Text of a prompt. Only in ``markup`` do delimiters such as ``<|im_end|>`` mean anything;
    everywhere else they are the plain characters that somebody wrote."""

    text: str
    markup: bool


Segment = tuple[Piece, ...]
"""What one message adds to a prompt. A message that stays renders to the same segment in every
later turn, so that an engine may keep whole segments and nothing smaller."""


def markup(text: str) -> Piece:
    """A piece that the dialect itself wrote."""
    return Piece(text, markup=True)


def plain(text: str) -> Piece:
    """A piece that a person, a model or a tool wrote."""
    return Piece(text, markup=False)


@dataclass(frozen=True)
class Parsed:
    """A reply taken apart. ``malformed`` says what was wrong with a call that is none."""

    text: str
    tool_calls: tuple[ToolCall, ...] = ()
    malformed: str | None = None
    reasoning: str | None = None


class Dialect(Protocol):
    """What a dialect's module looks like from outside."""

    VERSION: int
    STOPS: tuple[str, ...]

    def render(
        self, conversation: Sequence[Message], tools: Sequence[ToolSchema]
    ) -> list[Segment]: ...

    def parse(self, text: str, turn: int) -> Parsed: ...

    def grammar(self, tools: Sequence[ToolSchema], *, force_call: bool = ...) -> str | None: ...


def names() -> list[str]:
    """The names of all dialects, by looking at this folder; a leading underscore hides a helper."""
    return sorted(m.name for m in pkgutil.iter_modules(__path__) if not m.name.startswith("_"))


def load(name: str, where: str) -> Dialect:
    """A dialect by name. ``where`` opens the sentence of the BadInput for an unknown one."""
    if name not in names():
        raise BadInput(f"{where}: no dialect {name!r}; {did_you_mean(name, names())}")
    return cast(Dialect, importlib.import_module(f"{__name__}.{name}"))
