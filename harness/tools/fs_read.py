"""Read bytes of a file in the workspace."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from harness.tools import Bench, ToolError
from harness.workspace import WorkspaceError, file_size, read_file

LONGEST = 32 * 1024
"""Bytes of one answer."""


def fs_read(
    bench: Bench,
    path: Annotated[str, Field(description="the file, relative to the workspace")],
    offset: Annotated[int | None, Field(ge=0, description="first byte to read; default 0")] = None,
    length: Annotated[int | None, Field(ge=1, description="how many bytes; default all")] = None,
) -> str:
    """Read a text file of the workspace, or a range of its bytes. The text is UTF-8."""
    start = offset or 0
    try:
        size = file_size(bench.workspace, path)
        data = read_file(bench.workspace, path, start, min(length or LONGEST, LONGEST))
    except WorkspaceError as error:
        raise ToolError(str(error)) from None
    if start > size:
        raise ToolError(f"{path} has {size} bytes; offset {start} is past its end")
    if len(data) == min(length or size, size - start):
        return _decoded(data, start, path)
    data = _whole_characters(data)
    end = start + len(data)
    note = f"\n[bytes {start} to {end} of {size}; read on with offset {end}]"
    return _decoded(data, start, path) + note


def _whole_characters(data: bytes) -> bytes:
    """``data`` without the beginning of a character at its end: the cut was ours."""
    for back in range(1, min(4, len(data)) + 1):
        lead = data[-back]
        if lead & 0xC0 != 0x80:
            return data[:-back] if _length(lead) > back else data
    return data


def _decoded(data: bytes, start: int, path: str) -> str:
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise ToolError(_split(data, start, path, error)) from None


def _split(data: bytes, start: int, path: str, error: UnicodeDecodeError) -> str:
    """What is wrong with the range, and from where it can be read."""
    at, lead = error.start, data[error.start]
    if at == 0 and lead & 0xC0 == 0x80:
        following = next((n for n, byte in enumerate(data[:4]) if byte & 0xC0 != 0x80), None)
        hint = f"; the next character begins at byte {start + following}" if following else ""
        return f"byte {start} of {path} is in the middle of a UTF-8 character{hint}"
    length = _length(lead)
    if error.end == len(data) and length > len(data) - at:
        begin = start + at
        return (
            f"the range ends in the middle of a UTF-8 character of {path}: the character begins "
            f"at byte {begin} and has {length} bytes, so end at byte {begin} or {begin + length}"
        )
    return f"byte {start + at} of {path} is not UTF-8 (0x{lead:02x})"


def _length(lead: int) -> int:
    """Bytes of the UTF-8 character that a byte begins; 1 where it begins none."""
    for length, first in ((4, 0xF0), (3, 0xE0), (2, 0xC0)):
        if lead >= first:
            return length
    return 1
