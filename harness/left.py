"""What a run left in its workspace: taken down after its last turn, and put back for a re-grading.

The workspace is hostile, as ``harness.workspace`` has it. Whatever is in there, taking it down
neither raises nor blocks nor grows past ``ROOM``; what is not taken down is said to be missing,
so that nobody grades from half a state.
"""

from __future__ import annotations

import base64
import os
import stat
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, suppress
from pathlib import Path
from typing import NamedTuple

from harness.errors import BadInput, InfrastructureFault
from harness.records import Change, Entry, Left
from harness.variant import Variant
from harness.workspace import CACHES, READ_LIMIT, Walk, WorkspaceError, read_file

ROOM = 256 << 10
"""Bytes that the changes of one run may take in its transcript."""

_LONGEST_PATH = 4096
_ANYBODY_RUNS = 0o111
_KINDS = {
    stat.S_IFREG: "file with several hard links",
    stat.S_IFDIR: "folder that is closed",
    stat.S_IFIFO: "FIFO",
    stat.S_IFSOCK: "socket",
}


def take_down(workspace: Path, variant: Variant) -> Left:
    """How ``workspace`` differs from the one that ``variant`` began with."""
    try:
        found = dict(_walk(workspace))
        changed = [
            path for path, what in found.items() if not _same(workspace, path, what, variant)
        ]
    except (WorkspaceError, InfrastructureFault, OSError) as error:
        return Left(changes=(), left_out=f"all of it: {error}")
    removed = [path for path in variant.files.keys() - found.keys() if not _is_cache(path)]
    paths = sorted(changed + removed)
    room = _Room()
    changes = []
    for path in paths:
        change = _change(workspace, path, found.get(path), variant.files.get(path), room)
        if change is None:
            break
        changes.append(change)
    # What is gone can be had from the task as well, so it comes after all that is new.
    changes = [_with_before(c, variant.files.get(_path_of(c)), room) for c in changes]
    return Left(changes=tuple(changes), left_out=_missing(changes, len(paths)))


def put_back(left: Left, workspace: Path) -> None:
    """Make the changes to ``workspace``, which holds the pristine files and nothing else.

    What no checker can read becomes a FIFO: a thing that stands there, and that every reader of
    ``harness.workspace`` lists, refuses and never copies. Raises BadInput for changes that are
    not all there, and for a path that leads elsewhere.
    """
    if left.left_out is not None:
        raise BadInput(f"not all that the run left was written down; missing: {left.left_out}")
    try:
        after = {_path_of(change): change.after for change in left.changes}
        for change in left.changes:
            _refuse_to_stray(_path_of(change), after)
            if change.before is not None:
                _remove(workspace, _path_of(change))
        for path, entry in after.items():
            if entry is not None:
                _make(workspace / path, entry)
    except (OSError, ValueError) as error:
        raise BadInput(f"what the run left cannot be put back: {error}") from error


class _Found(NamedTuple):
    """What stands at a path: its status, and the target of a link."""

    status: os.stat_result
    target: str | None

    @property
    def is_file(self) -> bool:
        """Whether it is a file as ``read_file`` reads it."""
        one = stat.S_ISREG(self.status.st_mode) and self.status.st_nlink == 1
        return one and self.status.st_size <= READ_LIMIT

    @property
    def executable(self) -> bool:
        return bool(self.status.st_mode & _ANYBODY_RUNS)


class _Room:
    """What is left of ``ROOM``."""

    def __init__(self) -> None:
        self.left = ROOM

    def take(self, change: Change, instead_of: Change | None = None) -> bool:
        """Set room aside for a change, if there is enough."""
        cost = _size(change) - (0 if instead_of is None else _size(instead_of))
        if cost > self.left:
            return False
        self.left -= cost
        return True


def _walk(workspace: Path) -> Iterator[tuple[str, _Found]]:
    """Every entry that a checker's list of files would show."""
    with closing(Walk(workspace)) as walk:
        for entry, walked_through in walk:
            if walked_through or CACHES in (*walk.trail, entry.name):
                continue
            path = "/".join((*walk.trail, entry.name))
            if len(path) > _LONGEST_PATH:
                raise WorkspaceError("folders are nested too deep to be listed")
            with suppress(OSError):  # gone meanwhile, where no sandbox ends what a command began
                status = os.stat(entry.name, dir_fd=walk.here, follow_symlinks=False)
                link = stat.S_ISLNK(status.st_mode)
                yield (
                    path,
                    _Found(status, os.readlink(entry.name, dir_fd=walk.here) if link else None),
                )


