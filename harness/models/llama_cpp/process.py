"""The worker as its parent sees it: started, asked, watched for silence, killed for sure."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from asyncio.subprocess import PIPE, Process
from contextlib import suppress
from typing import Self

from pydantic import ValidationError

from harness.errors import InfrastructureFault
from harness.models.llama_cpp.protocol import (
    FROM_WORKER,
    Beat,
    Generate,
    Generated,
    Load,
    Ready,
    Refused,
)

_LONGEST_LINE = 64 << 20
_LAST_WORDS = 2000


class Worker:
    """One process that runs ``harness.models.llama_cpp.worker``."""

    def __init__(self, process: Process, where: str, stall_seconds: float) -> None:
        self._process = process
        self._where = where
        self._stall_seconds = stall_seconds
        self._said = ""
        self._listening = asyncio.create_task(self._listen())

    @classmethod
    async def start(cls, where: str, stall_seconds: float) -> Self:
        """Start a worker; it waits for a ``Load``. ``where`` opens the sentences about it."""
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "harness.models.llama_cpp.worker"),
            stdin=PIPE,
            stdout=PIPE,
            stderr=PIPE,
            limit=_LONGEST_LINE,
        )
        return cls(process, where, stall_seconds)

    @property
    def alive(self) -> bool:
        return self._process.returncode is None

    async def ask(self, message: Load | Generate) -> Ready | Refused | Generated:
        """Say a line and wait for the answer, for as long as there are signs of life.

        Raises InfrastructureFault where the process ends or falls silent. A worker that
        is not waited for to the end (also when cancelled) is killed: it would answer too late.
        """
        done = False
        try:
            answer = await self._converse(message)
            done = True
            return answer
        except TimeoutError:
            silence = f"{self._stall_seconds:g} s"
            raise InfrastructureFault(
                "process_hung", f"{self._where}: the model's process was silent for {silence}"
            ) from None
        except (EOFError, ConnectionError, ValidationError):
            raise InfrastructureFault(
                "process_died", f"{self._where}: {await self.obituary()}"
            ) from None
        finally:
            if not done:
                await self.kill()

    async def kill(self) -> None:
        """End the process and wait until it is gone. May be called twice."""
        if self.alive:
            # Not Process.kill(), which first polls and may take the exit status away from the
            # event loop, so that how the process ended would be lost.
            with suppress(ProcessLookupError):
                os.kill(self._process.pid, signal.SIGKILL)
        await self._process.wait()
        await self._listening

    async def obituary(self) -> str:
        """How the process ended, and its last words; it is killed if it has not ended."""
        await self.kill()
        code = self._process.returncode
        assert code is not None
        how = f"was ended by {signal.Signals(-code).name}" if code < 0 else f"ended with {code}"
        return f"the model's process {how}" + (f": {self.last_words}" if self.last_words else "")

    @property
    def last_words(self) -> str:
        """The end of what the process wrote to stderr, in one line."""
        return " ".join(self._said.split())[-300:]

    async def _converse(self, message: Load | Generate) -> Ready | Refused | Generated:
        stdin, stdout = self._process.stdin, self._process.stdout
        assert stdin is not None
        assert stdout is not None
        stdin.write(message.model_dump_json().encode() + b"\n")
        await stdin.drain()
        while True:
            line = await asyncio.wait_for(stdout.readline(), self._stall_seconds)
            if not line.endswith(b"\n"):
                raise EOFError
            answer = FROM_WORKER.validate_json(line)
            if not isinstance(answer, Beat):
                return answer

    async def _listen(self) -> None:
        """Keep the end of what the process writes to stderr."""
        assert self._process.stderr is not None
        while data := await self._process.stderr.read(4096):
            self._said = (self._said + data.decode(errors="replace"))[-_LAST_WORDS:]
