"""A report as Markdown, for a blog or a code host.

What comes from outside stands in paragraphs and cells with all markup disarmed.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

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
from verification.report.notes import SOURCE
from verification.report.results import counted

LONGEST_ANSWER, LONGEST_CALLS = 240, 400
"""Characters of a failure's answer and of its calls: the transcript and the page tell the rest."""


def markdown(document: Document) -> str:
    """The whole report. Links are relative to the campaign's folder."""
    parts = [f"# {escaped(document.title)}", f"Campaign: {escaped(document.campaign)}"]
    parts.append("\n".join(f"- {label}: {escaped(fact)}" for label, fact in document.glance))
    parts += [escaped(sentence) for sentence in document.lede]
    if document.opening:
        parts += [f"*The author* [{document.opening.mark}]", *_prose(document.opening)]
    for section in document.sections:
        parts += _section(section)
    return "\n\n".join(_each_footnote_once(parts)) + "\n"


def _section(section: Section) -> Iterator[str]:
    yield f"## {escaped(section.title)}"
    yield f"[{section.mark}]"
    failures = [s for block in section.blocks if isinstance(block, Stories) for s in block.stories]
    if failures:
        yield "What was asked:"
        yield "\n".join(_asked(failures))
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
            yield from _prose(block)
        case Exhibit():
            yield f"### {escaped(block.title)}"
            yield block.markdown().rstrip("\n")
        case Picture():
            yield f"![{escaped(block.alt)}](<report/{block.stem}.png>)"
        case Stories():
            yield f"### {escaped(block.model)}: {counted(len(block.stories), 'failure')}"
            yield "\n".join(line for story in block.stories for line in _story(story))


def _prose(prose: Prose) -> Iterator[str]:
    yield prose.markdown
    yield from prose.footnotes


def _each_footnote_once(parts: Sequence[str]) -> Iterator[str]:
    """The parts; a footnote of several sections is defined where it is first mentioned."""
    defined = set()
    for part in parts:
        if SOURCE.match(part):
            if part in defined:
                continue
            defined.add(part)
        yield part


def _asked(stories: Sequence[Story]) -> Iterator[str]:
    """What each task asks, once, as a failed run was asked it; a variant's figures differ."""
    first: dict[str, Story] = {}
    for story in stories:
        first.setdefault(story.task, story)
    for task in sorted(first):
        varied = any(story.task == task and story.asked != first[task].asked for story in stories)
        run = f" (run {first[task].repetition}; others were asked a variant)" if varied else ""
        yield f"- **{escaped(task)}**{run}: {_in_a_line(first[task].asked)}"


def _story(story: Story) -> Iterator[str]:
    """Its title and at most four lines below it."""
    yield f"- **{escaped(story.title)}** ([transcript](<{story.citation}>))"
    calls = _in_a_line("; ".join(story.calls), LONGEST_CALLS)
    yield f"  - It called: {calls}" if story.calls else "  - It called no tool."
    answer = _in_a_line(story.answer, LONGEST_ANSWER)
    yield f"  - It answered: {answer}" if answer else "  - It gave no answer."
    if story.failed:
        checks = (f"{escaped(one.name)}: {_in_a_line(one.detail)}" for one in story.failed)
        yield f"  - Rejected: {'; '.join(checks)}"
    if story.notable:
        yield f"  - Noticed: {'; '.join(map(_in_a_line, story.notable))}"


def _in_a_line(text: str, most: int | None = None) -> str:
    """Words from outside with each white space as a blank; of a long text its beginning."""
    line = " ".join(text.split())
    cut = line if most is None or len(line) <= most else f"{line[:most].rstrip()} \u2026"
    return escaped(cut)
