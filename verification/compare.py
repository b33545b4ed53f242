"""Two models head to head: who is ahead, by how much, and whether that is more than noise.

Only a model's own runs count. A task is compared where both have such runs; the tests and
intervals are those of ``difference.py``, and how many runs would settle it is said by
``power.py``.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import pandas as pd

from harness.errors import BadInput, did_you_mean
from harness.records import Plan
from harness.store import CampaignFolder, read_header
from verification import conditions, power
from verification.difference import (
    Duel,
    fisher,
    gap,
    gap_interval,
    holm,
    stratified,
    weighted_rates,
)
from verification.evidence import Evidence, read
from verification.exhibit import Cell, Column, Exhibit, Link
from verification.statistics import Interval

ALPHA = 0.05
"""Below this a p is called more than noise."""

DASH = "\N{EN DASH}"


@dataclass(frozen=True)
class Played:
    """What became of one model's planned runs of a task. ``runs`` are its own; ``spoiled`` and
    ``owed`` are infrastructure's and those not played yet, which count nowhere."""

    passes: int
    runs: int
    spoiled: int
    owed: int


@dataclass(frozen=True)
class Match:
    """One task. ``gap`` is A's pass rate less B's, ``p`` Fisher's and ``adjusted`` the same after
    Holm's correction; all are None where one model has no run of its own."""

    task: str
    a: Played
    b: Played
    gap: float | None = None
    interval: Interval | None = None
    p: float | None = None
    adjusted: float | None = None


@dataclass(frozen=True)
class Side:
    """One model of one campaign, with its runs: a row each, as in ``Evidence.runs``."""

    folder: CampaignFolder
    campaign: str
    model: str
    runs: pd.DataFrame

    @property
    def name(self) -> str:
        """The model and where it played: in the campaign of the plan, however its folder is
        called today."""
        return f"{self.model} (in {self.campaign})"


@dataclass(frozen=True)
class Comparison:
    """A against B. ``gap``, ``interval`` and ``p`` are over all tasks that both played, and None
    where there is none. ``caveats`` are the differences in conditions that a person waved
    through; ``unknown`` the conditions of which neither's transcripts tell."""

    a: Side
    b: Side
    matches: tuple[Match, ...]
    gap: float | None
    interval: Interval | None
    p: float | None
    caveats: tuple[str, ...]
    unknown: tuple[str, ...] = ()

    @property
    def duels(self) -> list[Duel]:
        """The tasks that both played."""
        return [duel for match in self.matches if (duel := _duel(match.a, match.b))]

    def exhibits(self) -> list[Exhibit]:
        """The table task by task with the verdict below it; then, where they differ, which runs
        to read."""
        table = Exhibit(
            title=f"A: {self.a.name} against B: {self.b.name}",
            columns=[
                Column("task"),
                Column("A"),
                Column("B"),
                Column("ahead"),
                Column("A-B", figures=True),
                Column("95%", figures=True),
                Column("p", figures=True),
                Column("Holm", figures=True),
                Column("verdict"),
            ],
            rows=[*(_row(match) for match in self.matches), self._sum()],
            notes=[*self.caveats, *self._unheld(), *self._verdict(), *_HOW_TO_READ],
        )
        reading = Exhibit(
            title="Runs to read, where they differ: one that failed, one that passed",
            columns=[Column("task"), Column("run"), Column("transcript")],
            rows=list(self._reading()),
        )
        return [table, reading] if reading.rows else [table]

    def _sum(self) -> list[Cell]:
        duels = self.duels
        passes_a, runs_a, passes_b, runs_b = (
            map(sum, zip(*duels, strict=True)) if duels else [0] * 4
        )
        cells = [
            f"(all {len(duels)} that both played)",
            f"{passes_a}/{runs_a}",
            f"{passes_b}/{runs_b}",
        ]
        return [*cells, *_figures(self.gap, self.interval), _p(self.p), "", _word(self.gap, self.p)]

    def _unheld(self) -> Iterator[str]:
        if self.unknown:
            yield (
                f"Unknown of both: {', '.join(self.unknown)}. Whether these were the same could "
                "not be checked."
            )

    def _verdict(self) -> Iterator[str]:
        if self.gap is None or self.interval is None or self.p is None:
            yield "On no task do both have runs that infrastructure did not spoil: nothing follows."
            return
        ahead = f"{'A' if self.gap > 0 else 'B'} is ahead by {100 * abs(self.gap):.1f} points"
        low, high = map(_points, self.interval)
        yield (
            f"{ahead if self.gap else 'A and B are level'} on the tasks that both played; A less "
            f"B is likely between {low} and {high} points on them. {_judgement(self.p)}"
        )
        yield settling(self.duels, self.p)

    def _reading(self) -> Iterator[list[Cell]]:
        for match in self.matches:
            if not match.gap:
                continue
            weak, strong = (self.b, self.a) if match.gap > 0 else (self.a, self.b)
            for side, passed in ((weak, False), (strong, True)):
                runs = side.runs[side.runs["task"] == match.task]
                runs = runs[runs["outcome"] != "infrastructure_error"]
                run = runs[(runs["outcome"] == "pass") == passed].iloc[0]
                letter = "A" if side is self.a else "B"
                link = self._link(side, str(run["transcript"]), int(run["turns"]))
                yield [match.task, f"{letter}: {str(run['outcome']).replace('_', ' ')}", link]

    def _link(self, side: Side, transcript: str, turn: int) -> Link:
        """To a run's last turn; the target is seen from A's folder."""
        citation = f"data/transcripts/{transcript}" + (f"#turn={turn}" if turn else "")
        folder = os.path.relpath(side.folder.path, self.a.folder.path)
        return Link(citation, os.path.normpath(f"{folder}/{citation}"))


