"""The tool that reads a file, counted in bytes."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from harness.tools import Bench, ToolError
from harness.workspace import WorkspaceError, file_size, read_file

MOST = 32 * 1024
"""Bytes that one call shows."""

_LONGEST_CHARACTER = 4


def fs_read(
    bench: Bench,
    path: Annotated[str, Field(description="file inside the workspace, such as notes/a.txt")],
    offset: Annotated[int | None, Field(description="first byte to read, from 0", ge=0)] = None,
    length: Annotated[int | None, Field(description="how many bytes to read", ge=1)] = None,
) -> str:
    """Read a text file (UTF-8) of the workspace. offset and length count bytes, not characters."""
    start = offset or 0
    try:
        size = file_size(bench.workspace, path)
        if start and start >= size:
            raise ToolError(f"{path} has {size} bytes, so there is none at offset {start}")
        end = min(size, start + min(length or MOST, MOST))
        # With what is around the range, a character that it splits can be told.
        before = min(start, _LONGEST_CHARACTER - 1)
        around = end - start + before + _LONGEST_CHARACTER - 1
        window = read_file(bench.workspace, path, start - before, around)
    except WorkspaceError as error:
        raise ToolError(str(error)) from None
    _refuse_split(path, window, start - before, start, "begins")
    asked_for_end = length is not None and length <= MOST
    if asked_for_end:
        _refuse_split(path, window, start - before, end, "ends")
    else:
        end = _boundary(window, start - before, end)
    text = _decode(path, window[before : end - start + before], start)
    if asked_for_end or end == size:
        return text
    return f"{text}\n[bytes {start} to {end} of {size}; read on with offset {end}]"


def _refuse_split(path: str, window: bytes, first: int, at: int, verb: str) -> None:
    """Raise ToolError where byte ``at`` of the file lies inside a character.

    ``window`` is the part of the file from byte ``first``.
    """
    begin, size = _character_across(window, at - first)
    if size:
        raise ToolError(
            f"the range {verb} inside a character, at byte {at} of {path}: that character begins "
            f"at byte {first + begin} and is {size} bytes long, so it ends before byte "
            f"{first + begin + size}"
        )


def _boundary(window: bytes, first: int, at: int) -> int:
    """``at``, or the beginning of the character it would split."""
    begin, size = _character_across(window, at - first)
    return first + begin if size else at


def _character_across(window: bytes, at: int) -> tuple[int, int]:
    """Beginning and size of the character that has bytes on both sides of ``at``; else 0, 0."""
    for begin in range(at - 1, max(-1, at - _LONGEST_CHARACTER), -1):
        for size in range(at - begin + 1, _LONGEST_CHARACTER + 1):
            try:
                character = window[begin : begin + size].decode()
            except UnicodeDecodeError:
                continue
            if len(character) == 1 and begin + size <= len(window):
                return begin, size
    return 0, 0


def _decode(path: str, part: bytes, start: int) -> str:
    try:
        return part.decode()
    except UnicodeDecodeError as error:
        at = start + error.start
        raise ToolError(
            f"{path} is not UTF-8 text: byte {at} (0x{part[error.start]:02x}) fits no character"
        ) from None
