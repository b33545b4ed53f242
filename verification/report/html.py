"""Pages of HTML: the templates, and what keeps hostile text on them harmless.

- Everything is escaped by jinja2 (autoescape), whatever it is; control characters and those that
  reorder a line are written out before that.
- The Content-Security-Policy allows the page's own style sheet, by its hash, and pictures that are
  part of the page. No script runs, nothing is loaded, nothing is sent. Pages have no scripts.
- A link in a model's words is not made one. Links in the author's notes lead to the web, to mail
  or to a file beside the report.
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

from jinja2 import Environment, PackageLoader, StrictUndefined
from markdown_it import MarkdownIt
from markdown_it.token import Token
from markupsafe import Markup, escape

from harness.terminal import one_line, safe
from verification.exhibit import Cell, Exhibit, Link
from verification.plots import Picture
from verification.report.document import (
    Bullets,
    Document,
    Paragraph,
    Prose,
    Stories,
)

CITATION = re.compile(
    r"data/transcripts/(?P<name>[\w-]+(?:\.attempt-\d+)?)\.jsonl(?P<turn>#turn=\d+)?", re.ASCII
)
WEB = re.compile(r"(?:https?://|mailto:)", re.ASCII | re.IGNORECASE)
LONG_CELL = 40
"""Characters from which on a cell is a sentence."""

FOOTNOTE = re.compile(r"\[\^source-(\d+)\](:?)")
SCHEME = re.compile(r"[a-z][a-z0-9+.-]*:|//|[\\/]", re.ASCII | re.IGNORECASE)


@dataclass(frozen=True)
class Places:
    """Where links of the report lead. ``pages`` are the names of the transcripts with a page."""

    pages: frozenset[str]

    def target(self, link: str) -> str | None:
        """A link, relative to the campaign's folder, as seen from report/index.html: a citation
        leads to the page of its transcript, if there is one. None for what is no path."""
        cited = CITATION.fullmatch(link)
        if cited and cited["name"] in self.pages:
            return f"runs/{cited['name']}.html{cited['turn'] or ''}"
        if SCHEME.match(link) or not link.isprintable():
            return None
        return link if link.startswith("#") else f"../{link}"


@cache
def environment() -> Environment:
    """The templates, which stand beside this file."""
    made = Environment(
        loader=PackageLoader("verification.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    style = (made.loader and made.loader.get_source(made, "style.css")[0]) or ""
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    made.globals |= {
        "style": Markup(style),
        "policy": "default-src 'none'; img-src data:; base-uri 'none'; form-action 'none'; "
        f"style-src 'sha256-{digest}'",
    }
    made.filters |= {"safe_text": safe, "line": one_line, "breakable": _breakable}
    made.tests |= {
        "exhibit": lambda block: isinstance(block, Exhibit),
        "paragraph": lambda block: isinstance(block, Paragraph),
        "bullets": lambda block: isinstance(block, Bullets),
        "prose": lambda block: isinstance(block, Prose),
        "picture": lambda block: isinstance(block, Picture),
        "stories": lambda block: isinstance(block, Stories),
        "link": lambda cell: isinstance(cell, Link),
    }
    return made


def index(document: Document, pages: frozenset[str]) -> str:
    """The report as one page that needs no other file."""
    places = Places(pages)
    return (
        environment()
        .get_template("index.html")
        .render(
            document=document,
            target=places.target,
            author=author(places),
            data_url=_data_url,
            words=_words,
            roomy=_roomy,
        )
    )


def author(places: Places) -> Callable[[Prose], Markup]:
    """What makes HTML of the author's Markdown, its footnotes behind it. HTML in it stays text,
    pictures become links; a link to anything but the web, mail or a file by its relative path
    stays text."""
    markdown = MarkdownIt("commonmark", {"html": False, "linkify": False})
    markdown.enable(["table", "strikethrough"]).disable("image")

    def allowed(url: str) -> bool:
        return bool(WEB.match(url)) or places.target(url) is not None

    def html(prose: Prose) -> Markup:
        # Read one by one, so that nothing in the words, such as an open fence, takes them in.
        parts = [FOOTNOTE.sub(_footnote, safe(one)) for one in (prose.markdown, *prose.footnotes)]
        tokens = [token for part in parts for token in markdown.parse(part)]
        for token in tokens:
            _tame(token, places)
        rendered: str = markdown.renderer.render(tokens, markdown.options, {})
        rendered = rendered.replace("<table>", '<div class="scroll" tabindex="0"><table>')
        return Markup(rendered.replace("</table>", "</table></div>"))

    markdown.validateLink = allowed  # type: ignore[method-assign]
    return html


def _footnote(mark: re.Match[str]) -> str:
    """CommonMark has no footnotes: the mark in plain words, and each note a paragraph."""
    return rf"{chr(10) * 2 if mark[2] else ' '}\[source {mark[1]}\]{mark[2]}"


def _tame(token: Token, places: Places) -> None:
    """Make a token fit the page: headings below the section's own, alignment by class (styles
    of elements are forbidden), links from where the page stands."""
    if token.type in ("heading_open", "heading_close"):
        token.tag = f"h{max(3, int(token.tag[1]))}"
    style = str(token.attrs.pop("style", ""))
    if style:
        token.attrs["class"] = style.replace("text-align:", "to-the-")
    if token.type == "th_open":
        token.attrs["scope"] = "col"
    url = token.attrs.get("href")
    if url is not None and not WEB.match(str(url)):
        token.attrs["href"] = places.target(str(url)) or ""
    for child in token.children or ():
        _tame(child, places)


def _breakable(text: str) -> Markup:
    """On one line, which may be broken behind an underscore: the names of tasks are long."""
    return Markup("_<wbr>").join(escape(part) for part in one_line(text).split("_"))


def _data_url(picture: Picture) -> str:
    return f"data:image/svg+xml;base64,{base64.b64encode(picture.svg.encode()).decode()}"


def _roomy(table: Exhibit) -> set[int]:
    """The columns, counted from 0, whose cells hold sentences and need room on a phone."""
    return {
        place
        for row in table.rows
        for place, cell in enumerate(row)
        if len(_words(cell)) > LONG_CELL
    }


def _words(cell: Cell) -> str:
    return cell.text if isinstance(cell, Link) else cell
