"""MiniCPM 5.

    <function name="fs_read"><param name="path">notes/a.txt</param></function>

A value with ``<``, ``&`` or line breaks stands in ``<![CDATA[...]]>``. Values are texts, see
``_invoke``.
"""

from __future__ import annotations

from harness.dialects import Dialect, Parsed
from harness.dialects._calls import take
from harness.dialects._invoke import Reader
from harness.dialects._thoughts import split

_CALL = Reader(invoke="function", parameter="param")


def parse(text: str, turn: int) -> Parsed:
    """Take reasoning and calls out of a reply."""
    reasoning, text = split(text, "<think>", "</think>", calls=(_CALL.opening, _CALL))
    return take(text, turn, _CALL.opening, _CALL, reasoning)


DIALECT = Dialect(
    family="MiniCPM 5",
    version=3,
    parse=parse,
    markup=r"""<function name=["'][^"'\n]{1,200}["']>\s*+(?:<param name=|</function>)"""
    r"|</param>\s*+</function>",
    in_template=r"<function name=.{0,60}<param name=",
    stops=("<|im_end|>", "<|im_start|>"),
)
