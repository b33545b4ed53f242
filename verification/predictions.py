"""Predictions held against what happened: scores beside a coin's, calibration, failure modes.

Only what was filed before the first run is scored, run by run, and the coin (one half for every
run, known before any of them) is scored beside it. Runs that infrastructure spoiled are left
out: nobody predicted the world.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np
import pandas as pd
from scipy.special import stdtrit

from harness.predictions import Prediction, Predictions, Scope, Standing, read, standing
from harness.store import CampaignFolder
from verification.evidence import Evidence
from verification.evidence import read as read_evidence
from verification.exhibit import Column, Exhibit
from verification.statistics import Interval, wilson
from verification.summary import DASH, percent, span
from verification.tables import ALL_TASKS, Table, pass_rates
from verification.totals import UNKNOWN

CSV = "predictions.csv"
"""There only while predictions stand as they were filed."""

COIN = 0.5
"""What the naive baseline says of every run."""

BINS = (0.0, 0.2, 0.4, 0.6, 0.8, 1.0)
"""Edges of the calibration table's bins of probability; each bin has its lower edge."""

ALIKE = 1e-9
"""Skills of two tasks that are closer than this differ by rounding only."""

COLUMNS = [
    "model",
    "task",
    "predicted_passes",
    "confidence",
    "probability",
    "failure_mode",
    "runs",
    "infrastructure_runs",
    "pass",
    "expected_passes",
    "brier",
    "brier_coin",
    "brier_skill",
    "brier_skill_low",
    "brier_skill_high",
    "log_score",
    "log_coin",
    "log_skill",
    "failures_foretold",
    "failures_as_foretold",
]


def brier(probability: float, passes: int, runs: int) -> float:
    """The mean squared distance between ``probability`` and what each run did (1 pass, 0 not);
    0 is perfect, 1 the worst. NaN where there are no runs.

    G. W. Brier, "Verification of forecasts expressed in terms of probability", Monthly Weather
    Review 78, 1950, 1-3; he sums over both classes, pass and fail, so his figure is twice this
    one.
    """
    if runs == 0:
        return UNKNOWN
    return (passes * (1 - probability) ** 2 + (runs - passes) * probability**2) / runs


def log_score(probability: float, passes: int, runs: int) -> float:
    """The mean of minus the natural logarithm of the probability that was given to what each run
    did; 0 is perfect, ln 2 = 0.693 a coin's. NaN where there are no runs.

    I. J. Good, "Rational decisions", Journal of the Royal Statistical Society B 14, 1952,
    107-114. Raises ValueError for a probability of 0 or 1, of which no prediction is made.
    """
    if not 0 < probability < 1:
        raise ValueError(f"a log score wants a probability between 0 and 1, not {probability}")
    if runs == 0:
        return UNKNOWN
    return -(passes * math.log(probability) + (runs - passes) * math.log1p(-probability)) / runs


def skill_interval(scores: Sequence[float], runs: Sequence[int]) -> Interval | None:
    """The 95% interval of the Brier skill, from the Brier score and the number of runs of each
    task: had other tasks of the same kind been predicted, the skill would lie there.

    Runs of one task are not independent, tasks are; so the mean gain over the coin is a ratio of
    sums over tasks, with the linearised variance of such (W. G. Cochran, "Sampling Techniques",
    3rd edition, 1977, chapter 6) and Student's t for as many tasks less one. None for fewer than
    two tasks with runs, and where all of them scored the same: tasks that do not differ say
    nothing of how far others would, and an interval without width would say that none can.
    """
    known = np.array([(s, n) for s, n in zip(scores, runs, strict=True) if n]).reshape(-1, 2)
    count = len(known)
    if count < 2:
        return None
    weights = known[:, 1]
    skills = 1 - known[:, 0] / brier(COIN, 0, 1)
    if np.ptp(skills) < ALIKE:
        return None
    skill = np.average(skills, weights=weights)
    residuals = weights * (skills - skill)
    error = np.sqrt(count / (count - 1) * np.sum(residuals**2)) / weights.sum()
    reach = float(stdtrit(count - 1, 0.975) * error)
    return Interval(float(skill) - reach, min(1.0, float(skill) + reach))


def tables(folder: CampaignFolder, evidence: Evidence) -> list[Table]:
    """predictions.csv, where predictions were filed in time and stand unchanged; else nothing."""
    stands = standing(folder)
    if stands.predictions is None:
        return []
    return [Table(CSV, ("model", "task"), scores(stands.predictions, evidence))]


