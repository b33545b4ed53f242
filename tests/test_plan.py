"""How many runs would settle it: held against published sample sizes and the exact test itself."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from harness.errors import BadInput
from harness.store import CampaignFolder
from tests.conftest import ORACLE, MakeCampaign, fairtrial
from tests.published import gemma_12b, gemma_31b
from verification import power
from verification.difference import Duel, stratified
from verification.evidence import read
from verification.plan import Seen, plan, question, seen
from verification.power import Question, detectable, likeness, runs_needed


@pytest.mark.parametrize(
    ("rate", "other", "published"),
    [
        # By the formula of J. Casagrande, M. Pike and P. Smith 1978, "An improved approximate
        # formula for calculating sample sizes for comparing two binomial distributions",
        # Biometrics 34, 483-486, which is made to agree with Fisher's exact test, in the form
        # of J. Fleiss, A. Tytun and H. Ury 1980, Biometrics 36, 343-346; two-sided, 0.05, 0.80.
        (0.9, 0.8, 219),
        (0.9, 0.6, 38),
        (0.5, 0.2, 45),
    ],
)
def test_one_task_needs_the_published_number_of_runs(
    rate: float, other: float, published: int
) -> None:
    needed = runs_needed(Question(rate, other, tasks=1))
    assert needed == pytest.approx(published, rel=0.06, abs=2)


def test_ten_equally_hard_tasks_need_a_tenth_of_the_runs_each() -> None:
    assert runs_needed(Question(0.9, 0.8, tasks=10)) == pytest.approx(21.9, abs=2)


@pytest.mark.parametrize("alike", [0.0, 0.5])
def test_the_power_is_that_of_the_test_that_compares(alike: float) -> None:
    question = Question(0.8, 0.5, tasks=6, likeness=alike)
    random = np.random.default_rng(8)
    rates, others = power._rates(question, random)
    a, b = random.binomial(4, rates), random.binomial(4, others)
    found = [
        stratified([Duel(int(k), 4, int(m), 4) for k, m in zip(*rows, strict=True)]) < 0.05
        for rows in zip(a, b, strict=True)
    ]
    assert np.mean(found) == pytest.approx(power.power(question, 4), abs=0.035)


def test_models_that_are_alike_seem_to_differ_in_at_most_5_percent() -> None:
    for runs in (3, 30, 200):
        assert power.power(Question(0.7, 0.7, tasks=10, likeness=0.3), runs) <= 0.06


def test_the_simulated_tasks_have_the_rates_and_the_likeness_asked_for() -> None:
    question = Question(0.7, 0.4, tasks=10, likeness=0.5)
    drawn, shifted = power._rates(question, np.random.default_rng(9))
    assert drawn.mean() == pytest.approx(0.4, abs=0.01)  # the one nearer to one half
    assert shifted.mean() == pytest.approx(0.7, abs=0.01)
    assert drawn.var() / (0.4 * 0.6) == pytest.approx(0.5, abs=0.02)


def test_many_runs_are_judged_by_an_approximation_that_gives_the_same_p(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    random = np.random.default_rng(10)
    rates = random.uniform(0, 1, (100, 10))
    a, b = random.binomial(110, rates), random.binomial(110, np.clip(rates + 0.03, 0, 1))
    approximate = power._p_values(a, b, 110)
    monkeypatch.setattr(power, "EXACT_UP_TO", 10_000)
    assert approximate == pytest.approx(power._p_values(a, b, 110), abs=5e-4)


def test_what_is_detectable_is_detected_and_a_point_less_is_not() -> None:
    question = Question(0.8, 0.7, tasks=10, likeness=0.2)
    least = detectable(question, 5)
    assert least is not None
    assert power.power(replace(question, other=0.8 - least), 5) >= 0.8
    assert power.power(replace(question, other=0.81 - least), 5) < 0.8


def test_where_no_difference_can_show_that_is_said() -> None:
    assert detectable(Question(0.5, 0.4, tasks=1), 3) is None
    assert runs_needed(Question(0.5, 0.49, tasks=10)) is None


def test_likeness_is_0_for_runs_that_differ_by_chance_and_1_for_tasks_that_pass_or_fail() -> None:
    assert likeness([3, 0, 3, 0], [3, 3, 3, 3]) == 1
    assert likeness([2, 2, 2, 2], [3, 3, 3, 3]) == 0
    assert likeness([3, 3], [3, 3]) is None
    assert likeness([1, 0], [1, 1]) is None
    # By hand: within tasks 4/3 of 20, and 23/30 x 7/30 at large.
    assert likeness([3, 1, 1, 3, 3, 3, 3, 3, 0, 3], [3] * 10) == pytest.approx(0.6273, abs=1e-4)


def test_likeness_is_found_again_in_simulated_runs() -> None:
    random = np.random.default_rng(11)
    passes = random.binomial(5, random.beta(0.7, 0.3, 4000))
    assert likeness(passes.tolist(), [5] * 4000) == pytest.approx(0.5, abs=0.03)


def test_a_campaign_tells_its_rate_and_likeness_without_the_runs_that_never_ran(
    tmp_path: Path,
) -> None:
    assert seen(read(CampaignFolder(gemma_12b(tmp_path)))) == Seen(22 / 24, 0)
    assert seen(read(CampaignFolder(tmp_path / "empty"))) == Seen(None, None)


def test_a_plan_has_a_row_for_each_way_the_suite_may_be_and_for_the_campaign() -> None:
    exhibit = plan(Question(0.9, 0.8, 10), runs=3, likeness=0.45)
    assert [row[1] for row in exhibit.rows] == ["0.00", "0.30", "0.60", "0.45"]
    first = exhibit.rows[0]
    assert 20 <= int(str(first[2])) <= 24
    assert int(str(first[3])) == 10 * int(str(first[2]))
    assert str(first[4]).endswith(" points")


@pytest.mark.parametrize(
    ("rate", "other"),
    [(0.9, 0.9), (1.0, 0.9), (0.5, -0.1), (float("nan"), 0.5), (0.5, float("inf"))],
)
def test_rates_that_cannot_be_are_refused(rate: float, other: float) -> None:
    with pytest.raises(BadInput, match="no difference to look for"):
        plan(Question(rate, other, 10), runs=3)


def test_more_runs_than_can_be_simulated_are_refused() -> None:
    with pytest.raises(BadInput, match="at most --runs 10"):
        plan(Question(0.5, 0.4, 1000), runs=11)


def test_before_a_campaign_its_file_says_how_many_tasks_and_runs(
    make_campaign: MakeCampaign,
) -> None:
    done = fairtrial("plan", make_campaign(ORACLE, runs_per_task=5), "--detect", "40")
    assert done.returncode == 0
    assert "Runs that tell 40 points apart (50% against 10%) on 4 tasks" in done.stdout
    assert "5 a task tell" in done.stdout


def test_after_a_campaign_its_rates_are_taken(tmp_path: Path) -> None:
    done = fairtrial("plan", gemma_31b(tmp_path))
    assert "Runs that tell 10 points apart (77% against 67%) on 10 tasks" in done.stdout
    assert "as in this campaign" in done.stdout


def test_a_difference_that_the_rate_leaves_no_room_for_is_bad_input() -> None:
    done = fairtrial("plan", "--rate", "60", "--detect", "70")
    assert done.returncode == 2
    assert "no difference to look for between pass rates of 60% and -10%" in done.stderr


@pytest.mark.parametrize("detect", ["-1", "0", "100", "nan", "inf"])
def test_a_difference_that_is_none_is_refused(detect: str) -> None:
    done = fairtrial("plan", "--detect", detect)
    assert done.returncode == 2
    assert f"--detect {detect}: give percentage points, above 0 and below 100" in done.stderr


def test_the_rate_is_the_one_given_or_seen_or_one_half_and_the_other_nearer_to_it() -> None:
    def rates(seen: float | None, rate: float | None = None) -> tuple[float, float]:
        asked = question(Seen(seen, None), 10, detect=10, rate=rate, power=0.8, alpha=0.05)
        return asked.rate, asked.other

    assert rates(None) == pytest.approx((0.5, 0.4))
    assert rates(0.2) == pytest.approx((0.2, 0.3))
    assert rates(0.2, rate=90) == pytest.approx((0.9, 0.8))
    assert rates(1.0) == pytest.approx((0.99, 0.89))
