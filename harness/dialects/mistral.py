"""Calls as Mistral spells them up to its tokenizer v7: one list (7B v0.3, Nemo, Large, Small 3.1,
and others until the spelling in ``mistral_args``).

    [TOOL_CALLS][{"name": "shell", "arguments": {"command": "ls"}, "id": "a1B2c3D4e"}]

The ids of nine characters are the model's own invention; calls are named after their turn.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from harness.dialects import Dialect, Parsed, _mentions
from harness.dialects._calls import Call, listed, take
from harness.dialects._thoughts import split

_OPENING = re.compile(r"\[TOOL_CALLS\]")


def parse(text: str, turn: int) -> Parsed:
    """Take reasoning and calls out of a reply; each call's arguments stay as they were written."""
    reasoning, text = split(text, "[THINK]", "[/THINK]", calls=(_OPENING, _read))
    return take(text, turn, _OPENING, _read, reasoning)


def _read(start: re.Match[str]) -> Iterator[Call]:
    _mentions.refuse(start)
    return listed(start.string, start.end())


DIALECT = Dialect(
    family="Mistral 7B v0.3, Nemo, Large 2, Small 3.1",
    version=3,
    parse=parse,
    markup=r"\[/?(?:TOOL_CALLS|AVAILABLE_TOOLS|TOOL_RESULTS|INST)\]",
    in_template=r"\[TOOL_CALLS\]\s*\[",
    stops=("</s>",),
)