_HOW_TO_READ = (
    "A and B: passes of the model's own runs; infrastructure's and owed ones count nowhere. "
    "A-B and its 95% interval (Miettinen and Nurminen's) are in points, for these same tasks.",
    "p: Fisher's exact test of the task alone. Holm: the same, corrected for looking at several "
    "tasks at once; it decides what is called noise. The last row: the exact permutation test "
    "stratified by task.",
)


def compare(
    a: CampaignFolder,
    b: CampaignFolder,
    *,
    model_a: str | None = None,
    model_b: str | None = None,
    anyway: bool = False,
) -> Comparison:
    """Compare a model of one campaign with a model of another, or of the same.

    A campaign's only model that is not scripted need not be named. Raises BadInput where a
    model must be named, where the two have no task in common, where they were played under
    different conditions (unless ``anyway``: then the comparison's caveats say so), and for
    transcripts that cannot be read.
    """
    evidence_a = read(a)
    evidence_b = evidence_a if a.path == b.path else read(b)
    first = _side(a, evidence_a, model_a, "--model-a")
    second = _side(b, evidence_b, model_b, "--model-b")
    if (a.path, first.model) == (b.path, second.model):
        raise BadInput(
            f"{a.path}: A and B are both {first.model!r}; name two models, with --model-a and "
            "--model-b, or give another campaign"
        )
    tasks = sorted(set(_plan(a, evidence_a).tasks) & set(_plan(b, evidence_b).tasks))
    if not tasks:
        raise BadInput(f"{a.path} and {b.path} have no task in common: nothing can be compared")
    headers = _headers(first), _headers(second)
    reasons = conditions.differences(*headers)
    if reasons and not anyway:
        raise BadInput(
            f"{first.name} and {second.name} were not played under the same conditions: "
            f"{'; '.join(reasons)}; --anyway compares them all the same and says so"
        )
    owed = (_plan(a, evidence_a).runs_per_task, _plan(b, evidence_b).runs_per_task)
    matches = _matches(
        [(t, _played(first.runs, t, owed[0]), _played(second.runs, t, owed[1])) for t in tasks]
    )
    duels = [duel for match in matches if (duel := _duel(match.a, match.b))]
    return Comparison(
        a=first,
        b=second,
        matches=matches,
        gap=gap(duels) if duels else None,
        interval=gap_interval(duels) if duels else None,
        p=stratified(duels) if duels else None,
        caveats=(
            *(
                f"Compared although A ({first.model}) and B ({second.model}) had {reason}."
                for reason in reasons
            ),
            *_greedy(first, headers[0]),
            *_greedy(second, headers[1]),
        ),
        unknown=tuple(conditions.unknown_of_both(*headers)),
    )


def settling(duels: Sequence[Duel], p: float) -> str:
    """What as many runs as there were can show, and, where the difference seen could be noise,
    how many would show it, were it the true one."""
    rate, other = weighted_rates(duels)
    passes = [count for duel in duels for count in (duel.passes_a, duel.passes_b)]
    runs = [count for duel in duels for count in (duel.runs_a, duel.runs_b)]
    question = power.Question(rate, other, len(duels), power.likeness(passes, runs) or 0.0)
    most = power.most_runs(len(duels))
    had = min(most, max(1, round(sum(runs) / len(runs))))
    least = power.detectable(question, had)
    words = f"differences of {100 * least:.0f} points and more" if least else "no difference"
    showing = f"With {_runs(had)} a task, {words} would show in 4 of 5 comparisons."
    if not gap(duels) or p < ALPHA:
        return showing
    needed = power.runs_needed(question)
    enough = f"about {_runs(needed)}" if needed else f"more than {_runs(most)}"
    rates = f"{rate:.1%} and {other:.1%}"
    return f"{showing} To settle {rates}, were these the true rates, takes {enough} a task of each."


def _runs(count: int) -> str:
    return "1 run" if count == 1 else f"{count} runs"


