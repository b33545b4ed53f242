"""Strips of dots, one a run: a distribution as it is, with its median, and no mean."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Rectangle
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table
from rich.text import Text

from harness.terminal import one_line
from verification.evidence import Evidence
from verification.plots._bars import LOOKS, Widths, columns, grid
from verification.plots._page import Page, Panel, Row, wrapped
from verification.summary import DASH

MOST_DOTS = 100
"""In a row. Of more runs, as many are drawn, evenly spaced by rank, the extremes among them."""

FEWEST_FOR_A_BOX = 5
"""Runs from which on quartiles say more than the dots themselves."""

WIDE = 20
"""Times that the largest value may exceed the smallest before the axis becomes logarithmic."""

LANES = 24
"""Places along a strip at which dots do not touch: where two share one, they are stacked."""

DOT, HIGHEST_ROW = 0.075, 0.7
"""Inches: a dot in a stack, and a row of as many as can be; beyond that they overlap."""


@dataclass(frozen=True)
class Strip:
    """A row: ``runs`` has the columns ``value`` (NaN: unknown) and ``outcome``."""

    label: str
    runs: pd.DataFrame

    @cached_property
    def known(self) -> pd.DataFrame:
        """The runs of which the value is known, from the smallest to the largest."""
        return self.runs.dropna(subset="value").sort_values(["value", "outcome"])

    @cached_property
    def median(self) -> float:
        return float(self.known["value"].median())


@dataclass(frozen=True)
class Strips:
    """Panels of strips, one a model, on one axis. ``notes`` say what was left out."""

    title: str
    unit: str
    panels: Sequence[tuple[str, Sequence[Strip]]]
    notes: Sequence[str]

    @property
    def empty(self) -> bool:
        return not self.panels

    @property
    def alt(self) -> str:
        models = [
            f"{one_line(model)}: " + "; ".join(map(_told, strips)) for model, strips in self.panels
        ]
        words = [f"Strip plot, a dot a run. {self.title}", *models]
        return ". ".join(words) + ". " + " ".join(self.notes)

    def figure(self, campaign: str) -> Figure:
        scale = Scale.of(self._values())
        highest = max(_highest(s, scale) for _, strips in self.panels for s in strips)
        least = min(DOT * highest, HIGHEST_ROW)
        panels = [
            Panel(model, [Row(s.label, compact(s.median)) for s in strips], least)
            for model, strips in self.panels
        ]
        axis = f"{self.unit}, log scale" if scale.logarithmic else self.unit
        page = Page(self.title, campaign, panels, self._legend(), "median", axis, self._all_notes())
        figure, drawn = page.lay_out()
        for axes, panel, (_, strips) in zip(drawn, panels, self.panels, strict=True):
            scale.apply(axes)
            _draw_boxes(axes, strips, scale)
            _draw_dots(axes, strips, scale, min(0.9 / highest, DOT / panel.pitch))
        return figure

    def print(self, console: Console) -> None:
        console.print()
        console.print(Text(self.title, "bold"))
        scale = Scale.of(self._values())
        every = [(s.label, compact(s.median)) for _, strips in self.panels for s in strips]
        widths = columns(every, console.width)
        for model, strips in self.panels:
            console.print()
            console.print(Text(f"{one_line(model)} (median)", "bold"))
            console.print(_table(strips, scale, widths))
        if not self.empty:
            low, high = map(compact, (scale.low, scale.high))
            kind = ", on a logarithmic scale" if scale.logarithmic else ""
            console.print()
            console.print(
                Text(
                    f"Each strip runs from {low} to {high} {self.unit}{kind}; a digit stands for "
                    "that many runs, + for more than nine.",
                    "dim",
                )
            )
        for note in self.notes:
            console.print(Text(note, "dim"))

    def _values(self) -> Iterable[float]:
        return (v for _, strips in self.panels for s in strips for v in s.known["value"])

    def _legend(self) -> list[Artist]:
        seen = {o for _, strips in self.panels for s in strips for o in s.known["outcome"]}
        dots: list[Artist] = [
            Line2D([], [], label=look.words, **_marker(outcome))
            for outcome, look in LOOKS.items()
            if outcome in seen
        ]
        median = Line2D([], [], ls="", marker="|", ms=11, mew=2, color="black", label="median")
        return [*dots, median]

    def _all_notes(self) -> list[str]:
        """The notes, with those that only the picture needs."""
        most = max((len(s.known) for _, strips in self.panels for s in strips), default=0)
        notes = list(self.notes)
        if most >= FEWEST_FOR_A_BOX:
            notes.insert(0, "Grey: the middle half of the runs.")
        if most > MOST_DOTS:
            notes.insert(0, f"Of more than {MOST_DOTS} runs in a row, {MOST_DOTS} are drawn.")
        return notes


@dataclass(frozen=True)
class Scale:
    """The axis: linear from 0, or logarithmic where the values differ much; 0 has its place on
    that too, as below 1 it is linear."""

    low: float
    high: float
    logarithmic: bool
    whole: bool
    """Whether all values are whole numbers, such as calls; so then are the ticks."""

    @classmethod
    def of(cls, values: Iterable[float]) -> Scale:
        known = list(values) or [0.0]
        low, high = min(known), max(known) or 1.0
        positive = min((value for value in known if value > 0), default=1.0)
        whole = all(float(value).is_integer() for value in known)
        if high <= WIDE * max(positive, 1.0):
            return cls(0.0, high, False, whole)
        # Down to the power of ten below the smallest.
        return cls(0.0 if low < 1 else 10.0 ** np.floor(np.log10(low)), high, True, whole)

    def place(self, values: Iterable[float]) -> NDArray[np.float64]:
        """Where along the axis values lie: from 0 to 1, where none is beyond its ends."""
        low, high = self._bent([self.low, self.high])
        places: NDArray[np.float64] = (self._bent(values) - low) / (high - low)
        return places

    def _bent(self, values: Iterable[float]) -> NDArray[np.float64]:
        plain = np.array(list(values), dtype=float)
        bent = np.where(plain < 1, plain, 1 + np.log10(np.maximum(plain, 1)))
        return bent if self.logarithmic else plain

    def ticks(self) -> list[float]:
        """Up to six round values that people read an axis by."""
        if not self.logarithmic:
            integer = self.whole or self.high >= 4
            ticks = MaxNLocator(4, integer=integer).tick_values(self.low, self.high)
            return [float(tick) for tick in ticks if self.low <= tick <= self.high]
        powers = [10.0**n for n in range(int(np.log10(self.high)) + 1) if 10.0**n >= self.low]
        if len(powers) <= 2:
            powers = [tick for power in powers for tick in (power, 3 * power)]
        every = powers[:: 1 if len(powers) <= 4 else 2]
        zero = [0.0] if self.low == 0 else []
        return [*zero, *(tick for tick in every if tick <= self.high)]

    def apply(self, axes: Axes) -> None:
        """Give ``axes``, on which everything is drawn at its ``place``, the ticks of this scale."""
        ticks = self.ticks()
        axes.set_xlim(-0.04, 1.04)
        axes.set_xticks(self.place(ticks), [compact(tick) for tick in ticks])
        axes.tick_params(axis="x", labelsize=10, length=3, pad=2)
        axes.grid(axis="x", color="0.88", lw=0.8)
        axes.set_axisbelow(True)


def strips(
    evidence: Evidence,
    split: Callable[[pd.DataFrame], Sequence[Strip]],
    *,
    title: str,
    unit: str,
) -> Strips:
    """A panel per model of which something is known: ``split`` makes the strips of its own runs,
    those that no infrastructure spoiled."""
    runs = evidence.runs
    panels: list[tuple[str, Sequence[Strip]]] = []
    notes = []
    for model in evidence.plan.models if evidence.plan else ():
        own = runs[(runs["model"] == model) & (runs["outcome"] != "infrastructure_error")]
        made = split(own)
        if any(len(strip.known) for strip in made):
            panels.append((model, made))
        else:
            scripted = (own["kind"] == "scripted").any()
            why = f"a script: its {unit} say nothing" if scripted else f"{unit} unknown"
            notes.append(f"Left out: {one_line(model)} ({why}).")
    spoiled = int((runs["outcome"] == "infrastructure_error").sum())
    if spoiled:
        notes.append(f"Left out: {_count(spoiled)} that infrastructure spoiled.")
    # A run may be in several strips.
    values = [strip.runs["value"] for _, made in panels for strip in made]
    unknown = {run for one in values for run in one.index[one.isna()]}
    if unknown:
        notes.append(f"Left out: {_count(len(unknown))} with unknown {unit}.")
    return Strips(title, unit, panels, notes)


def by_task(evidence: Evidence, column: str, *, title: str, unit: str) -> Strips:
    """A strip per model and task of a column of ``evidence.runs``."""
    tasks = evidence.plan.tasks if evidence.plan else ()

    def split(runs: pd.DataFrame) -> list[Strip]:
        return [strip(task, runs[runs["task"] == task], column) for task in tasks]

    return strips(evidence, split, title=title, unit=unit)


def strip(label: str, runs: pd.DataFrame, column: str) -> Strip:
    """A strip of a column of runs."""
    return Strip(label, pd.DataFrame({"value": runs[column], "outcome": runs["outcome"]}))


def compact(value: float) -> str:
    """A value in three digits: 0.94, 14.6, 123, 4.57k, 1.2M; a dash where it is unknown."""
    if pd.isna(value):
        return DASH
    for size, suffix in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if abs(value) >= 0.9995 * size:
            return f"{value / size:.3g}{suffix}"
    return f"{value:.3g}"


def _count(runs: int) -> str:
    return "1 run" if runs == 1 else f"{runs} runs"


def _told(strip: Strip) -> str:
    known = strip.known["value"]
    if known.empty:
        return f"{one_line(strip.label)} unknown"
    low, median, high = map(compact, (known.min(), strip.median, known.max()))
    return f"{one_line(strip.label)} median {median}, {low} to {high} in {_count(len(known))}"


def _draw_boxes(axes: Axes, strips: Sequence[Strip], scale: Scale) -> None:
    """Draw each strip's median, and the middle half of its runs where these are many."""
    for place, strip in enumerate(strips):
        if len(strip.known) >= FEWEST_FOR_A_BOX:
            low, high = scale.place(strip.known["value"].quantile([0.25, 0.75]))
            box = Rectangle((low, place - 0.4), high - low, 0.8, facecolor="0.85", zorder=1)
            axes.add_patch(box)
    rows = np.array([place for place, strip in enumerate(strips) if len(strip.known)])
    medians = scale.place(strip.median for strip in strips if len(strip.known))
    axes.vlines(medians, rows - 0.42, rows + 0.42, color="black", lw=2, zorder=2)


