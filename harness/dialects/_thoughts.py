"""What a model thinks before it speaks, told from what it says."""

from __future__ import annotations

from collections.abc import Sequence

from harness.dialects._json import skip_blanks


def split(
    text: str, opening: str, closing: str, until: Sequence[str] = ()
) -> tuple[str | None, str]:
    """The thoughts at a reply's beginning, or None, and the rest of it.

    A thought that does not end is all there is. It ends as well before any of ``until``, which
    stays in the rest: the markup by which families that forget ``closing`` go on to call a tool.
    A ``closing`` with nothing before it ends a thought that the prompt left empty.
    """
    thoughts: list[str] = []
    at = skip_blanks(text, 0)
    while text.startswith((opening, closing), at):
        start = at + len(opening) if text.startswith(opening, at) else at
        end = text.find(closing, start)
        stop = end if end >= 0 else len(text)
        # Looked for within the thought alone: what stands after its own end is no thought.
        marks = [found for mark in until if (found := text.find(mark, start, stop)) >= 0]
        thoughts.append(text[start : min([*marks, stop])].strip())
        if marks:
            at = min(marks)
            break
        at = skip_blanks(text, stop + len(closing))
    return "\n".join(filter(None, thoughts)) or None, text[at:]
