"""Whether a model fits into memory with its contexts, before it is loaded, and what would.

llama.cpp itself says what it would allocate (measure.py, in a process of its own). What is left
is arithmetic: the file is mapped, so that all workers share its pages, and each worker has its
own process, caches and buffers; on a GPU each worker has its own weights as well.
"""

from __future__ import annotations

import asyncio
import os
import sys
from asyncio.subprocess import PIPE
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import psutil
from pydantic import TypeAdapter, ValidationError

from harness.errors import BadInput
from harness.models.llama_cpp.complaints import meaning
from harness.models.llama_cpp.source import Source
from harness.records import Record

HOST = "CPU"
"""The host's memory, as llama.cpp's log names it."""

LONGEST_SECONDS = 120
"""Seconds after which a header is none; the largest take two."""

_LEAST_CONTEXT = 512
"""Tokens; a smaller context is not worth proposing."""

_SMALL_BATCH = 128


class Placement(Record):
    """Where the weights go; the fields are those of ``Settings``."""

    n_gpu_layers: int = 0
    split_mode: Literal["none", "layer", "row"] = "layer"
    main_gpu: int = 0
    tensor_split: tuple[float, ...] = ()


class Shape(Record):
    """All that the size of a context depends on. ``n_ctx`` is of each of ``slots`` runs;
    ``outputs`` is for how many tokens of a batch logits are wanted, by default one a slot;
    ``flash_attention`` None leaves it to llama.cpp; ``swa_full`` keeps what has left a sliding
    window."""

    n_ctx: int
    slots: int = 1
    n_batch: int = 512
    n_ubatch: int = 512
    outputs: int | None = None
    flash_attention: bool | None = False
    kv_type_k: str = "f16"
    kv_type_v: str = "f16"
    swa_full: bool = True


class Question(Record):
    """What one model would take in several shapes."""

    path: str
    size_bytes: int
    placement: Placement
    shapes: tuple[Shape, ...]


class Context(Record):
    """Bytes of a context, by where they lie: ``caches`` of what was read, and ``buffers`` to
    compute with and to give results."""

    caches: dict[str, int]
    buffers: dict[str, int]


class Measured(Record):
    """What llama.cpp says. ``process_bytes`` is what a process that draws tokens takes beside
    weights and contexts; ``free`` is of each GPU. A context is None where it cannot be made so."""

    type: Literal["measured"] = "measured"
    n_ctx_train: int
    process_bytes: int
    weights: dict[str, int]
    contexts: tuple[Context | None, ...]
    free: dict[str, int]


class Unreadable(Record):
    """llama.cpp does not load the file, for these reasons of its own."""

    type: Literal["unreadable"] = "unreadable"
    reasons: tuple[str, ...]


_ANSWER: TypeAdapter[Measured | Unreadable] = TypeAdapter(Measured | Unreadable)


@dataclass(frozen=True)
class Need:
    """Bytes. ``shared`` is needed once, ``each`` by every worker; ``on_gpus`` is what a worker
    needs of each GPU. ``weights``, ``caches`` and ``buffers`` are of one worker, wherever they
    lie."""

    shared: int
    each: int
    on_gpus: Mapping[str, int]
    weights: int
    caches: int
    buffers: int

    def host(self, workers: int) -> int:
        return self.shared + workers * self.each

    def facts(self, workers: int) -> dict[str, int]:
        """For the evidence: of all workers together, but for the parts."""
        return {
            "workers": workers,
            "host_bytes": self.host(workers),
            "gpu_bytes": workers * sum(self.on_gpus.values()),
            "weights_bytes": self.weights,
            "caches_bytes": self.caches,
            "buffers_bytes": self.buffers,
        }


@dataclass(frozen=True)
class Free:
    """Bytes that may be taken: of the host's memory, and of each GPU's."""

    host: int
    gpus: Mapping[str, int]

    def holds(self, need: Need, workers: int) -> bool:
        return need.host(workers) <= self.host and all(
            workers * size <= self.gpus.get(gpu, 0) for gpu, size in need.on_gpus.items()
        )


@dataclass(frozen=True)
class Estimate:
    """What was asked for, what it needs, and how many workers of it are to run."""

    need: Need
    workers: int

    def facts(self) -> dict[str, int]:
        return self.need.facts(self.workers)


