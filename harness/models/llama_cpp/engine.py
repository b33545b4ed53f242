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

import ctypes
from collections.abc import Callable, Iterator
from importlib.metadata import version
from typing import Any

from llama_cpp import llama_cpp as C  # noqa: N812 - the C interface

from harness.models.llama_cpp.gpu import Gpus
from harness.models.llama_cpp.job import Job, Question
from harness.models.llama_cpp.kept import Heads, Tokens, any_prefix, as_spelled, whole_segments
from harness.models.llama_cpp.loading import load_model, make_context
from harness.models.llama_cpp.protocol import Generated, Load
from harness.models.llama_cpp.sampling import Sampler
from harness.models.llama_cpp.slots import Batch, Part, Slot
from harness.models.llama_cpp.vocabulary import Vocabulary


class Engine:
    """One loaded model with one context. Raises BadInput where it cannot be loaded as asked."""

    def __init__(self, load: Load) -> None:
        C.llama_backend_init()
        self._load = load
        self._model = load_model(load)
        self._context = make_context(self._model, load)
        self._memory = C.llama_get_memory(self._context)
        self.vocabulary = Vocabulary(self._model)
        # llama.cpp rounds up what was asked for, and keeps its batches to what was asked for.
        self.n_ctx: int = min(load.n_ctx, C.llama_n_ctx_seq(self._context))
        self._slots = [Slot(number) for number in range(load.slots)]
        self._batch = Batch(C.llama_n_batch(self._context))
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
        job = Job(question, prompt, self._gpus)
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

    def _chunk(self, job: Job, room: int) -> tuple[list[int], bool]:
        """What is evaluated next of a prompt, and whether that is its end. No chunk goes beyond
        the end of a segment; where only tokens count, beyond that of the last but one."""
        ends = job.prompt.ends if self._load.reuse == "exact" else job.prompt.ends[-2:]
        end = min(next(end for end in ends if end > job.read), job.read + room)
        return job.prompt.ids[job.read : end], end == len(job.prompt.ids)

    def _account(self, part: Part) -> None:
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
            piece, marked = self.vocabulary.piece(token)
            job.advance(token, piece, marked or token in job.question.ends, self.n_ctx)

    def _recall(self, slot: Slot, job: Job) -> int:
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

    def _save(self, slot: Slot) -> None:
        """Keep what a slot holds for the runs to come, if it is not too large."""
        size = C.llama_state_seq_get_size(self._context, slot.number)
        if self._heads.has_room(size):
            state = (ctypes.c_uint8 * size)()
            if C.llama_state_seq_get_data(self._context, state, size, slot.number) == size:
                tokens = slot.holds.first(len(slot.holds.ids))
                self._heads.save(tokens, state)

    def _restore(self, slot: Slot, state: Any) -> bool:
        # Emptied first, so that it comes to lie where it would if it were evaluated.
        C.llama_memory_seq_rm(self._memory, slot.number, -1, -1)
        size = len(state)
        return bool(C.llama_state_seq_set_data(self._context, state, size, slot.number) == size)

    def _leave(self, slot: Slot) -> Job:
        job, slot.job = slot.job, None
        assert job is not None
        if job.sampler is not None:
            job.sampler.free()
        return job


def _string(fill: Callable[[Any, int], int]) -> str:
    buffer = ctypes.create_string_buffer(256)
    fill(buffer, len(buffer))
    return buffer.value.decode(errors="replace")
