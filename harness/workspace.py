"""A folder that hostile code may have written, read without being led out of it.

Every path is walked component by component from an open folder, never following a link; only
regular files with one hard link are opened, without blocking, and reads are bounded. A check of
``realpath`` before ``open`` would lose the race against a rename.
"""

from __future__ import annotations

from pathlib import Path


class WorkspaceError(Exception):
    """The file cannot be read; the text says why in words a model can act on."""


def read_file(root: Path, relative: str, offset: int = 0, length: int | None = None) -> bytes:
    """Bytes ``offset`` to ``offset + length`` of a regular file inside ``root``.

    ``relative`` is a path inside the workspace, with or without ``/workspace/`` before it. Raises
    WorkspaceError for what is missing, outside, a link, not a regular file, or over the bound.
    """
    raise NotImplementedError


def file_size(root: Path, relative: str) -> int:
    """Size of a regular file inside ``root``; raises WorkspaceError as ``read_file`` does."""
    raise NotImplementedError


def list_files(root: Path) -> list[str]:
    """Every entry inside ``root`` that is not a folder, as sorted relative POSIX paths.

    Links, FIFOs and the like are listed, not followed. Stops with a WorkspaceError at 20,000.
    """
    raise NotImplementedError


def copy_regular_files(root: Path, target: Path) -> None:
    """Copy the regular files of ``root`` into the empty folder ``target``; skip the rest."""
    raise NotImplementedError
