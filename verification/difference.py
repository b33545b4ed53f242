"""Whether two models differ: tests and intervals for the same tasks played by both.

A task is a stratum: runs are held against runs of the same task only, so that it does not matter
how hard each task is, or that one model has lost more runs of a task than the other.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from scipy.optimize import brentq
from scipy.signal import convolve
from scipy.stats import fisher_exact, hypergeom, norm
from statsmodels.stats.multitest import multipletests

from verification.statistics import Interval

Array = np.ndarray[tuple[int, ...], np.dtype[np.float64]]

TIE = 1 + 1e-7
"""Probabilities this near to each other count as equal, as in R's fisher.test."""


class Duel(NamedTuple):
    """One task: how many of each model's own runs passed. Both have at least one run."""

    passes_a: int
    runs_a: int
    passes_b: int
    runs_b: int


def fisher(duel: Duel) -> float:
    """The two-sided p of Fisher's exact test."""
    a, b = (duel.passes_a, duel.runs_a), (duel.passes_b, duel.runs_b)
    return float(fisher_exact([[k, n - k] for k, n in (a, b)]).pvalue)


def holm(p_values: Sequence[float]) -> list[float]:
    """The p-values after Holm's correction (1979), in their order: with ten tasks looked at, one
    p below 0.05 is no surprise."""
    if not p_values:
        return []
    return [float(p) for p in multipletests(p_values, method="holm")[1]]


def stratified(duels: Sequence[Duel]) -> float:
    """The two-sided p of the exact permutation test stratified by task.

    Were the models alike, a task's passes would fall on its runs by lot. The number that falls
    to model A is hypergeometric, and their sum over the tasks is a convolution, so that every
    permutation is counted and none is drawn. p is the probability of all sums that are no more
    probable than the one seen: with one task this is Fisher's test, with several the exact
    conditional test of Mantel and Haenszel's (C. Mehta, N. Patel and R. Gray 1985, "Computing an
    exact confidence interval for the common odds ratio in several 2x2 contingency tables",
    Journal of the American Statistical Association 80, 969-973). It speaks of these tasks; of
    others it says nothing. Raises ValueError where there is no task.
    """
    if not duels:
        raise ValueError("no task was played by both")
    chances = np.ones(1)
    for passes_a, runs_a, passes_b, runs_b in duels:
        chances = convolve(chances, _lots(passes_a + passes_b, runs_a, runs_b))
    chances = np.maximum(chances, 0)  # long ones are convolved by Fourier transform
    seen = chances[sum(duel.passes_a for duel in duels)]
    return min(1.0, float(chances[chances <= seen * TIE].sum()))


@lru_cache(maxsize=1024)
def _lots(passes: int, runs_a: int, runs_b: int) -> Array:
    """The chances that 0, 1, ... of ``passes`` fall to model A, by lot."""
    chances: Array = hypergeom.pmf(np.arange(runs_a + 1), runs_a + runs_b, passes, runs_a)
    return chances


def gap(duels: Sequence[Duel]) -> float:
    """Model A's pass rate less B's, over the tasks, weighted as Mantel and Haenszel do: by
    runs_a * runs_b / (runs_a + runs_b). Where each task has the same runs, this is the difference
    of the effective rates. From -1 to 1."""
    rate_a, rate_b = weighted_rates(duels)
    return round(rate_a - rate_b, 12)  # so that where there is none it is 0


def weighted_rates(duels: Sequence[Duel]) -> tuple[float, float]:
    """Both models' pass rates over the tasks, with the weights of ``gap``."""
    passes, runs, weights = _arrays(duels)
    rate_a, rate_b = (passes / runs) @ weights
    return float(rate_a), float(rate_b)


def gap_interval(duels: Sequence[Duel], confidence: float = 0.95) -> Interval:
    """The interval of ``gap``, were these same tasks run again.

    The score interval of O. Miettinen and M. Nurminen 1985, "Comparative analysis of two rates",
    Statistics in Medicine 4, 213-226, stratified: all differences that the score test does not
    refuse, the variance being that of the likeliest rates with that difference. Where the exact
    test, ``stratified``, does not refuse 0, the interval is widened to hold it. statsmodels has
    the interval for a single task only, and fails where a rate is 0 or 1.
    """
    passes, runs, weights = _arrays(duels)
    seen = gap(duels)
    quantile = float(norm.ppf((1 + confidence) / 2))

    def excess(supposed: float) -> float:
        spread = _variance(passes, runs, supposed) @ weights**2
        return float((seen - supposed) ** 2 - quantile**2 * spread)

    # At the gap seen the variance may be 0; a hair beside it, it is not.
    hair = 1e-9
    low = brentq(excess, -1, seen - hair) if seen > hair - 1 else -1.0
    high = brentq(excess, seen + hair, 1) if seen < 1 - hair else 1.0
    if stratified(duels) > 1 - confidence - hair:
        low, high = min(low, 0.0), max(high, 0.0)
    return Interval(float(low), float(high))


def _arrays(duels: Sequence[Duel]) -> tuple[Array, Array, Array]:
    """Passes and runs of both models (2 x tasks), and each task's weight."""
    passes_a, runs_a, passes_b, runs_b = np.array(duels, float).T
    weights = runs_a * runs_b / (runs_a + runs_b)
    return (
        np.stack([passes_a, passes_b]),
        np.stack([runs_a, runs_b]),
        weights / weights.sum(),
    )


def _variance(passes: Array, runs: Array, gap: float) -> Array:
    """By task, the variance of the difference of two rates that truly differ by ``gap``: at the
    likeliest such rates, which solve a cubic (Miettinen and Nurminen's appendix)."""
    total, passed = runs.sum(axis=0), passes.sum(axis=0)
    a2 = ((runs[0] + 2 * runs[1]) * gap - total - passed) / total
    a1 = ((runs[1] * gap - total - 2 * passes[1]) * gap + passed) / total
    a0 = passes[1] * gap * (1 - gap) / total
    q = (a2 / 3) ** 3 - a1 * a2 / 6 + a0 / 2
    root = np.copysign(np.sqrt(np.maximum((a2 / 3) ** 2 - a1 / 3, 0)), q)
    cosine = np.divide(q, root**3, out=np.ones_like(q), where=root != 0)
    angle = (np.pi + np.arccos(np.clip(cosine, -1, 1))) / 3
    rate_b = np.clip(2 * root * np.cos(angle) - a2 / 3, max(0, -gap), min(1, 1 - gap))
    rates = np.stack([rate_b + gap, rate_b])
    spread: Array = (rates * (1 - rates) / runs).sum(axis=0) * total / (total - 1)
    return np.maximum(spread, 0)
