"""Lists and objects of the families that write no JSON, rewritten as JSON."""

from __future__ import annotations

from collections.abc import Callable

from harness.dialects._calls import CutShort
from harness.dialects._json import skip_blanks


def between(
    text: str, at: int, brackets: str, item: Callable[[int], tuple[str, int]]
) -> tuple[str, int]:
    """What stands in brackets, with commas between: as JSON, and where it ends."""
    opening, closing = brackets[0], brackets[1]
    written: list[str] = []
    at = skip_blanks(text, at + 1)
    while text[at : at + 1] != closing:
        one, at = item(at)
        written.append(one)
        at = skip_blanks(text, at)
        if text[at : at + 1] == ",":
            at = skip_blanks(text, at + 1)
        elif at == len(text):
            raise CutShort(f"a {opening} is not closed")
        elif text[at : at + 1] != closing:
            raise ValueError(f"neither a comma nor {closing} follows {one[:80]}")
    return opening + ", ".join(written) + closing, at + 1
