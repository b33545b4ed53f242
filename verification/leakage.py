"""How often a model's markup leaked into its text, and what that was worth, for people."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd

from verification import trend
from verification.evidence import Evidence
from verification.exhibit import Column, Exhibit
from verification.leak_counts import COLUMNS, RESCUES, Cell, Place, tally
from verification.statistics import wilson
from verification.summary import DASH, percent, span


def exhibits(evidence: Evidence) -> list[Exhibit]:
    """What a person wants to see of it: all together, then by family, by depth and by load."""
    cells = tally(evidence)
    runs = pd.concat(evidence.run_parts(["kind", *COLUMNS, "context_tokens"]), ignore_index=True)
    played = runs[runs["outcome"] != "infrastructure_error"]
    return [_scores(cells), _families(cells), _depths(cells, played), _loads(cells, played)]


def _scores(cells: Mapping[Place, Cell]) -> Exhibit:
    ways = [way for way in RESCUES.values() if any(c.rescue == way for c in cells.values())]
    rows = [
        [
            model,
            *_leaked(cell),
            f"{cell.leaked_replies} of {cell.replies}",
            _rate(cell.passes, cell.runs),
            *(_rate(cell.rescued_passes, cell.runs) if cell.rescue == w else DASH for w in ways),
        ]
        for (model, by, _), cell in cells.items()
        if by == "all"
    ]
    notes = [
        "leaked: runs of the model's own in which a reply spelled a call, or a template's "
        "delimiters, as text and made no call. 95%: Wilson, were these same tasks run again; of "
        "replies there is none, since those of one run are not independent.",
        "strict: passes, where a run that leaked has failed, rescued or not"
        + (f"; {' or '.join(ways)}: had the rescue counted." if ways else "."),
    ]
    columns = [Column("model"), *_figures("leaked", "95%", "replies", "strict", *ways)]
    return Exhibit("Leakage, and the scores with it", columns, rows, notes)


def _families(cells: Mapping[Place, Cell]) -> Exhibit:
    rows = [
        [model, value, *_leaked(cell), str(cell.leaked_replies)]
        for (model, by, value), cell in cells.items()
        if by == "family"
    ]
    notes = [] if rows else ["No markup leaked in any run."]
    columns = [Column("model"), Column("family"), *_figures("leaked", "95%", "replies")]
    return Exhibit("By family of the markup", columns, rows, notes)


def _depths(cells: Mapping[Place, Cell], played: pd.DataFrame) -> Exhibit:
    rows = [
        [model, value, f"{cell.leaked_replies} of {cell.replies}", *_leaked(cell)]
        for (model, by, value), cell in cells.items()
        if by == "depth"
    ]
    notes = [
        "depth: tokens in the context before a reply, as measured. A run counts in every row in "
        "which it has a reply.",
        *(
            f"{model}: {trend.with_depth(of['depths'].tolist(), of['leak_depths'].tolist())}"
            for model, of in played.groupby("model")
        ),
    ]
    columns = [Column("model"), Column("depth"), *_figures("replies that leaked", "runs", "95%")]
    return Exhibit("By depth of the context", columns, rows, notes)


def _loads(cells: Mapping[Place, Cell], played: pd.DataFrame) -> Exhibit:
    measured = played.groupby(["model", "context_load"])["context_tokens"].mean()
    rows = [
        [
            model,
            value,
            DASH if pd.isna(tokens := measured[model, int(value)]) else f"{tokens:.0f}",
            *_leaked(cell),
            f"{cell.passes} of {cell.runs}",
            span(*(wilson(cell.passes, cell.runs) or (np.nan, np.nan))),
        ]
        for (model, by, value), cell in cells.items()
        if by == "load"
    ]
    notes = ["measured: tokens in the context before the first reply, on average."]
    for model, of in played.groupby("model"):
        loads = of["context_load"].tolist()
        if len(set(loads)) > 1:
            leaked, passed = (
                of["leak_depths"].map(bool).tolist(),
                (of["outcome"] == "pass").tolist(),
            )
            notes.append(f"{model}: {trend.with_load(loads, leaked, 'leaks')}")
            notes.append(f"{model}: {trend.with_load(loads, passed, 'passes')}")
    columns = [
        Column("model"),
        *_figures("load", "measured", "leaked", "95%", "pass", "95% of pass"),
    ]
    return Exhibit("By load of the context", columns, rows, notes)


def _leaked(cell: Cell) -> tuple[str, str]:
    interval = wilson(cell.leaked_runs, cell.runs) or (np.nan, np.nan)
    return f"{cell.leaked_runs} of {cell.runs}", span(*interval)


def _rate(part: int, whole: int) -> str:
    interval = wilson(part, whole)
    if interval is None:
        return DASH
    return f"{percent(part / whole)} ({span(*interval)})"


def _figures(*headings: str) -> list[Column]:
    return [Column(heading, figures=True) for heading in headings]
