"""What a campaign does not say, derived from what is missing in it."""

from __future__ import annotations

from collections.abc import Iterator

import pandas as pd

from harness.store import Manifest
from verification.evidence import Evidence
from verification.report.conducted import Headers
from verification.report.document import Bullets, Section
from verification.report.results import counted
from verification.tables import ALL_TASKS, costs, pass_rates


def section(
    evidence: Evidence,
    manifest: Manifest | None,
    headers: Headers,
    *,
    predicted: bool,
    unproved: int,
) -> Section:
    """The open ends, a point each; ``unproved`` numbers of the author's are proved by no cell."""
    points = [
        *_missing_runs(evidence),
        *_conditions(manifest, headers),
        *([] if predicted else ["No predictions were filed before the runs."]),
        *_costs(evidence),
        *_claims(unproved),
        *_reach(evidence, headers),
    ]
    return Section("What is not known", "Unobserved", [Bullets(points)])


def _missing_runs(evidence: Evidence) -> Iterator[str]:
    rates = pass_rates(evidence)
    by_task = rates[rates["task"] != ALL_TASKS]
    owed, spoiled = int(by_task["owed"].sum()), int(by_task["infrastructure_error"].sum())
    if owed:
        yield f"Not played: {owed} of {by_task['planned'].sum()} planned runs."
    if spoiled:
        yield f"Spoiled by infrastructure, so that their end is open: {counted(spoiled, 'run')}."
    silent = by_task[by_task["owed"] + by_task["infrastructure_error"] == by_task["planned"]]
    for model, rows in silent.groupby("model"):
        yield f"{model} has no run of its own of {', '.join(rows['task'])}."


def _conditions(manifest: Manifest | None, headers: Headers) -> Iterator[str]:
    if manifest is None:
        yield "The manifest is missing, and with it the hardware and the suite's certificate."
    elif manifest.suite_shortcoming:
        yield f"The suite is not certified: {manifest.suite_shortcoming}."
    for name, facts in sorted(headers.models.items()):
        lacking = [label for label, values in facts.items() if "SHA-256" in label and not values]
        if lacking and headers.kinds[name] != "scripted":
            yield f"Of {name} these are unknown: {', '.join(lacking)}."
    for task, digests in sorted(headers.task_digests.items()):
        if len(digests) > 1:
            yield f"The files of {task} were not the same for all of its runs."


def _costs(evidence: Evidence) -> Iterator[str]:
    table = costs(evidence)
    played = table[table["attempts"].notna()]
    for _, row in played[played["usd"].isna()].iterrows():
        why = "no price is known" if pd.isna(row["price_input"]) else "some tokens are not known"
        yield f"What {row['model']} cost is unknown: {why}."


def _claims(unproved: int) -> Iterator[str]:
    if unproved:
        yield (
            f"Numbers in the author's words that no cell of the evidence proves: {unproved}; "
            "'fairtrial check-claims' names them."
        )


def _reach(evidence: Evidence, headers: Headers) -> Iterator[str]:
    """How far the numbers carry."""
    plan = evidence.plan
    assert plan is not None
    yield (
        f"The wider intervals hold for tasks like these {len(plan.tasks)}. Whether the tasks of "
        "another's work are like these is not known."
    )
    if plan.runs_per_task < 10:
        yield (
            f"{plan.runs_per_task} runs of a task are a small sample: a task's own rate is known "
            "no better than its interval."
        )
    scripted = sorted(name for name, kind in headers.kinds.items() if kind == "scripted")
    if scripted:
        yield f"{', '.join(scripted)}: a script and no model; its passes say nothing of any model."
