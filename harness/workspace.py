"""A folder that hostile code may have written, read without being led out of it.

Every path is walked component by component from an open folder, never following a link; only
regular files with one hard link are opened, without blocking, and reads are bounded. A check of
``realpath`` before ``open`` would lose the race against a rename.
"""

from __future__ import annotations

import errno
import os
import shutil
import stat
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from harness.errors import InfrastructureFault
from harness.sandbox import WORKSPACE

READ_LIMIT = 16 << 20
"""Bytes that one read may return."""

LIST_LIMIT = 20_000
"""Entries, folders among them, that a folder may hold and still be listed."""

COPY_LIMIT = 512 << 20
"""Bytes that one copy of a workspace may write; what comes after is skipped."""

CACHES = "__pycache__"
"""Folders that running a program leaves behind: they count as no change, and are not copied."""

_LONGEST_PATH = 4096
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
# A FIFO without a writer would block for ever, and a terminal could become ours.
_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC


class WorkspaceError(Exception):
    """The file cannot be read; the text says why in words a model can act on."""


class TooManyEntries(WorkspaceError):
    """The folder holds more than the caller is ready to look at."""


def read_file(root: Path, relative: str, offset: int = 0, length: int | None = None) -> bytes:
    """Bytes ``offset`` to ``offset + length`` of a regular file inside ``root``.

    ``relative`` is a path inside the workspace, with or without ``/workspace/`` before it; bytes
    past the file's end are not there to be read, which is no error. Raises WorkspaceError for
    what is missing, outside, a link, not a regular file, or over ``READ_LIMIT``.
    """
    with _opened(root, relative) as file:
        wanted = max(0, os.fstat(file).st_size - offset)
        if length is not None:
            wanted = min(wanted, length)
        if wanted > READ_LIMIT:
            raise WorkspaceError(
                f"{relative}: {wanted} bytes are too many for one read (at most {READ_LIMIT})"
            )
        return _read(file, offset, wanted)


def file_size(root: Path, relative: str) -> int:
    """Size of a regular file inside ``root``; raises WorkspaceError as ``read_file`` does."""
    with _opened(root, relative) as file:
        return os.fstat(file).st_size


def list_files(root: Path) -> list[str]:
    """Every entry inside ``root`` that is not a folder, as sorted relative POSIX paths.

    Links, FIFOs and the like are listed, not followed; so is a folder that cannot be read, as
    anything could be in it. Raises WorkspaceError at ``LIST_LIMIT`` entries, and where a path
    is longer than the system allows.
    """
    found = []
    with closing(Walk(root)) as walk:
        for entry, walked_through in walk:
            if walked_through:
                continue
            path = "/".join((*walk.trail, entry.name))
            if len(path) > _LONGEST_PATH:
                raise WorkspaceError(f"folders are nested too deep to be listed: {path[:80]}...")
            found.append(path)
    return sorted(found)


def copy_regular_files(root: Path, target: Path) -> None:
    """Copy the regular files of ``root`` into the empty folder ``target``; skip the rest.

    Skipped as well are Python's caches, where code that nobody looks at could hide, and what lies
    past any of the bounds above: no honest work comes near them.
    """
    left = COPY_LIMIT
    with closing(Walk(root)) as walk:
        try:
            for entry, _ in walk:
                if CACHES not in walk.trail:
                    left -= _copy(walk, entry, target, left)
        except WorkspaceError:
            return


class Walk:
    """Iterates over every entry below ``root``, with whether it was a folder and walked through.

    A folder comes after what is in it, and does not count as walked through where it cannot be
    opened. At any depth one folder is open: ``here``, which holds the entry; ``trail`` names it.
    Raises TooManyEntries past ``limit``, and WorkspaceError where folders are moved about
    meanwhile. Close it after use.
    """

    def __init__(self, root: Path, limit: int = LIST_LIMIT) -> None:
        self.here = _open_root(root)
        self.trail: list[str] = []
        self._parents: list[tuple[int, int]] = []
        self._left = limit

    def close(self) -> None:
        """Let go of the open folder."""
        os.close(self.here)

    def __iter__(self) -> Iterator[tuple[os.DirEntry[str], bool]]:
        folders: list[os.DirEntry[str]] = []
        yield from self._look(folders)
        ahead = [folders]
        while True:
            folders = ahead[-1]
            if folders and self._enter(folders[-1].name):
                inner: list[os.DirEntry[str]] = []
                yield from self._look(inner)
                ahead.append(inner)
            elif folders:
                yield folders.pop(), False
            elif self.trail:
                self._leave()
                ahead.pop()
                yield ahead[-1].pop(), True
            else:
                return

    def _look(self, folders: list[os.DirEntry[str]]) -> Iterator[tuple[os.DirEntry[str], bool]]:
        """The entries here that are no folders; those are put into ``folders``."""
        for entry in self._entries():
            if entry.is_dir(follow_symlinks=False):
                folders.append(entry)
            else:
                yield entry, False

    def _entries(self) -> Iterator[os.DirEntry[str]]:
        with os.scandir(self.here) as entries:
            for entry in entries:
                self._left -= 1
                if self._left < 0:
                    raise TooManyEntries("the workspace holds too many files and folders")
                yield entry

    def _enter(self, name: str) -> bool:
        try:
            folder = os.open(name, _FOLDER, dir_fd=self.here)
        except OSError:
            return False
        self._parents.append(_identity(self.here))
        self._move(folder)
        self.trail.append(name)
        return True

    def _leave(self) -> None:
        """Go up, and make sure that up is where this folder was entered from."""
        try:
            self._move(os.open("..", _FOLDER, dir_fd=self.here))
        except OSError as error:
            raise WorkspaceError(f"a folder cannot be left again: {error.strerror}") from None
        self.trail.pop()
        if _identity(self.here) != self._parents.pop():
            raise WorkspaceError("folders were moved while they were being listed")

    def _move(self, folder: int) -> None:
        os.close(self.here)
        self.here = folder


