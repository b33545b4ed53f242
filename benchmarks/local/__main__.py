"""python -m benchmarks.local: choose what to measure, and of which models."""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Callable
from pathlib import Path

from benchmarks.local import batch, campaign, reuse, speed
from benchmarks.local.subject import Subject, subjects

TABLES = ("speed", "reuse", "batch", "campaign")


def main() -> None:
    """Print the tables that are asked for, model by model."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.local", description=__doc__)
    parser.add_argument("table", nargs="*", help=", ".join(TABLES) + "; by default all")
    parser.add_argument("--model", type=Path, action="append", default=[], help="a GGUF file")
    parser.add_argument("--rounds", type=int, default=9, help="of speed and batch")
    parser.add_argument("--tokens", type=int, default=100, help="of a reply, at most")
    parser.add_argument("--runs", type=int, default=8, help="of each task, in reuse and campaign")
    parser.add_argument("--turns", type=int, nargs=2, default=(5, 8), help="of a run, in reuse")
    options = parser.parse_args()
    fewest, most = options.turns
    tables: dict[str, Callable[[Subject], None]] = {
        "speed": lambda subject: speed.main(subject, options.rounds, options.tokens),
        "reuse": lambda subject: reuse.main(subject, options.runs, (fewest, most)),
        "batch": lambda subject: batch.main(subject, options.rounds, options.tokens),
        "campaign": lambda subject: campaign.main(
            subject, campaign.Size(options.runs, options.tokens)
        ),
    }
    with tempfile.TemporaryDirectory() as folder:
        for subject in subjects(options.model, Path(folder)):
            for name in options.table or TABLES:
                tables[name](subject)
                print(flush=True)


if __name__ == "__main__":
    main()
