"""Whose fault? Every error Fairtrial raises, and who owns it.

    FairtrialError
    ├── BadInput               the person's: a file, key or argument; mended by the person, exit 2
    ├── EvidenceDiffers        what is on disk is not what the transcripts say, exit 1
    └── InfrastructureFault    the world's: the run becomes infrastructure_error with its cause

Which ways there are for the world to fail, and what is done about each, is one table:
``harness.attribution``.

A model never raises: what it does badly is an event and is graded. A tool's ordinary failure is
a tool result. Anything that is none of these, caught where a run is attributed, is a
``harness_bug``; a run cut off by Ctrl-C or a kill is ``interrupted``.
"""

from __future__ import annotations

import difflib
import errno
from collections.abc import Iterable
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # so that the command line can start without pydantic
    from harness.records import FaultKind


class FairtrialError(Exception):
    """Base of everything Fairtrial raises on purpose. Its text is one sentence for people."""


class BadInput(FairtrialError):
    """What the person gave cannot be used: says what, where, and how to mend it."""


class EvidenceDiffers(FairtrialError):
    """Evidence on disk differs from what the transcripts say."""


class InfrastructureFault(FairtrialError):
    """The world failed; no score follows from it.

    ``kind`` names its row in the table of attribution. ``retry_after`` is how many seconds a
    server asked us to wait. ``final`` says that patience has ended: it is not tried again.
    """

    def __init__(self, kind: FaultKind, detail: str, *, retry_after: float | None = None) -> None:
        super().__init__(detail)
        self.kind = kind
        self.retry_after = retry_after
        self.final = False


def from_os_error(error: OSError, otherwise: FaultKind) -> InfrastructureFault:
    """The fault behind an error of the system: a full disk where space ran out, else another."""
    full = error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
    return InfrastructureFault("disk_full" if full else otherwise, str(error))


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """The end of a sentence that refuses ``word``: the nearest known word, or all of them."""
    known = sorted(known)
    near = difflib.get_close_matches(word, known, n=1)
    return f"did you mean {near[0]!r}?" if near else f"known: {', '.join(known) or 'none'}"
