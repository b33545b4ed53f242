"""The worker as its parent sees it: started, asked, watched for silence, killed for sure."""

from __future__ import annotations

import asyncio
import itertools
import os
import signal
import sys
import time
from asyncio.subprocess import PIPE, Process
from contextlib import suppress
from typing import Self

from pydantic import ValidationError

from harness.errors import InfrastructureFault
from harness.models.llama_cpp.protocol import (
    FROM_WORKER,
    Answer,
    Beat,
    Cancel,
    Generate,
    Load,
)

_LONGEST_LINE = 64 << 20
_LAST_WORDS = 2000
_LAST_SECONDS = 1.0
"""For a process that has closed its output, to end of itself."""


class Worker:
    """One process that runs ``harness.models.llama_cpp.worker``."""

    def __init__(self, process: Process, where: str, stall_seconds: float) -> None:
        self._process = process
        self._where = where
        self._stall_seconds = stall_seconds
        self._said = ""
        self._hung = False
        self._ids = itertools.count(1)
        self._heard = self._asked = time.monotonic()
        self._waiting: dict[int, asyncio.Future[Answer]] = {}
        self._listening = asyncio.create_task(self._listen())
        self._reading = asyncio.create_task(self._read())

    @classmethod
    async def start(cls, where: str, stall_seconds: float) -> Self:
        """Start a worker; it waits for a ``Load``. ``where`` opens the sentences about it."""
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "harness.models.llama_cpp.worker"),
            stdin=PIPE,
            stdout=PIPE,
            stderr=PIPE,
            env={**os.environ, "GGML_NO_BACKTRACE": "1"},  # a debugger's words would hide its own
            limit=_LONGEST_LINE,
        )
        return cls(process, where, stall_seconds)

    @property
    def alive(self) -> bool:
        return self._process.returncode is None

    @property
    def pid(self) -> int:
        return self._process.pid

    def new_id(self) -> int:
        """An id for the next ``Generate``."""
        return next(self._ids)

    async def ask(self, message: Load | Generate) -> Answer:
        """Say a line and wait for its answer, for as long as there are signs of life. Others may
        be waited for meanwhile.

        Raises InfrastructureFault where the process ends or falls silent. Where nobody waits any
        more (this was cancelled), the worker is told so and goes on with the others.
        """
        if not self._waiting:
            self._heard = self._asked = time.monotonic()
        answer: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        self._waiting[message.id] = answer
        try:
            await self._say(message)
            await self._watch(answer)
            return await answer
        except ConnectionError:
            raise await self._fault() from None
        except asyncio.CancelledError:
            with suppress(ConnectionError):
                await self._say(Cancel(id=message.id))
            raise
        finally:
            del self._waiting[message.id]

    async def kill(self) -> None:
        """End the process and wait until it is gone. May be called twice."""
        if self.alive:
            # Not Process.kill(), which first polls and may take the exit status away from the
            # event loop, so that how the process ended would be lost.
            with suppress(ProcessLookupError):
                os.kill(self._process.pid, signal.SIGKILL)
        await self._process.wait()
        await self._listening

    @property
    def last_words(self) -> str:
        """The end of what the process wrote to stderr, in one line."""
        return " ".join(self._said.split())[-300:]

    async def _say(self, message: Load | Generate | Cancel) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(message.model_dump_json().encode() + b"\n")
        await self._process.stdin.drain()

    async def _watch(self, answer: asyncio.Future[Answer]) -> None:
        """Wait for an answer; a process that falls silent is killed, which answers it too."""
        while not answer.done():
            silent = time.monotonic() - self._heard
            if silent >= self._stall_seconds:
                self._hung = True
                await self.kill()
                await self._reading
                return
            await asyncio.wait([answer], timeout=self._stall_seconds - silent)

    async def _read(self) -> None:
        """Hand out answers as they come; where no more can come, the fault is the answer."""
        with suppress(EOFError, ValidationError, ValueError, ConnectionError):
            while True:
                answer = await self._next()
                if not isinstance(answer, Beat) and answer.id in self._waiting:
                    self._waiting[answer.id].set_result(answer)
        await self._gone()
        for waiting in self._waiting.values():
            if not waiting.done():
                waiting.set_exception(await self._fault())

    async def _next(self) -> Answer | Beat:
        assert self._process.stdout is not None
        line = await self._process.stdout.readline()
        if not line.endswith(b"\n"):
            raise EOFError
        self._heard = time.monotonic()
        return FROM_WORKER.validate_json(line)

    async def _gone(self) -> None:
        """See a process off that is about to end, so that it is known how; or else kill it."""
        with suppress(TimeoutError):
            await asyncio.wait_for(self._process.wait(), _LAST_SECONDS)
        await self.kill()

    async def _fault(self) -> InfrastructureFault:
        """Whose silence it was: how the process ended, and its last words. It is killed if it has
        not ended."""
        await self._gone()
        if self._hung:
            silence = f"the model's process was silent for {self._stall_seconds:g} s"
            if self._heard == self._asked:
                silence += " since it was asked; its chat template may be one that does not end"
            return InfrastructureFault("process_hung", f"{self._where}: {silence}")
        code = self._process.returncode
        assert code is not None
        how = f"was ended by {signal.Signals(-code).name}" if code < 0 else f"ended with {code}"
        words = f": {self.last_words}" if self.last_words else ""
        return InfrastructureFault(
            "process_died", f"{self._where}: the model's process {how}{words}"
        )

    async def _listen(self) -> None:
        """Keep the end of what the process writes to stderr."""
        assert self._process.stderr is not None
        while data := await self._process.stderr.read(4096):
            self._said = (self._said + data.decode(errors="replace"))[-_LAST_WORDS:]
