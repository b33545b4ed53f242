"""Marks that say no more than that a reply ends."""

from __future__ import annotations


def without(text: str, marks: tuple[str, ...]) -> str:
    """``text`` without the blanks and ``marks`` at its end."""
    end = len(text)
    while end and (text[end - 1].isspace() or text.endswith(marks, 0, end)):
        end -= next((len(mark) for mark in marks if text.endswith(mark, 0, end)), 1)
    return text[:end]
