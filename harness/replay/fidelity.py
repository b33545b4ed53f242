"""A campaign's runs played again, side by side, and how many came out as they were recorded."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import psutil

from harness.errors import BadInput, InfrastructureFault
from harness.replay import Grade, Play, opened
from harness.replay.recorded import outcome_in, read_recorded, suite_of
from harness.store import CampaignFolder, read_header
from harness.task import Suite

Fate = Literal["same", "differs", "not replayable", "infrastructure"]
"""What became of a run. One that the world spoiled or cut off is not played again."""

UNREADABLE = "(unreadable)"
"""Stands for the model of a transcript without a header."""


@dataclass(frozen=True)
class Row:
    """A run of the campaign, and what became of it; ``why``, where it did not come out the same."""

    path: Path
    model: str
    name: str
    fate: Fate
    why: str = ""


@dataclass(frozen=True)
class Tally:
    """The fates of one model's runs."""

    model: str
    counts: Counter[Fate]

    @property
    def fidelity(self) -> float | None:
        """The share of the runs played again that came out the same; None where none was."""
        played = self.counts["same"] + self.counts["differs"]
        return self.counts["same"] / played if played else None


async def replay_all(
    folder: CampaignFolder, grade: Grade, suite: str | None, done: Callable[[Row], None]
) -> None:
    """Play every run of a campaign again, as many at once as there are processors.

    ``done`` is given each run as it is done. Raises BadInput where nothing could be played at all.
    """
    paths = runs_in(folder)
    found = suite_of(paths[0], suite)
    waiting = iter(paths)
    async with opened(grade, (found.folder, folder.transcripts)) as play:

        async def work() -> None:
            for path in waiting:
                done(await _replay(path, found, play))

        async with asyncio.TaskGroup() as group:
            for _ in range(psutil.cpu_count() or 1):
                group.create_task(work())


def runs_in(folder: CampaignFolder) -> list[Path]:
    """The latest transcript of each run; raises BadInput where nothing has run."""
    paths = [path for path in folder.transcript_paths() if ".attempt-" not in path.name]
    if not paths:
        raise BadInput(f"{folder.path}: nothing has run yet; fairtrial run {folder.path}")
    return paths


def tally(rows: Iterable[Row]) -> list[Tally]:
    """The fates by model, in the order of their names."""
    models: dict[str, Counter[Fate]] = {}
    for row in rows:
        models.setdefault(row.model, Counter())[row.fate] += 1
    return [Tally(model, models[model]) for model in sorted(models)]


async def _replay(path: Path, suite: Suite, play: Play) -> Row:
    model, name = UNREADABLE, path.name
    try:
        started = read_header(path)
        model, name = started.model.name, f"{started.task} #{started.repetition}"
        recorded = read_recorded(path, suite)
        if outcome_in(recorded.events) is None:
            return Row(path, model, name, "infrastructure")
        replayed = await play(recorded)
    except (BadInput, InfrastructureFault) as error:
        return Row(path, model, name, "not replayable", str(error))
    if replayed.same:
        return Row(path, model, name, "same")
    return Row(path, model, name, "differs", f"{replayed.difference}")
