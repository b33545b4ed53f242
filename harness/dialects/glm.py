"""Calls as tags, a pair of tags an argument, as GLM 4.6 and 4.7, Ling 3, Laguna and (each tag with
``:opensource`` in it, and ``<tool_sep>`` behind the name) Hunyuan 3 spell them.

    <think>The file is small.</think><tool_call>fs_read
    <arg_key>path</arg_key>
    <arg_value>notes/a.txt</arg_value>
    </tool_call>

The line breaks between tags may lack. Values are texts, see ``_untyped``, and nothing in one is
escaped: it ends at the first ``</arg_value>`` that another argument or the call's end follows.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from harness.dialects import Dialect, Parsed, _mentions, _untyped
from harness.dialects._calls import Call, closed, elements, take
from harness.dialects._thoughts import split

_S = r"(?::opensource)?"
_THINK = re.compile(rf"\s*</?think({_S})>")
_OPENING = re.compile(rf"(?:<tool_calls{_S}>\s*)?<tool_call{_S}>|<tool_calls{_S}>")
_NAMED = rf"\s*+([^\s<>{{}}]{{1,200}})\s*+(?:<tool_sep{_S}>)?(?=\s*+(?:<arg_key|</tool_call))"
_NAME = re.compile(_NAMED)
_NEXT = re.compile(rf"\s*+<tool_call{_S}>{_NAMED}")
# GLM 4.7 forgets <arg_value> now and then, but not the tag that closes it.
_KEY = re.compile(
    rf"<arg_key{_S}>\s*+([^<>\n]{{1,200}}+)\s*+</arg_key{_S}>\s*+"
    rf"(?:<arg_value{_S}>|(?=(?:(?!</?arg_|</?tool_call)[\s\S])*+</arg_value{_S}>))"
)
# Where </arg_value> was forgotten, the call's end is the value's, if nothing but calls follows.
_VALUE_END = re.compile(
    rf"</arg_value{_S}>(?=\s*(?:<arg_key{_S}>|</tool_call{_S}>)|{_NEXT.pattern})"
    rf"|(?=</tool_call{_S}>\s*(?:<tool_call{_S}>|</tool_calls{_S}>|\Z))"
)
_ENDS = ("</tool_call>", "</tool_call:opensource>", "</tool_calls>", "</tool_calls:opensource>")


def parse(text: str, turn: int) -> Parsed:
    """Take reasoning and calls out of a reply."""
    thinks = _THINK.match(text)
    suffix = thinks[1] if thinks else ""
    reasoning, text = split(text, f"<think{suffix}>", f"</think{suffix}>", calls=(_OPENING, _read))
    return take(text, turn, _OPENING, _read, reasoning)


def _read(mark: re.Match[str]) -> Iterator[Call]:
    text = mark.string
    name = _NAME.match(text, mark.end())
    if not name:
        _mentions.refuse(mark)
        raise ValueError("no name and <arg_key> follow")
    values: dict[str, str] = {}
    at = name.end()
    for key, value, after in elements(text, at, _KEY, _VALUE_END):
        values[key[1].rstrip()] = value
        at = after
    end = at if _NEXT.match(text, at) else closed(text, at, *_ENDS)
    yield Call(name[1], _untyped.arguments(values), end)


DIALECT = Dialect(
    family="GLM 4.6 and 4.7, Ling 3, Laguna, Hunyuan 3",
    version=3,
    parse=parse,
    markup=r"</?(?:tool_calls?|tool_sep|arg_key|arg_value|tool_responses?)(?::opensource)?>",
    in_template=r"<arg_key",
    stops=("<|user|>", "<|observation|>", "<|role_end|>"),
)
