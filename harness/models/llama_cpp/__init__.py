"""A local GGUF file, through llama-cpp-python as the token engine, in worker processes.

    source.py      where the file comes from (hub.py: Hugging Face; digest.py: its SHA-256)
    header.py      what the file says of itself, and whether it is all there
    memory.py      whether it fits, before it is loaded (measure.py: what llama.cpp says of it)
    complaints.py  what llama.cpp's errors mean
    pool.py        the workers, and which run sits where
    process.py     a worker seen from here: started, asked, killed
    protocol.py    what this side and a worker say to each other
    worker.py      the worker: reads requests, holds the engine
    rendering.py   a conversation to a prompt
    loading.py     the model and its context
    engine.py      tokens: evaluate and draw, for one run or several at once
    slots.py       the sequences that it evaluates, in batches
    job.py         a reply in the making
    kept.py        what of a prompt need not be evaluated again
    vocabulary.py  text to tokens and back
    sampling.py    how a token is drawn
    gpu.py         what NVML says

This side parses replies with the dialect; the engine knows neither tools nor roles. llama_cpp
itself is imported by the worker alone.
"""

from __future__ import annotations

import importlib.util
import os
import sys
from datetime import date
from pathlib import Path
from typing import Annotated, Any, Literal, Self

import psutil
from pydantic import Field, field_validator, model_validator

from harness import dialects
from harness.dialects import Dialect
from harness.errors import BadInput, InfrastructureFault
from harness.models import ModelSettings, Request
from harness.models._telling import Say, silent, told
from harness.models.llama_cpp.memory import Estimate, Placement, Shape, estimate, free_memory
from harness.models.llama_cpp.pool import Pool
from harness.models.llama_cpp.protocol import Failed, Generate, Generated, Load
from harness.models.llama_cpp.source import find, home_expanded
from harness.records import Completion, Usage

__all__ = ["UNQUANTISED", "KvType", "Model", "Settings", "read_template"]

KvType = Literal["f32", "f16", "bf16", "q8_0", "q5_1", "q5_0", "q4_1", "q4_0", "iq4_nl"]
_INT32 = 0x7FFF_FFFF
"""The greatest number that llama.cpp takes."""
_LONGEST_TEMPLATE = 4 << 20
"""Bytes; those of the known families have up to 50 thousand."""
UNQUANTISED = ("f32", "f16", "bf16")


