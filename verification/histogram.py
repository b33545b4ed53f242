"""How runs ended, counted: in the terminal, and as a picture for reports."""

from __future__ import annotations

import io
from pathlib import Path

import matplotlib as mpl
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from rich.console import Console
from rich.table import Table
from rich.text import Text

from harness.store import CampaignFolder, write_whole
from harness.terminal import one_line
from verification.evidence import read
from verification.summary import percent
from verification.tables import OWED, failure_modes

LONGEST_NAME = 40
"""Characters of a campaign's or model's name that a picture has room for."""

STEM = "failure_mode_histogram"
STYLES = {
    "pass": ("#009e73", "", "green"),
    "wrong_answer": ("#d55e00", "///", "red"),
    "gave_up": ("#e69f00", "...", "yellow"),
    "infrastructure_error": ("#56b4e9", "xxx", "cyan"),
    OWED: ("#ffffff", "", ""),
}
"""By outcome: colours that the colour-blind can tell apart (Okabe and Ito's), hatches for where
there is no colour at all, and the terminal's colour."""

WIDTH = 4.8
"""Inches. Narrow, so that 10 points are still legible at the width of a phone."""

ROW, TITLE, MARGIN = 0.46, 0.75, 0.1
"""Inches: the height of a bar with its label, of a title, and of the white around it all."""


def draw(folder: CampaignFolder, console: Console) -> list[Path]:
    """Print a campaign's failure modes, write them as PNG and SVG, and return the two paths.

    Where no run has begun there is nothing to draw, and no path. Raises BadInput for
    transcripts that cannot be read.
    """
    evidence = read(folder)
    if evidence.plan is None:
        console.print("No run has begun: there is nothing to draw yet.")
        return []
    modes = failure_modes(evidence)
    _print(modes, console)
    return _write(folder, _figure(modes, evidence.plan.campaign))


def _print(modes: pd.DataFrame, console: Console) -> None:
    for model, rows in _shown(modes):
        table = Table.grid(padding=(0, 1))
        table.add_column(overflow="ellipsis")
        for justify in ("right", "right", "left"):
            table.add_column(justify=justify, no_wrap=True)
        longest = max(len(_label(row)) for _, row in rows.iterrows())
        room = max(8, console.width - longest - 12)
        for _, row in rows.iterrows():
            bar = Text(_bar(row["share"], room), STYLES[row["outcome"]][2])
            table.add_row(Text(_label(row)), str(row["runs"]), percent(row["share"]), bar)
        console.print()
        console.print(
            Text(f"{one_line(model)}: how {rows['runs'].sum()} planned runs ended", "bold")
        )
        console.print(table)


def _bar(share: float, room: int) -> str:
    """Blocks for a share of the room, to an eighth of a block; never nothing for something."""
    eighths = max(round(share * room * 8), 1 if share else 0)
    return "█" * (eighths // 8) + " ▏▎▍▌▋▊▉"[eighths % 8].strip()


def _figure(modes: pd.DataFrame, campaign: str) -> Figure:
    """A panel per model, bars from the top down, each under its label and before its count."""
    shown = _shown(modes)
    heights = [len(rows) * ROW + TITLE for _, rows in shown]
    figure = Figure(figsize=(WIDTH, sum(heights) + TITLE))
    figure.set_layout_engine("constrained", w_pad=MARGIN, h_pad=MARGIN)
    title = f"How the runs ended\n{one_line(campaign, LONGEST_NAME)}"
    figure.suptitle(
        title, x=MARGIN / WIDTH, ha="left", fontsize=12, fontweight="bold", parse_math=False
    )
    panels = figure.subplots(len(shown), 1, squeeze=False, height_ratios=heights)
    for axes, (model, rows) in zip(panels[:, 0], shown, strict=True):
        _panel(axes, model, rows)
    return figure


def _panel(axes: Axes, model: str, rows: pd.DataFrame) -> None:
    for place, (_, row) in enumerate(rows.iterrows()):
        colour, hatch, _ = STYLES[row["outcome"]]
        axes.barh(
            place + 0.2, row["share"], 0.42, color=colour, hatch=hatch, edgecolor="black", lw=0.8
        )
        count = f"{row['runs']} ({percent(row['share'])})"
        axes.text(row["share"] + 0.015, place + 0.2, count, va="center", fontsize=10)
        axes.text(0, place - 0.06, _label(row), va="bottom", fontsize=10)
    title = f"{one_line(model, LONGEST_NAME)}, n = {rows['runs'].sum()}"
    axes.set_title(title, loc="left", fontsize=11, fontweight="bold", parse_math=False)
    axes.set(xlim=(0, 1.25), ylim=(len(rows) - 0.4, -0.5), xticks=[], yticks=[])
    axes.spines[:].set_visible(False)


def _shown(modes: pd.DataFrame) -> list[tuple[str, pd.DataFrame]]:
    """By model, the rows to draw: all four outcomes, but owed runs only where there are any."""
    drawn = modes[(modes["outcome"] != OWED) | (modes["runs"] > 0)]
    return [(str(model), rows) for model, rows in drawn.groupby("model")]


def _label(row: pd.Series) -> str:
    words = str(row["outcome"]).strip("()").replace("_", " ")
    why = str(row["cause"] or row["budget"]).replace("_", " ")
    return f"{words}: {why}" if why else words


def _write(folder: CampaignFolder, figure: Figure) -> list[Path]:
    """Both pictures; the same evidence gives the same bytes."""
    paths = []
    # Without a salt the SVG's ids, and with a date its metadata, would differ every time.
    with mpl.rc_context({"svg.hashsalt": STEM, "hatch.linewidth": 0.8}):
        for suffix, metadata in (("png", {}), ("svg", {"Date": None})):
            picture = io.BytesIO()
            figure.savefig(picture, format=suffix, dpi=220, metadata=metadata)
            path = folder.verification / f"{STEM}.{suffix}"
            write_whole(path, picture.getvalue())
            paths.append(path)
    return paths
