"""The workers of a model, and which run sits where.

A seat is a slot of a worker. A run keeps its seat from turn to turn where it can, because what
it has read is kept there; in any other it would say the same.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from harness.errors import BadInput, InfrastructureFault
from harness.models.llama_cpp.process import Worker
from harness.models.llama_cpp.protocol import Load, Ready, Refused


class Post:
    """Where a worker stands; another takes its place where it has died."""

    def __init__(self, load: Load, where: str, stall_seconds: float) -> None:
        self._load = load
        self._where = where
        self._stall_seconds = stall_seconds
        self._starting = asyncio.Lock()
        self.worker: Worker | None = None

    @property
    def manned(self) -> bool:
        """Whether a worker is there that has loaded the model."""
        return self.worker is not None and self.worker.alive

    async def ready(self) -> Worker:
        """The worker, fresh where there was none: what the last one had evaluated is evaluated
        again, to the same tokens."""
        if not self.manned:
            try:
                await self.start()
            except BadInput as refused:
                # It did load when the campaign began: now there is no memory, or no file.
                raise InfrastructureFault("process_died", str(refused)) from None
        assert self.worker is not None
        return self.worker

    async def start(self) -> Ready | None:
        """Load the model in a new worker, if nobody else just did; raises BadInput where it
        cannot be."""
        async with self._starting:
            if self.manned:
                return None
            worker = await Worker.start(self._where, self._stall_seconds)
            try:
                ready = self._loaded(await worker.ask(self._load), worker)
            except BaseException:
                await worker.kill()
                raise
            self.worker = worker
            return ready

    async def close(self) -> None:
        """End the worker."""
        worker, self.worker = self.worker, None
        if worker is not None:
            await worker.kill()

    def _loaded(self, answer: object, worker: Worker) -> Ready:
        if isinstance(answer, Refused):
            words = f" ({worker.last_words})" if worker.last_words else ""
            raise BadInput(f"{self._where}: {self._load.path}: {answer.reason}{words}")
        assert isinstance(answer, Ready)
        return answer


@dataclass
class Seat:
    """A slot of a worker. ``run`` sat there last, and is ``over`` where it needs it no more."""

    post: Post
    slot: int
    run: str | None = None
    over: bool = True
    busy: bool = False
    used: float = 0.0


class Pool:
    """Up to so many workers. One is started at once, the others when so many runs play."""

    def __init__(self, load: Load, workers: int, where: str, stall_seconds: float) -> None:
        self._posts = [Post(load, where, stall_seconds) for _ in range(workers)]
        # The first slots of all workers before any second one.
        self._seats = [Seat(post, slot) for slot in range(load.slots) for post in self._posts]
        self._freed = asyncio.Condition()

    async def open(self) -> Ready:
        """Start the first worker; raises BadInput where the model cannot be loaded."""
        ready = await self._posts[0].start()
        assert ready is not None
        return ready

    async def probe(self) -> None:
        """See to it that some worker is there, with the model loaded."""
        if not any(post.manned for post in self._posts):
            await self._posts[0].ready()

    async def close(self) -> None:
        """End all workers."""
        await asyncio.gather(*(post.close() for post in self._posts))

    @asynccontextmanager
    async def seat(self, run: str) -> AsyncIterator[Seat]:
        """A seat for a turn of ``run``, its own if it is free; waits while all are taken."""
        async with self._freed:
            while (seat := self._choose(run)) is None:
                await self._freed.wait()
            seat.busy, seat.over, seat.run = True, False, run
        try:
            yield seat
        finally:
            seat.busy, seat.used = False, time.monotonic()
            async with self._freed:
                self._freed.notify()

    def _choose(self, run: str) -> Seat | None:
        free = [seat for seat in self._seats if not seat.busy]
        own = next((seat for seat in free if seat.run == run), None)
        return own or min(free, key=self._cost, default=None)

    def _cost(self, seat: Seat) -> tuple[bool, int, bool, float]:
        """The less, the better: no other run's, where few sit, no new worker, unused for long."""
        neighbours = sum(not other.over for other in self._seats if other.post is seat.post)
        return not seat.over, neighbours, not seat.post.manned, seat.used
