"""What a model thinks before it speaks, told from what it says."""

from __future__ import annotations

import re
from collections.abc import Sequence

from harness.dialects._calls import Read, take
from harness.dialects._json import skip_blanks

Calls = tuple[re.Pattern[str], Read]
"""What opens a family's calls, and what reads them."""


def split(
    text: str, opening: str, closing: str, until: Sequence[str] = (), calls: Calls | None = None
) -> tuple[str | None, str]:
    """The thoughts at a reply's beginning, or None, and the rest of it.

    A thought that does not end is all there is, but for the ``calls`` that are the last of it:
    small models forget ``closing``. So it is where nothing follows ``closing``: a reply of nothing
    but a thought that ends in a call is that call, made too early. A thought ends as well before
    any of ``until``, which stays in the rest: the markup by which whole families go on to call a
    tool.
    A ``closing`` with nothing before it ends a thought that the prompt left empty.
    """
    thoughts: list[str] = []
    at = skip_blanks(text, 0)
    while text.startswith((opening, closing), at):
        start = at + len(opening) if text.startswith(opening, at) else at
        end = text.find(closing, start)
        if end >= 0 and skip_blanks(text, end + len(closing)) == len(text):
            text, end = text[:end], -1
        stop = end if end >= 0 else start + last(text[start:], calls)
        # Looked for within the thought alone: what stands after its own end is no thought.
        marks = [found for mark in until if (found := text.find(mark, start, stop)) >= 0]
        over = min([*marks, stop])
        thoughts.append(text[start:over].strip())
        if marks or end < 0:
            at = over
            break
        at = skip_blanks(text, stop + len(closing))
    return "\n".join(filter(None, thoughts)) or None, text[at:]


def last(thought: str, calls: Calls | None) -> int:
    """Where the calls begin that ``thought`` ends with, nothing but blanks between and behind
    them; its length where there are none. In the middle of a sentence ("I could ...") a call is
    thought of, and not made."""
    parsed = take(thought, 1, *calls) if calls else None
    if not parsed or not parsed.tool_calls:
        return len(thought)
    first = skip_blanks(thought, 0)
    end = first + len(parsed.text)
    own_line = "\n" in thought[end : skip_blanks(thought, end)]
    if thought.startswith(parsed.text, first) and (own_line or not parsed.text[-1:].isalnum()):
        return end
    return len(thought)
