"""A run played again from its transcript, in three grades:

    regrade     its checker again, on what the run left; no call is executed
    reexecute   its calls again in a fresh sandbox, and its checker on what they leave
    resample    its model again, turn by turn, at the same seeds and settings

Each is a module with one name, ``opened``: a context in which runs are played, many or one. What
they share is in ``recorded.py``, and ``fidelity.py`` plays a whole campaign.
"""

from __future__ import annotations

import importlib
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from harness.replay.recorded import Recorded

Grade = Literal["regrade", "reexecute", "resample"]


@dataclass(frozen=True)
class Replayed:
    """What became of a run. ``summary`` says what was compared, with counts; ``difference`` is
    the first one, in words, perhaps of many lines; None: all came out as recorded."""

    summary: str
    difference: str | None = None

    @property
    def same(self) -> bool:
        """Whether everything that was recorded came out again."""
        return self.difference is None


Play = Callable[[Recorded], Awaitable[Replayed]]
"""Plays one run again. Raises BadInput where it cannot be, and InfrastructureFault."""


def opened(grade: Grade, hide: Sequence[Path]) -> AbstractAsyncContextManager[Play]:
    """A context that gives what plays runs at ``grade``, as many side by side as one likes.

    ``hide`` are folders that commands in the sandbox must not see. Where commands run, they run
    in the default sandbox, never in none.
    """
    context: AbstractAsyncContextManager[Play] = importlib.import_module(
        f"{__name__}.{grade}"
    ).opened(hide)
    return context
