"""Intervals, held against published ones, against statsmodels and against simulated campaigns."""

from __future__ import annotations

import itertools
from statistics import mean

import numpy as np
import pytest
import statsmodels.api as sm
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binomtest, t
from statsmodels.stats.proportion import proportion_confint

from verification.statistics import Interval, over_tasks, pass_at_k, pass_hat_k, suite, wilson

CAMPAIGNS = 10_000


@pytest.mark.parametrize(
    ("passes", "runs", "low", "high"),
    [
        # Newcombe 1998, "Two-sided confidence intervals for the single proportion", table I,
        # method 3.
        (81, 263, 0.2553, 0.3662),
        (15, 148, 0.0624, 0.1605),
        (0, 20, 0.0000, 0.1611),
        (1, 29, 0.0061, 0.1718),
    ],
)
def test_the_wilson_interval_is_the_published_one(
    passes: int, runs: int, low: float, high: float
) -> None:
    interval = wilson(passes, runs)
    assert interval is not None
    assert (round(interval.low, 4), round(interval.high, 4)) == (low, high)


COUNTS = st.integers(1, 500).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n)))


@settings(deadline=None)
@given(COUNTS, st.floats(0.01, 0.99))
def test_the_wilson_interval_is_scipys(counts: tuple[int, int], confidence: float) -> None:
    passes, runs = counts
    theirs = binomtest(passes, runs).proportion_ci(confidence, method="wilson")
    assert wilson(passes, runs, confidence) == pytest.approx((theirs.low, theirs.high), abs=1e-15)


def test_of_no_runs_nothing_is_known() -> None:
    assert wilson(0, 0) is None


def test_more_passes_than_runs_are_refused() -> None:
    with pytest.raises(ValueError, match="k"):
        wilson(4, 3)


def test_more_confidence_needs_a_wider_interval() -> None:
    narrow, wide = wilson(22, 24, confidence=0.8), wilson(22, 24, confidence=0.99)
    assert narrow is not None
    assert wide is not None
    assert wide.low < narrow.low < narrow.high < wide.high


@settings(deadline=None)
@given(COUNTS)
def test_the_interval_holds_the_rate_and_mirrors_its_complement(counts: tuple[int, int]) -> None:
    passes, runs = counts
    interval, mirrored = wilson(passes, runs), wilson(runs - passes, runs)
    assert interval is not None
    assert mirrored is not None
    assert 0 <= interval.low <= passes / runs <= interval.high <= 1
    assert mirrored == pytest.approx(Interval(1 - interval.high, 1 - interval.low))


def test_the_suite_interval_is_korn_and_graubards_of_the_cluster_robust_variance() -> None:
    passes, runs = [3, 1, 0, 2, 5, 3], [3, 3, 2, 3, 5, 4]
    ended = [i < k for k, n in zip(passes, runs, strict=True) for i in range(n)]
    task = np.repeat(np.arange(len(runs)), runs)
    fit = sm.OLS(np.array(ended, float), np.ones(len(ended))).fit(
        cov_type="cluster", cov_kwds={"groups": task}
    )
    rate, total = sum(passes) / sum(runs), sum(runs)
    alone = rate * (1 - rate) / fit.bse[0] ** 2
    alone *= (t.ppf(0.975, total - 1) / t.ppf(0.975, len(runs) - 1)) ** 2
    expected = proportion_confint(rate * alone, alone, method="beta")
    assert alone < total
    assert suite(passes, runs) == pytest.approx(expected, abs=1e-9)


def test_where_all_runs_end_alike_the_tasks_are_counted_and_not_the_runs() -> None:
    # Clopper and Pearson's for 0 of 20 is 0 to 0.1684: Newcombe 1998, table I, method 5.
    assert suite([0] * 20, [3] * 20) == pytest.approx(Interval(0, 0.1684), abs=5e-5)
    assert suite([3] * 20, [3] * 20) == pytest.approx(Interval(1 - 0.1684, 1), abs=5e-5)
    assert suite([1] * 20, [1] * 20) == suite([9] * 20, [9] * 20)


def test_tasks_that_differ_make_a_suite_less_certain_than_tasks_that_do_not() -> None:
    even, split = suite([2] * 9, [3] * 9), suite([3] * 6 + [0] * 3, [3] * 9)
    assert even is not None
    assert split is not None
    assert even.high - even.low < 0.65 * (split.high - split.low)


@pytest.mark.parametrize(("passes", "runs"), [([], []), ([2], [3]), ([2, 0], [3, 0])])
def test_fewer_than_two_tasks_tell_nothing_of_tasks_like_these(
    passes: list[int], runs: list[int]
) -> None:
    assert suite(passes, runs) is None


