"""Dialects: one file per way a model family spells its tool calls in text.

A dialect ``x`` is the module ``harness.dialects.x`` with one name, ``DIALECT``. Which one a model
speaks is seen from the chat template in its file, and that template writes the prompts; a dialect
reads what comes back. It knows nothing of providers or engines: strings in, strings out.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, Protocol

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
    """A piece that a template or dialect wrote."""
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


Parse = Callable[[str, int], Parsed]
"""A reply's whole text, and its turn (calls are named after it) -> what it says. Never raises.

The text begins with what the prompt already wrote of the reply, such as ``<think>``. Arguments
are kept as the model wrote them where the family writes JSON, else written as JSON. A call that
cannot be read stays in the text and is ``malformed``; the calls around it count all the same.
"""

Render = Callable[[Sequence[Message], Sequence[ToolSchema]], list[Segment]]
"""A conversation and the tools -> the whole prompt: a segment a message, then what opens the
model's next reply, if anything."""


class Grammar(Protocol):
    """Tools -> the GBNF grammar that a reply must fit, or None. Forced, it admits nothing but a
    call."""

    def __call__(self, tools: Sequence[ToolSchema], *, force_call: bool = ...) -> str | None: ...


@dataclass(frozen=True)
class ByPrompt:
    """How tools, calls and results are put into words for a chat template that has none: the
    tools at the end of the system's message, calls in the model's text, results as the user's."""

    describe: Callable[[Sequence[ToolSchema]], str]
    spell: Callable[[ToolCall], str]
    answer: Callable[[str, str], str]
    """A tool's name and what it answered."""


@dataclass(frozen=True)
class Dialect:
    """How one family spells its calls.

    ``family`` names it for people. ``version`` is raised when what it reads or writes changes.
    ``markup`` is a regular expression of its delimiters as they stand in a text where they leaked
    (one that finds a call's beginning as well where the family has none). ``in_template`` is one
    that is found in the chat templates of the family. ``stops`` are texts that end a reply and
    are no part of it, beside the tokens that the model's file marks as ends. ``render`` stands in
    for a chat template.
    """

    family: str
    version: int
    parse: Parse
    markup: str
    in_template: str | None = None
    stops: tuple[str, ...] = ()
    render: Render | None = None
    by_prompt: ByPrompt | None = None
    grammar: Grammar | None = None


@cache
def names() -> tuple[str, ...]:
    """The names of all dialects, by looking at this folder; a leading underscore hides a helper."""
    modules = pkgutil.iter_modules(__path__)
    return tuple(sorted(m.name for m in modules if not m.name.startswith("_")))


def load(name: str, where: str) -> Dialect:
    """A dialect by name. ``where`` opens the sentence of the BadInput for an unknown one."""
    if name not in names():
        raise BadInput(f"{where}: no dialect {name!r}; {did_you_mean(name, names())}")
    dialect = importlib.import_module(f"{__name__}.{name}").DIALECT
    assert isinstance(dialect, Dialect)
    return dialect


def choose(template: str | None, arguments: Mapping[str, Any] | None = None) -> str:
    """The name of the dialect that a chat template, given the person's arguments, is written for.

    Raises BadInput, with what to set, where there is no template or none that is known.
    """
    from harness.dialects._choice import choose  # Jinja is for this alone

    return choose(template, arguments)


@cache
def every() -> Mapping[str, Dialect]:
    """All dialects by name, in the order of their names."""
    return {name: load(name, name) for name in names()}
