"""How sure a rate is. Every rate is of a small sample, so none is shown without its interval."""

from __future__ import annotations

from typing import NamedTuple

from scipy.stats import binomtest


class Interval(NamedTuple):
    """Where a rate plausibly lies; both ends between 0 and 1."""

    low: float
    high: float


def wilson(passes: int, runs: int, confidence: float = 0.95) -> Interval | None:
    """The Wilson score interval, without continuity correction, of ``passes`` in ``runs``.

    None where there are no runs: nothing is known then. Raises ValueError for counts that
    cannot be (more passes than runs).

    For runs pooled over several tasks it answers one question only: what would this same mix
    of tasks give, if it were run again? For that it is conservative. Each task has its own
    pass rate p_i and a fixed number of runs n_i, so the count of passes has the variance
    sum n_i p_i (1 - p_i). As p (1 - p) is concave, this is at most n p (1 - p) at the mean
    rate p, which is the variance of the binomial that Wilson's interval supposes; they are equal
    only where all tasks are equally hard (Hoeffding 1956, "On the distribution of the number of
    successes in independent trials", Annals of Mathematical Statistics 27, 713-721). It says
    nothing of other tasks: for those the tasks themselves would have to be a sample.
    """
    if runs == 0:
        return None
    interval = binomtest(passes, runs).proportion_ci(confidence, method="wilson")
    return Interval(float(interval.low), float(interval.high))
