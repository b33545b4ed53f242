"""A llama-server of our own: started for the campaign, asked as an endpoint, ended with it.

    process.py      the server seen from here: started, waited for, ended for sure
    supervisor.py   the process between, which outlives neither of the two
    log.py          what its log tells, in a sentence
    embedded.py     a llama-server out of the package xllamacpp, with llama-server's own options

For who has a large GPU: the tool calls are llama.cpp's own to parse, and many runs are decoded
together. What is asked and answered goes the way of the kind ``openai``.
"""

from __future__ import annotations

import asyncio
import importlib.util
import shutil
import sys
from importlib.metadata import version
from pathlib import Path
from typing import Any, Literal, Self

from pydantic import Field, model_validator

from harness.errors import BadInput, InfrastructureFault
from harness.models import ModelSettings, Request
from harness.models import openai as endpoint
from harness.models._telling import Say, silent, told
from harness.models.llama_cpp import UNQUANTISED, KvType, read_template
from harness.models.llama_cpp.memory import Placement, Shape, estimate
from harness.models.llama_cpp.source import Source, find, home_expanded
from harness.models.llama_server.process import Server
from harness.records import Completion

__all__ = ["Model", "Settings"]

_BATCH, _UBATCH = 2048, 512
"""Tokens that llama-server takes and evaluates at once (its own defaults)."""

_LOST = {"refused", "reset", "garbled", "broken_off", "server_error"}
"""Faults of an endpoint that its process's end may be behind."""


class Settings(ModelSettings):
    """A GGUF file, and how to serve it. What is unset is left to llama-server."""

    kind: Literal["llama_server"] = "llama_server"

    WORLD = frozenset({"start_seconds", "first_token_seconds", "stall_seconds"})

    path: str | None = Field(
        default=None, description="of the GGUF file; or hf:owner/repo:file, or ollama:name:tag"
    )
    package: str | None = Field(
        default=None, description="instead: an installed package that ships a GGUF file"
    )
    binary: str | None = Field(
        default=None,
        description="the program; by default llama-server from the PATH, or the package xllamacpp",
    )
    n_ctx: int = Field(default=8192, ge=16, description="tokens of context, of each run")
    parallel: int = Field(default=1, ge=1, le=256, description="runs decoded together")
    n_gpu_layers: int | None = Field(
        default=None, ge=-1, description="layers on the GPU; -1 for all, unset: as many as fit"
    )
    flash_attention: bool | None = None
    threads: int | None = Field(default=None, ge=1, le=512)
    kv_type_k: KvType = Field(default="f16", description="of the keys in the cache")
    kv_type_v: KvType = Field(default="f16", description="of the values in the cache")
    template: str | None = Field(
        default=None, description="path of a Jinja file that stands in for the file's own template"
    )
    arguments: tuple[str, ...] = Field(
        default=(), description="further ones, passed on as they are"
    )
    start_seconds: float = Field(default=600.0, gt=0, description="until it must be ready")
    first_token_seconds: float = Field(default=600.0, gt=0, description="silence before the first")
    stall_seconds: float = Field(default=120.0, gt=0, description="silence after the first token")

    @model_validator(mode="after")
    def _one_source(self) -> Self:
        if (self.path is None) == (self.package is None):
            raise ValueError("exactly one of 'path' and 'package' is needed")
        return self

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if self.kv_type_v not in UNQUANTISED and self.flash_attention is False:
            raise ValueError(
                f"kv_type_v = {self.kv_type_v!r} needs flash attention; do not turn it off"
            )
        return self


