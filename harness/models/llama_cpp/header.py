"""What stands at the beginning of a GGUF file: read in Python, so that a file that is no model, or
not all of one, is refused at once and alike, whichever engine is to load it.

The format is told in docs/gguf.md of ggml: magic, version, how many tensors and values; then the
values, each a key, a type and what it is; then of each tensor its name, shape, type and the offset
of its numbers, which follow behind padding. What else can be wrong is llama.cpp's to judge, in a
process that may die of it.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

from harness.errors import BadInput
from harness.models.llama_cpp.complaints import DAMAGED

MAGIC = b"GGUF"
VERSIONS = (2, 3)
"""Of the format that llama.cpp reads."""

_LONGEST = 64 << 20
"""Bytes of a header; the largest vocabularies take 20 MB."""

_MOST_VALUES, _MOST_TENSORS, _MOST_ITEMS = 10_000, 100_000, 4_000_000
"""Of a header, and of a list in it; the largest models have a tenth of that."""

_STRING, _ARRAY = 8, 9
_SCALARS = {
    kind: struct.Struct(f"<{form}")
    for kind, form in [*enumerate("BbHhIif?"), (10, "Q"), (11, "q"), (12, "d")]
}
"""How a value of any other type is read, by the type's number."""
_ALIGNMENT = 32
"""Bytes, where general.alignment says nothing else."""

Value = int | float | str


@dataclass(frozen=True)
class Header:
    """The values of a file by their keys, without arrays."""

    values: Mapping[str, Value] = field(default_factory=dict)

    @property
    def has_template(self) -> bool:
        """Whether the file has a chat template of its own."""
        template = self.values.get("tokenizer.chat_template")
        return isinstance(template, str) and bool(template.strip())

    @property
    def trained_context(self) -> int | None:
        """Tokens of context that the model was trained for, where the file says so."""
        length = self.values.get(f"{self.values.get('general.architecture')}.context_length")
        return length if type(length) is int else None  # and not a bool


def read_header(file: Path, where: str) -> Header:
    """The header of a GGUF file, or of a part of one.

    Raises BadInput, a sentence that ``where`` opens, for another format or version, and where
    the file ends before its header does, or before the numbers of a tensor begin.
    """
    try:
        with file.open("rb") as opened:
            _refuse_other_formats(opened.read(8), f"{where}: {file}")
            size = os.fstat(opened.fileno()).st_size
            return _Reader(opened, min(size, _LONGEST)).header(size)
    except OSError as error:
        raise BadInput(f"{where}: {file}: {error.strerror}; mend its path") from None
    except (ValueError, KeyError):
        raise BadInput(f"{where}: {file}: {DAMAGED}") from None


def _refuse_other_formats(head: bytes, what: str) -> None:
    if head[:4] != MAGIC:
        raise BadInput(f"{what}: no GGUF file (it does not begin with 'GGUF')")
    if len(head) < 8:
        raise BadInput(f"{what}: {DAMAGED}")
    version = int.from_bytes(head[4:], "little")
    if version not in VERSIONS:
        advice = "it was made for machines of another byte order" if version & 0xFFFF == 0 else ""
        raise BadInput(
            f"{what}: GGUF version {version} cannot be read, only "
            f"{' and '.join(map(str, VERSIONS))}; {advice or 'convert the model anew'}"
        )


class _Reader:
    """Goes through a header once. Raises ValueError or KeyError where it leads nowhere."""

    def __init__(self, file: IO[bytes], end: int) -> None:
        self._file = file
        self._at = file.tell()
        self._end = end

    def header(self, size: int) -> Header:
        """All of it; ``size`` is the whole file's, in bytes."""
        tensors, count = self._count(_MOST_TENSORS), self._count(_MOST_VALUES)
        values: dict[str, Value | None] = {}
        for _ in range(count):
            key = self._text()
            if key in values:
                raise ValueError(f"{key} twice")
            values[key] = self._value(self._int(4))
        offsets = [self._offset() for _ in range(tensors)]
        alignment = values.get("general.alignment", _ALIGNMENT)
        if not isinstance(alignment, int) or alignment < 1:
            raise ValueError("no alignment")
        begin = -(-self._at // alignment) * alignment
        if offsets and begin + max(offsets) >= size:
            raise ValueError("a tensor begins behind the end")
        return Header({key: value for key, value in values.items() if value is not None})

    def _value(self, kind: int) -> Value | None:
        """A value of this type; None for an array, which is skipped."""
        if kind == _STRING:
            return self._text()
        if kind != _ARRAY:
            value: Value
            (value,) = _SCALARS[kind].unpack(self._take(_SCALARS[kind].size))
            return value
        of, count = self._int(4), self._count(_MOST_ITEMS)
        if of == _STRING:
            for _ in range(count):
                self._take(self._int(8))
        else:
            self._take(count * _SCALARS[of].size)
        return None

    def _offset(self) -> int:
        """The offset of a tensor's numbers, from where those of the first begin."""
        self._text()
        dimensions = self._int(4)
        self._take(8 * dimensions + 4)  # they, and the type
        return self._int(8)

    def _text(self) -> str:
        return self._take(self._int(8)).decode("utf-8", "replace")

    def _count(self, most: int) -> int:
        count = self._int(8)
        if count > most:
            raise ValueError(f"{count} are more than any model has")
        return count

    def _int(self, size: int) -> int:
        return int.from_bytes(self._take(size), "little")

    def _take(self, size: int) -> bytes:
        self._at += size
        taken = self._file.read(size) if self._at <= self._end else b""
        if len(taken) < size:
            raise ValueError("cut short")
        return taken
