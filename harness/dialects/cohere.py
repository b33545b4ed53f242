"""Cohere's Command R7B, Command A and those after them.

    <|START_THINKING|>The file is small.<|END_THINKING|><|START_ACTION|>[
        {"tool_call_id": "0", "tool_name": "fs_read", "parameters": {"path": "notes/a.txt"}}
    ]<|END_ACTION|>

What it says stands in ``<|START_RESPONSE|>`` or ``<|START_TEXT|>``. The ids that the model gives
its calls are not kept. Command R and R+ spell another way: ``command_r``.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace

from harness.dialects import Dialect, Parsed, _ends, _mentions
from harness.dialects._calls import Call, listed, take
from harness.dialects._cohere import call
from harness.dialects._thoughts import split

_OPENING = re.compile(r"<\|START_ACTION\|>")
_SPEAKS = re.compile(r"<\|START_(?:RESPONSE|TEXT)\|>")
_ENDS = ("<|END_RESPONSE|>", "<|END_TEXT|>", "<|END_OF_TURN_TOKEN|>")


def parse(text: str, turn: int) -> Parsed:
    """Take reasoning and calls out of a reply; each call's parameters stay as they were written."""
    reasoning, text = split(text, "<|START_THINKING|>", "<|END_THINKING|>", calls=(_OPENING, _read))
    parsed = take(text, turn, _OPENING, _read, reasoning)
    said = _ends.without(_SPEAKS.sub("", parsed.text, count=1), _ENDS)
    return replace(parsed, text=said.strip())


def _read(mark: re.Match[str]) -> Iterator[Call]:
    _mentions.refuse(mark)
    return listed(mark.string, mark.end(), "<|END_ACTION|>", call)


DIALECT = Dialect(
    family="Command R7B, Command A, North",
    version=3,
    parse=parse,
    markup=r"<\|(?:START|END)_(?:ACTION|THINKING|RESPONSE|TEXT|TOOL_RESULT)\|>"
    r"|<\|(?:START|END)_OF_TURN_TOKEN\|>",
    in_template=r"<\|START_ACTION\|>",
    stops=("<|END_OF_TURN_TOKEN|>", "<|START_OF_TURN_TOKEN|>"),
)
