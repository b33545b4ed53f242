"""A campaign is killed (SIGKILL) at random moments, again and again, and goes on each time.

At the end its evidence must be, byte for byte, that of a campaign nobody disturbed, with every
run settled exactly once. Exits 1 where it is not.
"""

from __future__ import annotations

import argparse
import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from rich.console import Console
from rich.progress import track

CAMPAIGN = """
suite = "first-steps-v1"
runs_per_task = 50
seed = 7
[[models]]
name = "oracle"
kind = "scripted"
script = "oracle"
[[models]]
name = "nothing"
kind = "scripted"
script = "nothing"
[infrastructure]
concurrency = 4
"""
RUNS = 400


def main() -> None:
    """Kill as often as asked, and say what was lost."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    console = Console()
    draw = random.Random(options.seed)
    with tempfile.TemporaryDirectory() as folder:
        calm = Path(folder) / "calm" / "trial"
        _make(calm)
        began = time.monotonic()
        _start(calm).wait()
        longest = time.monotonic() - began
        expected = _evidence(calm)
        finished = attempts = lost = 0
        for _ in track(range(options.kills), description="killing", console=console):
            while True:
                trial = Path(folder) / f"killed-{finished}" / "trial"
                if not trial.exists():
                    _make(trial)
                process = _start(trial)
                try:
                    process.wait(timeout=draw.uniform(0.05, longest))
                except subprocess.TimeoutExpired:
                    process.kill()
                    process.wait()
                    break
                lost += _compare(trial, expected, console)
                attempts += _attempts(trial)
                finished += 1
        _start(trial).wait()
        lost += _compare(trial, expected, console)
        attempts += _attempts(trial)
        finished += 1
    console.print(
        f"{options.kills} kills; {finished} campaigns of {RUNS} runs came to their end, in "
        f"{attempts} attempts; {lost} CSVs differ from an undisturbed campaign's"
    )
    sys.exit(1 if lost else 0)


def _make(folder: Path) -> None:
    folder.mkdir(parents=True)
    (folder / "campaign.toml").write_text(CAMPAIGN, encoding="utf-8")


def _start(folder: Path) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-m", "harness", "run", str(folder)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )


def _evidence(folder: Path) -> dict[str, bytes]:
    """Every CSV but the list of attempts, which tells of interruptions."""
    paths = sorted((folder / "verification").glob("*.csv"))
    return {path.name: path.read_bytes() for path in paths if path.name != "attempts.csv"}


def _attempts(folder: Path) -> int:
    return len(list((folder / "data" / "transcripts").glob("*.jsonl")))


def _compare(folder: Path, expected: dict[str, bytes], console: Console) -> int:
    found = _evidence(folder)
    differing = [name for name in expected if found.get(name) != expected[name]]
    for name in differing:
        console.print(f"{folder}: {name} differs")
    return len(differing)


if __name__ == "__main__":
    main()
