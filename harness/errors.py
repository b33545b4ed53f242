"""Whose fault? Every error Fairtrial raises, and who owns it.

    FairtrialError
    ├── BadInput               the person's: a file, key or argument; mended by the person, exit 2
    ├── EvidenceDiffers        what is on disk is not what the transcripts say, exit 1
    └── InfrastructureFault    the world's: the run becomes infrastructure_error with its cause
        ├── Unreachable          refused, reset, no route, DNS, TLS
        ├── TimedOut             nothing came for longer than patience allows
        ├── RateLimited          429
        ├── ServerError          5xx, and any answer no retry mends (stops_campaign)
        ├── BadResponse          an answer that is not of the protocol
        ├── ModelCrashed         the process that runs a local model died or hung
        ├── SandboxFailed        the sandbox could not be made, or did not hold
        ├── CheckerCrashed       the checker raised
        └── DiskFull             no space to write evidence (stops_campaign)

A model never raises: what it does badly is an event and is graded. A tool's ordinary failure is
a tool result. Anything that is none of these, caught where a run is attributed, is a
``harness_bug``; a run cut off by Ctrl-C or a kill is ``interrupted``.
"""

from __future__ import annotations

import difflib
import errno
from collections.abc import Iterable
from typing import TYPE_CHECKING, ClassVar

if TYPE_CHECKING:  # so that the command line can start without pydantic
    from harness.records import Cause


class FairtrialError(Exception):
    """Base of everything Fairtrial raises on purpose. Its text is one sentence for people."""


class BadInput(FairtrialError):
    """What the person gave cannot be used: says what, where, and how to mend it."""


class EvidenceDiffers(FairtrialError):
    """Evidence on disk differs from what the transcripts say."""


class InfrastructureFault(FairtrialError):
    """The world failed; no score follows from it.

    ``stops_campaign`` marks a fault that every later run would meet as well.
    """

    cause: ClassVar[Cause]
    stops_campaign: bool = False

    def __init__(self, detail: str, *, stops_campaign: bool | None = None) -> None:
        super().__init__(detail)
        if stops_campaign is not None:
            self.stops_campaign = stops_campaign


class Unreachable(InfrastructureFault):
    cause = "unreachable"


class TimedOut(InfrastructureFault):
    cause = "timeout"


class RateLimited(InfrastructureFault):
    cause = "rate_limited"


class ServerError(InfrastructureFault):
    cause = "server_error"


class BadResponse(InfrastructureFault):
    cause = "bad_response"


class ModelCrashed(InfrastructureFault):
    cause = "model_crashed"


class SandboxFailed(InfrastructureFault):
    cause = "sandbox_failed"


class CheckerCrashed(InfrastructureFault):
    cause = "checker_crashed"


class DiskFull(InfrastructureFault):
    cause = "disk_full"
    stops_campaign = True


def from_os_error(error: OSError, otherwise: type[InfrastructureFault]) -> InfrastructureFault:
    """The fault behind an error of the system: DiskFull where space ran out, or ``otherwise``."""
    full = error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
    return (DiskFull if full else otherwise)(str(error))


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """The end of a sentence that refuses ``word``: the nearest known word, or all of them."""
    known = sorted(known)
    near = difflib.get_close_matches(word, known, n=1)
    return f"did you mean {near[0]!r}?" if near else f"known: {', '.join(known) or 'none'}"
