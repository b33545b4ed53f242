"""Detectors: one file per pattern that a reader of transcripts would point at.

A detector ``x`` is the module ``verification.detectors.x``; its docstring says what it reports,
and it has one function:

    find(run: Transcript) -> Iterator[Seen]     what it saw, in the order of the transcript

and, where it needs what not every header says, a second one:

    blind(header: Started) -> str | None        why it can see nothing in such a run, whatever
                                                happened; None where it can

Neither ever raises, whatever a model wrote, and both take time linear in the length of the
transcript: all evidence is to cost little more than reading the files. What each one finds and
misses on transcripts that people have labelled is in docs/detectors.md.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from types import ModuleType
from typing import cast

from harness.records import Event, Started
from verification.detectors._transcript import Transcript


@dataclass(frozen=True, slots=True)
class Seen:
    """One thing that was seen: the turn and the transcript's line (from 1) where it begins, and
    in words what it is. ``detail`` may quote the model: it is as hostile as that."""

    turn: int
    line: int
    detail: str


Find = Callable[[Transcript], Iterator[Seen]]
Blind = Callable[[Started], str | None]


@cache
def detectors() -> dict[str, Find]:
    """All detectors by name, in the order of their names; a leading underscore hides a helper."""
    return {name: cast(Find, module.find) for name, module in _modules().items()}


@cache
def _blinds() -> dict[str, Blind]:
    """Of the detectors that have one."""
    modules = _modules().items()
    return {name: cast(Blind, m.blind) for name, m in modules if hasattr(m, "blind")}


@cache
def _modules() -> dict[str, ModuleType]:
    names = sorted(m.name for m in pkgutil.iter_modules(__path__) if not m.name.startswith("_"))
    return {name: importlib.import_module(f"{__name__}.{name}") for name in names}


def detect(events: Iterable[Event]) -> Iterator[tuple[str, Seen]]:
    """What every detector sees in one transcript, header first: pairs of pattern and place."""
    run = Transcript.of(events)
    for name, find in detectors().items():
        for seen in find(run):
            yield name, seen


def blind_to(header: Started) -> dict[str, str]:
    """The detectors that can see nothing in a run with this header, each with why."""
    why = {name: blind(header) for name, blind in _blinds().items()}
    return {name: words for name, words in why.items() if words is not None}
