"""Detectors: one file per pattern that a reader of transcripts would point at.

A detector ``x`` is the module ``verification.detectors.x``; its docstring says what it reports,
and it has one function:

    find(run: Transcript) -> Iterator[Seen]     what it saw, in the order of the transcript

It never raises, whatever a model wrote, and takes time linear in the length of the transcript:
all evidence is to cost little more than reading the files. What each one finds and misses on
transcripts that people have labelled is in docs/detectors.md.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from typing import cast

from harness.records import Event
from verification.detectors._transcript import Transcript


@dataclass(frozen=True, slots=True)
class Seen:
    """One thing that was seen: the turn and the transcript's line (from 1) where it begins, and
    in words what it is. ``detail`` may quote the model: it is as hostile as that."""

    turn: int
    line: int
    detail: str


Find = Callable[[Transcript], Iterator[Seen]]


@cache
def detectors() -> dict[str, Find]:
    """All detectors by name, in the order of their names; a leading underscore hides a helper."""
    names = sorted(m.name for m in pkgutil.iter_modules(__path__) if not m.name.startswith("_"))
    return {name: cast(Find, importlib.import_module(f"{__name__}.{name}").find) for name in names}


def detect(events: Iterable[Event]) -> Iterator[tuple[str, Seen]]:
    """What every detector sees in one transcript, header first: pairs of pattern and place."""
    run = Transcript.of(events)
    for name, find in detectors().items():
        for seen in find(run):
            yield name, seen
