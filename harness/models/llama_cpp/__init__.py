"""A local GGUF file, through llama-cpp-python as the token engine, in a worker process.

    source.py     where the file comes from (hub.py: Hugging Face; digest.py: its SHA-256)
    memory.py     whether it fits, before it is loaded (measure.py: what llama.cpp says of it)
    protocol.py   what this side and the worker say to each other
    worker.py     the worker: reads requests, holds the engine
    engine.py     tokens: evaluate, sample, stop
    process.py    the worker seen from here: started, asked, killed

This side renders prompts and parses replies with the dialect; the engine knows neither tools
nor roles. llama_cpp itself is imported by the worker alone.
"""

from __future__ import annotations

import importlib.util
from typing import Any, Literal, Self

import psutil
from pydantic import Field, model_validator

from harness import dialects
from harness.errors import BadInput, InfrastructureFault
from harness.models import ModelSettings, Request
from harness.models.llama_cpp.memory import Placement, Shape, estimate
from harness.models.llama_cpp.process import Worker
from harness.models.llama_cpp.protocol import Generate, Generated, Load, Ready, Refused
from harness.models.llama_cpp.source import find
from harness.records import Completion, Usage

__all__ = ["Model", "Settings"]


class Settings(ModelSettings):
    """A GGUF file and how to run it."""

    kind: Literal["llama_cpp"] = "llama_cpp"

    WORLD = frozenset({"stall_seconds"})

    path: str | None = Field(
        default=None, description="of the GGUF file, hf:owner/repo:file or ollama:name:tag"
    )
    package: str | None = Field(
        default=None, description="instead: an installed package that ships a GGUF file"
    )
    dialect: str = Field(default="hermes", description="how the model spells tool calls")
    n_ctx: int = Field(default=8192, ge=16, description="tokens of context")
    n_batch: int = Field(default=512, ge=1, description="tokens evaluated at once")
    n_threads: int = Field(default_factory=lambda: psutil.cpu_count(logical=False) or 1, ge=1)
    n_gpu_layers: int = Field(default=0, ge=-1, description="layers on the GPU; -1 for all")
    stall_seconds: float = Field(default=600.0, gt=0, description="silence of the worker")

    @model_validator(mode="after")
    def _one_source(self) -> Self:
        if (self.path is None) == (self.package is None):
            raise ValueError("exactly one of 'path' and 'package' is needed")
        return self


class Model:
    """One file, one worker, one run at a time."""

    parallel: int | None = 1
    rehearses = True

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._where = f"model {settings.name!r}"
        self._dialect = dialects.load(settings.dialect, self._where)
        self._load: Load | None = None
        self._worker: Worker | None = None

    async def open(self) -> dict[str, Any]:
        """Find and hash the file, load it in a worker, and say what was found."""
        if importlib.util.find_spec("llama_cpp") is None:
            raise BadInput(
                f"{self._where}: llama-cpp-python is not installed; "
                "pip install 'fairtrial[local]' (it is compiled, which takes minutes)"
            )
        settings = self._settings
        source = await find(settings.path, settings.package, self._where)
        self._load = Load(
            path=str(source.path),
            n_ctx=settings.n_ctx,
            n_batch=settings.n_batch,
            n_threads=settings.n_threads,
            n_gpu_layers=settings.n_gpu_layers,
        )
        found = await source.facts(self._where)
        shape = Shape(n_ctx=settings.n_ctx, n_batch=settings.n_batch, n_ubatch=settings.n_batch)
        placement = Placement(n_gpu_layers=settings.n_gpu_layers)
        memory = await estimate(source, shape, placement, workers=1, at_most=1, where=self._where)
        ready = await self._start()
        return {
            **found,
            "memory": memory.facts(),
            "dialect": f"{settings.dialect} {self._dialect.VERSION}",
            "context_window": ready.facts["n_ctx"],
            **ready.facts,
        }

    async def reply(self, request: Request) -> Completion:
        """Answer one request, from a fresh worker where the last one has died: what it had
        evaluated is evaluated again, to the same tokens."""
        await self.probe()
        assert self._worker is not None
        grammar = self._dialect.grammar(request.tools, force_call=request.force_call)
        generate = Generate(
            run=request.run,
            prompt=tuple(self._dialect.render(request.conversation, request.tools)),
            sampling=self._settings.sampling,
            seed=request.seed,
            max_tokens=request.max_tokens,
            stops=self._dialect.STOPS,
            grammar=grammar,
        )
        return self._completion(await self._ask(generate), request.turn)

    async def probe(self) -> None:
        """See to it that a worker is there, with the model loaded."""
        if self._worker is None or not self._worker.alive:
            try:
                await self._start()
            except BadInput as refused:
                # It did load when the campaign began: now there is no memory, or no file.
                raise InfrastructureFault("process_died", str(refused)) from None

    async def close(self) -> None:
        """End the worker."""
        worker, self._worker = self._worker, None
        if worker is not None:
            await worker.kill()

    def _completion(self, generated: Generated, turn: int) -> Completion:
        parsed = self._dialect.parse(generated.text, turn)
        called = parsed.tool_calls and generated.finish_reason == "stop"
        return Completion(
            text=parsed.text,
            reasoning=parsed.reasoning,
            tool_calls=parsed.tool_calls,
            finish_reason="tool_calls" if called else generated.finish_reason,
            usage=Usage(input=generated.input, cached=generated.cached, output=generated.output),
            first_token_seconds=generated.first_token_seconds,
            model_seconds=generated.seconds,
            raw=generated.text if parsed.malformed else None,
            malformed=parsed.malformed,
        )

    async def _ask(self, generate: Generate) -> Generated:
        assert self._worker is not None
        answer = await self._worker.ask(generate)
        if not isinstance(answer, Generated):
            raise InfrastructureFault("garbled", f"{self._where}: the worker said {answer.type!r}")
        return answer

    async def _start(self) -> Ready:
        """A fresh worker with the model loaded; raises BadInput where it cannot be."""
        assert self._load is not None, "open() comes first"
        await self.close()
        self._worker = await Worker.start(self._where, self._settings.stall_seconds)
        answer = await self._worker.ask(self._load)
        if isinstance(answer, Refused):
            await self._worker.kill()
            words = f" ({self._worker.last_words})" if self._worker.last_words else ""
            raise BadInput(f"{self._where}: {self._load.path}: {answer.reason}{words}")
        if not isinstance(answer, Ready):
            raise InfrastructureFault("garbled", f"{self._where}: the worker said {answer.type!r}")
        return answer
