"""What a running command takes, where the kernel's own limits count each process by itself."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable, Iterator
from contextlib import closing, suppress
from pathlib import Path

import psutil

from harness.workspace import TooManyEntries, Walk, WorkspaceError

_BLOCK = 512
"""Bytes in a unit of ``st_blocks``, whatever the file system's own blocks are."""


def memory_above(limit: int, pid: int) -> bool:
    """Whether a process and its descendants hold more than ``limit`` bytes together.

    Resident sizes count what is shared once for each sharer; only where their sum is over the
    limit is the dearer proportional size asked for.
    """
    family = list(_family(pid))
    return sum(map(_resident, family)) > limit and sum(map(_proportional, family)) > limit


def disk_above(limit: int, files: int, workspace: Path, pid: int | None = None) -> bool:
    """Whether a workspace takes more than ``limit`` bytes or holds more than ``files`` entries.

    Sparse files count for what they take. With ``pid``, so does what the process and its
    descendants hold open, which may be deleted or out of sight.
    """
    taken: dict[int, int] = {}
    ours = workspace.stat()
    try:
        with closing(Walk(workspace, files)) as walk:
            for entry, _ in walk:
                with suppress(OSError):
                    status = os.stat(entry.name, dir_fd=walk.here, follow_symlinks=False)
                    _count(taken, [status], ours)
    except TooManyEntries:
        return True
    except WorkspaceError:
        pass  # closed, or moved about just now: judged by what was seen, until the next look
    for process in _family(pid) if pid is not None else ():
        _count(taken, _open_files(process.pid), ours)
    return sum(taken.values()) > limit


def _count(taken: dict[int, int], files: Iterable[os.stat_result], ours: os.stat_result) -> None:
    """Add the files that belong to whoever owns the workspace, each once."""
    for file in files:
        if (file.st_dev, file.st_uid) == (ours.st_dev, ours.st_uid):
            taken[file.st_ino] = file.st_blocks * _BLOCK


def _open_files(pid: int) -> Iterator[os.stat_result]:
    with suppress(OSError), os.scandir(f"/proc/{pid}/fd") as descriptors:
        for descriptor in descriptors:
            with suppress(OSError):
                status = descriptor.stat()
                if stat.S_ISREG(status.st_mode):
                    yield status


def _family(pid: int) -> Iterator[psutil.Process]:
    with suppress(psutil.Error):
        parent = psutil.Process(pid)
        yield parent
        yield from parent.children(recursive=True)


def _resident(process: psutil.Process) -> int:
    try:
        return int(process.memory_info().rss)
    except psutil.Error:
        return 0


def _proportional(process: psutil.Process) -> int:
    try:
        return int(process.memory_full_info().pss)
    except psutil.NoSuchProcess:
        return 0
    except (psutil.AccessDenied, AttributeError):
        return _resident(process)
