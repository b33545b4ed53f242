"""What a person sees of a certification: a bar while it goes on, then a table task by aspect."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table
from rich.text import Text

from harness.certificate.certify import ASPECTS, Aspect, Proof, Trial
from harness.terminal import safe

_SHOWN = 40
"""Failures that are listed; the rest is counted."""

_NAMED = 8
"""Scripts that are named where they fail alike; of more, the task itself is at fault."""


class Bar:
    """How many scripts have been played, and which was the last."""

    def __init__(self, console: Console) -> None:
        self._progress = Progress(
            MofNCompleteColumn(),
            BarColumn(),
            TimeRemainingColumn(),
            TextColumn("{task.description}"),
            console=console,
            transient=True,
            disable=not console.is_terminal,
        )
        self._bar = self._progress.add_task("", total=0)
        self._planned = 0

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._progress.stop()

    def plans(self, count: int) -> None:
        """So many more are to be played."""
        self._planned += count
        self._progress.update(self._bar, total=self._planned)

    def ended(self, trial: Trial) -> None:
        """One has been played."""
        self._progress.update(self._bar, advance=1, description=f"{trial.task.id} {trial.name}")


def print_table(proofs: Sequence[Proof], console: Console) -> None:
    """Print a row for each task, and a line for whatever did not do as it must."""
    table = Table(box=None, pad_edge=False, padding=(0, 1, 0, 0), header_style="bold")
    table.add_column("task", overflow="fold")
    for aspect in ASPECTS:
        heading = aspect.replace(" ", "\n").replace("alternatives", "alterna-\ntives")
        table.add_column(heading, justify="right", no_wrap=True)  # to fit 80 columns
    for proof in proofs:
        table.add_row(proof.task.id, *(_cell(proof, aspect) for aspect in ASPECTS))
    console.print(table)
    lines = [line for proof in proofs for line in _failures(proof)]
    for line in lines[:_SHOWN]:
        console.print(f"- {safe(line)}", markup=False, highlight=False, soft_wrap=True)
    if len(lines) > _SHOWN:
        console.print(f"- and {len(lines) - _SHOWN} more")


def _failures(proof: Proof) -> Iterator[str]:
    """A line for each script, with the variants on which it failed in one and the same way."""
    alike: dict[str, dict[str, list[str]]] = {}
    for failure in proof.failed:
        script = ", ".join(filter(None, (failure.aspect, failure.name)))
        alike.setdefault(failure.wrong, {}).setdefault(script, []).append(failure.where)
    for wrong, scripts in alike.items():
        if len(scripts) > _NAMED:
            first = next(iter(scripts))
            yield f"{proof.task.id}, {first} and {len(scripts) - 1} other scripts: {wrong}"
            continue
        for script, places in scripts.items():
            where = ", ".join(filter(None, dict.fromkeys(places)))
            yield f"{proof.task.id}, {script}{f' ({where})' if where else ''}: {wrong}"


def _cell(proof: Proof, aspect: Aspect) -> Text:
    held, failed = proof.held[aspect], proof.failures(aspect)
    if not held and not failed:
        return Text("none", style="yellow")
    return Text(f"{held}/{held + failed}", style="red" if failed else "green")
