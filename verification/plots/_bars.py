"""Bars of outcomes: how many runs ended in which way."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from rich.cells import cell_len
from rich.console import Console
from rich.table import Table
from rich.text import Text

from harness.terminal import one_line
from verification.plots._page import Page, Panel, Row, wrapped
from verification.tables import OWED


class Look(NamedTuple):
    """How an outcome is shown: Okabe and Ito's colours, which the colour-blind can tell apart,
    a hatch and a shape where there is no colour at all, and the terminal's colour and letter."""

    words: str
    colour: str
    hatch: str
    marker: str
    terminal: str
    block: str


LOOKS = {
    "pass": Look("pass", "#009e73", "", "o", "green", "█"),
    "wrong_answer": Look("wrong answer", "#d55e00", "////", "X", "red", "▒"),
    "gave_up": Look("gave up", "#e69f00", "|||", "^", "yellow", "░"),
    "infrastructure_error": Look("infrastructure error", "#56b4e9", "xxxx", "s", "cyan", "▚"),
    OWED: Look("owed", "#ffffff", "", "", "", "·"),
}


@dataclass(frozen=True)
class Bar:
    """A bar of ``parts``, runs by outcome; ``whole`` runs would fill all of the room."""

    label: str
    parts: Mapping[str, int]
    whole: int
    figure: str


@dataclass(frozen=True)
class Bars:
    """Panels of bars, one a model. ``figures`` says what the figure beside each bar is."""

    title: str
    panels: Sequence[tuple[str, Sequence[Bar]]]
    figures: str

    @property
    def empty(self) -> bool:
        return not self.panels

    @property
    def alt(self) -> str:
        models = [
            f"{one_line(model)}: "
            + "; ".join(f"{one_line(bar.label)} {_told(bar)}" for bar in bars)
            for model, bars in self.panels
        ]
        return f"Bar chart. {self.title}. " + ". ".join(models) + "."

    def figure(self, campaign: str) -> Figure:
        panels = [
            Panel(model, [Row(bar.label, bar.figure) for bar in bars])
            for model, bars in self.panels
        ]
        patches = [
            Patch(facecolor=look.colour, hatch=look.hatch, edgecolor="black", label=look.words)
            for look in (LOOKS[outcome] for outcome in self._outcomes())
        ]
        page = Page(self.title, campaign, panels, patches, self.figures)
        figure, drawn = page.lay_out()
        for axes, (_, bars) in zip(drawn, self.panels, strict=True):
            _fill(axes, bars)
        return figure

    def print(self, console: Console) -> None:
        console.print()
        console.print(Text(self.title, "bold"))
        every = [(bar.label, bar.figure) for _, bars in self.panels for bar in bars]
        widths = columns(every, console.width)
        for model, bars in self.panels:
            console.print()
            console.print(Text(f"{one_line(model)} ({self.figures})", "bold"))
            console.print(_table(bars, widths))
        console.print()
        console.print(Text("  ").join(_key(outcome) for outcome in self._outcomes()))

    def _outcomes(self) -> list[str]:
        """Those that occur, in their order."""
        parts = [bar.parts for _, bars in self.panels for bar in bars]
        return [name for name in LOOKS if any(part.get(name) for part in parts)]


def _fill(axes: Axes, bars: Sequence[Bar]) -> None:
    for place, bar in enumerate(bars):
        left = 0.0
        for outcome, runs in _parts(bar):
            look, share = LOOKS[outcome], runs / bar.whole
            style: dict[str, Any] = {"facecolor": look.colour, "edgecolor": "black"}
            axes.barh(place, share, 0.62, left=left, lw=0.8, hatch=look.hatch, **style)
            left += share
    axes.set(xlim=(0, 1.01), xticks=[])
    axes.axvline(0, color="black", lw=0.8)


def _parts(bar: Bar) -> Iterator[tuple[str, int]]:
    """The parts that are not empty, in the outcomes' order."""
    return ((name, bar.parts[name]) for name in LOOKS if bar.parts.get(name))


def _told(bar: Bar) -> str:
    if len(bar.parts) == 1:  # of what, the label says
        return bar.figure
    parts = [f"{runs} {LOOKS[outcome].words}" for outcome, runs in _parts(bar)]
    return f"{', '.join(parts) or 'none'} of {bar.whole}"


class Widths(NamedTuple):
    """Characters for the three columns of a chart in the terminal."""

    labels: int
    figures: int
    room: int


def columns(rows: Iterable[tuple[str, str]], width: int) -> Widths:
    """The widths for rows of a label and a figure. Labels are folded where they would take more
    than half of the terminal, never cut."""
    cells = [(cell_len(one_line(label)), len(figure)) for label, figure in rows]
    labels = min(max((label for label, _ in cells), default=0), width // 2)
    figures = max((figure for _, figure in cells), default=0)
    return Widths(labels, figures, max(4, min(60, width - labels - figures - 2)))


def grid(widths: Widths) -> Table:
    """A table for rows of label, figure and what is drawn."""
    table = Table.grid(padding=(0, 1))
    table.add_column(width=widths.labels, overflow="fold")
    table.add_column(width=widths.figures, justify="right", no_wrap=True)
    table.add_column(no_wrap=True)
    return table


def _table(bars: Sequence[Bar], widths: Widths) -> Table:
    table = grid(widths)
    for bar in bars:
        label = "\n".join(wrapped(bar.label, widths.labels))
        table.add_row(Text(label), Text(bar.figure), _blocks(bar, widths.room))
    return table


def _blocks(bar: Bar, room: int) -> Text:
    """The bar in characters; never nothing for something."""
    text, ended = Text(), 0
    for outcome, runs in _parts(bar):
        ended += runs
        look, upto = LOOKS[outcome], round(ended / bar.whole * room)
        text.append(look.block * max(1, upto - len(text)), look.terminal)
    return text


def _key(outcome: str) -> Text:
    look = LOOKS[outcome]
    return Text.assemble((look.block, look.terminal), f" {look.words}")