async def estimate(
    source: Source,
    shape: Shape,
    placement: Placement,
    *,
    workers: int | None,
    at_most: int,
    where: str,
    free_host: int | None = None,
) -> Estimate:
    """What ``workers`` workers need, or as many as fit, up to ``at_most``.

    ``free_host`` is bytes, by default what this machine has free. Raises BadInput, a sentence
    that ``where`` opens: where not even one fits, or not as many as were asked for, with the
    settings that would; where the model was not trained for such a context; and where llama.cpp
    cannot read the file at all.
    """
    # At once where the file says so; llama.cpp takes its time to lay out a context.
    _refuse_untrained(shape.n_ctx, source.header.trained_context, where)
    tries = list(_smaller(shape))
    shapes = (shape, *(smaller for smaller, _ in tries))
    measured = await _measure(source, shapes, placement, where)
    _refuse_untrained(shape.n_ctx, measured.n_ctx_train, where)
    asked, *others = (
        None if context is None else _need(measured, context) for context in measured.contexts
    )
    if asked is None:
        raise BadInput(
            f"{where}: llama.cpp makes no context with n_ctx = {shape.n_ctx}, kv_type_k = "
            f"{shape.kv_type_k!r} and kv_type_v = {shape.kv_type_v!r} for this model; leave the "
            "types as they are"
        )
    free = Free(free_memory() if free_host is None else free_host, measured.free)
    fitting = [count for count in range(1, (workers or at_most) + 1) if free.holds(asked, count)]
    if fitting and (workers is None or fitting[-1] == workers):
        return Estimate(asked, fitting[-1])
    count = workers or 1
    would = [f"workers = {fitting[-1]}"] if fitting else []
    would += [
        words
        for (_, words), need in zip(tries, others, strict=True)
        if need is not None and free.holds(need, count)
    ]
    raise BadInput(f"{where}: {_too_large(shape, asked, count, free)}; {_advice(would, placement)}")


def _refuse_untrained(n_ctx: int, trained: int | None, where: str) -> None:
    if trained is not None and n_ctx > trained:
        raise BadInput(
            f"{where}: n_ctx is {n_ctx}, but the model was trained for {trained}; lower n_ctx"
        )


def free_memory() -> int:
    """Bytes that a new process may take of this machine's memory, or of what its control groups
    leave it where that is less."""
    return min([psutil.virtual_memory().available, *_left_by_control_groups()])


def _smaller(shape: Shape) -> Iterator[tuple[Shape, str]]:
    """Shapes that take less, and the settings that make them; of contexts, the largest first."""
    n_ctx = shape.n_ctx // 2
    while n_ctx >= _LEAST_CONTEXT:
        yield shape.model_copy(update={"n_ctx": n_ctx}), f"n_ctx = {n_ctx}"
        n_ctx //= 2
    if shape.kv_type_v == "f16":
        update = {"kv_type_k": "q8_0", "kv_type_v": "q8_0", "flash_attention": True}
        words = 'kv_type_k = kv_type_v = "q8_0"'
        words += "" if shape.flash_attention else " with flash_attention = true"
        yield shape.model_copy(update=update), words
    if shape.n_batch == shape.n_ubatch > _SMALL_BATCH:  # else it is not ours to set
        update = {"n_batch": _SMALL_BATCH, "n_ubatch": _SMALL_BATCH}
        yield shape.model_copy(update=update), f"n_batch = {_SMALL_BATCH}"


def _need(measured: Measured, context: Context) -> Need:
    shared, each, on_gpus = 0, measured.process_bytes, dict.fromkeys(measured.free, 0)
    for name, size in measured.weights.items():
        if (gpu := _gpu(name, on_gpus)) is not None:
            on_gpus[gpu] += size
        else:
            shared += size  # mapped from the file
            if name != HOST and not name.endswith("_Host"):
                each += size  # and copied into a layout that suits the processor
    for sizes in (context.caches, context.buffers):
        for name, size in sizes.items():
            if (gpu := _gpu(name, on_gpus)) is not None:
                on_gpus[gpu] += size
            else:
                each += size
    return Need(
        shared=shared,
        each=each,
        on_gpus={gpu: size for gpu, size in on_gpus.items() if size},
        weights=sum(measured.weights.values()),
        caches=sum(context.caches.values()),
        buffers=sum(context.buffers.values()),
    )


