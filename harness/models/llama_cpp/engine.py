"""llama.cpp as a token engine: prompts in, replies out, for one run or several at once.

A slot is a sequence of the context: what it holds, and the reply it is working on. A step puts
what the slots want next into one batch, evaluates it, and draws a token where a slot's prompt or
last token has been read.

Exactness. With one slot and ``reuse = "exact"``, a step is one chunk of one segment of a prompt,
or one token, and only whole segments are kept from turn to turn and from run to run; what was
generated is dropped and evaluated again as part of its message. So the same prompt passes through
the same sequence of evaluations whatever was kept of it, and the logits are equal to the bit,
which an ordinary prefix cache (``"fast"``) does not give; nor does reading several runs at once.
"""

from __future__ import annotations

import codecs
import ctypes
import hashlib
import resource
import struct
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any

from llama_cpp import llama_cpp as C  # noqa: N812 - the C interface

from harness.dialects import Segment
from harness.models.llama_cpp.gpu import Gpus
from harness.models.llama_cpp.kept import Heads, Tokens, any_prefix, as_spelled, whole_segments
from harness.models.llama_cpp.protocol import Generate, Generated, Load
from harness.models.llama_cpp.sampling import Sampler
from harness.models.llama_cpp.vocabulary import Vocabulary
from harness.records import Compute, FinishReason

_SPLIT_MODES = {
    "none": C.LLAMA_SPLIT_MODE_NONE,
    "layer": C.LLAMA_SPLIT_MODE_LAYER,
    "row": C.LLAMA_SPLIT_MODE_ROW,
}


class LoadError(Exception):
    """The model cannot be loaded as asked; the text says why."""


@dataclass(frozen=True)
class Question:
    """A prompt to continue. ``opening`` is what the prompt already wrote of the reply, ``stops``
    are texts that end it, ``grammar`` is GBNF that it must fit."""

    asked: Generate
    segments: Sequence[Segment]
    opening: str
    stops: tuple[str, ...]
    grammar: str | None


