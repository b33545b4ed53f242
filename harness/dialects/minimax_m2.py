"""MiniMax M2.

    <think>
    The file is small.
    </think>

    <minimax:tool_call>
    <invoke name="fs_read">
    <parameter name="path">notes/a.txt</parameter>
    </invoke>
    </minimax:tool_call>

Values are texts, see ``_invoke``.
"""

from __future__ import annotations

from harness.dialects import Dialect, Parsed
from harness.dialects._calls import take
from harness.dialects._invoke import Reader
from harness.dialects._thoughts import split

_CALL = Reader(block="minimax:tool_call", invoke="invoke", parameter="parameter")


def parse(text: str, turn: int) -> Parsed:
    """Take reasoning and calls out of a reply."""
    reasoning, text = split(text, "<think>", "</think>", calls=(_CALL.opening, _CALL))
    return take(text, turn, _CALL.opening, _CALL, reasoning)


DIALECT = Dialect(
    family="MiniMax M2",
    version=3,
    parse=parse,
    markup=r"""</?minimax:tool_call>|<invoke name=["'][^"'\n]{1,200}["']>\s*+<parameter name="""
    r"|</parameter>\s*+</invoke>|\[/?TOOL_CALL\]|\]~b\]|\]~!b\[|\[e~\[",
    in_template=r"<minimax:tool_call>",
    stops=("[e~[", "]~b]"),
)
