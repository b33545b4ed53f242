"""How runs ended, by model: each outcome, split by cause and budget where it has one."""

from __future__ import annotations

import pandas as pd

from verification.evidence import Evidence
from verification.plots._bars import LOOKS, Bar, Bars
from verification.summary import percent
from verification.tables import OWED, failure_modes

STEM = "failure_mode_histogram"


def chart(evidence: Evidence) -> Bars:
    """A bar per failure mode, as long as its share of the planned runs; all four outcomes are
    there, but owed runs only where there are any."""
    modes = failure_modes(evidence)
    shown = modes[(modes["outcome"] != OWED) | (modes["runs"] > 0)]
    return Bars(
        title="How the runs ended",
        panels=[
            (str(model), [_bar(row, int(rows["runs"].sum())) for _, row in rows.iterrows()])
            for model, rows in shown.groupby("model")
        ],
        figures="planned runs",
    )


def _bar(row: pd.Series, planned: int) -> Bar:
    why = str(row["cause"] or row["budget"]).replace("_", " ")
    words = LOOKS[row["outcome"]].words
    return Bar(
        label=f"{words}: {why}" if why else words,
        parts={row["outcome"]: row["runs"]},
        whole=planned,
        figure=f"{row['runs']} ({percent(row['share'])})",
    )