class Engine:
    """One loaded model with one context."""

    def __init__(self, load: Load) -> None:
        C.llama_backend_init()
        self._load = load
        self._model = _load_model(load)
        self._context = _make_context(self._model, load)
        self._memory = C.llama_get_memory(self._context)
        self.vocabulary = Vocabulary(self._model)
        self.n_ctx: int = C.llama_n_ctx_seq(self._context)
        self._slots = [_Slot(number) for number in range(load.slots)]
        self._batch = _Batch(load.n_batch)
        self._shared = whole_segments if load.reuse == "exact" else any_prefix
        self._heads = Heads(load.cache_bytes)
        # A recurrent model keeps one state of all it has read, from which nothing can be dropped.
        self._drops = not (
            C.llama_model_is_recurrent(self._model) or C.llama_model_is_hybrid(self._model)
        )
        self._gpus = Gpus() if load.n_gpu_layers else None

    def facts(self) -> dict[str, Any]:
        """What the engine found in the file and uses; all that a repetition needs to match."""
        load = self._load
        return {
            "model": _string(lambda buffer, size: C.llama_model_desc(self._model, buffer, size)),
            "parameters": C.llama_model_n_params(self._model),
            "n_ctx": self.n_ctx,
            "n_ctx_train": C.llama_model_n_ctx_train(self._model),
            "n_batch": C.llama_n_batch(self._context),
            "n_ubatch": C.llama_n_ubatch(self._context),
            "n_threads": C.llama_n_threads(self._context),
            "batch": load.slots,
            "reuse": load.reuse,
            "flash_attention": load.flash_attention,
            "kv_type_k": load.kv_type_k,
            "kv_type_v": load.kv_type_v,
            "n_gpu_layers": load.n_gpu_layers,
            "split_mode": load.split_mode,
            "main_gpu": load.main_gpu,
            "tensor_split": list(load.tensor_split),
            "engine": f"llama-cpp-python {version('llama-cpp-python')}",
            "llama_cpp": C.llama_version().decode(errors="replace"),
            "system": C.llama_print_system_info().decode(errors="replace").strip(),
        }

    @property
    def busy(self) -> bool:
        """Whether there is a reply to work on."""
        return any(slot.job for slot in self._slots)

    def begin(self, question: Question) -> None:
        """Take up a question in its slot; the steps after this answer it.

        Raises ValueError where its grammar is none.
        """
        slot = self._slots[question.asked.slot]
        prompt = Tokens.of(self.vocabulary.prompt(question.segments))
        if self._load.reuse == "fast":
            prompt = as_spelled(slot.holds, prompt, self.vocabulary.characters)
        job = _Job(question, prompt, self._gpus)
        slot.job = job
        if len(job.prompt.ids) >= self.n_ctx:
            job.finish = "context"
            return
        asked = question.asked
        try:
            job.sampler = Sampler(
                self.vocabulary.handle, asked.sampling, asked.seed, question.grammar
            )
        except ValueError:
            slot.job = None
            raise
        job.read = job.cached = self._recall(slot, job)

    def cancel(self, identity: int) -> None:
        """Give up a reply; what was read for it is kept."""
        for slot in self._slots:
            if slot.job and slot.job.question.asked.id == identity:
                self._leave(slot)

    def step(self) -> Iterator[Generated]:
        """One evaluation for all slots that are at work; yields the replies that it ended."""
        self._evaluate()
        for slot in self._slots:
            if slot.job and slot.job.finish:
                job = self._leave(slot)
                yield job.generated()

    def _evaluate(self) -> None:
        batch = self._batch
        batch.clear()
        for slot in self._slots:
            if slot.job and slot.job.finish is None and slot.job.next is not None:
                batch.add(slot, [slot.job.next], ends=True)
        for slot in self._slots:
            if slot.job and slot.job.finish is None and slot.job.next is None and batch.room:
                batch.add(slot, *self._chunk(slot.job, batch.room))
        if not batch.parts:
            return
        status = C.llama_decode(self._context, batch.handle)
        if status != 0:
            raise RuntimeError(f"llama_decode returned {status}")
        for part in batch.parts:
            self._account(part)

    def _chunk(self, job: _Job, room: int) -> tuple[list[int], bool]:
        """What is evaluated next of a prompt, and whether that is its end. No chunk goes beyond
        the end of a segment; where only tokens count, beyond that of the last but one."""
        ends = job.prompt.ends if self._load.reuse == "exact" else job.prompt.ends[-2:]
        end = min(next(end for end in ends if end > job.read), job.read + room)
        return job.prompt.ids[job.read : end], end == len(job.prompt.ids)

    def _account(self, part: _Part) -> None:
        """Note what a slot's part of a batch has done, and draw a token if it is time."""
        slot, job = part.slot, part.slot.job
        assert job is not None
        slot.holds.ids.extend(part.tokens)
        job.evaluated += len(part.tokens)
        if job.next is None:
            job.read += len(part.tokens)
            if job.read in job.prompt.ends:
                slot.holds.ends.append(job.read)
            if job.head and job.read == job.head:
                self._save(slot)
        if part.ends:
            assert job.sampler is not None
            token = job.sampler.draw(self._context, part.last)
            job.advance(token, *self.vocabulary.piece(token), self.n_ctx)

    def _recall(self, slot: _Slot, job: _Job) -> int:
        """Bring back what is kept of a prompt, in the slot or as a head; returns how many tokens
        that is, and has the slot hold just those."""
        prompt = job.prompt
        kept = self._fits(slot.holds, prompt)
        saved, state = self._heads.best(lambda tokens: self._fits(tokens, prompt))
        head = prompt.ends[-2] if len(prompt.ends) > 1 else 0
        new = slot.run != job.question.asked.run
        slot.run = job.question.asked.run
        # What can drop its end is saved once a run, for others; what cannot, for the next turn.
        job.head = head if saved < head and (new or not self._drops) else 0
        if saved > kept:
            kept = saved if self._restore(slot, state) else 0
        # The whole sequence can always be dropped.
        dropped = C.llama_memory_seq_rm(self._memory, slot.number, kept, -1)
        assert dropped or kept == len(slot.holds.ids)
        slot.holds = prompt.first(kept)
        if job.head and kept >= job.head:
            self._save(slot)
        return kept

    def _fits(self, held: Tokens, prompt: Tokens) -> int:
        shared = self._shared(held, prompt)
        return shared if self._drops or shared == len(held.ids) else 0

    def _save(self, slot: _Slot) -> None:
        """Keep what a slot holds for the runs to come, if it is not too large."""
        size = C.llama_state_seq_get_size(self._context, slot.number)
        if self._heads.has_room(size):
            state = (ctypes.c_uint8 * size)()
            if C.llama_state_seq_get_data(self._context, state, size, slot.number) == size:
                tokens = slot.holds.first(len(slot.holds.ids))
                self._heads.save(tokens, state)

    def _restore(self, slot: _Slot, state: Any) -> bool:
        # Emptied first, so that it comes to lie where it would if it were evaluated.
        C.llama_memory_seq_rm(self._memory, slot.number, -1, -1)
        size = len(state)
        return bool(C.llama_state_seq_set_data(self._context, state, size, slot.number) == size)

    def _leave(self, slot: _Slot) -> _Job:
        job, slot.job = slot.job, None
        assert job is not None
        if job.sampler is not None:
            job.sampler.free()
        return job


