"""Which runs a campaign owes, and the names and seeds that follow from the plan alone.

A run's UUID and seed are derived from the campaign, model, task and repetition, so they do not
depend on the order in which runs are played, on what was interrupted, or on what is resumed.
"""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Iterator
from dataclasses import dataclass

from harness.records import Plan

_RUNS = uuid.UUID("5f0c2d8e-6a4b-5c1f-9c57-3d1f0a2b7e64")


@dataclass(frozen=True)
class Run:
    """One (model, task, repetition) of a campaign."""

    id: str
    model: str
    task: str
    repetition: int
    seed: int


def runs_of(plan: Plan) -> Iterator[Run]:
    """Every run of the plan: repetition by repetition, so that an early stop leaves each task
    with about as many runs as any other."""
    for repetition in range(1, plan.runs_per_task + 1):
        for task in plan.tasks:
            for model in plan.models:
                words = (plan.campaign, plan.suite, model, task, repetition, plan.seed)
                name = "\n".join(map(str, words))
                seed = _derive(plan.seed, model, task, repetition)
                yield Run(str(uuid.uuid5(_RUNS, name)), model, task, repetition, seed)


def turn_seed(run_seed: int, turn: int) -> int:
    """The seed of one turn's sampling, below 2**31 so that every engine takes it."""
    return _derive(run_seed, turn)


def variant_seed(seed: int, task: str, repetition: int) -> int:
    """Which variant a campaign with seeded ones draws: the same one for each of its models, so
    that they can be compared pair by pair."""
    return _derive("variant", seed, task, repetition)


def _derive(*parts: object) -> int:
    text = "\n".join(map(str, parts))
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:4]) & 0x7FFF_FFFF
