"""How sure a rate is. Every rate is of a small sample, so none is shown without its interval.

Two questions have two intervals. "What would these same tasks give, run again?" is ``wilson``'s.
"What would tasks like these give?" is ``suite``'s: there the tasks are the sample, and ten tasks
of three runs are ten draws rather than thirty.

The quantiles are those of ``scipy.special``: importing ``scipy.stats``, which calls the same
functions, takes half a second more, of every command that shows a rate.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from scipy.special import betaincinv, ndtri, stdtrit


class Interval(NamedTuple):
    """Where a rate, or a difference of two, plausibly lies."""

    low: float
    high: float


def wilson(passes: int, runs: int, confidence: float = 0.95) -> Interval | None:
    """The Wilson score interval, without continuity correction, of ``passes`` in ``runs``: E.
    Wilson 1927, "Probable inference, the law of succession, and statistical inference", Journal
    of the American Statistical Association 22, 209-212.

    None where there are no runs: nothing is known then. Raises ValueError for counts that
    cannot be (more passes than runs).

    For runs pooled over several tasks it answers one question only: what would this same mix
    of tasks give, if it were run again? For that it is conservative. Each task has its own
    pass rate p_i and a fixed number of runs n_i, so the count of passes has the variance
    sum n_i p_i (1 - p_i). As p (1 - p) is concave, this is at most n p (1 - p) at the mean
    rate p, which is the variance of the binomial that Wilson's interval supposes; they are equal
    only where all tasks are equally hard (Hoeffding 1956, "On the distribution of the number of
    successes in independent trials", Annals of Mathematical Statistics 27, 713-721). It says
    nothing of other tasks: for those, see ``suite``.
    """
    if runs == 0:
        return None
    if not 0 <= passes <= runs:
        raise ValueError(f"k is {passes}; of {runs} runs 0 to {runs} can pass")
    z, rate = float(ndtri(0.5 + confidence / 2)), passes / runs
    scale = 2 * (runs + z**2)
    centre = (2 * runs * rate + z**2) / scale
    reach = z / scale * math.sqrt(4 * runs * rate * (1 - rate) + z**2)
    low = centre - reach if passes else 0.0
    high = centre + reach if passes < runs else 1.0
    return Interval(low, high)


def suite(passes: Sequence[int], runs: Sequence[int], confidence: float = 0.95) -> Interval | None:
    """The interval of a suite's pass rate, ``sum(passes) / sum(runs)``, for tasks like these.

    ``passes`` and ``runs`` are by task; tasks without runs are left out. It is ``over_tasks``
    with each task weighing as many runs as it has. None where fewer than two tasks have runs.
    """
    played = [(k, n) for k, n in zip(passes, runs, strict=True) if n]
    rates = [k / n for k, n in played]
    counts = [n for _, n in played]
    return over_tasks(rates, counts, sum(counts), confidence)


def over_tasks(
    scores: Sequence[float], weights: Sequence[float], runs: int, confidence: float = 0.95
) -> Interval | None:
    """The Korn-Graubard interval of a weighted mean of tasks' ``scores``, each between 0 and 1.

    The tasks are clusters, drawn from such as might have been written: the runs of one are not
    independent. The variance of the mean comes from how the tasks differ (the linearised
    between-cluster variance), and gives the number of independent runs n* that would be as
    uncertain; n* is lowered for the few degrees of freedom it is known with, and is never above
    ``runs``, the number there were. The limits are Clopper and Pearson's for n* runs: E. Korn and
    B. Graubard 1998, "Confidence intervals for proportions with small expected number of
    positive counts estimated from survey data", Survey Methodology 24, 193-201.

    Where every task scores 0, or every one 1, nothing is seen of how alike the runs of a task
    are; they are then taken for wholly alike, and n* is the number of tasks (Kish's effective
    number, where weights differ). One task tells nothing of others: then None.

    Mean +- t standard errors (E. Miller 2024, "Adding error bars to evals", arXiv:2411.00640)
    was not taken: with ten tasks of a rate of 0.9 it covers the truth 70 to 95 times in 100,
    and at a rate of 1 its width is 0. See docs/evidence.md.
    """
    tasks = len(scores)
    if tasks < 2:
        return None
    score, weight = np.asarray(scores, float), np.asarray(weights, float)
    weight = weight / weight.sum()
    alike = score.max() == 0 or score.min() == 1
    mean = float(score[0]) if alike else float(weight @ score)
    variance = tasks / (tasks - 1) * float(np.sum((weight * (score - mean)) ** 2))
    tail = (1 - confidence) / 2
    if alike:
        effective = 1 / float(np.sum(weight**2))
    else:
        few = float(stdtrit(runs - 1, tail) / stdtrit(tasks - 1, tail)) ** 2
        effective = min(runs, few * mean * (1 - mean) / variance) if variance else runs
    passes, fails = mean * effective, (1 - mean) * effective
    low = float(betaincinv(passes, fails + 1, tail)) if passes else 0.0
    high = float(betaincinv(passes + 1, fails, 1 - tail)) if fails else 1.0
    return Interval(low, high)


def pass_at_k(passes: int, runs: int, k: int) -> float:
    """The chance that one of ``k`` runs passes, without bias, from ``runs`` of which ``passes``
    passed: M. Chen et al. 2021, "Evaluating large language models trained on code",
    arXiv:2107.03374, equation 1. Needs ``k`` runs at least; raises ValueError for fewer."""
    _refuse_too_few(runs, k)
    return 1 - math.comb(runs - passes, k) / math.comb(runs, k)


def pass_hat_k(passes: int, runs: int, k: int) -> float:
    """pass^k, the chance that all of ``k`` runs pass, without bias: S. Yao et al. 2024,
    "tau-bench", arXiv:2406.12045, section 3. Needs ``k`` runs at least; raises ValueError for
    fewer."""
    _refuse_too_few(runs, k)
    return math.comb(passes, k) / math.comb(runs, k)


def _refuse_too_few(runs: int, k: int) -> None:
    if not 1 <= k <= runs:
        raise ValueError(f"k is {k}; with {runs} runs it can be 1 to {runs}")
