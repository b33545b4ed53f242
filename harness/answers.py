"""What a final answer says, for checkers: tolerant of dress, strict about substance.

A model may put its answer in bold, in quotes or in a sentence. It may not hedge: an answer that
offers several numbers gives none.
"""

from __future__ import annotations

import re
import unicodedata
from decimal import Decimal

_NUMBER = re.compile(
    r"""
    (?<!\w) (?<!\w[./-]) (?<![0-9][,:])      # not the end of a word, a path, a date, a range
    (?P<sign>[-+\u2212]?)[$€£¥]?[ ]?
    (?P<digits>[0-9]{1,3}(?:,[0-9]{3})+(?:\.[0-9]+)? | [0-9]+(?:\.[0-9]+)?)
    (?![ ]?% | \w | [.,:][0-9] | [./-]\w)    # nor the start of one, nor a share of a hundred
    """,
    re.VERBOSE | re.ASCII,
)
_LONGEST = 2_000
_WRAPPERS = ("```", "**", "__", "`", '"', "'", "*")
_PAIRS = {"\u201c": "\u201d", "\u201e": "\u201c", "\u2018": "\u2019", "\u00ab": "\u00bb"}
_PAIRS |= {"\u300c": "\u300d", "\u300e": "\u300f"}
_MARKS = re.compile(r"[*`\"'\u201c-\u201e\u2018\u2019\u00ab\u00bb\u300c-\u300f]")
_UNDERLINED = re.compile(r"(?<![\w.])__([^_]+(?:_[^_]+)*)__(?![\w.])")
_BULLETS = re.compile(r"(?:(?:[-+\u2022#]+|>+|[0-9]+[.)])\s+)+")


def the_number(answer: str) -> Decimal | None:
    """The number an answer gives: ``25``, ``25.0``, ``€25.00``, ``**25**``, ``It is 1,025.``

    None where it gives none, several that differ, or is longer than any answer needs to be.
    Digits that belong to a word, a date, a range or a percentage are no number and spoil the
    answer: one that can be read in two ways is not read at all.
    """
    if len(answer) > _LONGEST or re.search(r"\d", _NUMBER.sub("", answer)):
        return None
    values = {_value(match) for match in _NUMBER.finditer(answer)}
    return values.pop() if len(values) == 1 else None


def _value(match: re.Match[str]) -> Decimal:
    sign = "-" if match["sign"] in ("-", "\u2212") else ""
    return Decimal(sign + match["digits"].replace(",", ""))


def bare(answer: str) -> str:
    """An answer without blanks, code fence, bold, quotation marks or a bullet around it, in
    Unicode's NFC."""
    text = unicodedata.normalize("NFC", answer).strip()
    while (inner := _unwrapped(text)) != text:
        text = inner
    return text


def _unwrapped(text: str) -> str:
    for mark in _WRAPPERS:
        if len(text) > 2 * len(mark) and text.startswith(mark) and text.endswith(mark):
            inner = text[len(mark) : -len(mark)]
            if mark == "```":
                inner = re.sub(r"\A[a-z]*\n", "", inner)
            return inner.strip()
    if len(text) > 2 and _PAIRS.get(text[0]) == text[-1]:
        return text[1:-1].strip()
    if text.startswith(("- ", "> ", "* ")) and len(text.splitlines()) == 1:
        return text[2:].strip()
    return text


def plain_lines(answer: str) -> list[str]:
    """The lines of an answer that say something, each without what it is dressed in.

    Dress are blanks, list numbers, bullets, headings, bold, quotation marks and code marks, and
    whole lines that are a code fence or hold neither a letter nor a digit.
    """
    lines = (line.strip() for line in answer.splitlines())
    bare_lines = (_plain(line) for line in lines if not re.fullmatch(r"```\w*", line))
    return [line for line in bare_lines if re.search(r"[^\W_]", line)]


def _plain(line: str) -> str:
    text = _UNDERLINED.sub(r"\1", _MARKS.sub("", line)).strip()
    begins = _BULLETS.match(text)
    return text[begins.end() :] if begins else text


def shortened(text: str, limit: int = 200) -> str:
    """Hostile text for a check's detail: its first ``limit`` characters, on one line, with
    escapes for what a terminal might obey."""
    shown = "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text[:limit])
    return shown if len(text) <= limit else f"{shown}... ({len(text)} characters)"
