"""The server as its parent sees it: started, waited for until it is healthy, ended for sure."""

from __future__ import annotations

import asyncio
import hashlib
import os
import secrets
import signal
import socket
import sys
from asyncio.subprocess import PIPE, STDOUT, Process
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Self

import httpx2
from pydantic import BaseModel, ValidationError

from harness.errors import BadInput
from harness.models.llama_server import log, supervisor
from harness.secrets import keep, redacted

_LAST_WORDS = 20_000
"""Characters of its log that are kept."""

_LOADING = 503
"""What llama-server answers while it loads the model."""

_LOOK_SECONDS = 0.1
_NOTICE_SECONDS = 2.0
"""After which a server that has hung up is taken to be alive."""


class _Generation(BaseModel):
    n_ctx: int


class Properties(BaseModel):
    """What a llama-server says of itself at /props."""

    default_generation_settings: _Generation
    total_slots: int
    chat_template: str = ""
    build_info: str = ""

    @property
    def n_ctx(self) -> int:
        """Tokens of context of each run."""
        return self.default_generation_settings.n_ctx

    @property
    def slots(self) -> int:
        return self.total_slots

    @property
    def build(self) -> str:
        return redacted(self.build_info)[:100]

    @property
    def template_sha256(self) -> str:
        return hashlib.sha256(self.chat_template.encode("utf-8", "replace")).hexdigest()


class Server:
    """One running llama-server on loopback. Its key is new at each start, and only handed over
    in its environment, where no list of processes shows it."""

    def __init__(self, process: Process, port: int, key: str) -> None:
        self.address = f"http://127.0.0.1:{port}"
        self.key = key
        self.properties: Properties
        self._process = process
        self._said = ""
        self._listening = asyncio.create_task(self._listen())

    @classmethod
    async def start(cls, command: Sequence[str], where: str, start_seconds: float) -> Self:
        """Start ``command`` and wait until it is healthy. Raises BadInput, a sentence that
        ``where`` opens, where it ends or is not healthy within ``start_seconds``."""
        server = await cls._run(command)
        try:
            async with asyncio.timeout(start_seconds):
                server.properties = await server._healthy(where)
        except TimeoutError:
            await server.end()
            at = log.last_line(server._said) or "it said nothing"
            raise BadInput(
                f"{where}: llama-server was not ready after start_seconds = {start_seconds:g}; "
                f"raise it, or see what holds it up ({at})"
            ) from None
        except BaseException:
            await server.end()
            raise
        return server

    @classmethod
    async def _run(cls, command: Sequence[str]) -> Self:
        key = secrets.token_urlsafe(32)
        keep(key)
        port = _free_port()
        # What else llama-server reads from the environment would not be in the evidence.
        kept = {k: v for k, v in os.environ.items() if not k.startswith("LLAMA_ARG_")}
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-I", str(Path(supervisor.__file__))),
            *(*command, "--host", "127.0.0.1", "--port", str(port)),
            stdin=PIPE,
            stdout=PIPE,
            stderr=STDOUT,
            env={**kept, "LLAMA_API_KEY": key, "GGML_NO_BACKTRACE": "1"},
        )
        return cls(process, port, key)

    @property
    def alive(self) -> bool:
        return self._process.returncode is None

    async def obituary(self) -> str | None:
        """How the server ended, if it did: it may have hung up a moment before."""
        if not await self._ended():
            return None
        words = log.last_words(self._said)
        return f"llama-server {self._how()}" + (f": {words}" if words else "")

    def _refusal(self, where: str) -> BadInput:
        """Why it ended before it was ready."""
        if (mended := log.why_not(self._said)) is not None:
            return BadInput(f"{where}: {mended} (llama-server: {log.cause(self._said)})")
        words = f": {cause}" if (cause := log.cause(self._said)) else ""
        advice = "mend its settings or arguments"
        return BadInput(f"{where}: llama-server {self._how()}{words}; {advice}")

    async def _ended(self) -> bool:
        """Whether it has ended, or does so in a moment."""
        with suppress(TimeoutError):
            async with asyncio.timeout(_NOTICE_SECONDS):
                await self._process.wait()
        if not self.alive:
            await self._hear_out()
        return not self.alive

    def _how(self) -> str:
        code = self._process.returncode
        assert code is not None
        return f"was ended by {signal.Signals(-code).name}" if code < 0 else f"ended with {code}"

    async def end(self) -> None:
        """End it and wait until it is gone. May be called twice."""
        assert self._process.stdin is not None
        self._process.stdin.close()  # the supervisor's sign
        with suppress(TimeoutError):
            async with asyncio.timeout(2 * supervisor.GRACE_SECONDS):
                await self._process.wait()
        if self.alive:
            with suppress(ProcessLookupError):
                os.kill(self._process.pid, signal.SIGKILL)  # the server dies of it, too
        await self._process.wait()
        await self._hear_out()

    async def _hear_out(self) -> None:
        """Take in the last it wrote; what it left running may keep the pipe open for ever."""
        with suppress(TimeoutError):
            async with asyncio.timeout(1):
                await self._listening

    async def _healthy(self, where: str) -> Properties:
        """Wait until the server has loaded the model; what it then says of itself."""
        headers = {"Authorization": f"Bearer {self.key}"}
        # No proxy stands between here and loopback, whatever the environment says.
        async with httpx2.AsyncClient(headers=headers, trust_env=False, timeout=10) as client:
            while self.alive:
                try:
                    status = (await client.get(f"{self.address}/health")).status_code
                    if status == 200:
                        return await self._ask_properties(client, where)
                    if status != _LOADING and not await self._ended():
                        raise _another(where, "/health")
                except httpx2.DecodingError:  # an answer that is not what its own headers say
                    raise _another(where, "/health") from None
                except httpx2.TransportError:
                    pass  # it does not listen yet
                await asyncio.sleep(_LOOK_SECONDS)
        await self._ended()
        raise self._refusal(where)

    async def _ask_properties(self, client: httpx2.AsyncClient, where: str) -> Properties:
        answer = await client.get(f"{self.address}/props")
        try:
            return Properties.model_validate_json(answer.content)
        except ValidationError:
            pass
        if await self._ended():  # and another program, which has the port, has answered
            raise self._refusal(where)
        raise _another(where, "/props")

    async def _listen(self) -> None:
        """Keep the end of what it writes."""
        assert self._process.stdout is not None
        while data := await self._process.stdout.read(4096):
            self._said = (self._said + data.decode(errors="replace"))[-_LAST_WORDS:]


def _another(where: str, path: str) -> BadInput:
    return BadInput(
        f"{where}: the program answers, but not at {path} as llama-server does; upgrade it, or "
        "mend binary or arguments"
    )


def _free_port() -> int:
    """A port of loopback that is free now. Should somebody else take it before the server does,
    the server ends and says so, and no other is asked in its place: it would not know the key."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
