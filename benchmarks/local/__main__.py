"""python -m benchmarks.local: choose what to measure, and of which models."""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

from benchmarks.local import batch, reuse, speed
from benchmarks.local.subject import subjects

TABLES = ("speed", "reuse", "batch", "campaign")


def main() -> None:
    """Print the tables that are asked for, model by model."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.local", description=__doc__)
    parser.add_argument("tables", nargs="*", metavar="table", help=", ".join(TABLES), default=TABLES)
    parser.add_argument("--model", type=Path, action="append", default=[], help="a GGUF file")
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--tokens", type=int, default=100)
    parser.add_argument("--runs", type=int, default=3)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        for subject in subjects(options.model, Path(folder)):
            if "speed" in options.tables:
                speed.main(subject, options.rounds, options.tokens)
            if "reuse" in options.tables:
                reuse.main(subject, options.runs)
            if "batch" in options.tables:
                batch.main(subject, options.rounds, options.tokens)


if __name__ == "__main__":
    main()
