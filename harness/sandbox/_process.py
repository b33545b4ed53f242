"""Run one process under limits: bounded time, output, memory and disk, and nothing left over."""

from __future__ import annotations

import fcntl
import os
import selectors
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Literal

from harness.errors import InfrastructureFault
from harness.sandbox import CommandResult, Limits
from harness.sandbox._watch import disk_above, memory_above

Stopped = Literal["time", "output", "memory", "disk", "cancelled"]
Process = subprocess.Popen[bytes]

_MEMORY_EVERY = 0.1
_DISK_EVERY = 0.25
_LAST_WORDS = 0.5
"""Seconds that output may still come after the end, where a survivor holds the pipe open."""
_CHUNK = 65_536


@dataclass(frozen=True)
class Launch:
    """What is started, and what it is given."""

    argv: Sequence[str]
    env: Mapping[str, str]
    cwd: Path
    pass_fds: Sequence[int] = ()


class Runner:
    """Runs commands from any thread, until it is closed; then it ends them all."""

    def __init__(self, kill: Callable[[Process], None]) -> None:
        self._kill = kill
        self._closing = threading.Event()
        self._idle = threading.Condition()
        self._running = 0

    def run(self, launch: Launch, stdin: bytes, limits: Limits, workspace: Path) -> CommandResult:
        """Run to the end or to a limit. Raises InfrastructureFault where it could not be started.

        The calling thread must stay for as long: what dies with its parent dies with the thread.
        """
        began = time.monotonic()
        with (
            self._counted(),
            memory_file(stdin) as input_file,
            self._started(launch, input_file) as process,
            closing(_Output(process, limits.output_bytes)) as output,
        ):
            stopped = self._drive(output, _Watch(process.pid, workspace, limits))
            if stopped:
                self._kill(process)
            # After a natural end as well: what the command started may still be there.
            _kill_group(process)
            output.drain(_LAST_WORDS)
            exit_code = process.wait()
        if stopped != "cancelled":  # else close() may have removed it already
            _reopen(workspace)
        if stopped is None and output.full:
            stopped = "output"
        if stopped is None and disk_above(limits.disk_bytes, limits.files, workspace):
            stopped = "disk"
        return CommandResult(
            exit_code=None if stopped else exit_code,
            stdout=bytes(output.stdout),
            stderr=bytes(output.stderr),
            seconds=time.monotonic() - began,
            stopped=stopped,
        )

    def close(self) -> None:
        """End whatever runs, and wait until it has."""
        self._closing.set()
        with self._idle:
            self._idle.wait_for(lambda: self._running == 0, timeout=30)

    def _drive(self, output: _Output, watch: _Watch) -> Stopped | None:
        while not output.exited:
            if self._closing.is_set():
                return "cancelled"
            if output.full:
                return "output"
            if breach := watch.breach():
                return breach
            output.step(watch.pause())
        return None

    @contextmanager
    def _counted(self) -> Iterator[None]:
        with self._idle:
            self._running += 1
        try:
            yield
        finally:
            with self._idle:
                self._running -= 1
                self._idle.notify_all()

    @contextmanager
    def _started(self, launch: Launch, stdin: int) -> Iterator[Process]:
        try:
            process = subprocess.Popen(
                [word.encode(errors="surrogateescape") for word in launch.argv],
                stdin=stdin,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                cwd=launch.cwd,
                env=launch.env,
                pass_fds=launch.pass_fds,
                start_new_session=True,
            )
        except OSError as error:
            raise InfrastructureFault(
                "sandbox", f"cannot start {launch.argv[0]}: {error.strerror}"
            ) from error
        try:
            yield process
        finally:
            if process.returncode is None:
                self._kill(process)
                _kill_group(process)
                process.wait()


class _Watch:
    """Looks now and then whether a command takes more than it may."""

    def __init__(self, pid: int, workspace: Path, limits: Limits) -> None:
        now = time.monotonic()
        self._pid, self._workspace, self._limits = pid, workspace, limits
        self._end = now + limits.seconds
        self._memory_at = now + _MEMORY_EVERY
        self._disk_at = now + _DISK_EVERY

    def breach(self) -> Stopped | None:
        """The limit that is broken now, if one is."""
        now, limits = time.monotonic(), self._limits
        if now >= self._end:
            return "time"
        if now >= self._memory_at:
            if memory_above(limits.memory_bytes, self._pid):
                return "memory"
            self._memory_at = time.monotonic() + _MEMORY_EVERY
        if now >= self._disk_at:
            if disk_above(limits.disk_bytes, limits.files, self._workspace, self._pid):
                return "disk"
            self._disk_at = time.monotonic() + _DISK_EVERY
        return None

    def pause(self) -> float:
        """Seconds until the next look."""
        return max(0.0, min(self._end, self._memory_at, self._disk_at) - time.monotonic())


class _Output:
    """What a process prints, and its end, without ever waiting for one of them alone."""

    def __init__(self, process: Process, limit: int) -> None:
        self.stdout, self.stderr = bytearray(), bytearray()
        self.full = False
        self.exited = False
        self._limit = limit
        self._process = process
        self._selector = selectors.DefaultSelector()
        self._end = os.pidfd_open(process.pid)
        self._selector.register(self._end, selectors.EVENT_READ, self._note_exit)
        for pipe, kept in ((process.stdout, self.stdout), (process.stderr, self.stderr)):
            assert pipe
            self._selector.register(pipe, selectors.EVENT_READ, partial(self._read, kept))

    def close(self) -> None:
        """Let go of the output."""
        self._selector.close()
        os.close(self._end)
        for pipe in (self._process.stdout, self._process.stderr):
            if pipe:
                pipe.close()

    def step(self, timeout: float) -> None:
        """Take what there is; wait at most ``timeout`` seconds for something."""
        for key, _ in self._selector.select(timeout):
            key.data(key)

    def drain(self, seconds: float) -> None:
        """Take what is left in the output of a process that has ended."""
        until = time.monotonic() + seconds
        self._selector.unregister(self._end)
        while self._selector.get_map() and (left := until - time.monotonic()) > 0:
            self.step(left)

    def _note_exit(self, key: selectors.SelectorKey) -> None:
        self.exited = True

    def _read(self, kept: bytearray, key: selectors.SelectorKey) -> None:
        piece = os.read(key.fd, _CHUNK)
        room = self._limit - len(kept)
        kept.extend(piece[:room])
        self.full = self.full or len(piece) > room
        if not piece:
            self._selector.unregister(key.fileobj)


@contextmanager
def memory_file(content: bytes) -> Iterator[int]:
    """A descriptor to read ``content`` from. Sealed, or it would be memory that no limit sees."""
    file = os.memfd_create("content", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    try:
        with os.fdopen(os.dup(file), "wb") as writer:
            writer.write(content)
        seals = fcntl.F_SEAL_WRITE | fcntl.F_SEAL_GROW | fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_SEAL
        fcntl.fcntl(file, fcntl.F_ADD_SEALS, seals)
        os.lseek(file, 0, os.SEEK_SET)
        yield file
    finally:
        os.close(file)


def _reopen(workspace: Path) -> None:
    """A command may close the workspace behind itself, to us and to the next command."""
    try:
        workspace.chmod(0o700)
    except OSError as error:
        raise InfrastructureFault("sandbox", f"the workspace is gone: {error}") from error


def _kill_group(process: Process) -> None:
    """Kill the process group. Call it before the process is waited for: until then its number
    cannot be anybody else's."""
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
