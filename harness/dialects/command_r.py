"""Command R and R+ of 2024.

    I will read the file.
    Action:
    ```json
    [
        {
            "tool_name": "fs_read",
            "parameters": {"path": "notes/a.txt"}
        }
    ]
    ```

To answer, the model calls a tool that nobody gave it: ``directly-answer``, which is no call.
Command R7B, Command A and later ones spell another way: ``cohere``.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace

from harness.dialects import Dialect, Parsed
from harness.dialects._calls import Call, listed, take
from harness.dialects._cohere import call

_OPENING = re.compile(r"^Action:\s*```(?:json)?\s*(?=\[)", re.MULTILINE)
_DIRECTLY = {"directly-answer", "directly_answer"}


def parse(text: str, turn: int) -> Parsed:
    """Take the calls out of a reply; each call's parameters stay as they were written."""
    parsed = take(text, turn, _OPENING, _read)
    calls = tuple(call for call in parsed.tool_calls if call.name not in _DIRECTLY)
    return replace(parsed, tool_calls=calls)


def _read(mark: re.Match[str]) -> Iterator[Call]:
    return listed(mark.string, mark.end(), "```", call)


DIALECT = Dialect(
    family="Command R and R+",
    version=3,
    parse=parse,
    markup=r"^Action:\s*+```(?:json)?\s*+\[\s*+\{\s*+\"tool_name\"|<\|(?:START|END)_OF_TURN_TOKEN\|>",
    in_template=r"Write \\'Action:\\'",
    stops=("<|END_OF_TURN_TOKEN|>", "<|START_OF_TURN_TOKEN|>"),
)
