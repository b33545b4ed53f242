"""The sections that follow from the tables: result, pictures, costs, infrastructure, findings.

Every table here is a view for people of a CSV that is named below it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence, Set
from typing import Any

import pandas as pd

from harness.records import Plan
from verification.evidence import Evidence
from verification.exhibit import Cell, Column, Exhibit, Link
from verification.findings import exhibit as count_findings
from verification.findings import patterns
from verification.report.document import Block, Bullets, Paragraph, Section
from verification.summary import DASH, percent, rescued, span
from verification.tables import (
    ALL_TASKS,
    attempts,
    costs,
    findings,
    latencies,
    pass_rates,
    passes_at_k,
    tool_calls,
)

Place = tuple[str, str]
"""A model and a task."""

MOST_ROWS = 500
"""Rows of a table that grows with the runs; beyond it, the CSV is named instead."""

MOST_LISTED = 2000
"""Runs that are listed one by one; beyond it the page would be of no use to anybody."""

NOTES = (
    "raw: passes of all planned runs; at worst and best: had all that were owed or spoiled failed, "
    "or passed. coverage: the model's own runs, those that no infrastructure spoiled, of all "
    "planned ones. effective: passes of the model's own runs, and the intervals are its.",
    "These tasks again: what the same tasks would give (Wilson). Tasks like these: runs of one "
    "task count as alike as they were seen to be (Korn and Graubard).",
)
_FROM_RATES = "From verification/pass_rate_by_task.csv."

WORDS = {
    "pass": "passed",
    "wrong_answer": "wrong answer",
    "gave_up": "gave up",
    "infrastructure_error": "infrastructure",
}
"""Outcomes as people say them."""

MARKED = {name: f"{'✓' if name == 'pass' else '✗'} {words}" for name, words in WORDS.items()}
MARKED["infrastructure_error"] = f"\N{EN DASH} {WORDS['infrastructure_error']}"
"""The same where many stand beside each other, to be told apart at a glance."""


def lede(evidence: Evidence) -> list[str]:
    """The result in a sentence a model, with all that keeps it from being read as more."""
    sentences = []
    for _, row in _all_rows(evidence).iterrows():
        scored = row["planned"] - row["infrastructure_error"] - row["owed"]
        if not scored:
            sentences.append(f"{row['model']} has no run of its own: it has no score.")
            continue
        of_own = (
            "all of them its own"
            if scored == row["planned"]
            else f"{scored} of them its own, of which it passed {percent(row['effective_rate'])}"
        )
        sentences.append(
            f"{row['model']} passed {row['pass']} of {row['planned']} planned runs "
            f"({percent(row['raw_rate'])}), {of_own}; for tasks like these, 95% interval "
            f"{percent(row['suite_low'])} to {percent(row['suite_high'])}."
        )
    return sentences


def result(evidence: Evidence, plan: Plan) -> Section:
    """How each model did, over all tasks and task by task."""
    blocks: list[Block] = [_summary(evidence)]
    cells = _by_place(evidence)
    if len(plan.models) > 1:
        blocks.append(_matrix(cells, plan))
    endings = _endings(evidence)
    blocks += [_by_task(model, plan.tasks, cells, endings) for model in plan.models]
    blocks.append(_again_and_again(evidence))
    blocks += [Paragraph(words) for words in rescued(evidence)]
    return Section("The result", "Observed", blocks)


def _by_place(evidence: Evidence) -> dict[Place, dict[str, Any]]:
    """By model and task, the cells of the three CSVs that have a row for these."""
    cells: dict[Place, dict[str, Any]] = {}
    for table in (latencies(evidence), tool_calls(evidence), pass_rates(evidence)):
        for row in table.to_dict("records"):
            place = (str(row["model"]), str(row["task"]))
            cells[place] = cells.get(place, {}) | {str(name): cell for name, cell in row.items()}
    return cells


def _summary(evidence: Evidence) -> Exhibit:
    headings = (
        "passed",
        "raw",
        "raw, at worst and best",
        "coverage",
        "effective",
        "95%, these tasks again",
        "95%, tasks like these",
    )
    columns = [Column("model"), *(Column(heading, figures=True) for heading in headings)]
    rows = [
        [
            str(row["model"]),
            _passed_of(row),
            percent(row["raw_rate"]),
            span(row["raw_low"], row["raw_high"]),
            percent(row["coverage"]),
            percent(row["effective_rate"]),
            span(row["effective_low"], row["effective_high"]),
            span(row["suite_low"], row["suite_high"]),
        ]
        for _, row in _all_rows(evidence).iterrows()
    ]
    return Exhibit("All tasks together", columns, rows, [*NOTES, _FROM_RATES])


def _again_and_again(evidence: Evidence) -> Exhibit:
    """pass@k and pass^k."""
    columns = [Column("model"), Column("k", figures=True), Column("tasks", figures=True)]
    for name in ("pass@k", "pass^k"):
        columns += [Column(name, figures=True), Column(f"95% of {name}", figures=True)]
    rows = [
        [
            str(row["model"]),
            str(row["k"]),
            str(row["tasks"]),
            *(
                words
                for name in ("pass_at_k", "pass_hat_k")
                for words in (percent(row[name]), span(row[f"{name}_low"], row[f"{name}_high"]))
            ),
        ]
        for _, row in passes_at_k(evidence).iterrows()
    ]
    notes = [
        "pass@k: at least one of k runs passes. pass^k: all k do. From verification/pass_at_k.csv."
    ]
    return Exhibit("Of several runs of a task", columns, rows, notes)


def _matrix(cells: dict[Place, dict[str, Any]], plan: Plan) -> Exhibit:
    columns = [Column("task"), *(Column(model, figures=True) for model in plan.models)]
    rows = [
        [task, *(_passed_of(cells[model, task]) for model in plan.models)] for task in plan.tasks
    ]
    note = "Passes of the planned runs. From verification/pass_rate_by_task.csv."
    return Exhibit("Task by task, side by side", columns, rows, [note])


def _by_task(
    model: str,
    tasks: Sequence[str],
    cells: dict[Place, dict[str, Any]],
    endings: dict[Place, list[str]],
) -> Exhibit:
    """Of one model, by task: result, time, calls, and how what failed ended."""
    headings = ("passed", "95% interval", "mean seconds", "slowest", "mean calls")
    columns = [Column("task"), *(Column(heading, figures=True) for heading in headings)]
    rows = []
    for task in tasks:
        cell = cells[model, task]
        owed = [f"{cell['owed']} owed"] if cell["owed"] else []
        rows.append(
            [
                task,
                _passed_of(cell),
                span(cell["effective_low"], cell["effective_high"]),
                *(_mean(cell[name]) for name in ("run_seconds_mean", "run_seconds_max", "mean")),
                ", ".join([*endings.get((model, task), []), *owed]) or DASH,
            ]
        )
    files = ("pass_rate_by_task", "latency_distribution", "tool_calls_by_task")
    note = (
        "Seconds and calls are of the model's own runs; a script's seconds say nothing and are "
        f"left out. From {', '.join(f'verification/{name}.csv' for name in files)}."
    )
    return Exhibit(f"{model}, task by task", [*columns, Column("what did not pass")], rows, [note])


def _endings(evidence: Evidence) -> dict[Place, list[str]]:
    """By model and task, what became of the runs that did not pass, in words."""
    runs = evidence.runs
    columns = ["model", "task", "outcome", "cause", "budget"]
    others = runs[runs["outcome"] != "pass"][columns].fillna("")
    counts = Counter(others.itertuples(index=False, name=None))
    words: dict[Place, list[str]] = {}
    for (model, task, outcome, cause, budget), count in sorted(counts.items()):
        told = f"{count} {ending(outcome, cause or budget, count)}"
        words.setdefault((model, task), []).append(told)
    return words


def ending(outcome: str, why: str | None, count: int = 1) -> str:
    """An outcome with its cause or budget, in words; those of ``count`` runs."""
    words = f"{WORDS[outcome]}s" if count > 1 and outcome == "wrong_answer" else WORDS[outcome]
    return f"{words} ({why.replace('_', ' ')})" if why else words


def cost(evidence: Evidence) -> Section:
    """Tokens, money and time, of all attempts."""
    headings = {
        "attempts": "attempts",
        "tokens_input": "tokens in",
        "tokens_cached": "of them cached",
        "tokens_output": "tokens out",
        "usd": "US dollars",
        "wall_seconds": "seconds",
    }
    rows = [
        [str(row["model"]), *(_amount(name, row[name]) for name in headings)]
        for _, row in costs(evidence).iterrows()
    ]
    columns = [Column("model"), *(Column(words, figures=True) for words in headings.values())]
    notes = [
        "Of all attempts, those that were played again too. A dash is unknown, or a script's.",
        "From verification/cost_breakdown.csv.",
    ]
    exhibit = Exhibit("Tokens, money and time", columns, rows, notes)
    return Section("What it cost", "Observed", [exhibit])


def infrastructure(evidence: Evidence) -> Section:
    """What the world spoiled: no model's failure, and no part of any score."""
    spoiled = attempts(evidence).query("outcome == 'infrastructure_error'")
    runs = int(spoiled["latest"].sum())
    mended = len(spoiled) - runs
    if spoiled.empty:
        words = f"No attempt of {len(evidence.runs)} runs was spoiled by infrastructure."
        return Section("What the world spoiled", "Observed", [Paragraph(words)])
    words = (
        f"{counted(runs, 'run')} ended in an infrastructure error and "
        f"{'is' if runs == 1 else 'are'} no model's result. "
        f"{counted(mended, 'earlier attempt')} failed so and {'was' if mended == 1 else 'were'} "
        "made again."
    )
    rows = [
        [
            str(row["model"]),
            str(row["task"]),
            str(row["repetition"]),
            str(row["cause"]).replace("_", " "),
            "" if pd.isna(row["fault"]) else str(row["fault"]),
            Link(f"attempt {row['attempt']}", str(row["transcript"])),
            "" if row["latest"] else "made again",
        ]
        for _, row in spoiled.head(MOST_ROWS).iterrows()
    ]
    columns = [*_RUN, Column("cause"), Column("in its words"), Column("read"), Column("after")]
    notes = ["From verification/attempts.csv.", *_cut(len(spoiled), "attempts.csv")]
    exhibit = Exhibit("Spoiled attempts", columns, rows, notes)
    return Section("What the world spoiled", "Observed", [Paragraph(words), exhibit])


