"""What a report is made of, before it is Markdown or HTML: sections, each with its blocks.

Both ways of showing it take the same document, so neither can say what the other does not.
Texts may come from outside; whoever shows them makes them harmless.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

from verification.exhibit import Exhibit
from verification.plots import Picture

Mark = Literal["Observed", "Speculation", "Unobserved"]
"""On what a section rests: it follows from transcripts; its author thinks so; it was looked for
and not seen, or nobody looked."""


class Paragraph(NamedTuple):
    """Plain words of ours, which may hold a name from outside."""

    text: str


class Bullets(NamedTuple):
    """Points, a sentence or two each."""

    points: Sequence[str]


class Prose(NamedTuple):
    """The author's words, as Markdown; ``mark`` says on what they rest, ``footnotes`` name the
    sources that they mention, each as Markdown's ``[^source-1]: where it is from``."""

    markdown: str
    mark: Mark
    footnotes: Sequence[str] = ()


class Failed(NamedTuple):
    """A check that the checker did not pass, and what it says of it."""

    name: str
    detail: str


@dataclass(frozen=True)
class Story:
    """How a run came to its end, in brief. ``citation`` is where the whole of it stands."""

    model: str
    task: str
    repetition: int
    ending: str
    asked: str
    calls: Sequence[str]
    answer: str
    failed: Sequence[Failed]
    notable: Sequence[str]
    citation: str

    @property
    def title(self) -> str:
        """Of which run it tells, and how that ended."""
        return f"{self.task}, run {self.repetition}: {self.ending}"


class Stories(NamedTuple):
    """The failures of one model."""

    model: str
    stories: Sequence[Story]


Block = Paragraph | Bullets | Prose | Picture | Stories | Exhibit


@dataclass(frozen=True)
class Section:
    """A part of the report under its heading."""

    title: str
    mark: Mark
    blocks: Sequence[Block]

    @property
    def anchor(self) -> str:
        """What a link to this section ends with."""
        return re.sub(r"\W+", "-", self.title.lower()).strip("-") or "section"


@dataclass(frozen=True)
class Document:
    """A whole report: ``lede`` says the result in a sentence a model, ``glance`` what was run
    in a few facts, ``opening`` is what its author says before all else, ``unproved`` how many
    numbers of the author's no cell of the evidence proves."""

    campaign: str
    title: str
    lede: Sequence[str]
    glance: Sequence[tuple[str, str]]
    opening: Prose | None
    sections: Sequence[Section]
    unproved: int

    def pictures(self) -> list[Picture]:
        """Its pictures, in the order in which they are shown."""
        blocks = (block for section in self.sections for block in section.blocks)
        return [block for block in blocks if isinstance(block, Picture)]
