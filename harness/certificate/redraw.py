"""Variants drawn once more in a process of its own: python -m harness.certificate.redraw SUITE.

A variants.py that asks anything but its seed (the module ``random``, a set's order, the clock)
draws another task there, and no run on it could ever be replayed. Reads ``{task: [seed]}`` from
stdin and prints ``{task: [fingerprint]}``.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pprint import pformat

from harness.errors import BadInput
from harness.task import Suite, Task, load_suite

Seeds = Sequence[int | None]


def fingerprints(task: Task, seeds: Seeds) -> list[str]:
    """One for each seed: of all that the model can come to see, and of the facts, which decide
    what the checker expects. ``pformat`` puts sets and dicts in order."""
    found = []
    for seed in seeds:
        try:
            variant = task.variant(seed)
            text = f"{variant.digest} {pformat(dict(variant.facts))}"
        except BadInput as error:
            text = str(error)
        found.append(hashlib.sha256(text.encode()).hexdigest())
    return found


def drawn_elsewhere(suite: Suite, wanted: Mapping[str, Seeds]) -> dict[str, list[str]]:
    """Fingerprints by task, from a fresh process where strings hash otherwise than here."""
    hashing = "2" if os.environ.get("PYTHONHASHSEED") == "1" else "1"
    done = subprocess.run(
        [sys.executable, "-m", __name__, str(suite.folder.resolve())],
        input=json.dumps({task: list(seeds) for task, seeds in wanted.items()}),
        env={**os.environ, "PYTHONHASHSEED": hashing},
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    found: dict[str, list[str]] = json.loads(done.stdout)
    return found


def main() -> None:
    """Answer the one question on stdin."""
    wanted = json.load(sys.stdin)
    with contextlib.redirect_stdout(sys.stderr):  # a variants.py may print
        tasks = {task.id: task for task in load_suite(sys.argv[1]).tasks}
        found = {name: fingerprints(tasks[name], seeds) for name, seeds in wanted.items()}
    print(json.dumps(found))


if __name__ == "__main__":
    main()
