"""Pictures of a campaign: one file per picture, found by its name, with no registry to edit.

A picture ``x`` is the module ``verification.plots.x`` with two names:

    STEM            its file's name without the ending
    chart(evidence) a ``Chart``: what is to be seen, before it is drawn anywhere

The same chart is drawn in the terminal, as PNG and as SVG, and told in words. All pictures are
narrow, so that 10 points are still legible at the width of a phone, and tell their parts apart
by shape, hatch and label as well as by colour.
"""

from __future__ import annotations

import importlib
import pkgutil
from pathlib import Path
from typing import Protocol

from matplotlib.figure import Figure
from rich.console import Console

from harness.errors import BadInput, did_you_mean
from harness.store import CampaignFolder, write_whole
from verification.evidence import Evidence, read
from verification.plots._render import Picture, render

__all__ = ["Chart", "Picture", "draw", "kinds", "pictures", "write"]


class Chart(Protocol):
    """What is to be seen."""

    @property
    def title(self) -> str:
        """What it is of, in a few words."""
        ...

    @property
    def empty(self) -> bool:
        """Whether nothing is known that could be drawn."""
        ...

    @property
    def alt(self) -> str:
        """The same facts in words; names in it may hold markup."""
        ...

    def figure(self, campaign: str) -> Figure:
        """It as a picture; call it within ``_render.style()``."""
        ...

    def print(self, console: Console) -> None:
        """It in the terminal."""
        ...


def kinds() -> list[str]:
    """The names of all pictures, by looking at this folder."""
    return sorted(m.name for m in pkgutil.iter_modules(__path__) if not m.name.startswith("_"))


def chart(kind: str, evidence: Evidence) -> tuple[str, Chart]:
    """The stem and the chart of a kind of picture; raises BadInput where there is no such kind."""
    if kind not in kinds():
        raise BadInput(f"no picture of {kind!r}; {did_you_mean(kind, kinds())}")
    module = importlib.import_module(f"{__name__}.{kind}")
    return module.STEM, module.chart(evidence)


def pictures(evidence: Evidence) -> list[Picture]:
    """Every picture of which anything is known; none before the first run.

    The same evidence gives the same bytes.
    """
    if evidence.plan is None:
        return []
    charts = [chart(kind, evidence) for kind in kinds()]
    campaign = evidence.plan.campaign
    return [render(stem, one, campaign) for stem, one in charts if not one.empty]


def draw(folder: CampaignFolder, console: Console, kind: str = "failures") -> list[Path]:
    """Print one chart of a campaign, write all as PNG and SVG, and return the paths.

    Where no run has begun there is nothing to draw, and no path. Raises BadInput for an unknown
    kind and for transcripts that cannot be read.
    """
    evidence = read(folder)
    _, shown = chart(kind, evidence)
    if evidence.plan is None:
        console.print("No run has begun: there is nothing to draw yet.")
        return []
    shown.print(console)
    return write(folder, evidence)


def write(folder: CampaignFolder, evidence: Evidence) -> list[Path]:
    """Write every picture into the campaign's ``verification/``, and return the paths."""
    paths = []
    for picture in pictures(evidence):
        for suffix, content in (("png", picture.png), ("svg", picture.svg)):
            path = folder.verification / f"{picture.stem}.{suffix}"
            write_whole(path, content)
            paths.append(path)
    return paths