def _same(workspace: Path, path: str, what: _Found, variant: Variant) -> bool:
    pristine = variant.files.get(path)
    if pristine is None or not what.is_file or what.status.st_size != len(pristine):
        return False
    if what.executable != _runs(pristine):
        return False
    try:
        return read_file(workspace, path) == pristine
    except WorkspaceError:
        return False


def _change(
    workspace: Path, path: str, what: _Found | None, pristine: bytes | None, room: _Room
) -> Change | None:
    """The change at a path, with as much of what is there now as there is room for."""
    try:
        path.encode()
        raw = None
    except UnicodeEncodeError:
        raw = base64.b64encode(os.fsencode(path)).decode()
    before = None if pristine is None else _omitted(len(pristine), executable=_runs(pristine))
    outline = Change(path=path, path_base64=raw, before=before, after=_outline(what))
    if what is not None and what.is_file and what.status.st_size <= room.left:
        whole = outline.model_copy(update={"after": _content(workspace, path, what)})
        if room.take(whole):
            return whole
    return outline if room.take(outline) else None


def _with_before(change: Change, pristine: bytes | None, room: _Room) -> Change:
    """``change`` with what stood there when the run began, where there is room for it."""
    if pristine is None or len(pristine) > room.left:
        return change
    whole = change.model_copy(update={"before": _file(pristine, executable=_runs(pristine))})
    return whole if room.take(whole, instead_of=change) else change


def _outline(what: _Found | None) -> Entry | None:
    """What stands there, without a file's content."""
    if what is None:
        return None
    if what.target is not None:
        return Entry(kind="link", content=what.target)
    if what.is_file:
        return _omitted(what.status.st_size, executable=what.executable)
    if what.status.st_size > READ_LIMIT:
        return Entry(kind="other", content=f"file of {what.status.st_size} bytes")
    return Entry(kind="other", content=_KINDS.get(stat.S_IFMT(what.status.st_mode), "device"))


def _content(workspace: Path, path: str, what: _Found) -> Entry:
    try:
        content = read_file(workspace, path, length=what.status.st_size)
    except WorkspaceError as error:
        return Entry(kind="other", content=f"file that cannot be read: {error}")
    return _file(content, executable=what.executable)


def _file(content: bytes, *, executable: bool) -> Entry:
    try:
        return Entry(kind="text", content=content.decode(), executable=executable)
    except UnicodeDecodeError:
        encoded = base64.b64encode(content).decode()
        return Entry(kind="base64", content=encoded, executable=executable)


def _omitted(size: int, *, executable: bool) -> Entry:
    return Entry(kind="omitted", content=f"{size} bytes", executable=executable)


def _missing(changes: Sequence[Change], all_of_them: int) -> str | None:
    """In words, what is missing of the state after the run."""
    files = sum(c.after is not None and c.after.kind == "omitted" for c in changes)
    missing = [f"the content of {files} files"] if files else []
    if len(changes) < all_of_them:
        missing.append(f"{all_of_them - len(changes)} more changes")
    return " and ".join(missing) or None


def _path_of(change: Change) -> str:
    if change.path_base64 is None:
        return change.path
    return os.fsdecode(base64.b64decode(change.path_base64, validate=True))


def _is_cache(path: str) -> bool:
    return CACHES in path.split("/")


def _runs(pristine: bytes) -> bool:
    """Whether ``Variant.fill`` lets a file of this content be run."""
    return pristine.startswith(b"#!")


def _size(change: Change) -> int:
    return len(change.model_dump_json().encode()) + len(",")


def _refuse_to_stray(path: str, after: Mapping[str, Entry | None]) -> None:
    """Raise ValueError for a path that leads out of the workspace, or through one that was made:
    a transcript may come from anywhere."""
    names = path.split("/")
    above = ("/".join(names[:end]) for end in range(1, len(names)))
    through = after[path] is not None and any(after.get(parent) for parent in above)
    if through or not {"", ".", ".."}.isdisjoint(names):
        raise ValueError(f"{path!r} is no path of a workspace's file")


def _remove(workspace: Path, path: str) -> None:
    """Remove a pristine file, and the folders that it leaves empty."""
    target = workspace / path
    target.unlink(missing_ok=True)
    for folder in target.relative_to(workspace).parents[:-1]:
        try:
            (workspace / folder).rmdir()
        except OSError:
            return


def _make(target: Path, entry: Entry) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    match entry.kind:
        case "text" | "base64":
            text = entry.kind == "text"
            target.write_bytes(
                entry.content.encode() if text else base64.b64decode(entry.content, validate=True)
            )
            target.chmod(0o755 if entry.executable else 0o644)
        case "link":
            target.symlink_to(entry.content)
        case "other" | "omitted":
            os.mkfifo(target)
