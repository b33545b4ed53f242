"""Whether two models differ: tests and intervals, held against published ones and simulation."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize_scalar

from verification.difference import (
    Duel,
    fisher,
    gap,
    gap_interval,
    holm,
    stratified,
    weighted_rates,
)

SPLIT = [Duel(3, 3, 1, 3), Duel(2, 3, 3, 3), Duel(3, 3, 3, 3), Duel(1, 2, 0, 5)]
RABBITS = [Duel(0, 6, 0, 5), Duel(3, 6, 0, 6), Duel(6, 6, 2, 6), Duel(5, 6, 6, 6), Duel(2, 2, 5, 5)]
"""Cured of those given penicillin at once, and 1.5 hours later, at five levels of penicillin:
Agresti 1990, "Categorical Data Analysis", pages 231-237."""

duels = st.lists(
    st.tuples(st.integers(1, 6), st.integers(1, 6)).flatmap(
        lambda n: st.builds(
            Duel, st.integers(0, n[0]), st.just(n[0]), st.integers(0, n[1]), st.just(n[1])
        )
    ),
    min_size=1,
    max_size=8,
)


def test_3_of_3_against_1_of_3_is_no_more_than_noise() -> None:
    assert fisher(Duel(3, 3, 1, 3)) == pytest.approx(0.40)


def test_fishers_test_gives_the_p_of_the_lady_tasting_tea() -> None:
    assert fisher(Duel(3, 4, 1, 4)) == pytest.approx(34 / 70)  # Fisher 1935, two-sided


def test_holms_correction_is_the_textbooks() -> None:
    # Sorted, 0.005 x 4, 0.01 x 3, 0.03 x 2, 0.04 x 1, and never less than the one before.
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([]) == []


def test_the_stratified_test_gives_the_p_that_was_published_of_the_rabbits() -> None:
    # R's documentation of mantelhaen.test(Rabbits, exact = TRUE): p = 0.040.
    assert stratified(RABBITS) == pytest.approx(0.040, abs=5e-4)


def test_over_one_task_the_stratified_test_is_fishers() -> None:
    for duel in (*SPLIT, *RABBITS, Duel(9, 10, 3, 10), Duel(5, 56, 0, 29)):
        assert stratified([duel]) == pytest.approx(fisher(duel))


def test_the_stratified_test_counts_what_shuffling_the_runs_within_tasks_gives() -> None:
    random = np.random.default_rng(5)
    seen = sum(duel.passes_a for duel in SPLIT)
    shuffled = np.zeros(200_000, int)
    for passes_a, runs_a, passes_b, runs_b in SPLIT:
        both = passes_a + passes_b
        shuffled += random.hypergeometric(both, runs_a + runs_b - both, runs_a, 200_000)
    chances = np.bincount(shuffled) / len(shuffled)
    as_extreme = chances[chances <= chances[seen] * 1.02].sum()
    assert stratified(SPLIT) == pytest.approx(as_extreme, abs=0.005)


def test_without_a_task_there_is_no_test() -> None:
    with pytest.raises(ValueError, match="no task"):
        stratified([])


@settings(deadline=None)
@given(duels)
def test_who_is_called_a_changes_signs_and_nothing_else(played: list[Duel]) -> None:
    turned = [Duel(b, n, a, m) for a, m, b, n in played]
    low, high = gap_interval(played)
    assert stratified(turned) == pytest.approx(stratified(played))
    assert gap(turned) == pytest.approx(-gap(played))
    assert gap_interval(turned) == pytest.approx((-high, -low), abs=1e-6)
    assert -1 <= low <= gap(played) + 1e-9
    assert gap(played) - 1e-9 <= high <= 1


@settings(deadline=None)
@given(duels)
def test_an_interval_without_0_always_goes_with_a_p_below_5_percent(played: list[Duel]) -> None:
    low, high = gap_interval(played)
    assert low <= 0 <= high or stratified(played) < 0.05


@pytest.mark.parametrize(
    ("duel", "low", "high"),
    [
        # Newcombe 1998, "Interval estimation for the difference between independent
        # proportions", table II, Miettinen and Nurminen's method.
        (Duel(56, 70, 48, 80), 0.0528, 0.3382),
        (Duel(9, 10, 3, 10), 0.1700, 0.8406),
        (Duel(5, 56, 0, 29), -0.0326, 0.1933),
        (Duel(0, 10, 0, 20), -0.1658, 0.2844),
        (Duel(0, 10, 0, 10), -0.2879, 0.2879),
        (Duel(10, 10, 0, 20), 0.7156, 1.0000),
    ],
)
def test_the_interval_of_a_difference_is_the_published_one(
    duel: Duel, low: float, high: float
) -> None:
    assert gap_interval([duel]) == pytest.approx((low, high), abs=5e-5)


def test_the_interval_takes_0_in_where_the_exact_test_does() -> None:
    # Newcombe's table has 0.0342 to 0.8534, Fisher's p is 0.10.
    assert gap_interval([Duel(6, 7, 2, 7)]) == pytest.approx((0, 0.8534), abs=5e-5)


def likeliest(duel: Duel, supposed: float) -> tuple[float, float]:
    """By search: the likeliest rates of both, where A's is B's and ``supposed`` more."""

    def unlikelihood(rate_b: float) -> float:
        counts = (
            (duel.passes_a, duel.runs_a, rate_b + supposed),
            (duel.passes_b, duel.runs_b, rate_b),
        )
        return -sum(
            sum(m * math.log(max(p, 1e-300)) for m, p in ((k, rate), (n - k, 1 - rate)) if m)
            for k, n, rate in counts
        )

    ends = max(0.0, -supposed), min(1.0, 1 - supposed)
    rate_b = minimize_scalar(
        unlikelihood, bounds=ends, method="bounded", options={"xatol": 1e-10}
    ).x
    return rate_b + supposed, rate_b


@pytest.mark.parametrize("end", [0, 1])
def test_at_both_ends_of_the_interval_the_stratified_score_is_that_of_5_percent(end: int) -> None:
    supposed = gap_interval(SPLIT)[end]
    weights = [a * b / (a + b) for _, a, _, b in SPLIT]
    variance = 0.0
    for duel, weight in zip(SPLIT, weights, strict=True):
        rate_a, rate_b = likeliest(duel, supposed)
        spread = rate_a * (1 - rate_a) / duel.runs_a + rate_b * (1 - rate_b) / duel.runs_b
        total = duel.runs_a + duel.runs_b
        variance += (weight / sum(weights)) ** 2 * spread * total / (total - 1)
    assert abs(gap(SPLIT) - supposed) / math.sqrt(variance) == pytest.approx(1.95996, abs=1e-3)


def test_with_as_many_runs_of_each_task_the_gap_is_that_of_the_effective_rates() -> None:
    played = [Duel(3, 3, 1, 3), Duel(2, 3, 3, 3), Duel(0, 3, 3, 3)]
    assert weighted_rates(played) == pytest.approx((5 / 9, 7 / 9))
    assert gap(played) == pytest.approx(-2 / 9)


@pytest.mark.parametrize("step", [0.0, 0.15])
def test_of_10000_comparisons_the_interval_covers_the_true_gap_and_the_test_keeps_its_word(
    step: float,
) -> None:
    random = np.random.default_rng(6)
    rates = np.array([0.05, 0.3, 0.8, 0.85])
    a = random.binomial(3, rates + step, (10_000, 4))
    b = random.binomial(3, rates, (10_000, 4))
    # The order of tasks does not matter, so that many comparisons are the same one.
    pairs, counts = np.unique(np.sort(10 * a + b, axis=1), axis=0, return_counts=True)
    held = refused = 0
    for pair, count in zip(pairs.tolist(), counts, strict=True):
        played = [Duel(both // 10, 3, both % 10, 3) for both in pair]
        low, high = gap_interval(played)
        held += count * (low <= step <= high)
        refused += count * (stratified(played) < 0.05)
    assert held / 10_000 >= 0.945
    if step == 0:
        assert refused / 10_000 <= 0.05
