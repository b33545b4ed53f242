"""Waiting for what must have happened, on a machine of any speed.

A test does not sleep for as long as something should take: it waits until it is so. The limit is
only for what hangs.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence

import psutil

HANGS = 300.0
"""Seconds after which what a test waits for has hung, however slow the machine."""


def until(happened: Callable[[], object]) -> None:
    """Return as soon as ``happened`` is true."""
    began = time.monotonic()
    while not happened():
        assert time.monotonic() - began < HANGS, "it never happened"
        time.sleep(0.005)


async def until_then(happened: Callable[[], object]) -> None:
    """``until``, while the event loop goes on."""
    async with asyncio.timeout(HANGS):
        while not happened():
            await asyncio.sleep(0.005)


def gone(processes: Sequence[psutil.Process]) -> bool:
    """Whether processes end; whoever inherits them may take its time to see them off."""
    until(lambda: not any(map(_runs, processes)))
    return True


def _runs(process: psutil.Process) -> bool:
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def command_of(process: psutil.Process) -> list[str]:
    """Its command line; none of a process that has ended."""
    try:
        return process.cmdline()
    except psutil.NoSuchProcess:
        return []


def cpu_seconds(process: psutil.Process) -> float:
    """What a process has had of the processor so far, to a hundredth."""
    times = process.cpu_times()
    return float(times.user + times.system)
