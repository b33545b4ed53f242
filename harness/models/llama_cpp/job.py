"""A reply in the making: from the prompt's tokens to the last one drawn."""

from __future__ import annotations

import codecs
import hashlib
import resource
import struct
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from harness.dialects import Segment
from harness.models.llama_cpp.gpu import Gpus
from harness.models.llama_cpp.kept import Tokens
from harness.models.llama_cpp.protocol import Generate, Generated
from harness.models.llama_cpp.sampling import Sampler
from harness.records import Compute, FinishReason


@dataclass(frozen=True)
class Question:
    """A prompt to continue. ``opening`` is what the prompt already wrote of the reply. ``ends``
    are tokens that end it beside those that the file marks so, and ``stops`` texts that do;
    ``grammar`` is GBNF that it must fit."""

    asked: Generate
    segments: Sequence[Segment]
    opening: str
    ends: frozenset[int]
    stops: tuple[str, ...]
    grammar: str | None


class Job:
    """A reply in the making. ``next`` is the token that was drawn and not yet evaluated; before
    the first, the prompt is still being read."""

    def __init__(self, question: Question, prompt: Tokens, gpus: Gpus | None) -> None:
        self.question = question
        self.prompt = prompt
        self.sampler: Sampler | None = None
        self.read = self.cached = self.evaluated = self.head = 0
        self.next: int | None = None
        self.finish: FinishReason | None = None
        self._reply = _Reply(question.stops)
        self._tokens: list[int] = []
        self._began = time.monotonic()
        self._first: float | None = None
        self._gpus = gpus
        self._joules = gpus.joules() if gpus else None

    def advance(self, token: int, piece: bytes, ends: bool, n_ctx: int) -> None:
        """Take a token that was drawn, and see whether the reply ends with it."""
        self._first = self._first or time.monotonic() - self._began
        self._tokens.append(token)
        self.next = token
        if ends:
            self.finish = "stop"
            return
        self._reply.add(piece)
        if self._reply.stopped:
            self.finish = "stop"
        elif len(self._tokens) >= self.question.asked.max_tokens:
            self.finish = "length"
        elif len(self.prompt.ids) + len(self._tokens) >= n_ctx:
            self.finish = "context"

    def generated(self) -> Generated:
        """The reply as it stands."""
        assert self.finish is not None
        seconds = time.monotonic() - self._began
        return Generated(
            id=self.question.asked.id,
            text=self._reply.text,
            opening=self.question.opening,
            finish_reason=self.finish,
            input=len(self.prompt.ids),
            cached=self.cached,
            output=len(self._tokens),
            first_token_seconds=self._first,
            seconds=seconds,
            compute=self._compute(seconds),
        )

    def _compute(self, seconds: float) -> Compute:
        before, after = self._joules, self._gpus.joules() if self._gpus else None
        grammar = self.question.grammar
        return Compute(
            evaluated=self.evaluated,
            prompt_sha256=_digest(self.prompt.ids),
            reply_sha256=_digest(self._tokens),
            grammar_sha256=hashlib.sha256(grammar.encode()).hexdigest() if grammar else None,
            peak_memory_bytes=_peak_memory_bytes(),
            vram_bytes=self._gpus.memory_bytes() if self._gpus else None,
            watts=None if before is None or after is None else (after - before) / seconds,
        )


class _Reply:
    """A reply's text as it grows, cut at the first of its stops."""

    def __init__(self, stops: Sequence[str]) -> None:
        self.text = ""
        self.stopped = False
        self._stops = stops
        self._reach = max(map(len, stops), default=0)
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")

    def add(self, piece: bytes) -> None:
        added = self._decoder.decode(piece)
        seen = max(0, len(self.text) - self._reach)
        self.text += added
        ends = [at for stop in self._stops if (at := self.text.find(stop, seen)) >= 0]
        if ends:
            self.text = self.text[: min(ends)]
            self.stopped = True


def _digest(tokens: Sequence[int]) -> str:
    return hashlib.sha256(struct.pack(f"<{len(tokens)}i", *tokens)).hexdigest()


def _peak_memory_bytes() -> int:
    """The most that this process has held. On Linux not ``ru_maxrss``, which begins with what the
    parent held when it forked."""
    if sys.platform == "linux":
        status = Path("/proc/self/status").read_text(encoding="utf-8")
        return int(status.partition("VmHWM:")[2].split(maxsplit=1)[0]) * 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