def scores(predictions: Predictions, evidence: Evidence) -> pd.DataFrame:
    """A row per predicted model and task, and one per predicted model with task ``(all)`` after
    them, whose scores are means over runs. The columns are those of predictions.csv."""
    rows: list[dict[str, object]] = []
    if evidence.plan is None:
        return pd.DataFrame(rows, columns=COLUMNS)
    for model, counts in pass_rates(evidence).groupby("model"):
        predicted = predictions.models.get(str(model), {})
        by_task = [
            _score(predicted[str(row["task"])], row, evidence.plan.runs_per_task)
            for _, row in counts.iterrows()
            if row["task"] in predicted
        ]
        rows += [*by_task, *([_together(by_task)] if by_task else [])]
    return pd.DataFrame(rows, columns=COLUMNS)


def calibration(scored: pd.DataFrame) -> pd.DataFrame:
    """Of the rows of ``scores``, all models together: by bin of probability, how many
    predictions and runs fell into it, their mean probability, how many passed, and the 95%
    Wilson interval of that rate. Bins without runs are left out.

    A. H. Murphy and R. L. Winkler, "Reliability of subjective probability forecasts of
    precipitation and temperature", Applied Statistics 26, 1977, 41-47.
    """
    known = scored[(scored["task"] != ALL_TASKS) & (scored["runs"] > 0)]
    # Rounded, so that 0.8 * 0.5 + 0.1 is in the bin that begins with 0.5.
    place = (known["probability"].astype(float).round(9) * (len(BINS) - 1)).astype(int)
    rows = []
    for bin_, inside in known.groupby(place):
        runs, passes = int(inside["runs"].sum()), int(inside["pass"].sum())
        interval = wilson(passes, runs)
        assert interval is not None  # there are runs
        rows.append(
            {
                "from": BINS[int(str(bin_))],
                "to": BINS[int(str(bin_)) + 1],
                "predictions": len(inside),
                "runs": runs,
                "probability": float(inside["expected_passes"].sum()) / runs,
                "pass": passes,
                "low": interval.low,
                "high": interval.high,
            }
        )
    columns = ["from", "to", "predictions", "runs", "probability", "pass", "low", "high"]
    return pd.DataFrame(rows, columns=columns)


def exhibits(folder: CampaignFolder) -> list[Exhibit]:
    """What to show of a campaign's predictions: their scores, or why there are none. Raises
    BadInput for files that cannot be read."""
    stands = standing(folder)
    if stands.predictions is None:
        return [_none(stands)]
    scored = scores(stands.predictions, read_evidence(folder))
    return [_by_model(scored, stands), *_by_task(scored), _calibration(calibration(scored))]


def expected(folder: CampaignFolder, scope: Scope) -> list[Exhibit]:
    """What a campaign's predictions.toml says before the first run, by model; raises BadInput
    for a file that cannot be used."""
    runs = scope.runs_per_task
    columns = [
        Column("task"),
        Column("passes", figures=True),
        Column("confidence", figures=True),
        Column("a run passes", figures=True),
        Column("or else"),
    ]
    shown = []
    for model, by_task in read(folder.predictions, scope).models.items():
        rows = [
            [
                task,
                f"{one.passes:g} of {runs}",
                f"{one.confidence:g}",
                percent(one.probability(runs)),
                _words(one.failure_mode),
            ]
            for task, one in by_task.items()
        ]
        note = f"{len(rows)} of {len(scope.tasks)} tasks are predicted."
        shown.append(Exhibit(f"{model}: predicted", columns, rows, [note]))
    last = shown[-1]
    return [*shown[:-1], replace(last, notes=[*last.notes, standing(folder).sentence])]


def _score(prediction: Prediction, counts: pd.Series, runs_per_task: int) -> dict[str, object]:
    """A row of ``scores``, from a row of pass_rate_by_task.csv."""
    passes = int(counts["pass"])
    runs = int(counts["runs"] - counts["infrastructure_error"])
    probability = prediction.probability(runs_per_task)
    mode = prediction.failure_mode
    return {
        "model": counts["model"],
        "task": counts["task"],
        "predicted_passes": prediction.passes,
        "confidence": prediction.confidence,
        "probability": probability,
        "failure_mode": mode,
        "runs": runs,
        "infrastructure_runs": int(counts["infrastructure_error"]),
        "pass": passes,
        "expected_passes": probability * runs,
        **_beside_the_coin(brier(probability, passes, runs), log_score(probability, passes, runs)),
        "failures_foretold": runs - passes if mode else 0,
        "failures_as_foretold": int(counts[mode]) if mode else 0,
    }


