"""A report as Markdown, for a blog or a code host.

What comes from outside stands in paragraphs and cells with all markup disarmed.
"""

from __future__ import annotations

from collections.abc import Iterator

from verification.exhibit import Exhibit, escaped
from verification.plots import Picture
from verification.report.document import (
    Block,
    Bullets,
    Document,
    Paragraph,
    Prose,
    Section,
    Stories,
    Story,
)


def markdown(document: Document) -> str:
    """The whole report. Links are relative to the campaign's folder."""
    parts = [f"# {escaped(document.title)}", f"Campaign: {escaped(document.campaign)}"]
    parts.append("\n".join(f"- {label}: {escaped(fact)}" for label, fact in document.glance))
    parts += [escaped(sentence) for sentence in document.lede]
    if document.opening:
        parts += [f"*The author* [{document.opening.mark}]", document.opening.markdown]
    for section in document.sections:
        parts += _section(section)
    return "\n\n".join(parts) + "\n"


def _section(section: Section) -> Iterator[str]:
    yield f"## {escaped(section.title)}"
    yield f"[{section.mark}]"
    for block in section.blocks:
        yield from _block(block, section)


def _block(block: Block, section: Section) -> Iterator[str]:
    match block:
        case Paragraph():
            yield escaped(block.text)
        case Bullets():
            yield "\n".join(f"- {escaped(point)}" for point in block.points)
        case Prose():
            if len(section.blocks) > 1:
                yield f"*The author* [{block.mark}]"
            yield block.markdown
        case Exhibit():
            yield f"### {escaped(block.title)}"
            yield block.markdown().rstrip("\n")
        case Picture():
            yield f"![{escaped(block.alt)}](<report/{block.stem}.png>)"
        case Stories():
            yield f"### {escaped(block.model)}: {len(block.stories)} failures"
            for story in block.stories:
                yield from _story(story)


def _story(story: Story) -> Iterator[str]:
    yield f"**{escaped(story.title)}** ([transcript](<{story.citation}>))"
    told = [f"It was asked: {escaped(story.asked)}"]
    if story.calls:
        told.append(f"It called: {'; '.join(map(escaped, story.calls))}")
    else:
        told.append("It called no tool.")
    told.append(f"It answered: {escaped(story.answer)}" if story.answer else "It gave no answer.")
    told += [
        f"Rejected: {escaped(failed.name)}: {escaped(failed.detail)}" for failed in story.failed
    ]
    told += [f"Noticed: {escaped(words)}" for words in story.notable]
    yield "\n".join(f"- {line}" for line in told)
