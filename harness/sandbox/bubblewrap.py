"""The default sandbox: a fresh bubblewrap for every command.

What it claims, and tests/test_sandbox.py attacks. A command sees /usr, a made-up /etc, its
workspace, and no other file of the host (though /proc/self/mountinfo tells where on the host
these lie); not the host's environment, processes, network or terminal; nor other runs. It has no
capability and cannot get one, makes no namespaces, and only the calls that ``_seccomp`` leaves. It
is bounded in time, output, processes, memory and disk, and nothing of it outlives it but what is
in the workspace.

What it does not claim: protection from holes in the kernel, or from memory that belongs to no
process, such as the buffers of sockets, beyond what 256 descriptors for each of 128 processes
can hold.
"""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any

import psutil

from harness.errors import BadInput, InfrastructureFault
from harness.sandbox import DEFAULT_LIMITS, WORKSPACE, CommandResult, Limits
from harness.sandbox._base import Base
from harness.sandbox._bwrap import find_bwrap, hint_for
from harness.sandbox._inside import Inside
from harness.sandbox._probe import PROBE, flaw
from harness.sandbox._process import Launch, Process, memory_file
from harness.sandbox._seccomp import export

_UID_OF_ROOTS_COMMANDS = 64_917
"""bwrap started by real root leaves holes, so root's commands run as a user of their own."""

_ADDRESS_SPACES = 4
"""Addresses a process may reserve for each byte of memory it may use: many reserve far more."""

_DESCRIPTORS = 256

_IN_HIDDEN = ("suite.toml", "campaign.toml")
"""What lies in folders that are to be hidden. The folders themselves may be seen, empty."""


class Sandbox(Base):
    """Commands in bubblewrap. See the module for what that holds."""

    def __init__(self) -> None:
        super().__init__(_kill, _UID_OF_ROOTS_COMMANDS if os.geteuid() == 0 else None)
        self._bwrap = Path("bwrap")
        self._options: tuple[str, ...] = ()
        self._program = b""

    def open(self, hide: Sequence[Path] = ()) -> dict[str, Any]:
        """Prove by a command that isolation holds. Raises BadInput where it does not."""
        self.make_scratch()
        self._bwrap, version = find_bwrap(self.scratch, self._owner)
        inside = Inside(self.scratch, self._owner, hide)
        self._options = inside.options()
        self._program = export()
        facts = self._probe(inside.environment, hide)
        return {"kind": "bubblewrap", "bwrap": version, "python": facts["python"]}

    def run(
        self,
        argv: Sequence[str],
        workspace: Path,
        *,
        stdin: bytes = b"",
        limits: Limits = DEFAULT_LIMITS,
        read_only: Mapping[str, Path] | None = None,
    ) -> CommandResult:
        """Run ``argv`` at ``/workspace``; raises InfrastructureFault where bwrap could not."""
        binds = ["--bind", str(workspace), WORKSPACE]
        for inside, outside in (read_only or {}).items():
            binds += ["--ro-bind", str(outside), inside]
        with ExitStack() as files:
            status = files.enter_context(_Status())
            seccomp = files.enter_context(memory_file(self._program))
            options = (
                *self._options,
                *binds,
                *("--remount-ro", "/", "--chdir", WORKSPACE),
                *("--seccomp", str(seccomp), "--json-status-fd", str(status.writer)),
            )
            arguments = files.enter_context(memory_file("\0".join(options).encode() + b"\0"))
            launch = Launch(
                # Options from a file: the command line can be read inside, and paths tell much.
                argv=[
                    *(*_as_user(self._owner), str(self._bwrap), "--args", str(arguments), "--"),
                    *(*_limited(limits), *argv),
                ],
                env={},
                cwd=Path("/"),
                pass_fds=(arguments, seccomp, status.writer),
            )
            result = self._runner.run(launch, stdin, limits, workspace)
            if result.stopped is None and not status.command_ended():
                said = result.stderr.decode(errors="replace").strip()
                raise InfrastructureFault(
                    "sandbox", f"bubblewrap could not run a command: {said or 'it died'}"
                )
            return result

    def _probe(self, environment: Mapping[str, str], hide: Sequence[Path]) -> dict[str, Any]:
        """Run a command as any other is run, and look at what it could see."""
        canary = self.scratch / "canary"
        canary.touch()
        workspace = self.make_workspace()
        try:
            files = [str(path / name) for path in hide for name in _IN_HIDDEN]
            command = ["python3", "-I", "-", str(canary), __file__, *files]
            result = self.run(command, workspace, stdin=PROBE)
            if result.exit_code != 0:
                said = result.stderr.decode(errors="replace").strip() or f"{result.stopped}"
                raise BadInput(f"no command runs in the sandbox: {said}")
            facts: dict[str, Any] = json.loads(result.stdout)
        except InfrastructureFault as error:
            raise BadInput(f"{error}{hint_for(str(error))}") from error
        finally:
            self.remove_workspace(workspace)
        found = flaw(facts, environment)
        if found:
            raise BadInput(f"the sandbox does not hold on this machine: {found}")
        return facts


class _Status:
    """The pipe on which bwrap says what became of the command, which cannot write to it."""

    def __enter__(self) -> _Status:
        self._reader, self.writer = os.pipe()
        return self

    def __exit__(self, *error: object) -> None:
        os.close(self._reader)
        if self.writer >= 0:
            os.close(self.writer)

    def command_ended(self) -> bool:
        """Whether the command was started and came to its own end."""
        os.close(self.writer)
        self.writer = -1
        with os.fdopen(os.dup(self._reader), "rb") as reader:
            return any(b'"exit-code"' in line for line in reader)


def _as_user(owner: int | None) -> list[str]:
    """The program that gives up root. Popen could, but not without copying our page tables, which
    costs more than all the rest where this process is large."""
    if owner is None:
        return []
    return ["setpriv", f"--reuid={owner}", f"--regid={owner}", "--clear-groups", "--"]


def _limited(limits: Limits) -> list[str]:
    """The first program inside. Only there do processes count apart from their user's others."""
    return [
        "prlimit",
        f"--nproc={limits.processes}:{limits.processes}",
        f"--as={limits.memory_bytes * _ADDRESS_SPACES}",
        # One byte more than may be: what is stopped here is seen to be too much.
        f"--fsize={limits.disk_bytes + 1}",
        f"--nofile={_DESCRIPTORS}",
        "--core=0",
        "--",
    ]


def _kill(process: Process) -> None:
    """Kill all that runs inside.

    bwrap dies with its parent, and its child with it, but not while it starts. So it is stopped,
    its child, which is process 1 in there, is killed, and then bwrap itself.
    """
    with suppress(psutil.Error, ProcessLookupError):
        os.kill(process.pid, signal.SIGSTOP)
        bwrap = psutil.Process(process.pid)
        patience = time.monotonic() + 1
        while bwrap.status() not in _AT_REST and time.monotonic() < patience:
            time.sleep(0.001)
        for child in bwrap.children():
            with suppress(psutil.Error):
                child.kill()
    os.kill(process.pid, signal.SIGKILL)


_AT_REST = (psutil.STATUS_STOPPED, psutil.STATUS_ZOMBIE)
