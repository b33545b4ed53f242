"""Calls as Apriel 1.5 and 1.6 spell them: one list between tags.

    Here are my reasoning steps:
    I have to look.
    [BEGIN FINAL RESPONSE]
    <tool_calls>[{"name": "shell", "arguments": {"command": "ls"}}]</tool_calls>

What stands before ``[BEGIN FINAL RESPONSE]`` is thought. Apriel 1.6 thinks from the first word
(the prompt writes "Here are my reasoning steps:"), and calls tools without that line as well.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from harness.dialects import Dialect, Parsed, _mentions
from harness.dialects._calls import Call, listed, take

_STEPS = "Here are my reasoning steps:"
_FINAL, _END_OF_FINAL = "[BEGIN FINAL RESPONSE]", "[END FINAL RESPONSE]"
_OPENING = re.compile(r"<tool_calls>")


def parse(text: str, turn: int) -> Parsed:
    """Take reasoning and calls out of a reply; each call's arguments stay as they were written."""
    reasoning, text = _split(text)
    return take(text.strip().removesuffix(_END_OF_FINAL), turn, _OPENING, _read, reasoning)


def _split(text: str) -> tuple[str | None, str]:
    calls = _OPENING.search(text)
    before = text[: calls.start()] if calls else text
    thought, final, answer = before.partition(_FINAL)
    thinks = thought.lstrip().startswith(_STEPS)
    if not final and not thinks:
        return None, text
    thought = thought.strip().removeprefix(_STEPS).strip()
    return thought or None, answer + text[len(before) :]


def _read(start: re.Match[str]) -> Iterator[Call]:
    _mentions.refuse(start)
    return listed(start.string, start.end(), "</tool_calls>")


DIALECT = Dialect(
    family="Apriel 1.5 and 1.6",
    version=3,
    parse=parse,
    markup=r"</?tool_calls>|\[(?:BEGIN|END) FINAL RESPONSE\]",
    in_template=r"<tool_calls>\[",
    stops=("<|end|>",),
)
