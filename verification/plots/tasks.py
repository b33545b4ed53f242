"""How runs ended, by model and task."""

from __future__ import annotations

import pandas as pd

from verification.evidence import Evidence
from verification.plots._bars import LOOKS, Bar, Bars
from verification.tables import ALL_TASKS, pass_rates

STEM = "failure_modes_by_task"


def chart(evidence: Evidence) -> Bars:
    """A bar per task, in as many parts as there were outcomes."""
    rates = pass_rates(evidence)
    by_task = rates[rates["task"] != ALL_TASKS].rename(columns={"owed": "(owed)"})
    return Bars(
        title="How the runs ended, by task",
        panels=[
            (str(model), [_bar(row) for _, row in rows.iterrows()])
            for model, rows in by_task.groupby("model")
        ],
        figures="passed",
    )


def _bar(row: pd.Series) -> Bar:
    return Bar(
        label=row["task"],
        parts={outcome: int(row[outcome]) for outcome in LOOKS},
        whole=int(row["planned"]),
        figure=f"{row['pass']}/{row['planned']}",
    )
