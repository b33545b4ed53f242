"""Runs a command that must not outlive whoever started it. Imports nothing of ours, to be quick.

    python supervisor.py COMMAND ...

The command ends when stdin closes or the parent is gone, also where that was killed: first it is
asked to (SIGTERM), then its whole process group is killed. What it ended with, this process ends
with as well.
"""

from __future__ import annotations

import ctypes
import os
import resource
import select
import signal
import subprocess
import sys
from contextlib import suppress

GRACE_SECONDS = 5.0
"""To end after it was asked to."""

_LOOK_SECONDS = 0.2
_PR_SET_PDEATHSIG = 1


def main() -> None:
    """Start the command, watch it and the parent, and end as it ended."""
    parent = os.getppid()
    for deaf in (signal.SIGINT, signal.SIGTERM):  # what ends this is the end of stdin
        signal.signal(deaf, signal.SIG_IGN)
    server = subprocess.Popen(
        sys.argv[1:], stdin=subprocess.DEVNULL, process_group=0, preexec_fn=_in_the_child
    )
    while server.poll() is None and os.getppid() == parent:
        readable, _, _ = select.select([sys.stdin], [], [], _LOOK_SECONDS)
        if readable and not os.read(sys.stdin.fileno(), 1):
            break
    end(server)
    _end_as(server.returncode)


def end(server: subprocess.Popen[bytes]) -> None:
    """End the command and all it started."""
    if server.poll() is None:
        server.terminate()
        with suppress(subprocess.TimeoutExpired):
            server.wait(GRACE_SECONDS)
    with suppress(ProcessLookupError, PermissionError):  # nobody is left in the group
        os.killpg(server.pid, signal.SIGKILL)
    server.wait()


def _in_the_child() -> None:
    for heard in (signal.SIGINT, signal.SIGTERM):
        signal.signal(heard, signal.SIG_DFL)
    if sys.platform == "linux":  # where this process is killed itself
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def _end_as(returncode: int) -> None:
    if returncode < 0:
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        if -returncode != signal.SIGKILL:  # which nobody can be deaf to
            signal.signal(-returncode, signal.SIG_DFL)
        os.kill(os.getpid(), -returncode)
    sys.exit(returncode)


if __name__ == "__main__":
    main()