class Model:
    """One file behind one server, which is started again where it died."""

    rehearses = True

    def __init__(self, settings: Settings) -> None:
        self.parallel: int | None = settings.parallel
        self._settings = settings
        self._where = f"model {settings.name!r}"
        self._say: Say = silent
        self._starts = ""
        self._command: tuple[str, ...] = ()
        self._server: Server | None = None
        self._endpoint: endpoint.Model | None = None
        self._starting = asyncio.Lock()

    async def open(self, say: Say = silent) -> dict[str, Any]:
        """Find and hash the file, start the server, and say what both are."""
        await self.close()
        self._say = say
        settings = self._settings
        program, known_as = _program(settings.binary, self._where)
        source = await find(settings.path, settings.package, self._where, say)
        _refuse_unsuited(source, settings, self._where)
        self._command = (*program, *_options(settings, source, self._where))
        memory = await self._estimate(source)
        facts = await source.facts(self._where, say)
        self._starts = f"llama-server loads {source.known_as}"
        server = await self._start()
        properties = server.properties
        if properties.n_ctx < settings.n_ctx:
            raise BadInput(
                f"{self._where}: n_ctx is {settings.n_ctx}, but the server made contexts of "
                f"{properties.n_ctx} tokens; lower n_ctx, or mend arguments"
            )
        return {
            **facts,
            "server": f"{known_as} {properties.build}".strip(),
            "context_window": properties.n_ctx,
            "slots": properties.slots,
            "template_sha256": properties.template_sha256,
            "arguments": list(self._command[self._command.index("--alias") :]),
            "memory": memory,
            "reproducible": False,
            "not_reproducible_because": "llama-server reuses prefixes and decodes runs together",
        }

    async def probe(self) -> None:
        """See to it that the server is there, and ask it for one word."""
        await self._asked().probe() if self._alive else await self._again()

    async def reply(self, request: Request) -> Completion:
        """Answer one request, from a fresh server where the last one has died."""
        if not self._alive:
            await self._again()
        server = self._server
        assert server is not None
        try:
            return await self._asked().reply(request)
        except InfrastructureFault as fault:
            if fault.kind in _LOST and (obituary := await server.obituary()) is not None:
                raise InfrastructureFault("process_died", f"{self._where}: {obituary}") from None
            raise

    async def close(self) -> None:
        """End the server, for sure. May be called at any time, and twice."""
        asked, self._endpoint = self._endpoint, None
        server, self._server = self._server, None
        if asked is not None:
            await asked.close()
        if server is not None:
            await server.end()

    @property
    def _alive(self) -> bool:
        return self._server is not None and self._server.alive and self._endpoint is not None

    def _asked(self) -> endpoint.Model:
        assert self._endpoint is not None, "open() comes first"
        return self._endpoint

    async def _again(self) -> None:
        """Start the server where it is gone: once, however many runs miss it."""
        assert self._command, "open() comes first"
        async with self._starting:
            if self._alive:
                return
            if self._server is not None and (obituary := await self._server.obituary()):
                self._say(f"{obituary}; it is started again")
            try:
                await self._start()
            except BadInput as refused:
                # It did start when the campaign began: now there is no memory, or no file.
                raise InfrastructureFault("process_died", str(refused)) from None

    async def _start(self) -> Server:
        await self.close()
        settings = self._settings
        async with told(self._say, self._starts):
            self._server = await Server.start(self._command, self._where, settings.start_seconds)
        asked = endpoint.Model(
            endpoint.Settings(
                name=settings.name,
                model=settings.name,
                base_url=f"{self._server.address}/v1",
                context_window=settings.n_ctx,
                first_token_seconds=settings.first_token_seconds,
                stall_seconds=settings.stall_seconds,
                sampling=settings.sampling,
                reasoning_key="reasoning_content",
                # llama-server's defaults are others, so that they are always sent.
                extra_body={"top_k": settings.sampling.top_k, "min_p": settings.sampling.min_p},
            ),
            key=self._server.key,
        )
        await asked.open()
        self._endpoint = asked  # and not before: a run that finds one asks it
        return self._server

    async def _estimate(self, source: Source) -> dict[str, int] | None:
        """What it will take, where that is known: with a GPU llama-server itself finds out what
        fits, and only llama-cpp-python can be asked beforehand."""
        settings = self._settings
        if settings.n_gpu_layers != 0 or importlib.util.find_spec("llama_cpp") is None:
            return None
        shape = Shape(
            n_ctx=settings.n_ctx,
            slots=settings.parallel,
            n_batch=_BATCH,
            n_ubatch=_UBATCH,
            flash_attention=settings.flash_attention,
            kv_type_k=settings.kv_type_k,
            kv_type_v=settings.kv_type_v,
            swa_full=False,
        )
        found = await estimate(source, shape, Placement(), workers=1, at_most=1, where=self._where)
        return found.facts()


def _program(binary: str | None, where: str) -> tuple[tuple[str, ...], str]:
    """The beginning of the command, and what the program is known as."""
    found = shutil.which(home_expanded(binary or "llama-server", where))
    if found is not None:
        return (found,), Path(found).name
    if binary is not None:
        raise BadInput(f"{where}: binary {binary!r}: no such program; mend its path")
    if importlib.util.find_spec("xllamacpp") is None:
        raise BadInput(
            f"{where}: no llama-server is on the PATH; install llama.cpp, or pip install "
            "xllamacpp, or give the program's path as binary"
        )
    embedded = (sys.executable, "-m", "harness.models.llama_server.embedded")
    return embedded, f"xllamacpp {version('xllamacpp')}"


def _refuse_unsuited(source: Source, settings: Settings, where: str) -> None:
    """What llama-server would find out as well, after minutes, or never say."""
    if settings.template is None and not source.header.has_template:
        raise BadInput(
            f"{where}: {source.path}: the file has no chat template, and llama-server "
            "would make one up; name a Jinja file as template, or take an instruct model"
        )
    trained = source.header.trained_context
    overridden = any("context_length" in word for word in settings.arguments)  # --override-kv
    if trained is not None and trained < settings.n_ctx and not overridden:
        raise BadInput(
            f"{where}: n_ctx is {settings.n_ctx}, but the model was trained for {trained}; "
            "lower n_ctx"
        )


def _options(settings: Settings, source: Source, where: str) -> tuple[str, ...]:
    """llama-server's options for these settings, but for where it listens."""
    options = {
        "--alias": settings.name,
        "--ctx-size": settings.n_ctx * settings.parallel,  # all slots share it
        "--parallel": settings.parallel,
        "--n-gpu-layers": 999 if settings.n_gpu_layers == -1 else settings.n_gpu_layers,
        "--threads": settings.threads,
        "--flash-attn": {None: None, True: "on", False: "off"}[settings.flash_attention],
        "--cache-type-k": settings.kv_type_k,
        "--cache-type-v": settings.kv_type_v,
        "--chat-template-file": _template(settings.template, where),
    }
    given = ((name, str(value)) for name, value in options.items() if value is not None)
    words = (word for pair in given for word in pair)
    return ("--model", str(source.path), *words, "--jinja", *settings.arguments)


def _template(template: str | None, where: str) -> Path | None:
    if template is None:
        return None
    read_template(template, where)  # refuses what is none
    return home_expanded(template, where).absolute()