class Settings(ModelSettings):
    """A GGUF file and how to run it."""

    kind: Literal["llama_cpp"] = "llama_cpp"

    WORLD = frozenset({"stall_seconds", "workers"})

    path: str | None = Field(
        default=None, description="of the GGUF file, hf:owner/repo:file or ollama:name:tag"
    )
    package: str | None = Field(
        default=None, description="instead: an installed package that ships a GGUF file"
    )
    dialect: str = Field(
        default="auto", description="how the model spells tool calls; auto: as its template does"
    )
    template: str | None = Field(
        default=None, description="path of a Jinja file that stands in for the file's own template"
    )
    template_arguments: dict[str, Any] = Field(
        default={}, description="what the template is told, such as enable_thinking"
    )
    today: str = Field(
        default="2026-01-01",
        description="the date that templates are told, so that a run is the same tomorrow",
    )
    n_ctx: int = Field(default=8192, ge=16, le=_INT32, description="tokens of context, of each run")
    n_batch: int = Field(default=512, ge=1, le=1 << 20, description="tokens evaluated at once")
    n_threads: int = Field(default=1, ge=1, le=512, description="of each worker")
    workers: int | None = Field(
        default=None, ge=1, description="processes; by default one a core, or one on a GPU"
    )
    batch: int = Field(
        default=1, ge=1, le=256, description="runs decoded at once by a worker; 1 is exact"
    )
    reuse: Literal["exact", "fast"] = Field(
        default="exact",
        description="what is kept of a prompt: whole messages, or every token that stands in it",
    )
    cache_mib: int = Field(
        default=512, ge=0, description="MiB of each worker, at most, for what runs share"
    )
    n_gpu_layers: int = Field(
        default=0, ge=-1, le=_INT32, description="layers on the GPU; -1 for all"
    )
    flash_attention: bool = Field(default=False, description="faster, and not exact")
    kv_type_k: KvType = Field(default="f16", description="of the keys in the cache")
    kv_type_v: KvType = Field(default="f16", description="of the values in the cache")
    split_mode: Literal["none", "layer", "row"] = Field(
        default="layer", description="how the model is split over several GPUs"
    )
    main_gpu: int = Field(default=0, ge=0, le=_INT32, description="the GPU where nothing is split")
    tensor_split: tuple[Annotated[float, Field(ge=0)], ...] = Field(
        default=(), description="each GPU's share, such as [3, 1]"
    )
    stall_seconds: float = Field(default=600.0, gt=0, description="silence of a worker")

    @model_validator(mode="after")
    def _one_source(self) -> Self:
        if (self.path is None) == (self.package is None):
            raise ValueError("exactly one of 'path' and 'package' is needed")
        return self

    @field_validator("today")
    @classmethod
    def _is_a_date(cls, today: str) -> str:
        try:
            return date.fromisoformat(today).isoformat()
        except ValueError:
            raise ValueError("no date; write it as 2026-01-01") from None

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if self.batch > self.n_batch:
            raise ValueError(
                f"n_batch = {self.n_batch} has no room for a token of each of batch = {self.batch} "
                "runs; raise n_batch"
            )
        if self.kv_type_v not in UNQUANTISED and not self.flash_attention:
            raise ValueError(
                f"kv_type_v = {self.kv_type_v!r} needs flash_attention = true, which is not exact"
            )
        if self.tensor_split and not any(self.tensor_split):
            raise ValueError("tensor_split gives every GPU a share of 0; raise one, or leave it")
        return self

    @property
    def inexact(self) -> str | None:
        """Why the same run may not give the same tokens again; None where it does."""
        reasons = {
            f"batch = {self.batch}": self.batch > 1,
            'reuse = "fast"': self.reuse == "fast",
            "flash_attention = true": self.flash_attention,
            f"n_gpu_layers = {self.n_gpu_layers}": self.n_gpu_layers != 0,
        }
        return ", ".join(reason for reason, holds in reasons.items() if holds) or None