def noticed(evidence: Evidence) -> Section:
    """What signals and detectors found."""
    found = findings(evidence)
    counts = count_findings(evidence)
    if found.empty:
        return Section("What was noticed", "Observed", [counts])
    rows: list[list[Cell]] = [
        [
            str(row["name"]),
            str(row["model"]),
            str(row["task"]),
            str(row["repetition"]),
            str(row["detail"]),
            Link(f"turn {row['turn']}", str(row["citation"])),
        ]
        for _, row in found.head(MOST_ROWS).iterrows()
    ]
    columns = [Column("pattern"), *_RUN, Column("what was seen"), Column("read")]
    notes = ["From verification/findings.csv.", *_cut(len(found), "findings.csv")]
    each = Exhibit("Findings, one by one", columns, rows, notes)
    return Section("What was noticed", "Observed", [counts, each])


def looked_for(evidence: Evidence, unseen: Mapping[tuple[str, str], Set[str]]) -> Section:
    """The patterns that were looked for and not seen in any run, with the runs in which they
    could have been; ``unseen`` holds, by pattern and why, those in which they could not."""
    seen = set(evidence.findings["name"])
    runs = len(evidence.runs)
    looked = dict.fromkeys(patterns(), runs)
    for (name, _), blind in unseen.items():
        looked[name] -= len(blind)
    points = [f"{name}: 0 of {of} runs" for name, of in looked.items() if of and name not in seen]
    words = "In as many runs as could show it:" if points else "Nothing that was looked for."
    blocks: list[Block] = [Paragraph(words), *([Bullets(points)] if points else [])]
    if unseen:
        blocks += [
            Paragraph("Not looked for, since it could not have been seen:"),
            Bullets(
                [
                    f"{name}: in {len(blind)} of {runs} runs; {why}"
                    for (name, why), blind in sorted(unseen.items())
                ]
            ),
        ]
    return Section("What was looked for and not seen", "Unobserved", blocks)


