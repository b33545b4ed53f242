"""Seconds on the wall and of the processor, and the memory that a command takes."""

from __future__ import annotations

import os
import statistics
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import psutil


@dataclass
class Spent:
    """Seconds: on the wall, and of the processor, of this process and its children together."""

    wall: float = 0.0
    cpu: float = 0.0


@contextmanager
def spent() -> Iterator[Spent]:
    """What the block takes; filled in when it is left."""
    found = Spent()
    cpu, wall = _cpu_seconds(), time.perf_counter()
    yield found
    found.wall, found.cpu = time.perf_counter() - wall, _cpu_seconds() - cpu


def relative(rivals: Sequence[Spent], floor: Sequence[Spent]) -> tuple[float, float]:
    """How fast a rival is, as a share of the floor, over the same rounds: on the wall the median
    of the rounds, each with its own floor, since what else the machine does comes and goes; of
    the processor the whole, since its clock ticks every 10 ms."""
    wall = statistics.median(f.wall / r.wall for r, f in zip(rivals, floor, strict=True))
    return wall, sum(f.cpu for f in floor) / sum(r.cpu for r in rivals)


def _cpu_seconds() -> float:
    seconds = time.process_time()
    for child in psutil.Process().children(recursive=True):
        with suppress(psutil.NoSuchProcess):
            times = child.cpu_times()
            seconds += times.user + times.system
    return seconds


def run(command: Sequence[str], cwd: Path) -> tuple[float, int]:
    """Run a command to its end: seconds, and the most bytes that it and its children held at
    once (a file that several have mapped counts for each). Raises where it fails."""
    began, most = time.perf_counter(), 0
    with (
        (cwd / "output.txt").open("w+") as output,
        subprocess.Popen(
            command,
            cwd=cwd,
            env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
            stdout=output,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
        ) as process,
    ):
        while process.poll() is None:
            most = max(most, memory(psutil.Process(process.pid)))
            with suppress(subprocess.TimeoutExpired):
                process.wait(0.2)
        seconds = time.perf_counter() - began
        output.seek(0)
        assert process.returncode == 0, f"{command}: {output.read()[-2000:]}"
    return seconds, most


def memory(process: psutil.Process) -> int:
    """Bytes that a process and all that it started hold now."""
    total = 0
    with suppress(psutil.NoSuchProcess):
        for each in (process, *process.children(recursive=True)):
            with suppress(psutil.NoSuchProcess):
                total += each.memory_info().rss
    return total
