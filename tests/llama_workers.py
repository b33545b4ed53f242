"""The worker processes of a local model, for tests that step in while one is at work."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable, Coroutine

import psutil

from harness.models.llama_cpp import Model
from harness.records import Completion
from tests.waiting import HANGS, cpu_seconds, until_then


def workers_of(model: Model) -> list[psutil.Process]:
    """Those that live."""
    assert model._pool is not None
    workers = [post.worker for post in model._pool._posts if post.worker is not None]
    return [psutil.Process(worker.pid) for worker in workers if worker.alive]


def worker_of(model: Model) -> psutil.Process:
    """The only one."""
    (worker,) = workers_of(model)
    return worker


def impatient(model: Model, seconds: float) -> None:
    """From here on a worker's silence is too long after so many seconds; to load the model may
    have taken any time."""
    assert model._pool is not None
    for post in model._pool._posts:
        if post.worker is not None:
            post.worker._stall_seconds = seconds


async def at_rest(worker: psutil.Process) -> None:
    """Return once it only waits for something to do."""
    async with asyncio.timeout(HANGS):
        looks = 0
        while looks < 20:
            looks = looks + 1 if worker.status() == psutil.STATUS_SLEEPING else 0
            await asyncio.sleep(0.005)


async def caught_at_work(
    worker: psutil.Process, ask: Callable[[int], Coroutine[None, None, Completion]]
) -> asyncio.Task[Completion]:
    """A reply in the middle of which its worker stands still, until it is resumed or dies.

    It is asked for with one seed after the other, until one is met: a quick machine may be done
    before anybody looks.
    """
    for seed in itertools.count(1):
        before = cpu_seconds(worker)
        reply = asyncio.create_task(ask(seed))
        await until_then(lambda: reply.done() or cpu_seconds(worker) > before)  # noqa: B023
        worker.suspend()
        await asyncio.sleep(0.1)  # what it had said by then is heard
        if not reply.done():
            break
        worker.resume()
    return reply