def _side(folder: CampaignFolder, evidence: Evidence, named: str | None, option: str) -> Side:
    """The model that was named, or the only one there can be."""
    plan = _plan(folder, evidence)
    models = plan.models
    if named is not None and named not in models:
        raise BadInput(f"{folder.path}: no model {named!r}; {did_you_mean(named, models)}")
    kinds = dict(evidence.runs[["model", "kind"]].itertuples(index=False, name=None))
    choices = [model for model in models if kinds.get(model) != "scripted"] or list(models)
    if named is None and len(choices) > 1:
        raise BadInput(
            f"{folder.path}: has several models; name one with {option}: {', '.join(choices)}"
        )
    model = named or choices[0]
    runs = evidence.runs[evidence.runs["model"] == model]
    return Side(folder, plan.campaign, model, runs)


def _plan(folder: CampaignFolder, evidence: Evidence) -> Plan:
    if evidence.plan is None:
        raise BadInput(f"{folder.path}: nothing has run yet; fairtrial run {folder.path}")
    return evidence.plan


def _headers(side: Side) -> conditions.Headers:
    places = side.runs[["task", "repetition", "transcript"]].itertuples(index=False, name=None)
    return {
        (task, repetition): read_header(side.folder.transcripts / name)
        for task, repetition, name in places
    }


def _greedy(side: Side, headers: conditions.Headers) -> Iterator[str]:
    """A word of caution where tasks were played more than once without any chance in it."""
    sampled = (header.model.sampling for header in headers.values())
    again = any(repetition > 1 for _, repetition in headers)
    if again and any(sampling and sampling.temperature == 0 for sampling in sampled):
        yield (
            f"{side.model} was played at temperature 0: its runs of a task are all but copies of "
            "one, so the intervals are too narrow and p is too small."
        )


def _played(runs: pd.DataFrame, task: str, planned: int) -> Played:
    outcomes = runs.loc[runs["task"] == task, "outcome"]
    spoiled = int((outcomes == "infrastructure_error").sum())
    passes = int((outcomes == "pass").sum())
    return Played(passes, len(outcomes) - spoiled, spoiled, planned - len(outcomes))


def _duel(a: Played, b: Played) -> Duel | None:
    return Duel(a.passes, a.runs, b.passes, b.runs) if a.runs and b.runs else None


def _matches(played: Sequence[tuple[str, Played, Played]]) -> tuple[Match, ...]:
    """Each task with its test, corrected for the number of tasks that were tested."""
    duels = {task: duel for task, a, b in played if (duel := _duel(a, b))}
    p_values = {task: fisher(duel) for task, duel in duels.items()}
    adjusted = dict(zip(p_values, holm(list(p_values.values())), strict=True))
    return tuple(
        Match(
            task,
            a,
            b,
            gap([duels[task]]),
            gap_interval([duels[task]]),
            p_values[task],
            adjusted[task],
        )
        if task in duels
        else Match(task, a, b)
        for task, a, b in played
    )


def _row(match: Match) -> list[Cell]:
    figures = _figures(match.gap, match.interval)
    holm = _p(match.adjusted)
    counts = [_count(match.a), _count(match.b)]
    return [match.task, *counts, *figures, _p(match.p), holm, _word(match.gap, match.adjusted)]


def _count(played: Played) -> str:
    """``2/3``; what does not count is named behind it, or in its place where no run counts."""
    aside = {"infra": played.spoiled, "owed": played.owed}
    named = ", ".join(f"{count} {what}" for what, count in aside.items() if count)
    if not played.runs:
        return named
    return f"{played.passes}/{played.runs}" + (f" ({named})" if named else "")


def _figures(gap: float | None, interval: Interval | None) -> list[str]:
    """Who is ahead, the difference in points, and its interval."""
    if gap is None or interval is None:
        return [DASH] * 3
    ahead = "A" if gap > 0 else "B" if gap < 0 else "level"
    return [ahead, _points(gap), " to ".join(map(_points, interval))]


def _points(gap: float) -> str:
    """A difference in whole percentage points, with its sign."""
    points = round(100 * gap)
    return f"{points:+d}" if points else "0"


def _p(p: float | None) -> str:
    """A p to be read; never rounded to 0, nor up to ALPHA from below."""
    if p is None:
        return DASH
    if p < ALPHA:
        return "< 0.001" if p < 0.001 else f"{min(p, ALPHA - 0.001):.3f}"
    return f"{p:.3f}" if p < 2 * ALPHA else f"{p:.2f}"


def _judgement(p: float) -> str:
    sign = "" if p < 0.001 else "= "
    return f"This {'is more than noise' if p < ALPHA else 'could be noise'} (p {sign}{_p(p)})."


def _word(gap: float | None, p: float | None) -> str:
    if gap is None or p is None:
        return DASH
    if gap == 0:
        return "no difference"
    return "more than noise" if p < ALPHA else "could be noise"
