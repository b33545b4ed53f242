"""Keeps what people, models and tools wrote from becoming a delimiter of a prompt.

Before a template is rendered, a guard, a character that nobody used, is put inside every
delimiter that stands in what others wrote. Afterwards the prompt is cut at the guards: no piece
holds such a delimiter whole, so a tokenizer cannot take it for one, and all other text keeps the
tokens that the model was trained on.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from functools import lru_cache
from itertools import chain
from typing import Any

from harness.dialects import Segment, markup

_DELIMITERS = re.compile(
    r"""<[^\s<>]{1,64}>          # <tool_call> <|im_end|> <]minimax[> <turn|>
    |   </?[^\s<>=]{1,48}[=\s]   # <function= <invoke
    |   \[/?[A-Z][A-Z_ ]{2,}\]   # [TOOL_CALLS]
    |   \]~\w+\] | \[e~\[        # MiniMax""",
    re.VERBOSE,
)


def delimiters(texts: Iterable[str]) -> set[str]:
    """What stands in a template's own texts and looks like a delimiter."""
    return {found for text in texts for found in _DELIMITERS.findall(text)}


class Guard:
    """The delimiters of one model: ``specials`` are the texts of its control tokens, ``others``
    the delimiters of its template, which only ``mark`` where they stand whole."""

    def __init__(self, specials: Iterable[str], others: Iterable[str]) -> None:
        controls = {text for text in specials if len(text) > 1 and not text.isspace()}
        self._lengths: dict[str, set[int]] = {}
        self._whole = controls | {text for text in others if len(text) > 1}
        for text in self._whole:
            self._lengths.setdefault(text[0], set()).add(len(text))
        firsts = "|".join(map(re.escape, self._lengths))
        self._firsts = re.compile(firsts or "(?!)")
        self._beginnings = {text[:n] for text in controls for n in range(1, len(text))}
        self._ends = {text[n:] for text in controls for n in range(1, len(text))}
        self._longest = max(map(len, controls), default=0)
        self._controls = "\n".join(controls)
        self._marked = lru_cache(maxsize=4096)(self._mark)

    def character(self, texts: Sequence[str]) -> str:
        """A character that is in none of ``texts``; printable, so that no filter spells it in
        another way, and without case."""
        usual = range(0x2801, 0x2900)  # Braille
        return next(
            character
            for character in map(chr, chain(usual, range(0x3400, 0x110000)))
            if not any(character in text for text in texts)
            and character.isprintable()
            and character.lower() == character.upper()
        )

    def mark(self, value: Any, character: str, *, inside: bool = True) -> Any:
        """A JSON value in which each text that somebody wrote has a guard inside each delimiter:
        after the first character of one that stands there, and where characters of the template
        around the text could complete a control token. Not ``inside``: a text that is but the
        inside of one, as ``tool`` may be, is left alone, since a template may look for it."""
        match value:
            case str():
                return self._marked(value, character, inside)
            case dict():
                return {
                    self._marked(key, character, inside): self.mark(
                        member, character, inside=inside
                    )
                    for key, member in value.items()
                }
            case list():
                return [self.mark(item, character, inside=inside) for item in value]
        return value

    def _mark(self, text: str, character: str, inside: bool) -> str:
        places = {
            found.start() + 1 for found in self._firsts.finditer(text) if self._at(text, found)
        }
        for length in range(1, min(len(text), self._longest - 1) + 1):
            if text[-length:] in self._beginnings:
                places.add(len(text) - length + 1)
            if text[:length] in self._ends:
                places.add(0)
        if inside and 0 < len(text) < self._longest and text in self._controls:
            places.add(0)
        parts, before = [], 0
        for place in sorted(places):
            parts.append(text[before:place])
            before = place
        return character.join([*parts, text[before:]])

    def _at(self, text: str, found: re.Match[str]) -> bool:
        start = found.start()
        lengths = self._lengths[found[0]]
        return any(text[start : start + length] in self._whole for length in lengths)


def cut(text: str, character: str) -> Segment:
    """The pieces of a rendered text, cut at its guards."""
    return tuple(markup(part) for part in text.split(character) if part)