def every_run(evidence: Evidence, plan: Plan) -> Section:
    """All runs, to click into."""
    runs = evidence.runs
    planned = len(plan.models) * len(plan.tasks) * plan.runs_per_task
    if planned > MOST_LISTED:
        words = (
            f"{planned} planned runs are too many to be listed. verification/runs.csv names those "
            "that began; the page of each is report/runs/ with the run's UUID and .html."
        )
        return Section("Every run", "Observed", [Paragraph(words)])
    cells: dict[tuple[str, str], dict[int, Cell]] = {}
    for _, row in runs.iterrows():
        citation = f"data/transcripts/{row['run']}.jsonl"
        place = cells.setdefault((row["model"], row["task"]), {})
        place[row["repetition"]] = Link(MARKED[row["outcome"]], citation)
    numbers = range(1, plan.runs_per_task + 1)
    rows = [
        [model, task, *(cells.get((model, task), {}).get(number, "owed") for number in numbers)]
        for model in sorted(plan.models)
        for task in sorted(plan.tasks)
    ]
    columns = [Column("model"), Column("task"), *(Column(f"run {n}") for n in numbers)]
    return Section("Every run", "Observed", [Exhibit("To click into", columns, rows)])


_RUN = [Column("model"), Column("task"), Column("run", figures=True)]


def _mean(value: float) -> str:
    """A mean with one decimal; a dash where it is unknown."""
    return DASH if pd.isna(value) else f"{value:,.1f}"


def _all_rows(evidence: Evidence) -> pd.DataFrame:
    rates = pass_rates(evidence)
    return rates[rates["task"] == ALL_TASKS]


def _passed_of(row: Mapping[str, Any] | pd.Series) -> str:
    return f"{row['pass']}/{row['planned']}"


def _amount(name: str, value: float) -> str:
    if pd.isna(value):
        return DASH
    return f"{value:,.4f}" if name == "usd" else f"{value:,.0f}"


def counted(count: int, word: str) -> str:
    """A number with its noun."""
    return f"{count} {word}{'' if count == 1 else 's'}"


def _cut(count: int, file: str) -> list[str]:
    left_out = count - MOST_ROWS
    return [f"{left_out} more are in verification/{file}."] if left_out > 0 else []
