"""A campaign's result as a table in the terminal: every rate with its coverage and interval."""

from __future__ import annotations

import pandas as pd
from rich.box import HORIZONTALS
from rich.console import Console
from rich.table import Table
from rich.text import Text

from harness.store import CampaignFolder
from harness.terminal import one_line
from verification.evidence import Evidence, read
from verification.findings import exhibit
from verification.leak_counts import tally
from verification.statistics import Interval, wilson
from verification.tables import ALL_TASKS, pass_rates

HEADINGS = {
    "pass": "pass",
    "wrong_answer": "wrong\nansw.",
    "gave_up": "gave\nup",
    "infrastructure_error": "infra\nerror",
    "owed": "owed",
}
COLOURS = {
    "pass": "green",
    "wrong_answer": "red",
    "gave_up": "yellow",
    "infrastructure_error": "magenta",
    "owed": "",
}
RATES = ("raw", "effec-\ntive", "cover-\nage", "95%\ninterval")
NOTE = """\
raw: passes of all planned runs. effective: passes of the model's own runs, those that no \
infrastructure spoiled. coverage: the model's own runs of all planned ones. The 95% interval is \
the effective rate's: a task's (Wilson) were it run again; that of (all) for tasks like these, \
where a task's runs count as alike as they were seen to be (Korn and Graubard)."""
DASH = "\N{EN DASH}"
WIDE = 100
"""Columns of a terminal from which on there is room to spare."""


def print_summary(folder: CampaignFolder, console: Console) -> None:
    """Print a table per model of a campaign, and one of what is notable in it; raises BadInput for
    unreadable transcripts."""
    evidence = read(folder)
    rates = pass_rates(evidence)
    if rates.empty:
        console.print("No run has begun: there is nothing to show yet.")
        return
    for model, rows in rates.groupby("model"):
        console.print()
        console.print(_table(str(model), rows, wide=console.width >= WIDE))
        console.print(_bounds(rows.iloc[-1]))
        console.print(_same_tasks(rows.iloc[-1]))
    console.print()
    console.print(Text(NOTE, "dim"))
    for words in rescued(evidence):
        console.print(Text(one_line(words), "dim"))
    if len(evidence.findings):
        exhibit(evidence).print(console)


def rescued(evidence: Evidence) -> list[str]:
    """What each model's runs come to where the campaign rescues leaks, a sentence a model; none
    where it rescues none, or nothing leaked."""
    sentences = []
    for (model, by, _), cell in tally(evidence).items():
        if by == "all" and cell.rescue and cell.leaked_runs:
            passes = cell.rescued_passes
            sentences.append(
                f"{model}: markup leaked in {cell.leaked_runs} of {cell.runs} runs, which have "
                f"failed; {cell.rescue}, {percent(passes / cell.runs)} would have passed instead "
                f"of {percent(cell.passes / cell.runs)} (95% {span(*_interval(passes, cell.runs))}"
                "; fairtrial leakage)."
            )
    return sentences


def _interval(passes: int, runs: int) -> Interval:
    interval = wilson(passes, runs)
    assert interval is not None  # there are runs
    return interval


def percent(rate: float) -> str:
    """A rate in whole percent; 0% and 100% only where it is exactly that, a dash where unknown."""
    if pd.isna(rate):
        return DASH
    if 0 < rate < 0.01:
        return "<1%"
    if 0.99 < rate < 1:
        return ">99%"
    return f"{rate:.0%}"


def span(low: float, high: float) -> str:
    """An interval of rates in whole percent; one figure where both ends are alike, a dash where
    it is unknown."""
    if pd.isna(low):
        return DASH
    first, last = percent(low), percent(high)
    return first if first == last else f"{first.removesuffix('%')}{DASH}{last}"


def _table(model: str, rows: pd.DataFrame, *, wide: bool) -> Table:
    counts = [name for name in HEADINGS if name != "owed" or rows["owed"].any()]
    table = Table(
        title=Text(one_line(model), "bold"),
        title_justify="left",
        box=HORIZONTALS,
        padding=(0, 2 if wide else 1, 0, 0),
        pad_edge=False,
        show_edge=False,
    )
    table.add_column("task", overflow="fold", vertical="bottom")
    for heading in (*(HEADINGS[name] for name in counts), *RATES):
        table.add_column(heading, justify="right", no_wrap=True)
    for _, row in rows.iterrows():
        together = row["task"] == ALL_TASKS
        if together:
            table.add_section()
        table.add_row(*_cells(row, counts), style="bold" if together else "")
    return table


def _cells(row: pd.Series, counts: list[str]) -> list[Text]:
    rates = [percent(row[name]) for name in ("raw_rate", "effective_rate", "coverage")]
    of = "suite" if row["task"] == ALL_TASKS else "effective"
    interval = span(row[f"{of}_low"], row[f"{of}_high"])
    return [
        Text(one_line(row["task"])),
        *(Text(str(row[name]), COLOURS[name] if row[name] else "dim") for name in counts),
        *map(Text, (*rates, interval)),
    ]


def _bounds(row: pd.Series) -> Text:
    unscored = row["infrastructure_error"] + row["owed"]
    if not unscored:
        return Text("Every planned run was the model's own.", "dim")
    spoiled = "1 run that was" if unscored == 1 else f"{unscored} runs that were"
    return Text(
        f"raw is between {percent(row['raw_low'])} and {percent(row['raw_high'])}: had the "
        f"{spoiled} owed or infrastructure's failed, or passed."
    )


def _same_tasks(row: pd.Series) -> Text:
    interval = span(row["effective_low"], row["effective_high"])
    return Text(f"effective, were these same tasks run again: {interval} (Wilson).", "dim")