def _copy(walk: Walk, entry: os.DirEntry[str], target: Path, left: int) -> int:
    """Copy one entry if it is a regular file of at most ``left`` bytes; return its size."""
    copy = "/".join((str(target), *walk.trail, entry.name))
    if len(os.fsencode(copy)) >= _LONGEST_PATH:
        return 0
    try:
        source = _open_regular(entry.name, walk.here)
    except (OSError, WorkspaceError):
        return 0
    with os.fdopen(source, "rb") as reader:
        status = os.fstat(source)
        if status.st_size > min(left, READ_LIMIT):
            return 0
        Path(copy).parent.mkdir(parents=True, exist_ok=True)
        with Path(copy).open("xb") as writer:
            shutil.copyfileobj(reader, writer)
            os.fchmod(writer.fileno(), 0o644 | (status.st_mode & 0o111))
    return status.st_size


@contextmanager
def _opened(root: Path, relative: str) -> Iterator[int]:
    """The regular file at ``relative``, open for reading. Errors name it as it was asked for."""
    folder, name = _open_root(root), ""
    try:
        *folders, last = _components(relative)
        for name in folders:
            inner = os.open(name, _FOLDER, dir_fd=folder)
            os.close(folder)
            folder = inner
        name = last
        file = _open_regular(name, folder)
    except OSError as error:
        raise WorkspaceError(f"{relative}: {_reason(error, folder, name)}") from None
    except WorkspaceError as error:
        raise WorkspaceError(f"{relative}: {error}") from None
    finally:
        os.close(folder)
    try:
        yield file
    finally:
        os.close(file)


def _open_root(root: Path) -> int:
    try:
        return os.open(root, _FOLDER)
    except PermissionError:
        raise WorkspaceError("the workspace's own permissions do not let it be read") from None
    except OSError as error:
        raise InfrastructureFault("sandbox", f"the workspace is gone: {error}") from None


def _open_regular(name: str, folder: int) -> int:
    file = os.open(name, _FILE, dir_fd=folder)
    status = os.fstat(file)
    if stat.S_ISREG(status.st_mode) and status.st_nlink == 1:
        return file
    os.close(file)
    if stat.S_ISREG(status.st_mode):
        raise WorkspaceError("it has more than one hard link, which is not allowed here")
    raise WorkspaceError("it is a folder" if stat.S_ISDIR(status.st_mode) else "not a regular file")


def _components(relative: str) -> list[str]:
    """The names on the way to a file; WorkspaceError for a path that leads out or to none."""
    if "\0" in relative:
        raise WorkspaceError("a path cannot contain a NUL byte")
    try:
        os.fsencode(relative)
    except UnicodeEncodeError:
        raise WorkspaceError("a path cannot contain half a character") from None
    names = [name for name in relative.split("/") if name not in ("", ".")]
    if ".." in names:
        raise WorkspaceError("'..' is not allowed: give the path from the workspace's top")
    if relative.startswith("/"):
        if names[:1] != [WORKSPACE.strip("/")]:
            raise WorkspaceError(f"outside the workspace: only files below {WORKSPACE} are there")
        names = names[1:]
    if not names:
        raise WorkspaceError("it is a folder")
    return names


def _reason(error: OSError, folder: int, name: str) -> str:
    """What ``error`` means for whoever asked for ``name`` in the open ``folder``."""
    if error.errno == errno.ENXIO:
        return "not a regular file"
    if error.errno in (errno.ELOOP, errno.ENOTDIR):
        try:
            mode = os.stat(name, dir_fd=folder, follow_symlinks=False).st_mode
        except OSError as gone:
            return (gone.strerror or "gone").lower()
        if stat.S_ISLNK(mode):
            return f"{name!r} is a symbolic link, and links are not followed; use its target"
        return f"{name!r} is not a folder"
    return (error.strerror or "cannot be read").lower()


def _read(file: int, offset: int, wanted: int) -> bytes:
    pieces = []
    while wanted > 0 and (piece := os.pread(file, wanted, offset)):
        pieces.append(piece)
        offset += len(piece)
        wanted -= len(piece)
    return b"".join(pieces)


def _identity(folder: int) -> tuple[int, int]:
    status = os.fstat(folder)
    return status.st_dev, status.st_ino