def _together(rows: Sequence[dict[str, object]]) -> dict[str, object]:
    """The row of all of a model's predicted tasks."""
    frame = pd.DataFrame(rows)
    counts = ["predicted_passes", "runs", "infrastructure_runs", "pass", "expected_passes"]
    counts += ["failures_foretold", "failures_as_foretold"]
    sums = {name: frame[name].sum() for name in counts}
    means = [
        (frame[name] * frame["runs"]).sum() / sums["runs"] if sums["runs"] else UNKNOWN
        for name in ("brier", "log_score")
    ]
    interval = skill_interval(list(frame["brier"]), list(frame["runs"]))
    return {
        "model": rows[0]["model"],
        "task": ALL_TASKS,
        **sums,
        **_beside_the_coin(*means),
        "brier_skill_low": interval.low if interval else UNKNOWN,
        "brier_skill_high": interval.high if interval else UNKNOWN,
    }


def _beside_the_coin(brier_score: float, log: float) -> dict[str, object]:
    """Both scores, the coin's, and the skill: 1 less their ratio. 1 is perfect, 0 no better
    than the coin, negative worse."""
    coins = brier(COIN, 0, 1), log_score(COIN, 0, 1)
    return {
        "brier": brier_score,
        "brier_coin": coins[0],
        "brier_skill": 1 - brier_score / coins[0],
        "log_score": log,
        "log_coin": coins[1],
        "log_skill": 1 - log / coins[1],
    }


def _none(stands: Standing) -> Exhibit:
    found = "changed since, not scored" if stands.state == "changed" else "none filed"
    return Exhibit("Predictions", [Column("predictions")], [[found]], [stands.sentence])


def _by_model(scored: pd.DataFrame, stands: Standing) -> Exhibit:
    assert stands.predictions is not None
    rows = [
        [
            str(row["model"]),
            f"{row['expected_passes']:.1f}",
            f"{row['pass']} of {row['runs']}",
            _figure(row["brier"]),
            _figure(row["log_score"]),
            _figure(row["brier_skill"], 2),
            _range(row["brier_skill_low"], row["brier_skill_high"]),
            f"{row['failures_as_foretold']} of {row['failures_foretold']}",
        ]
        for _, row in scored[scored["task"] == ALL_TASKS].iterrows()
    ]
    headings = ["expected", "passed", "Brier", "log", "skill", "interval", "failed so"]
    notes = [
        stands.sentence,
        *([f"By {stands.predictions.author}."] if stands.predictions.author else []),
        *([stands.predictions.note] if stands.predictions.note else []),
        "Brier and log score are means over runs, 0 is perfect; a coin's are 0.250 and 0.693. "
        "skill: 1 less the Brier score over the coin's, so 0 is no better than a coin; the "
        "95% interval is for other tasks like these, and none where all scored alike. failed so: "
        "failures that came in the way foretold, of those for which one was. Runs that "
        "infrastructure spoiled are left out.",
    ]
    columns = [Column("model"), *(Column(heading, figures=True) for heading in headings)]
    return Exhibit("Predictions, scored", columns, rows, notes)


def _by_task(scored: pd.DataFrame) -> Iterator[Exhibit]:
    columns = [
        Column("task"),
        Column("a run passes", figures=True),
        Column("passed", figures=True),
        Column("or else"),
        Column("Brier", figures=True),
    ]
    for model, tasks in scored[scored["task"] != ALL_TASKS].groupby("model"):
        rows = [
            [
                str(row["task"]),
                percent(float(row["probability"])),
                f"{row['pass']} of {row['runs']}",
                _words(row["failure_mode"]),
                _figure(row["brier"]),
            ]
            for _, row in tasks.iterrows()
        ]
        yield Exhibit(f"{model}: predicted, and what came", columns, rows)


def _calibration(bins: pd.DataFrame) -> Exhibit:
    rows = [
        [
            span(row["from"], row["to"]),
            str(int(row["predictions"])),
            str(int(row["runs"])),
            percent(row["probability"]),
            percent(row["pass"] / row["runs"]),
            span(row["low"], row["high"]),
        ]
        for _, row in bins.iterrows()
    ]
    headings = ["predictions", "runs", "foretold", "passed", "95% interval"]
    columns = [Column("probability"), *(Column(heading, figures=True) for heading in headings)]
    note = (
        "Predictions of all models by the probability they gave a pass: well calibrated is where "
        "what was foretold lies within the interval (Wilson's) of what passed."
    )
    return Exhibit("Calibration", columns, rows, [note])


def _figure(score: float, decimals: int = 3) -> str:
    return DASH if pd.isna(score) else f"{score:.{decimals}f}"


def _range(low: float, high: float) -> str:
    return DASH if pd.isna(low) else f"{_figure(low, 2)}..{_figure(high, 2)}"


def _words(mode: object) -> str:
    return str(mode).replace("_", " ") if isinstance(mode, str) else DASH
