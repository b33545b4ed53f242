"""The way to one model, shared by all the runs that ask it.

Here a request is made again where that is safe, an outage is waited out, and a server's limits
are kept. Nothing of it costs a run its attempt, and nothing of it counts as the model's time.
Which fault is met with what is in the table of ``harness.attribution``.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Protocol

from harness.attribution import RULES
from harness.errors import InfrastructureFault
from harness.models import Model, Request
from harness.records import Completion, Repeat

LONGEST_BACKOFF = 30.0
"""Seconds between two tries of one request; they double from one second up to this."""

FIRST_PROBE_GAP, LONGEST_PROBE_GAP = 2.0, 120.0
"""Seconds between two probes of an outage; they double from the first up to the longest."""

LONGEST_LIMIT = 60.0
"""Seconds to wait after a 429 that does not say how long; they double from one second."""


class Gate(Protocol):
    """Whoever shares out how many runs play at once: a run that only waits lets another in."""

    def release(self) -> None: ...
    async def acquire(self) -> object: ...


class Watch(Protocol):
    """Whoever wants to know that a model is waited for."""

    def paused(self, model: str, reason: str, patience_seconds: float) -> None: ...
    def resumed(self, model: str, seconds: float) -> None: ...
    def slowed(self, model: str, seconds: float, at_once: int) -> None: ...


class Nobody:
    """Watches nothing."""

    def paused(self, model: str, reason: str, patience_seconds: float) -> None: ...
    def resumed(self, model: str, seconds: float) -> None: ...
    def slowed(self, model: str, seconds: float, at_once: int) -> None: ...


class Line:
    """One model, and what is known of how it can be reached."""

    def __init__(
        self,
        name: str,
        model: Model,
        watch: Watch,
        *,
        retries: int,
        patience_seconds: float,
        at_once: int,
    ) -> None:
        self.name = name
        self._model = model
        self._watch = watch
        self._retries = retries
        self._patience = patience_seconds
        self._outage: asyncio.Task[None] | None = None
        self._limit = _Limit(at_once)

    async def clear(self) -> None:
        """Return at once, or when an outage that is going on has ended one way or the other."""
        if self._outage is not None:
            await asyncio.wait([self._outage])

    async def ask(self, request: Request, gate: Gate, note: Callable[[Repeat], None]) -> Completion:
        """The model's reply; what the world spoils meanwhile goes to ``note``.

        Raises the InfrastructureFault that no repetition mended. It is ``final`` where patience
        has ended, so that nothing else need be tried.
        """
        tried = 0
        limited_since: float | None = None
        wanted = time.monotonic()
        while True:
            await self.clear()
            try:
                async with self._limit.turn():
                    waited = time.monotonic() - wanted
                    completion = await self._model.reply(request)
                    return completion.model_copy(update={"waited_seconds": round(waited, 3)})
            except InfrastructureFault as fault:
                failed = time.monotonic()
                match RULES[fault.kind].remedy:
                    case "slow":
                        limited_since = limited_since or failed
                        if failed - limited_since > self._patience:
                            fault.final = True
                            raise
                        async with _stepping_aside(gate):
                            await self._slow_down(fault)
                    case "repeat" if tried < self._retries:
                        tried += 1
                        await asyncio.sleep(_backoff(tried, fault.retry_after))
                    case "repeat" | "probe":
                        async with _stepping_aside(gate):
                            if not await self._was_outage(fault):
                                raise
                        tried = 0
                    case _:
                        raise
                waited = round(time.monotonic() - failed, 3)
                kind, detail = fault.kind, str(fault)
                note(Repeat(turn=request.turn, kind=kind, detail=detail, waited_seconds=waited))

    async def _slow_down(self, fault: InfrastructureFault) -> None:
        seconds, news = self._limit.met(fault.retry_after)
        if news:
            self._watch.slowed(self.name, seconds, self._limit.at_once)
        await asyncio.sleep(seconds)

    async def _was_outage(self, fault: InfrastructureFault) -> bool:
        """Whether nobody can reach the model; if so, return once it answers again.

        Raises ``fault`` as final where it does not within our patience.
        """
        if self._outage is None:
            try:
                await self._model.probe()
                return False
            except InfrastructureFault as silence:
                # Another run may have found out meanwhile.
                self._outage = self._outage or asyncio.create_task(self._wait_out(silence))
        outage = self._outage
        await asyncio.wait([outage])
        if error := outage.exception():
            final = InfrastructureFault(fault.kind, f"{fault} ({error})")
            final.final = True
            raise final
        return True

    async def _wait_out(self, silence: InfrastructureFault) -> None:
        """Probe with growing gaps until the model answers, or patience ends."""
        began = time.monotonic()
        gap = FIRST_PROBE_GAP
        self._watch.paused(self.name, str(silence), self._patience)
        while RULES[silence.kind].remedy != "stop":
            left = began + self._patience - time.monotonic()
            if left <= 0:
                break
            await asyncio.sleep(min(left, gap * random.uniform(0.75, 1.25)))
            gap = min(LONGEST_PROBE_GAP, 2 * gap)
            try:
                await self._model.probe()
            except InfrastructureFault as still:
                silence = still
                continue
            self._outage = None
            self._watch.resumed(self.name, time.monotonic() - began)
            return
        raise TimeoutError(f"no answer for {time.monotonic() - began:.0f} s: {silence}")


class _Limit:
    """How many requests may be under way at once, and not before when.

    Additive increase, multiplicative decrease, as TCP does it (RFC 5681): halved where the
    server says it is too many, one more for each full round of successes.
    """

    def __init__(self, most: int) -> None:
        self.at_once = most
        self._most = most
        self._under_way = 0
        self._successes = 0
        self._backoff = 0
        self._not_before = 0.0
        self._changed = asyncio.Condition()

    @asynccontextmanager
    async def turn(self) -> AsyncIterator[None]:
        """Wait for a turn, and take what happens in it as a sign of how much is too much."""
        async with self._changed:
            while self._under_way >= self.at_once:
                await self._changed.wait()
            self._under_way += 1
        try:
            while (early := self._not_before - time.monotonic()) > 0:
                # Jitter, so that runs that waited together do not come back together.
                await asyncio.sleep(early + random.uniform(0, 0.25))
            yield
            self._went_well()
        finally:
            async with self._changed:
                self._under_way -= 1
                self._changed.notify_all()

    def met(self, retry_after: float | None) -> tuple[float, bool]:
        """A limit was met: seconds to wait, and whether that is news (and no echo of requests
        that were under way already)."""
        now = time.monotonic()
        news = now >= self._not_before
        if news:
            self.at_once = max(1, self.at_once // 2)
            self._successes = 0
            self._backoff += 1
            seconds = min(LONGEST_LIMIT, 2.0 ** (self._backoff - 1))
            self._not_before = now + (seconds if retry_after is None else retry_after)
        elif retry_after is not None:
            self._not_before = max(self._not_before, now + retry_after)
        return self._not_before - now, news

    def _went_well(self) -> None:
        self._backoff = 0
        self._successes += 1
        if self._successes >= self.at_once and self.at_once < self._most:
            self._successes = 0
            self.at_once += 1


@asynccontextmanager
async def _stepping_aside(gate: Gate) -> AsyncIterator[None]:
    """While a run only waits, another one may play."""
    gate.release()
    try:
        yield
    finally:
        await gate.acquire()


def _backoff(tried: int, retry_after: float | None) -> float:
    """Seconds before the next try: what the server asked for, or doubling, with jitter."""
    if retry_after is not None:
        return min(retry_after, 10 * LONGEST_BACKOFF)
    return min(LONGEST_BACKOFF, 2.0 ** (tried - 1)) * random.uniform(0.5, 1.5)
