"""What every kind of sandbox has: a folder of its own, and in it workspaces to hand out."""

from __future__ import annotations

import fcntl
import os
import stat
import subprocess
import sys
import tempfile
from collections.abc import Callable
from contextlib import closing, suppress
from pathlib import Path

from harness.errors import InfrastructureFault
from harness.sandbox._process import Process, Runner
from harness.workspace import Walk

_PREFIX = "fairtrial-"
_LOCK = "lock"
_LONG_AGO = (1_767_225_600, 1_767_225_600)
"""The date of every file in a fresh workspace, 2026-01-01: dates tell nothing about a task."""


class Base:
    """The half of a sandbox that all kinds share: workspaces, and an end to whatever runs.

    ``owner`` is the uid and gid that commands run as, where that is not our own.
    """

    def __init__(self, kill: Callable[[Process], None], owner: int | None = None) -> None:
        self._runner = Runner(kill)
        self._owner = owner
        self._folder: Path | None = None
        self._lock = -1

    @property
    def scratch(self) -> Path:
        """The folder of this sandbox's own files. Raises InfrastructureFault before ``open``."""
        if self._folder is None:
            raise InfrastructureFault("sandbox", "the sandbox is not open")
        return self._folder

    def make_scratch(self) -> None:
        """Make the folder, and remove those of processes that were killed before they could."""
        place = _place(self._owner)
        _sweep(place)
        self._folder = Path(tempfile.mkdtemp(prefix=_PREFIX, dir=place))
        # The owner must come through to its workspaces, and may not look around.
        self._folder.chmod(0o700 if self._owner is None else 0o711)
        self._lock = _lock(self._folder)

    def make_workspace(self) -> Path:
        """A new empty folder that commands may write."""
        workspace = Path(tempfile.mkdtemp(prefix="w-", dir=self.scratch))
        if self._owner is not None:
            os.chown(workspace, self._owner, self._owner)
        return workspace

    def adopt(self, workspace: Path) -> None:
        """Give a workspace's files to their owner, writable and all of one date."""
        with closing(Walk(workspace, limit=sys.maxsize)) as walk:
            for entry, _ in walk:
                _hand_over(entry, walk.here, self._owner)
        os.utime(workspace, _LONG_AGO)

    def remove_workspace(self, workspace: Path) -> None:
        """Delete a workspace, whatever is in it."""
        remove(workspace)

    def close(self) -> None:
        """End what still runs and remove every workspace left. May be called twice."""
        self._runner.close()
        if self._folder is not None:
            remove(self._folder)
            os.close(self._lock)
            self._folder = None


def _hand_over(entry: os.DirEntry[str], folder: int, owner: int | None) -> None:
    # Not entry.stat(): the walk may have left the descriptor that it would look in.
    mode = os.stat(entry.name, dir_fd=folder, follow_symlinks=False).st_mode
    if owner is not None:
        os.chown(entry.name, owner, owner, dir_fd=folder, follow_symlinks=False)
    if not stat.S_ISLNK(mode):
        writable = 0o700 if stat.S_ISDIR(mode) else 0o600
        os.chmod(entry.name, stat.S_IMODE(mode) | writable, dir_fd=folder)
    os.utime(entry.name, _LONG_AGO, dir_fd=folder, follow_symlinks=False)


def remove(folder: Path) -> None:
    """Delete a folder, however deep, closed or full of links; what cannot be deleted stays.

    Not by ``shutil.rmtree``, which recurses and needs an open folder for each level.
    """
    if not _quiet("/bin/rm", "-rf", "--", str(folder)):
        _quiet("/bin/chmod", "-R", "u+rwx", "--", str(folder))
        _quiet("/bin/rm", "-rf", "--", str(folder))


def _quiet(*command: str) -> bool:
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


def _place(owner: int | None) -> Path:
    """Where temporary files go, and where ``owner`` can come through to them."""
    preferred = Path(tempfile.gettempdir()).resolve()
    if owner is None:
        return preferred
    places = (preferred, Path("/tmp"), Path("/var/tmp"))
    return next((place for place in places if reachable(place)), preferred)


def reachable(path: Path) -> bool:
    """Whether any user can come through to ``path``, and into it if it is a folder."""
    return all(
        step.exists() and step.stat().st_mode & stat.S_IXOTH for step in (path, *path.parents)
    )


def _lock(folder: Path) -> int:
    """Mark a folder as in use for as long as this process lives."""
    unlocked = folder / "unlocked"
    file = os.open(unlocked, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
    fcntl.flock(file, fcntl.LOCK_EX)
    unlocked.rename(folder / _LOCK)
    return file


def _sweep(place: Path) -> None:
    """Remove the folders of processes that were killed before they could: their locks are free."""
    for folder in place.glob(f"{_PREFIX}*"):
        # Anybody may have put something of that name there.
        with suppress(OSError):
            if folder.lstat().st_uid != os.geteuid() or folder.is_symlink():
                continue
            file = os.open(folder / _LOCK, os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC)
            with os.fdopen(file):
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                remove(folder)
