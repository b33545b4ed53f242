"""The author's words: a campaign's ``notes.md``, cut at its headings.

    # The title of the report
    What stands before the first section opens the report.

    ## A title of the author's own [Observed]
    A section of the author's.

    ## The result
    Under the title of a derived section: the author's words on it, at its end.

A section rests on what stands in brackets behind its heading: ``[Observed]``, ``[Speculation]`` or
``[Unobserved]``; without, it is speculation.

The sources that ``claims.prose`` puts at the end of all go with each section that mentions them.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import get_args

from verification.report.document import Mark, Prose, Section

HEADING = re.compile(r"^##[ \t]+(?P<title>.+?)[ \t]*(?:\[(?P<mark>\w+)\])?[ \t]*#*[ \t]*$")
TITLE = re.compile(r"^#[ \t]+(?P<title>.+?)[ \t]*#*[ \t]*$")
FENCE = re.compile(r"^ {0,3}(```+|~~~+)")
SOURCE = re.compile(r"(?P<mention>\[\^source-\d+\]): ")


@dataclass(frozen=True)
class Notes:
    """The author's title, if there is one, opening and sections; the words still Markdown."""

    title: str | None
    opening: Prose | None
    sections: tuple[Section, ...]


def parse(text: str) -> Notes:
    """Cut ``text`` at its headings of the second level; what stands in a code fence is none."""
    lines, sources = _without_sources(text.splitlines())
    title: str | None = None
    parts: list[tuple[str, Mark, list[str]]] = [("", "Speculation", [])]
    fence = ""
    for line in lines:
        fence = _fence(line, fence)
        heading = None if fence else HEADING.match(line)
        if heading:
            parts.append((heading["title"], _mark(heading["mark"]), []))
        elif not fence and title is None and len(parts) == 1 and (top := TITLE.match(line)):
            title = top["title"]
        else:
            parts[-1][2].append(line)
    prose = [
        (name, _prose(name, "\n".join(own).strip(), mark, sources)) for name, mark, own in parts
    ]
    sections = tuple(Section(name, words.mark, [words]) for name, words in prose[1:])
    opening = prose[0][1]
    return Notes(title, opening if opening.markdown else None, sections)


def woven(first: Sequence[Section], rest: Sequence[Section], notes: Notes) -> list[Section]:
    """The derived sections with the author's words on each at its end; between the ``first`` of
    them and the ``rest``, the author's own.

    Sections whose titles are alike but for case and punctuation are one, so that each has an
    anchor of its own.
    """
    own: dict[str, Section] = {}
    for section in notes.sections:
        before = own.get(section.anchor)
        blocks = [*(before.blocks if before else ()), *section.blocks]
        own[section.anchor] = replace(before or section, blocks=blocks)
    derived = []
    for section in (*first, *rest):
        words = own.pop(section.anchor, None)
        blocks = [*section.blocks, *(words.blocks if words else ())]
        derived.append(replace(section, blocks=blocks))
    return [*derived[: len(first)], *own.values(), *derived[len(first) :]]


def _without_sources(lines: list[str]) -> tuple[list[str], dict[str, str]]:
    """The lines before the sources that end them; and the sources, by their mentions."""
    end = len(lines)
    while end and SOURCE.match(lines[end - 1]):
        end -= 1
    found = ((SOURCE.match(line), line) for line in lines[end:])
    return lines[:end], {match["mention"]: line for match, line in found if match}


def _prose(title: str, words: str, mark: Mark, sources: Mapping[str, str]) -> Prose:
    """The words with the sources that they or their heading mention."""
    mentioned = [source for mention, source in sources.items() if mention in f"{title}\n{words}"]
    return Prose(words, mark, tuple(mentioned))


def _fence(line: str, fence: str) -> str:
    """The fence that is open after ``line``, where ``fence`` was open before it."""
    found = FENCE.match(line)
    if not found:
        return fence
    if not fence:
        return found[1]
    return "" if found[1].startswith(fence) else fence


def _mark(word: str | None) -> Mark:
    return next(
        (mark for mark in get_args(Mark) if mark == (word or "").capitalize()), "Speculation"
    )
