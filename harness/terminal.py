"""Text from outside, made harmless before a person's terminal sees it.

A model, a tool or a server may write escape sequences that repaint the screen, or characters
that reorder or hide what stands beside them. Here they are written out instead of obeyed.
"""

from __future__ import annotations

import unicodedata

_OBEYED = frozenset({"Cc", "Cf", "Cs", "Co", "Zl", "Zp"})
"""Unicode categories that steer a terminal or are not to be seen: control and format characters,
half characters, private ones, line and paragraph separators."""


def safe(text: str) -> str:
    r"""``text`` with all that a terminal would obey written out, as ``\x1b`` or ``\u202e``.

    Line feeds and tabs stay. What comes out may still look like rich markup: print it as
    ``rich.text.Text``, which interprets none.
    """
    return text if text.isprintable() else "".join(map(_visible, text))


def one_line(text: str, limit: int | None = None) -> str:
    r"""``text`` made safe on a single line, line feeds and tabs written out as well.

    Where there is a limit, what is longer loses its end and gains an ellipsis.
    """
    # Escapes only lengthen a text, so what lies beyond the limit need not be looked at.
    beginning = text if limit is None else text[: limit + 1]
    line = safe(beginning).replace("\n", r"\n").replace("\t", r"\t")
    return line if limit is None or len(line) <= limit else line[: limit - 1] + "…"


def _visible(character: str) -> str:
    if character in "\n\t" or unicodedata.category(character) not in _OBEYED:
        return character
    return character.encode("unicode_escape").decode("ascii")
