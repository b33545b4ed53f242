"""A chart -> PNG and SVG: the same bytes for the same evidence, and an SVG that may stand in
the middle of an HTML page."""

from __future__ import annotations

import io
import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING
from xml.etree import ElementTree

import matplotlib.style

if TYPE_CHECKING:
    from verification.plots import Chart

DPI = 170
"""Of the PNG: two of its pixels for one of a phone's 400."""

MOST_PIXELS = 16_000
"""Of a PNG's height: what is higher is drawn coarser, since programs refuse pictures that are
very large; the SVG stays sharp."""

SVG = "http://www.w3.org/2000/svg"
HREF = "{http://www.w3.org/1999/xlink}href"
STYLE = {
    "hatch.linewidth": 0.8,
    "text.parse_math": False,  # a name like $x$ is drawn as it is
    "svg.fonttype": "none",  # letters stay letters: a tenth of the size, found by a search
    "font.size": 10,
}


@dataclass(frozen=True)
class Picture:
    """A chart, drawn. ``stem`` names its files.

    ``svg`` has no XML declaration, no script, no style sheet and no reference outside itself,
    and its ids begin with ``stem``: as it is, it may stand in an HTML page under any Content
    Security Policy. ``alt`` tells the same facts in words: plain text, to be escaped where it is
    put.
    """

    stem: str
    title: str
    alt: str
    svg: str
    png: bytes


@contextmanager
def style() -> Iterator[None]:
    """Draw as Fairtrial does, whatever the person's own matplotlibrc says."""
    with matplotlib.style.context(["default", STYLE]), warnings.catch_warnings():
        # In the PNG an empty box stands for it; the SVG leaves it to the reader's fonts.
        warnings.filterwarnings("ignore", message="Glyph .* missing from font")
        yield


def render(stem: str, chart: Chart, campaign: str) -> Picture:
    """Draw a chart that is not empty."""
    with style():
        figure = chart.figure(campaign)
        png, svg = io.BytesIO(), io.BytesIO()
        dpi = min(DPI, MOST_PIXELS / figure.get_figheight())
        figure.savefig(png, format="png", dpi=dpi)
        # Without a salt the ids, and with a date the metadata, would differ every time.
        with matplotlib.rc_context({"svg.hashsalt": stem}):
            figure.savefig(svg, format="svg", metadata={"Date": None})
    return Picture(
        stem=stem,
        title=chart.title,
        alt=chart.alt,
        svg=_embeddable(svg.getvalue(), stem, chart.title),
        png=png.getvalue(),
    )


def _embeddable(svg: bytes, stem: str, title: str) -> str:
    """matplotlib's SVG made fit to be part of a page: ids that are its own, attributes in place
    of styles, and nothing that the page would obey."""
    ElementTree.register_namespace("", SVG)
    ElementTree.register_namespace("xlink", "http://www.w3.org/1999/xlink")
    root = ElementTree.fromstring(svg)
    for parent in list(root.iter()):
        for child in list(parent):
            if child.tag in (f"{{{SVG}}}metadata", f"{{{SVG}}}style"):
                parent.remove(child)
    for element in root.iter():
        _unstyle(element)
        _rename(element, stem)
    # What the style sheet said that was taken out.
    root.attrib |= {"stroke-linejoin": "round", "stroke-linecap": "butt"}
    root.attrib |= {"role": "img", "aria-label": title}
    return ElementTree.tostring(root, encoding="unicode") + "\n"


def _unstyle(element: ElementTree.Element) -> None:
    """Turn the ``style`` attribute into the attributes that SVG has for the same."""
    for declaration in element.attrib.pop("style", "").split(";"):
        name, colon, value = declaration.partition(":")
        if colon:
            element.set(name.strip(), value.strip())


def _rename(element: ElementTree.Element, stem: str) -> None:
    """Put ``stem`` before the element's id, and before those it refers to."""
    for name, value in element.attrib.items():
        if name == "id":
            element.set(name, f"{stem}-{value}")
        elif name == HREF:
            element.set(name, re.sub("^#", f"#{stem}-", value))
        else:
            element.set(name, re.sub(r"^url\(#", f"url(#{stem}-", value))
