"""Calls as tags, a tag an argument, as Qwen3-Coder, Qwen 3.5, Nemotron 3, Step 3.5 and (with
``<seed:tool_call>`` and without the line breaks around a value) Seed-OSS spell them.

    <tool_call>
    <function=shell>
    <parameter=command>
    ls -l
    </parameter>
    </function>
    </tool_call>

Values are texts, see ``_untyped``, and nothing in one is escaped: it ends at the first
``</parameter>`` that another parameter or the function's end follows.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from harness.dialects import Dialect, Parsed, _mentions, _untyped
from harness.dialects._calls import Call, closed, elements, take
from harness.dialects._thoughts import split

# Qwen3-Coder leaves <tool_call> out now and then; a function that goes on as one is a call.
# Nor is every name followed by its ">".
_OPENING = re.compile(
    r"<(?:seed:)?tool_call>\s*<function=(?:([^<>\n]{1,200})>|([\w.-]{1,200})(?=\n<parameter=))"
    r"|<function=([^<>\n]{1,200})>(?=\s*(?:<parameter=|</function>))"
    r"|<(?:seed:)?tool_call>"
)
_PARAMETER = re.compile(r"<parameter=(?:([^<>\n]{1,200})>|([\w.-]{1,200})(?=\n))")
# Where </parameter> was forgotten, the call's end is the value's, if nothing but calls follows. A
# line that begins another parameter is not: files that are written hold such lines.
_PARAMETER_END = re.compile(
    r"</parameter>(?=\s*(?:<parameter=|</function>|</(?:seed:)?tool_call>))"
    r"|(?=</function>\s*</(?:seed:)?tool_call>\s*(?:<(?:seed:)?tool_call>|\Z))"
)


def parse(text: str, turn: int) -> Parsed:
    """Take reasoning and calls out of a reply."""
    thought = "seed:think" if text.lstrip()[:8] in ("<seed:th", "</seed:t") else "think"
    reasoning, text = split(text, f"<{thought}>", f"</{thought}>", calls=(_OPENING, _read))
    return take(text, turn, _OPENING, _read, reasoning)


def _read(start: re.Match[str]) -> Iterator[Call]:
    _mentions.refuse(start)
    name = start[1] or start[2] or start[3]
    if name is None:
        raise ValueError("no <function=...> follows")
    text, at = start.string, start.end()
    broken = not start[0].startswith("<seed:")
    arguments: dict[str, str] = {}
    for parameter, value, after in elements(text, at, _PARAMETER, _PARAMETER_END):
        if broken:
            value = value.removeprefix("\n").removesuffix("\n")
        arguments[(parameter[1] or parameter[2]).strip()] = value
        at = after
    end = closed(text, at, "</function>", "</tool_call>", "</seed:tool_call>")
    yield Call(name.strip(), _untyped.arguments(arguments), end)


DIALECT = Dialect(
    family="Qwen3-Coder, Qwen 3.5, Nemotron 3, Seed-OSS, Step 3.5",
    version=3,
    parse=parse,
    markup=r"</?(?:seed:)?tool_call>|<function=[^<>\s]+>|</function>|<parameter=[^<>\s]+>"
    r"|</parameter>|</?tool_response>",
    in_template=r"<(?:seed:)?tool_call>\\n<function=",
    stops=("<|im_end|>", "<|im_start|>", "<seed:eos>"),
)
