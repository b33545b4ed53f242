"""Sandboxes: one file per kind, found by its name.

A kind ``x`` is the module ``harness.sandbox.x`` with a class ``Sandbox`` that satisfies the
protocol below. A sandbox runs one command at a time in a workspace and leaves nothing behind;
every command gets a fresh one. Everything here blocks: callers on an event loop use a thread.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Protocol

from harness.errors import BadInput, did_you_mean

WORKSPACE = "/workspace"
"""Where the workspace is inside every sandbox, and the working directory of its commands."""


@dataclass(frozen=True)
class Limits:
    """What one command may take. Time in seconds, the rest in bytes or counts.

    ``output_bytes`` bounds stdout and stderr each, ``memory_bytes`` all processes together, and
    ``disk_bytes`` and ``files`` the whole workspace, whichever command filled it.
    """

    seconds: float = 30.0
    output_bytes: int = 1 << 20
    memory_bytes: int = 1 << 30
    processes: int = 128
    disk_bytes: int = 256 << 20
    files: int = 20_000


DEFAULT_LIMITS = Limits()

LONGEST_ARGUMENT = 131_071
"""Bytes that one word of a command line may have; the kernel starts nothing with a longer one."""


@dataclass(frozen=True)
class CommandResult:
    """What a command did. ``stopped`` says which limit ended it, if one did."""

    exit_code: int | None
    stdout: bytes
    stderr: bytes
    seconds: float
    stopped: Literal["time", "output", "memory", "disk", "cancelled"] | None = None


class Sandbox(Protocol):
    """One kind of isolation, for as long as the campaign runs."""

    def open(self, hide: Sequence[Path] = ()) -> dict[str, Any]:
        """Prove that isolation holds here and return what was observed (kind, versions).

        ``hide`` are folders of the host, beside our own, that commands must not see even where
        they lie in what commands can read, such as /usr.

        Raises BadInput, with the system's own words and what to install, where it does not.
        """
        ...

    def make_workspace(self) -> Path:
        """A new empty folder that commands may write. The caller fills and removes it."""
        ...

    def adopt(self, workspace: Path) -> None:
        """Make what the harness wrote into a workspace writable for commands."""
        ...

    def remove_workspace(self, workspace: Path) -> None:
        """Delete a workspace whatever hostile code left in it; never raises for its content."""
        ...

    def run(
        self,
        argv: Sequence[str],
        workspace: Path,
        *,
        stdin: bytes = b"",
        limits: Limits = DEFAULT_LIMITS,
        read_only: Mapping[str, Path] | None = None,
    ) -> CommandResult:
        """Run ``argv`` with the workspace at ``WORKSPACE``.

        ``read_only`` maps absolute paths inside to host paths. Python 3.11 or later is at
        ``python3`` inside. Raises InfrastructureFault where the command could not be started.
        """
        ...

    def close(self) -> None:
        """Kill whatever still runs and remove every workspace left. May be called twice."""
        ...


def kinds() -> list[str]:
    """The names of all kinds, by looking at this folder; a leading underscore hides a helper."""
    return sorted(m.name for m in pkgutil.iter_modules(__path__) if not m.name.startswith("_"))


def make(kind: str) -> Sandbox:
    """A sandbox of this kind, not yet opened."""
    if kind not in kinds():
        raise BadInput(f"no sandbox kind {kind!r}; {did_you_mean(kind, kinds())}")
    sandbox: Sandbox = importlib.import_module(f"{__name__}.{kind}").Sandbox()
    return sandbox