def _draw_dots(axes: Axes, strips: Sequence[Strip], scale: Scale, step: float) -> None:
    """Draw the runs; ``step`` is the distance of two dots in a stack, in heights of a row."""
    dots: dict[str, list[tuple[float, float]]] = {}
    for place, strip in enumerate(strips):
        drawn = _drawn(strip)
        x = scale.place(drawn["value"])
        y = place + np.array(_stacked(x, step))
        for outcome, *dot in zip(drawn["outcome"], x, y, strict=True):
            dots.setdefault(outcome, []).append((dot[0], dot[1]))
    for outcome in sorted(dots):
        axes.plot(*zip(*dots[outcome], strict=True), clip_on=False, zorder=3, **_marker(outcome))


def _drawn(strip: Strip) -> pd.DataFrame:
    """The runs that get a dot: all, or as many as there may be, evenly spaced by rank."""
    known = strip.known
    ranks = np.linspace(0, len(known) - 1, min(len(known), MOST_DOTS)).round().astype(int)
    return known.iloc[ranks]


def _lanes(places: Iterable[float]) -> list[int]:
    return [round(place * LANES) for place in places]


def _highest(strip: Strip, scale: Scale) -> int:
    """Dots in the highest stack of a strip."""
    return max(Counter(_lanes(scale.place(_drawn(strip)["value"]))).values(), default=1)