@settings(deadline=None)
@given(
    st.lists(
        st.integers(1, 9).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))),
        min_size=2,
        max_size=12,
    )
)
def test_the_suite_interval_holds_the_rate_and_mirrors_its_complement(
    counts: list[tuple[int, int]],
) -> None:
    passes, runs = zip(*counts, strict=True)
    interval = suite(passes, runs)
    mirrored = suite([n - k for k, n in counts], runs)
    assert interval is not None
    assert mirrored is not None
    assert -1e-9 <= interval.low <= sum(passes) / sum(runs) + 1e-9
    assert sum(passes) / sum(runs) - 1e-9 <= interval.high <= 1
    assert mirrored == pytest.approx(Interval(1 - interval.high, 1 - interval.low), abs=1e-6)


def covered(passes: np.ndarray, runs: np.ndarray, truth: float) -> float:
    """The share of campaigns (rows; tasks in columns) whose suite interval holds the truth."""
    order = np.sort(passes * 100 + runs, axis=1)  # the order of tasks does not matter
    campaigns, counts = np.unique(order, axis=0, return_counts=True)
    intervals = [suite(list(row // 100), list(row % 100)) for row in campaigns]
    held = [one is not None and one.low <= truth <= one.high for one in intervals]
    return float(counts[held].sum() / counts.sum())


@pytest.mark.parametrize("rate", [0.5, 0.75, 0.9])
@pytest.mark.parametrize("likeness", [0.05, 0.3, 0.6, 0.9])
def test_the_suite_interval_covers_the_truth_of_10000_campaigns(
    rate: float, likeness: float
) -> None:
    random = np.random.default_rng(1)
    size = 1 / likeness - 1
    tasks = random.beta(rate * size, (1 - rate) * size, (CAMPAIGNS, 10))
    passes = random.binomial(3, tasks)
    assert 0.945 <= covered(passes, np.full_like(passes, 3), rate) <= 1


def test_the_suite_interval_covers_the_truth_where_infrastructure_took_runs_of_some_tasks() -> None:
    random = np.random.default_rng(2)
    tasks = random.beta(1.5, 0.5, (CAMPAIGNS, 10))  # a rate of 0.75, a likeness of 1/3
    runs = np.tile([3, 3, 3, 3, 3, 3, 2, 1, 0, 0], (CAMPAIGNS, 1))
    assert 0.945 <= covered(random.binomial(runs, tasks), runs, 0.75) <= 1


def test_wilsons_interval_covers_the_rate_of_the_same_tasks_in_10000_campaigns() -> None:
    random = np.random.default_rng(3)
    tasks = np.linspace(0.05, 0.95, 10)
    passes = random.binomial(3, tasks, (CAMPAIGNS, 10)).sum(axis=1)
    counts = np.bincount(passes, minlength=31)
    intervals = [wilson(k, 30) for k in range(31)]
    held = [one is not None and one.low <= tasks.mean() <= one.high for one in intervals]
    assert 0.95 <= counts[held].sum() / CAMPAIGNS <= 1


@pytest.mark.parametrize(("passes", "runs"), [(0, 4), (1, 4), (3, 5), (5, 5)])
def test_pass_at_k_and_pass_hat_k_are_the_shares_of_all_choices_of_k_runs(
    passes: int, runs: int
) -> None:
    ended = [True] * passes + [False] * (runs - passes)
    for k in range(1, runs + 1):
        choices = list(itertools.combinations(ended, k))
        assert pass_at_k(passes, runs, k) == pytest.approx(mean(map(any, choices)))
        assert pass_hat_k(passes, runs, k) == pytest.approx(mean(map(all, choices)))


def test_pass_at_k_is_chens_product_formula() -> None:
    # The numerically stable form in figure 3 of Chen et al. 2021.
    n, c, k = 200, 13, 100
    assert pass_at_k(c, n, k) == pytest.approx(1 - np.prod(1 - k / np.arange(n - c + 1, n + 1)))


@pytest.mark.parametrize("k", [0, 4])
def test_k_runs_at_least_are_needed(k: int) -> None:
    with pytest.raises(ValueError, match="1 to 3"):
        pass_at_k(2, 3, k)
    with pytest.raises(ValueError, match="1 to 3"):
        pass_hat_k(2, 3, k)


def test_the_interval_of_pass_hat_k_covers_the_truth_of_10000_campaigns() -> None:
    random = np.random.default_rng(4)
    a, b = 1.5, 0.5
    truth = a * (a + 1) * (a + 2) / ((a + b) * (a + b + 1) * (a + b + 2))  # of p^3
    passes = random.binomial(5, random.beta(a, b, (CAMPAIGNS, 10)))
    campaigns, counts = np.unique(np.sort(passes, axis=1), axis=0, return_counts=True)
    held = []
    for row in campaigns:
        interval = over_tasks([pass_hat_k(int(k), 5, 3) for k in row], [1] * 10, 50)
        held.append(interval is not None and interval.low <= truth <= interval.high)
    assert 0.945 <= counts[held].sum() / CAMPAIGNS <= 1
