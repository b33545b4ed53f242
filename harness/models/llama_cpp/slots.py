"""The sequences of a context, and the batches that they are evaluated in."""

from __future__ import annotations

import ctypes
from dataclasses import dataclass
from typing import Any

from llama_cpp import llama_cpp as C  # noqa: N812 - the C interface

from harness.models.llama_cpp.job import Job
from harness.models.llama_cpp.kept import Tokens


class Slot:
    """A sequence of the context. What it holds has been evaluated, and only that."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.run = ""
        self.holds = Tokens([], [])
        self.job: Job | None = None
        self.pointer = (C.llama_seq_id * 1)(number)


@dataclass(frozen=True)
class Part:
    """A slot's tokens in a batch. ``last`` is where the last one is, and ``ends`` whether what
    comes after it is to be drawn."""

    slot: Slot
    tokens: list[int]
    ends: bool
    last: int


class Batch:
    """A llama_batch whose arrays are made once."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._tokens: Any = (C.llama_token * size)()
        self._positions: Any = (C.llama_pos * size)()
        self._counts = (ctypes.c_int32 * size)(*[1] * size)
        self._sequences: Any = (ctypes.POINTER(C.llama_seq_id) * size)()
        self._logits = (ctypes.c_int8 * size)()
        self.handle = C.llama_batch(
            n_tokens=0,
            token=self._tokens,
            embd=None,
            pos=self._positions,
            n_seq_id=self._counts,
            seq_id=self._sequences,
            logits=self._logits,
        )
        self.parts: list[Part] = []

    @property
    def room(self) -> int:
        """How many tokens more it can take."""
        return self._size - int(self.handle.n_tokens)

    def clear(self) -> None:
        """Take everything out of it."""
        self.parts = []
        self.handle.n_tokens = 0

    def add(self, slot: Slot, tokens: list[int], ends: bool) -> None:
        """Have ``tokens`` come after what the slot holds; with the last one's logits if it
        ``ends`` what is to be read."""
        start, count, position = self.handle.n_tokens, len(tokens), len(slot.holds.ids)
        end = start + count
        self._tokens[start:end] = tokens
        self._positions[start:end] = range(position, position + count)
        self._logits[start:end] = [0] * count
        self._logits[end - 1] = ends
        for index in range(start, end):
            self._sequences[index] = slot.pointer
        self.handle.n_tokens = end
        self.parts.append(Part(slot, tokens, ends, end - 1))
