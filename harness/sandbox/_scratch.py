"""The folder that holds a sandbox's workspaces: made, handed over, removed whatever is in it."""

from __future__ import annotations

import fcntl
import os
import stat
import subprocess
import tempfile
from contextlib import closing, suppress
from pathlib import Path

from harness.workspace import Walk

_PREFIX = "fairtrial-"
_LOCK = "lock"
_LONG_AGO = 1_767_225_600
"""The date of every file in a fresh workspace, 2026-01-01: dates tell nothing about a task."""


class Scratch:
    """One folder for as long as a sandbox is open. ``owner`` is the uid and gid that commands
    run as, where that is not our own."""

    def __init__(self, owner: int | None = None) -> None:
        self._owner = owner
        place = _place(owner)
        _sweep(place)
        self.folder = Path(tempfile.mkdtemp(prefix=_PREFIX, dir=place))
        # The owner must come through to its workspaces, and may not look around.
        self.folder.chmod(0o700 if owner is None else 0o711)
        self._lock = _lock(self.folder)

    def make(self) -> Path:
        """A new empty workspace."""
        workspace = Path(tempfile.mkdtemp(prefix="w-", dir=self.folder))
        if self._owner is not None:
            os.chown(workspace, self._owner, self._owner)
        return workspace

    def adopt(self, workspace: Path) -> None:
        """Give a workspace's files to their owner, writable and all of one date."""
        with closing(Walk(workspace)) as walk:
            for entry, _ in walk:
                self._adopt(entry, walk.here)
        if self._owner is not None:
            os.chown(workspace, self._owner, self._owner)
        os.utime(workspace, (_LONG_AGO, _LONG_AGO))

    def _adopt(self, entry: os.DirEntry[str], folder: int) -> None:
        mode = entry.stat(follow_symlinks=False).st_mode
        if self._owner is not None:
            os.chown(entry.name, self._owner, self._owner, dir_fd=folder, follow_symlinks=False)
        if not stat.S_ISLNK(mode):
            ours = 0o700 if stat.S_ISDIR(mode) else 0o600
            os.chmod(entry.name, stat.S_IMODE(mode) | ours, dir_fd=folder)
        date = (_LONG_AGO, _LONG_AGO)
        os.utime(entry.name, date, dir_fd=folder, follow_symlinks=False)

    def close(self) -> None:
        """Remove every workspace left. May be called twice."""
        remove(self.folder)
        with suppress(OSError):
            os.close(self._lock)


def remove(folder: Path) -> None:
    """Delete a folder, however deep, closed or full of links; what cannot be deleted stays.

    Not by ``shutil.rmtree``, which recurses and needs an open folder for each level.
    """
    if not _quiet("rm", "-rf", "--", str(folder)):
        _quiet("chmod", "-R", "u+rwx", "--", str(folder))
        _quiet("rm", "-rf", "--", str(folder))


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
