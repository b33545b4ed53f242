"""Intervals, held against published ones."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from verification.statistics import Interval, wilson


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


@given(st.integers(1, 500).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_the_interval_holds_the_rate_and_mirrors_its_complement(counts: tuple[int, int]) -> None:
    passes, runs = counts
    interval, mirrored = wilson(passes, runs), wilson(runs - passes, runs)
    assert interval is not None
    assert mirrored is not None
    assert 0 <= interval.low <= passes / runs <= interval.high <= 1
    assert mirrored == pytest.approx(Interval(1 - interval.high, 1 - interval.low))
