"""Models: one file (or folder) per kind, found by its name, with no registry to edit.

A kind ``x`` is the module ``harness.models.x`` with two names:

    Settings    a pydantic model (a subclass of ``ModelSettings``): the keys a ``[[models]]``
                table of that kind may have
    Model       a class that satisfies ``Model`` below, made as ``Model(settings)``; making it
                does no work

Everything a kind raises is an ``InfrastructureFault`` or, from ``open``, a ``BadInput``. What
the *model* does badly is no exception: it is in the ``Completion``.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any, ClassVar, Protocol

from pydantic import Field

from harness.errors import BadInput, did_you_mean
from harness.models._telling import Say, silent
from harness.records import Completion, Message, Price, Record, Sampling, ToolSchema


class ModelSettings(Record):
    """The keys every kind of model has."""

    name: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._:-]*$", description="names it in evidence")
    kind: str

    WORLD: ClassVar[frozenset[str]] = frozenset()
    """The keys that only deal with the world: they may change while a campaign goes on."""

    PLAYS: ClassVar[bool] = True
    """Whether it can be asked anything here; an imported one cannot."""

    sampling: Sampling = Sampling()
    price: Price | None = Field(default=None, description="US dollars per million tokens")


@dataclass(frozen=True)
class Request:
    """One turn's question to a model.

    ``conversation`` is every message so far, oldest first. ``run`` is unique to one attempt:
    a model may keep state between requests of one run, and nothing may carry over from one run
    to another. ``seed`` is this turn's. ``task_folder`` and ``facts`` (the task
    variant's) are for scripts alone. ``force_call`` demands a tool call, where the model's kind
    can demand one.
    """

    run: str
    turn: int
    conversation: Sequence[Message]
    tools: Sequence[ToolSchema]
    max_tokens: int
    seed: int
    task_folder: Path
    facts: Mapping[str, Any] = field(default_factory=dict)
    force_call: bool = False


class Model(Protocol):
    """One model of a campaign, for as long as the campaign runs."""

    parallel: int | None
    """How many runs it can play at once; None: as many as the campaign allows."""

    rehearses: bool
    """Whether it can be tried out before the first run; a script only knows its tasks."""

    async def open(self, say: Say = silent) -> dict[str, Any]:
        """Make ready and return what was observed (digests, versions, template, and
        ``context_window`` in tokens where it is known). Whatever is waited for, now or later on,
        is told to ``say``.

        Raises BadInput where the person must act first: no such file, key unset, refused.
        """
        ...

    async def probe(self) -> None:
        """Find out, by the smallest request there is, whether the model answers at all; raises
        an InfrastructureFault where it does not."""
        ...

    async def reply(self, request: Request) -> Completion:
        """Answer one request, or raise an InfrastructureFault."""
        ...

    async def close(self) -> None:
        """Let go of processes and connections. May be called at any time, and twice."""
        ...


def kinds() -> list[str]:
    """The names of all kinds, by looking at this folder; a leading underscore hides a helper."""
    return sorted(m.name for m in pkgutil.iter_modules(__path__) if not m.name.startswith("_"))


def load_kind(kind: str, where: str) -> ModuleType:
    """The module of a kind. ``where`` opens the sentence of the BadInput for an unknown one."""
    if kind not in kinds():
        raise BadInput(f"{where}: no model kind {kind!r}; {did_you_mean(kind, kinds())}")
    return importlib.import_module(f"{__name__}.{kind}")