def _gpu(buffer: str, gpus: Mapping[str, int]) -> str | None:
    """The GPU that a buffer lies on, by its name: ``CUDA0``, or ``CUDA0_Split``."""
    return next((gpu for gpu in gpus if buffer == gpu or buffer.startswith(f"{gpu}_")), None)


async def _measure(
    source: Source, shapes: Sequence[Shape], placement: Placement, where: str
) -> Measured:
    question = Question(
        path=str(source.path),
        size_bytes=source.size_bytes,
        placement=placement,
        shapes=tuple(shapes),
    )
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "harness.models.llama_cpp.measure"),
        stdin=PIPE,
        stdout=PIPE,
        stderr=PIPE,
        env={**os.environ, "GGML_NO_BACKTRACE": "1"},  # it would look for a debugger
    )
    try:
        stdout, stderr = await process.communicate(question.model_dump_json().encode())
    except BaseException:
        with suppress(ProcessLookupError):
            process.kill()
        await process.wait()
        raise
    try:
        answer = _ANSWER.validate_json(stdout)
    except ValidationError:
        words = " ".join(stderr.decode(errors="replace").split())[-300:]
        raise BadInput(
            f"{where}: {source.path}: llama.cpp ended while it read the file ({words or 'no word'}"
            "); it is damaged, or made for another version"
        ) from None
    if isinstance(answer, Unreadable):
        raise BadInput(f"{where}: {source.path}: {_why(answer)}")
    return answer


def _why(answer: Unreadable) -> str:
    if known := meaning(answer.reasons, "llama-cpp-python"):
        return known
    said = f" ({answer.reasons[0]})" if answer.reasons else ""
    return f"llama.cpp cannot load it{said}; it is no model, or made for another version"


def _too_large(shape: Shape, need: Need, workers: int, free: Free) -> str:
    asked = f"n_ctx = {shape.n_ctx}" + (f" with workers = {workers}" if workers > 1 else "")
    if need.host(workers) > free.host:
        parts = f"{_gb(need.shared)} for the file, and for each worker {_gb(need.each)}, of it "
        parts += f"caches {_gb(need.caches)} and buffers {_gb(need.buffers)}"
        return (
            f"{asked} needs {_gb(need.host(workers))} of memory ({parts}), and "
            f"{_gb(free.host)} are free"
        )
    short = [
        f"{_gb(workers * size)} on {gpu}, where {_gb(free.gpus[gpu])} are free"
        for gpu, size in need.on_gpus.items()
        if workers * size > free.gpus[gpu]
    ]
    return f"{asked} needs {', and '.join(short)}"


def _advice(would: list[str], placement: Placement) -> str:
    fewer = " or fewer n_gpu_layers" if placement.n_gpu_layers else ""
    if not would:
        return f"free some, or take a smaller file{fewer}"
    # Of contexts the largest is enough.
    contexts = [words for words in would if words.startswith("n_ctx")]
    shown = [words for words in would if words not in contexts[1:]]
    return f"{', or '.join(shown)} would fit"


def _gb(size: int) -> str:
    return f"{size / 1e9:.{1 if size >= 1e10 else 2}f} GB"


def _left_by_control_groups() -> Iterator[int]:
    """Bytes that this process's control groups, and those around them, leave free (cgroups(7)).
    What a group holds in files that can be dropped counts as free."""
    try:
        lines = Path("/proc/self/cgroup").read_text(encoding="utf-8").splitlines()
    except OSError:  # no Linux
        return
    for line in lines:
        _, controllers, path = line.split(":", 2)
        if controllers == "":
            top, limit, used, idle = (
                "/sys/fs/cgroup",
                "memory.max",
                "memory.current",
                "inactive_file",
            )
        elif controllers == "memory":
            top, limit = "/sys/fs/cgroup/memory", "memory.limit_in_bytes"
            used, idle = "memory.usage_in_bytes", "total_inactive_file"
        else:
            continue
        group = Path(top) / path.lstrip("/")
        for folder in (group, *group.parents):
            if not folder.is_relative_to(top):
                break
            with suppress(OSError, ValueError):  # no limit here: 'max', or no such file
                most = int((folder / limit).read_text(encoding="ascii"))
                held = int((folder / used).read_text(encoding="ascii"))
                stat = dict(
                    entry.split() for entry in (folder / "memory.stat").read_text().splitlines()
                )
                yield max(0, most - held + int(stat.get(idle, 0)))
