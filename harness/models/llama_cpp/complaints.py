"""What llama.cpp says where it does not load a model, and what that means for a person."""

from __future__ import annotations

import re
from collections.abc import Iterable

DAMAGED = "the file is cut short or damaged; fetch it again"

_MEANINGS = {
    r"not within the file bounds|corrupted or incomplete|failed to read": DAMAGED,
    r"unknown model architecture: '(?P<what>[^']+)'": (
        "llama.cpp does not know its architecture, {what!r}; upgrade {engine}, or take another "
        "model"
    ),
    r"split file|split count|GGUF split": "its parts do not belong together",
    r"out of memory|insufficient memory|(failed|unable) to allocate": (
        "there is no memory for it; lower n_ctx, play fewer runs at once, or take a smaller file"
    ),
    r"couldn't bind|address already in use": "its port was taken by another program; try again",
    r"chat template is not supported|chat template parsing error|initialize chat template": (
        "llama.cpp cannot use the chat template; mend it, or name another file as template"
    ),
}


def meaning(said: Iterable[str], engine: str) -> str | None:
    """What is wrong and how to mend it, by what was ``said`` in errors, one a line; None where
    that is not known here. ``engine`` names what holds llama.cpp."""
    lines = tuple(said)
    for pattern, words in _MEANINGS.items():
        for line in lines:
            if match := re.search(pattern, line, re.IGNORECASE):
                return words.format(engine=engine, **match.groupdict())
    return None