class _Slot:
    """A sequence of the context. What it holds has been evaluated, and only that."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.run = ""
        self.holds = Tokens([], [])
        self.job: _Job | None = None
        self.pointer = (C.llama_seq_id * 1)(number)


class _Job:
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


@dataclass(frozen=True)
class _Part:
    """A slot's tokens in a batch. ``last`` is where the last one is, and ``ends`` whether what
    comes after it is to be drawn."""

    slot: _Slot
    tokens: list[int]
    ends: bool
    last: int


class _Batch:
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
        self.parts: list[_Part] = []

    @property
    def room(self) -> int:
        """How many tokens more it can take."""
        return self._size - int(self.handle.n_tokens)

    def clear(self) -> None:
        """Take everything out of it."""
        self.parts = []
        self.handle.n_tokens = 0

    def add(self, slot: _Slot, tokens: list[int], ends: bool) -> None:
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
        self.parts.append(_Part(slot, tokens, ends, end - 1))


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
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def _load_model(load: Load) -> Any:
    parameters = C.llama_model_default_params()
    parameters.n_gpu_layers = 0x7FFF_FFFF if load.n_gpu_layers < 0 else load.n_gpu_layers
    parameters.split_mode = _SPLIT_MODES[load.split_mode]
    parameters.main_gpu = load.main_gpu
    if load.tensor_split:
        if len(load.tensor_split) > C.llama_max_devices():
            raise LoadError(
                f"tensor_split names {len(load.tensor_split)} GPUs; this build of llama.cpp "
                f"can use {C.llama_max_devices()}"
            )
        shares = [*load.tensor_split, *[0.0] * C.llama_max_devices()][: C.llama_max_devices()]
        parameters.tensor_split = (ctypes.c_float * len(shares))(*shares)
    if load.n_gpu_layers and not C.llama_supports_gpu_offload():
        raise LoadError(
            "n_gpu_layers is set, but this build of llama.cpp knows no GPU; set n_gpu_layers = 0, "
            "or build llama-cpp-python for yours"
        )
    model = C.llama_model_load_from_file(load.path.encode(), parameters)
    if not model:
        raise LoadError("llama.cpp cannot load it")
    trained = C.llama_model_n_ctx_train(model)
    if load.n_ctx > trained:
        raise LoadError(f"n_ctx is {load.n_ctx}, but the model was trained for {trained}")
    return model


def _make_context(model: Any, load: Load) -> Any:
    parameters = C.llama_context_default_params()
    parameters.n_ctx = load.n_ctx * load.slots
    parameters.n_batch = load.n_batch
    parameters.n_ubatch = load.n_batch
    parameters.n_threads = load.n_threads
    parameters.n_threads_batch = load.n_threads
    parameters.n_seq_max = load.slots
    # Logits are asked for of each slot's last token alone. By default there is room for those of
    # a whole batch, which is half a gigabyte where the vocabulary has 262,144 tokens.
    parameters.n_outputs_max = load.slots
    parameters.kv_unified = False  # so that each slot has n_ctx of its own
    # A window that forgets could not go back to a segment's end.
    parameters.swa_full = True
    # With flash attention a segment's results depend on what was evaluated together with it.
    parameters.flash_attn_type = (
        C.LLAMA_FLASH_ATTN_TYPE_ENABLED
        if load.flash_attention
        else C.LLAMA_FLASH_ATTN_TYPE_DISABLED
    )
    parameters.type_k = _kv_type(load.kv_type_k)
    parameters.type_v = _kv_type(load.kv_type_v)
    context = C.llama_init_from_model(model, parameters)
    if not context:
        raise LoadError(
            f"no memory for a context of {load.n_ctx} tokens, or kv_type_k = {load.kv_type_k!r} "
            f"and kv_type_v = {load.kv_type_v!r} do not suit this model; lower n_ctx, or leave "
            "the types as they are"
        )
    return context


def _kv_type(name: str) -> int:
    kind: int = getattr(C, f"GGML_TYPE_{name.upper()}")
    return kind


def _string(fill: Callable[[Any, int], int]) -> str:
    buffer = ctypes.create_string_buffer(256)
    fill(buffer, len(buffer))
    return buffer.value.decode(errors="replace")
