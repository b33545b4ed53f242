"""How every picture is laid out: a narrow column of panels, one a model, of labelled rows.

title
campaign
legend
model                        what the figures are
label of a row   [ drawn ]   figure
...
                 axis
notes
"""

from __future__ import annotations

import re
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from harness.terminal import one_line

WIDTH = 4.8
"""Inches. Shown at the 400 pixels of a phone, 10 points are then as high as 11 pixels' text."""

MARGIN = 0.12
LABELS = 1.78
"""Inches at the left for the labels."""

LINE, DIGIT = 0.17, 0.088
"""Inches: the height of a line of 10 points, and the width of a digit."""

LONGEST_LABEL, LONGEST_HEADING, LONGEST_NOTE = 20, 36, 56
"""Characters for which there is room in a line."""

MOST_LINES = 4
"""Of a label; what is longer loses its end."""


@dataclass(frozen=True)
class Row:
    """What stands at both ends of a row."""

    label: str
    figure: str


@dataclass(frozen=True)
class Panel:
    """The rows of one model; ``least`` is the least height of a row in inches."""

    model: str
    rows: Sequence[Row]
    least: float = 0.0

    @property
    def pitch(self) -> float:
        """Inches from one row to the next: what the longest label needs, or more."""
        return max(self.least, max(len(_label(row)) for row in self.rows) * LINE + 0.1)


@dataclass(frozen=True)
class Page:
    """A picture but for what is drawn in its panels."""

    title: str
    campaign: str
    panels: Sequence[Panel]
    legend: Sequence[Artist]
    figures: str
    axis: str = ""
    notes: Sequence[str] = ()

    def lay_out(self) -> tuple[Figure, list[Axes]]:
        """The figure, and for each panel axes in which a row's middle is at its index."""
        notes = [line for note in self.notes for line in textwrap.wrap(note, LONGEST_NOTE)]
        legend = (len(self.legend) + 1) // 2 * 1.35 * LINE
        foot = 3 * LINE if self.axis else LINE
        heights = [len(panel.rows) * panel.pitch for panel in self.panels]
        above = MARGIN + 3.2 * LINE + legend
        height = above + sum(heights) + len(heights) * (2.4 * LINE + foot)
        height += len(notes) * LINE + MARGIN
        figure = Figure(figsize=(WIDTH, height))
        longest = max(len(row.figure) for panel in self.panels for row in panel.rows)
        sheet = _Sheet(figure, height, (longest + 1) * DIGIT)
        sheet.text(MARGIN, MARGIN, self.title, size=12, weight="bold")
        sheet.text(MARGIN, MARGIN + 1.4 * LINE, one_line(self.campaign, 2 * LONGEST_LABEL))
        if self.legend:
            sheet.legend(self.legend, MARGIN + 2.8 * LINE)
        top = above
        drawn = []
        for panel, inches in zip(self.panels, heights, strict=True):
            heading = one_line(panel.model, LONGEST_HEADING)
            sheet.text(MARGIN, top + LINE, heading, size=11, weight="bold")
            sheet.text(WIDTH - MARGIN, top + LINE, self.figures, ha="right", color="0.25")
            top += 2.4 * LINE
            drawn.append(sheet.panel(panel, top, inches, self.axis))
            top += inches + foot
        for line in notes:
            sheet.text(MARGIN, top, line, color="0.25")
            top += LINE
        return figure, drawn


@dataclass(frozen=True)
class _Sheet:
    """A figure measured in inches from its upper left corner; ``figures`` is the room at its
    right for the rows' figures."""

    whole: Figure
    height: float
    figures: float

    def text(self, x: float, y: float, words: str, size: float = 10, **style: Any) -> None:
        place = (x / WIDTH, 1 - y / self.height)
        self.whole.text(*place, words, va="top", fontsize=size, **style)

    def legend(self, handles: Sequence[Artist], y: float) -> None:
        self.whole.legend(
            handles=list(handles),
            ncols=2,
            loc="upper left",
            bbox_to_anchor=(MARGIN / WIDTH, 1 - y / self.height),
            fontsize=10,
            frameon=False,
            borderaxespad=0,
            borderpad=0,
            columnspacing=1.2,
        )

    def panel(self, panel: Panel, top: float, inches: float, axis: str) -> Axes:
        """Axes over the rows, with both ends of each row written beside them."""
        width = WIDTH - 2 * MARGIN - LABELS - self.figures
        bottom = 1 - (top + inches) / self.height
        axes = self.whole.add_axes(
            ((MARGIN + LABELS) / WIDTH, bottom, width / WIDTH, inches / self.height)
        )
        for number, row in enumerate(panel.rows):
            middle = 1 - (top + (number + 0.5) * panel.pitch) / self.height
            label = "\n".join(_label(row))
            self.whole.text(MARGIN / WIDTH, middle, label, va="center", linespacing=1.0)
            self.whole.text(1 - MARGIN / WIDTH, middle, row.figure, va="center", ha="right")
        axes.set(ylim=(len(panel.rows) - 0.5, -0.5), yticks=[])
        axes.spines[["top", "right", "left"]].set_visible(False)
        axes.spines["bottom"].set_visible(bool(axis))
        if axis:
            axes.set_xlabel(axis, fontsize=10, labelpad=2)
        return axes


def wrapped(label: str, width: int = LONGEST_LABEL) -> list[str]:
    """A label in lines of no more characters than ``width``, broken behind spaces, underscores
    and hyphens where that can be."""
    lines = [""]
    for word in re.findall(r"[^ _-]*[ _-]?", one_line(label)):
        for piece in textwrap.wrap(word, width, drop_whitespace=False):
            if len(lines[-1]) + len(piece.rstrip()) > width:
                lines.append("")
            lines[-1] += piece
    return [line.rstrip() for line in lines]


def _label(row: Row) -> list[str]:
    return wrapped(one_line(row.label, MOST_LINES * LONGEST_LABEL))
