"""The author's words: a campaign's ``notes.md``, cut at its headings.

    # The title of the report
    What stands before the first section opens the report.

    ## A title of the author's own [Observed]
    A section of the author's.

    ## The result
    Under the title of a derived section: the author's words on it, at its end.

A section rests on what stands in brackets behind its heading: ``[Observed]``, ``[Speculation]`` or
``[Unobserved]``; without, it is speculation.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import get_args

from verification.report.document import Mark, Prose, Section

HEADING = re.compile(r"^##[ \t]+(?P<title>.+?)[ \t]*(?:\[(?P<mark>\w+)\])?[ \t]*#*[ \t]*$")
TITLE = re.compile(r"^#[ \t]+(?P<title>.+?)[ \t]*#*[ \t]*$")
FENCE = re.compile(r"^ {0,3}(```+|~~~+)")


@dataclass(frozen=True)
class Notes:
    """The author's title, if there is one, opening and sections; the words still Markdown."""

    title: str | None
    opening: Prose | None
    sections: tuple[Section, ...]


def parse(text: str) -> Notes:
    """Cut ``text`` at its headings of the second level; what stands in a code fence is none."""
    title: str | None = None
    parts: list[tuple[str, Mark, list[str]]] = [("", "Speculation", [])]
    fence = ""
    for line in text.splitlines():
        fence = _fence(line, fence)
        heading = None if fence else HEADING.match(line)
        if heading:
            parts.append((heading["title"], _mark(heading["mark"]), []))
        elif not fence and title is None and len(parts) == 1 and (top := TITLE.match(line)):
            title = top["title"]
        else:
            parts[-1][2].append(line)
    prose = [(name, Prose("\n".join(lines).strip(), mark)) for name, mark, lines in parts]
    sections = tuple(Section(name, words.mark, [words]) for name, words in prose[1:])
    opening = prose[0][1]
    return Notes(title, opening if opening.markdown else None, sections)


def woven(sections: list[Section], notes: Notes) -> list[Section]:
    """The derived sections with the author's words on each at its end, then the author's own.

    Sections whose titles are alike but for case and punctuation are one, so that each has an
    anchor of its own. The last derived section, on what is not known, stays the last.
    """
    own: dict[str, Section] = {}
    for section in notes.sections:
        before = own.get(section.anchor)
        blocks = [*(before.blocks if before else ()), *section.blocks]
        own[section.anchor] = replace(before or section, blocks=blocks)
    derived = []
    for section in sections:
        words = own.pop(section.anchor, None)
        blocks = [*section.blocks, *(words.blocks if words else ())]
        derived.append(replace(section, blocks=blocks))
    return [*derived[:-1], *own.values(), *derived[-1:]]


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
