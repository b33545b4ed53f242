"""Muse Glimmer, which addresses each message: to itself, to a tool, to the user.

     to=self<|message|>The file is small.<|eom|><|start|>assistant to=fs_read<|message|>
    <atem:function_calls>
    <atem:invoke name="fs_read">
    <atem:parameter name="path">notes/a.txt</atem:parameter>
    </atem:invoke>
    </atem:function_calls><|eot|>

A call is one only in a message to a tool: in one to the user it is an example. Values are texts,
see ``_invoke``.
"""

from __future__ import annotations

import re
from dataclasses import replace

from harness.dialects import Dialect, Parsed
from harness.dialects._calls import take
from harness.dialects._invoke import Reader
from harness.dialects._messages import messages

_HEADER = re.compile(
    r"\s*+(?:<\|start\|>)?(?:assistant)?\s*+(?:to=([^\s<]{1,200}))?\s*+<\|message\|>"
)
_END = re.compile(r"(?:<\|eom\|>|<\|eot\|>)(?=\s*(?:<\|start\|>|\Z))\s*")
_CALL = Reader(block="atem:function_calls", invoke="atem:invoke", parameter="atem:parameter")


def parse(text: str, turn: int) -> Parsed:
    """Take a reply's messages apart: thoughts, calls, and what it says to the user."""
    to_self: list[str] = []
    to_user: list[str] = []
    to_tools: list[str] = []
    for to, body in messages(text, _HEADER, _END):
        if to == "self":
            to_self.append(body.strip())
        elif to == "user" or (not to and not _CALL.opening.match(body.lstrip())):
            to_user.append(body.strip())
        else:
            to_tools.append(body)
    parsed = take("\n".join(to_tools), turn, _CALL.opening, _CALL)
    empty = "a message to a tool calls none" if to_tools and not parsed.tool_calls else None
    return replace(
        parsed,
        text="\n".join(filter(None, [*to_user, parsed.text])),
        malformed=parsed.malformed or empty,
        reasoning="\n".join(filter(None, to_self)) or None,
    )


DIALECT = Dialect(
    family="Muse Glimmer",
    version=3,
    parse=parse,
    markup=r"</?atem:(?:function_calls|invoke|parameter)\b|<\|(?:start|message|eom|eot)\|>",
    in_template=r"<atem:function_calls>",
    stops=("<|eot|>",),
)