class Model:
    """One file, in as many workers as there are runs to play, up to a limit."""

    rehearses = True

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._where = f"model {settings.name!r}"
        self.parallel: int | None = settings.batch  # of each worker; how many fit, open() finds out
        self._dialect: Dialect | None = None
        self._pool: Pool | None = None
        if settings.dialect != "auto":
            dialects.load(settings.dialect, self._where)

    async def open(self, say: Say = silent) -> dict[str, Any]:
        """Find and hash the file, load it in a worker, and say what was found."""
        if importlib.util.find_spec("llama_cpp") is None:
            raise BadInput(
                f"{self._where}: llama-cpp-python is not installed; "
                "pip install 'fairtrial[local]' (it is compiled, which takes minutes)"
            )
        settings = self._settings
        source = await find(settings.path, settings.package, self._where, say)
        memory = await estimate(
            source,
            self._shape(),
            self._placement(),
            workers=settings.workers,
            at_most=1 if settings.n_gpu_layers else _usable_cores(),
            where=self._where,
        )
        self.parallel = memory.workers * settings.batch
        found = await source.facts(self._where, say)
        load = self._load(source.path, self._cache_bytes(memory))
        self._pool = Pool(load, memory.workers, self._where, settings.stall_seconds)
        async with told(say, f"loads {source.known_as}"):
            ready = await self._pool.open()
        self._dialect = dialects.load(ready.dialect, self._where)
        return {
            **found,
            "memory": memory.facts(),
            "dialect": f"{ready.dialect} {self._dialect.version}",
            "context_window": ready.facts["n_ctx"],
            "workers": memory.workers,
            "cache_bytes": load.cache_bytes,
            "reproducible": settings.inexact is None,
            "not_reproducible_because": settings.inexact,
            **ready.facts,
        }

    async def reply(self, request: Request) -> Completion:
        """Answer one request, from a fresh worker where the last one has died."""
        assert self._pool is not None, "open() comes first"
        async with self._pool.seat(request.run) as seat:
            worker = await seat.post.ready()
            answer = await worker.ask(
                Generate(
                    id=worker.new_id(),
                    slot=seat.slot,
                    run=request.run,
                    conversation=tuple(request.conversation),
                    tools=tuple(request.tools),
                    sampling=self._settings.sampling,
                    seed=request.seed,
                    max_tokens=request.max_tokens,
                    force_call=request.force_call,
                )
            )
            if isinstance(answer, Failed):
                raise InfrastructureFault("bad_request", f"{self._where}: {answer.reason}")
            assert isinstance(answer, Generated)
            completion = self._completion(answer, request.turn)
            # What makes no call is mostly the last that is heard of a run.
            seat.over = not completion.tool_calls
            return completion

    async def probe(self) -> None:
        """See to it that a worker is there, with the model loaded."""
        assert self._pool is not None, "open() comes first"
        await self._pool.probe()

    async def close(self) -> None:
        """End the workers."""
        if self._pool is not None:
            await self._pool.close()

    def _shape(self) -> Shape:
        settings = self._settings
        return Shape(
            n_ctx=settings.n_ctx,
            slots=settings.batch,
            n_batch=settings.n_batch,
            n_ubatch=settings.n_batch,
            flash_attention=settings.flash_attention,
            kv_type_k=settings.kv_type_k,
            kv_type_v=settings.kv_type_v,
        )

    def _placement(self) -> Placement:
        settings = self._settings
        return Placement(
            n_gpu_layers=settings.n_gpu_layers,
            split_mode=settings.split_mode,
            main_gpu=settings.main_gpu,
            tensor_split=settings.tensor_split,
        )

    def _cache_bytes(self, memory: Estimate) -> int:
        """What each worker may keep of prompts' beginnings: what is asked for, or its share of
        half of what the workers leave free. No result depends on it."""
        left = free_memory() - memory.need.host(memory.workers)
        return min(self._settings.cache_mib << 20, max(0, left) // 2 // memory.workers)

    def _load(self, path: Path, cache_bytes: int) -> Load:
        settings = self._settings
        given = settings.template
        return Load(
            path=str(path),
            dialect=settings.dialect,
            template=None if given is None else read_template(given, self._where),
            template_arguments=settings.template_arguments,
            today=settings.today,
            n_ctx=settings.n_ctx,
            n_batch=settings.n_batch,
            n_threads=settings.n_threads,
            slots=settings.batch,
            reuse=settings.reuse,
            cache_bytes=cache_bytes,
            n_gpu_layers=settings.n_gpu_layers,
            flash_attention=settings.flash_attention,
            kv_type_k=settings.kv_type_k,
            kv_type_v=settings.kv_type_v,
            split_mode=settings.split_mode,
            main_gpu=settings.main_gpu,
            tensor_split=settings.tensor_split,
        )

    def _completion(self, generated: Generated, turn: int) -> Completion:
        assert self._dialect is not None
        whole = generated.opening + generated.text
        parsed = self._dialect.parse(whole, turn)
        called = parsed.tool_calls and generated.finish_reason == "stop"
        return Completion(
            text=parsed.text,
            reasoning=parsed.reasoning,
            tool_calls=parsed.tool_calls,
            finish_reason="tool_calls" if called else generated.finish_reason,
            usage=Usage(input=generated.input, cached=generated.cached, output=generated.output),
            first_token_seconds=generated.first_token_seconds,
            model_seconds=generated.seconds,
            raw=whole if parsed.text != whole.strip() or parsed.malformed else None,
            malformed=parsed.malformed,
            compute=generated.compute,
        )


def read_template(template: str, where: str) -> str:
    """The text of the file that ``template`` names; raises BadInput where it cannot be read, or
    has none."""
    path = home_expanded(template, where)
    try:
        size = path.stat().st_size
        if not path.is_file():  # a device would be read without end
            reason = "no file"
        elif size > _LONGEST_TEMPLATE:
            reason = f"{size >> 20} MiB are too many for a chat template"
        elif (text := path.read_text(encoding="utf-8")).strip():
            return text
        else:
            reason = "it is empty"
    except (OSError, ValueError) as error:
        reason = (isinstance(error, OSError) and error.strerror) or "not UTF-8"
    raise BadInput(f"{where}: template {path}: {reason}; mend its path")


def _usable_cores() -> int:
    """Cores that this process may use; two threads that share one are no faster than one here."""
    cores = psutil.cpu_count(logical=False) or psutil.cpu_count() or 1
    return min(cores, len(os.sched_getaffinity(0))) if sys.platform == "linux" else cores