def _stacked(places: Iterable[float], step: float) -> list[float]:
    """How far off the row's middle each dot is drawn: those that share a lane are stacked, so
    that a stack is as high as its runs are many."""
    lanes = _lanes(places)
    shared, met = Counter(lanes), Counter[int]()
    offsets = []
    for lane in lanes:
        offsets.append((met[lane] - (shared[lane] - 1) / 2) * step)
        met[lane] += 1
    return offsets


def _marker(outcome: str) -> dict[str, Any]:
    look = LOOKS[outcome]
    style = {"marker": look.marker, "mfc": look.colour, "mec": "black", "mew": 0.5}
    return {"ls": "", "ms": 5.2, **style}


def _table(strips: Sequence[Strip], scale: Scale, widths: Widths) -> Table:
    table = grid(widths)
    for strip in strips:
        median = Text(compact(strip.median), "bold")
        label = "\n".join(wrapped(strip.label, widths.labels))
        table.add_row(Text(label), median, _digits(strip, scale, widths.room))
    return table


def _digits(strip: Strip, scale: Scale, room: int) -> Text:
    """The strip in characters: how many runs fall on each."""
    places = scale.place(strip.known["value"])
    counts = Counter((places * (room - 1)).round().astype(int).tolist())
    marks = [str(counts[n]) if counts[n] <= 9 else "+" for n in range(room)]
    return Text("".join(marks).replace("0", "·"))
