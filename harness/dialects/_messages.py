"""Replies that are a row of messages, each with a header that says whom it is for."""

from __future__ import annotations

import re
from collections.abc import Iterator


def messages(
    text: str, header: re.Pattern[str], end: re.Pattern[str]
) -> Iterator[tuple[str | None, str]]:
    """Each message's kind, the first group of its ``header``, or None where it has none, and its
    body, up to its ``end`` or to the end of all."""
    at = 0
    while at < len(text):
        headed = header.match(text, at)
        start = headed.end() if headed else at
        ended = end.search(text, start)
        yield headed[1] if headed else None, text[start : ended.start() if ended else len(text)]
        at = ended.end() if ended else len(text)
