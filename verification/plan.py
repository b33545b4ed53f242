"""How many runs would tell two models apart: a table to plan a campaign by."""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

from harness.errors import BadInput
from verification import power
from verification.evidence import Evidence
from verification.exhibit import Cell, Column, Exhibit
from verification.power import Question

LIKENESSES = {0.0: "each task is equally hard", 0.3: "some harder", 0.6: "most pass or fail always"}
"""How a suite may be, by how alike the runs of one of its tasks are."""

RATE = 0.5
"""Supposed where no run tells: it asks for the most runs."""


class Seen(NamedTuple):
    """What the runs of a campaign tell: the pass rate of its models together and how alike the
    runs of a task are. None is unknown."""

    rate: float | None
    likeness: float | None


def seen(evidence: Evidence) -> Seen:
    """What a campaign's own runs tell; a scripted model's say nothing."""
    runs = evidence.runs
    own = runs[(runs["outcome"] != "infrastructure_error") & (runs["kind"] != "scripted")]
    cells = (own["outcome"] == "pass").groupby([own["model"], own["task"]])
    passes, counts = cells.sum().tolist(), cells.size().tolist()
    rate = sum(passes) / sum(counts) if counts else None
    return Seen(rate, power.likeness(passes, counts))


def question(
    seen: Seen, tasks: int, *, detect: float, rate: float | None, power: float, alpha: float
) -> Question:
    """What to ask of ``tasks`` tasks: whether a difference of ``detect`` percentage points shows,
    between a model of pass rate ``rate``, in percent, and one that is nearer to one half. Without
    a rate, it is the one that was seen, or else ``RATE``. Raises BadInput for a difference that
    is not between 0 and 100."""
    if not 0 < detect < 100:
        raise BadInput(f"--detect {detect:g}: give percentage points, above 0 and below 100")
    if rate is not None:
        base = rate / 100
    elif seen.rate is None:
        base = RATE
    else:  # a rate of 0 or 1 was seen of few runs, and is not the true one
        base = min(0.99, max(0.01, seen.rate))
    other = base - detect / 100 if base >= 0.5 else base + detect / 100
    return Question(base, other, tasks, power=power, alpha=alpha)


def plan(question: Question, runs: int, likeness: float | None = None) -> Exhibit:
    """A row for each way the suite may be, and one for ``likeness``, as a campaign's runs had it:
    the runs per task that show the question's difference, and the least difference that
    ``runs`` of each task show. Raises BadInput for rates that are none
    and for more runs than can be simulated."""
    _refuse_impossible(question, runs)
    points = 100 * abs(question.rate - question.other)
    rows = [_row(replace(question, likeness=of), words, runs) for of, words in LIKENESSES.items()]
    if likeness is not None:
        rows.append(_row(replace(question, likeness=likeness), "as in this campaign", runs))
    return Exhibit(
        title=(
            f"Runs that tell {points:g} points apart ({question.rate:.0%} against "
            f"{question.other:.0%}) on {question.tasks} tasks"
        ),
        columns=[
            Column("if"),
            Column("likeness", figures=True),
            Column("runs a task", figures=True),
            Column("runs in all", figures=True),
            Column(f"{runs} a task tell", figures=True),
        ],
        rows=rows,
        notes=[
            f"Of each of the two models. They show the difference in {question.power:.0%} of "
            f"comparisons, where models that are alike would seem to differ in at most "
            f"{question.alpha:.0%}. By {power.COMPARISONS:,} simulated comparisons each, with "
            "the test of 'fairtrial compare'.",
            "likeness: how alike the runs of one task are (intraclass correlation), 0 where every "
            "task is equally hard, 1 where each is always passed or never. Plan by the row with "
            "the most runs unless you know better.",
            "This is about these tasks. More runs say nothing more of tasks that are not in the "
            "suite; only more tasks do.",
        ],
    )


def _refuse_impossible(question: Question, runs: int) -> None:
    if not (0 < question.rate < 1 and 0 <= question.other <= 1) or question.rate == question.other:
        raise BadInput(
            f"no difference to look for between pass rates of {100 * question.rate:g}% and "
            f"{100 * question.other:g}%; give --rate above 0 and below 100, and --detect above 0 "
            "and small enough for it"
        )
    if runs > power.most_runs(question.tasks):
        raise BadInput(
            f"{runs} runs of {question.tasks} tasks are more than can be simulated; with so many "
            f"tasks give at most --runs {power.most_runs(question.tasks)}"
        )


def _row(question: Question, words: str, runs: int) -> list[Cell]:
    needed, least = power.runs_needed(question), power.detectable(question, runs)
    if needed is None:
        most = power.most_runs(question.tasks)
        counts = [f"> {most}", f"> {most * question.tasks}"]
    else:
        counts = [str(needed), str(needed * question.tasks)]
    tell = f"{100 * least:.0f} points" if least else "nothing"
    return [words, f"{question.likeness:.2f}", *counts, tell]
