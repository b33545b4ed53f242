"""How many runs would settle it: the power of the test that ``compare`` uses, by simulation.

A simulated comparison draws tasks, plays each by both models and takes the p of
``difference.stratified``. The share of comparisons with a p below alpha is the power. The
draws are seeded: the same question always has the same answer.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy.fft import irfft, next_fast_len, rfft
from scipy.optimize import brentq
from scipy.special import expit, logit
from scipy.stats import hypergeom, norm

from verification.difference import TIE

COMPARISONS = 2000
"""Simulated for one answer: a power near 0.8 is then known to a percentage point."""

MOST_RUNS, MOST_IN_ALL = 300, 10_000
"""Runs of a task, and of one model in all, that are simulated; beyond them an answer is "more
than"."""

EXACT_UP_TO = 1000
"""Runs of one model in all up to which a simulated p is exact; beyond, its normal approximation
with the continuity correction is the same to three decimals."""

EDGE, TINY = 0.001, 1e-9
"""How near to 0 and 1 the rate of a model, and of a task, may lie."""

SEED = 20260610

Array = np.ndarray[tuple[int, ...], np.dtype[np.float64]]
Counts = np.ndarray[tuple[int, ...], np.dtype[np.int64]]


@dataclass(frozen=True)
class Question:
    """Two models of true pass rates ``rate`` and ``other`` on a suite of ``tasks`` tasks.

    ``likeness`` says how alike the runs of one task are, as the intraclass correlation: at 0
    every task is equally hard, towards 1 each is passed always or never. One model's rates by
    task are drawn from the beta distribution with that mean and correlation (1 / (a + b + 1));
    the other's are these with all odds multiplied by the same factor.
    """

    rate: float
    other: float
    tasks: int
    likeness: float = 0.0
    power: float = 0.8
    alpha: float = 0.05


def likeness(passes: Sequence[int], runs: Sequence[int]) -> float | None:
    """How alike the runs of one task are, from 0 to 1: the intraclass correlation as J. Fleiss
    and J. Cuzick 1979 estimate it ("The reliability of dichotomous judgments: unequal numbers of
    judges per subject", Applied Psychological Measurement 3, 537-542), 0 where that is below.

    None where it cannot be told: no task was run twice, or all runs ended alike.
    """
    played = [(k, n) for k, n in zip(passes, runs, strict=True) if n]
    total, passed = sum(n for _, n in played), sum(k for k, _ in played)
    if total == len(played) or passed in (0, total):
        return None
    disagreement = sum(k * (n - k) / n for k, n in played) / (total - len(played))
    rate = passed / total
    return max(0.0, 1 - disagreement / (rate * (1 - rate)))


def most_runs(tasks: int) -> int:
    """The most runs per task that are simulated."""
    return max(1, min(MOST_RUNS, MOST_IN_ALL // tasks))


def power(question: Question, runs: int) -> float:
    """The chance that ``runs`` of each task by each model show the difference."""
    random = np.random.default_rng(SEED)
    rates, others = _rates(question, random)
    passes, other_passes = random.binomial(runs, rates), random.binomial(runs, others)
    return float(np.mean(_p_values(passes, other_passes, runs) < question.alpha))


def runs_needed(question: Question) -> int | None:
    """The least runs per task of each model with the power asked for, to about 2%; None where
    ``most_runs`` are not enough."""
    enough, too_few, most = 1, 0, most_runs(question.tasks)
    while power(question, enough) < question.power:
        if enough == most:
            return None
        too_few, enough = enough, min(most, enough * 2)
    # To a fiftieth: nearer than that, chance in the simulation decides.
    while enough - too_few > max(1, enough // 50):
        middle = (enough + too_few) // 2
        if power(question, middle) < question.power:
            too_few = middle
        else:
            enough = middle
    return enough


def detectable(question: Question, runs: int) -> float | None:
    """The least difference from ``question.rate``, in steps of a percentage point, that ``runs``
    of each task show with the power asked for; None where not even the greatest is shown. It is
    looked for on the side where there is more room; ``question.other`` does not matter."""
    room = max(question.rate, 1 - question.rate)
    down = question.rate >= 0.5

    def shown(points: int) -> bool:
        gap = -points / 100 if down else points / 100
        return power(replace(question, other=question.rate + gap), runs) >= question.power

    too_small, shows = 0, math.floor(room * 100)
    if not shown(shows):
        return None
    while shows - too_small > 1:
        middle = (shows + too_small) // 2
        if shown(middle):
            shows = middle
        else:
            too_small = middle
    return shows / 100


def _rates(question: Question, random: np.random.Generator) -> tuple[Array, Array]:
    """True rates of both models by comparison and task: drawn for the one whose rate is nearer to
    one half, from where the other's can be reached by odds."""
    drawn, shifted = sorted((question.rate, question.other), key=lambda rate: abs(rate - 0.5))
    shape = (COMPARISONS, question.tasks)
    drawn, shifted = np.clip((drawn, shifted), EDGE, 1 - EDGE)
    if question.likeness > EDGE:
        size = 1 / min(question.likeness, 1 - EDGE) - 1
        rates = np.clip(random.beta(drawn * size, (1 - drawn) * size, shape), TINY, 1 - TINY)
    else:
        rates = np.full(shape, drawn)
    odds = logit(rates)
    factor = brentq(lambda factor: expit(odds + factor).mean() - shifted, -60, 60)
    return rates, expit(odds + factor)


def _p_values(passes: Counts, other_passes: Counts, runs: int) -> Array:
    """``difference.stratified`` of many comparisons at once (rows; tasks in columns), where each
    task has the same ``runs``. Convolutions are products of Fourier transforms."""
    tasks = passes.shape[1]
    if tasks * runs > EXACT_UP_TO:
        return _approximately(passes, other_passes, runs)
    length = next_fast_len(tasks * runs + 1, real=True)
    falls = np.arange(runs + 1)
    totals = np.arange(2 * runs + 1)[:, np.newaxis]
    waves = rfft(hypergeom.pmf(falls, 2 * runs, totals, runs), length)
    product = np.ones((len(passes), waves.shape[1]), complex)
    for both in (passes + other_passes).T:
        product *= waves[both]
    chances = np.maximum(irfft(product, length), 0)
    seen = np.take_along_axis(chances, passes.sum(axis=1)[:, np.newaxis], axis=1)
    p_values: Array = np.where(chances <= seen * TIE, chances, 0).sum(axis=1)
    return p_values


def _approximately(passes: Counts, other_passes: Counts, runs: int) -> Array:
    """The same p-values by the normal approximation: the variance is the hypergeometric one."""
    both = passes + other_passes
    variance = (both * (2 * runs - both)).sum(axis=1) / (4 * (2 * runs - 1))
    distance = np.maximum(np.abs((passes - other_passes).sum(axis=1)) - 1, 0) / 2
    p_values: Array = 2 * norm.sf(distance / np.sqrt(np.maximum(variance, TINY)))
    return p_values
