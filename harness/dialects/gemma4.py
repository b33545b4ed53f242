"""Gemma 4.

    <|channel>thought
    The file is small.<channel|><|tool_call>call:fs_read{path:<|"|>notes/a.txt<|"|>}<tool_call|>

A result goes back as ``<|tool_response>response:fs_read{value:<|"|>...<|"|>}<tool_response|>`` in
the same turn, and the model itself writes the beginning of that when it has called: the reply ends
there. Arguments are no JSON, see ``_gemma``; they are written as JSON here.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from harness.dialects import Dialect, Parsed, _ends, _thoughts
from harness.dialects._calls import Call, Prose, take
from harness.dialects._gemma import Reader

_THOUGHT = re.compile(r"(?:<\|channel>){1,2}thought(.*?)(?:<channel\|>|\Z)", re.DOTALL)
_CLOSE = "<channel|>"
_CALLS = re.compile(r"<\|tool_call>")
_OPEN = re.compile(rf"<\|tool_call>|{_THOUGHT.pattern}", re.DOTALL)
_ENDS = ("<channel|>", "<turn|>", "<|tool_response>")
# Within a string the model writes its quote for the character: <|"|><|"|><|"|> for Python's """.
_CALL = Reader(opens="<|tool_call>", closes="<tool_call|>", quote='<|"|>', inner='"')


def parse(text: str, turn: int) -> Parsed:
    """Take thoughts and calls out of a reply. Thoughts may stand between calls, and a delimiter
    that closes nothing at the reply's end is no part of what it says."""
    parsed = take(_closed(text), turn, _OPEN, _read)
    thoughts = [thought.strip() for thought in _THOUGHT.findall(parsed.text)]
    said = _ends.without(_THOUGHT.sub("", parsed.text), _ENDS).strip()
    reasoning = "\n".join(filter(None, thoughts)) or None
    return Parsed(said, parsed.tool_calls, parsed.malformed, reasoning)


def _closed(text: str) -> str:
    """A reply whose last thought has no end, or none before the reply's, with one before the calls
    that are its last words."""
    thought = text.rfind("<|channel>thought")
    end = text.find(_CLOSE, thought) if thought >= 0 else 0
    if thought < 0 or (end >= 0 and _ends.without(text[end:], _ENDS)):
        return text
    text = text[:end] if end >= 0 else text
    calls = thought + _thoughts.last(text[thought:], (_CALLS, _CALL))
    return text[:calls] + _CLOSE + text[calls:] if calls < len(text) else text


def _read(mark: re.Match[str]) -> Iterator[Call]:
    if mark[0] != "<|tool_call>":
        raise Prose
    yield from _CALL(mark)


DIALECT = Dialect(
    family="Gemma 4",
    version=3,
    parse=parse,
    markup=r"<\|(?:tool_call|tool_response|tool|channel|turn|think)>"
    r"|<(?:tool_call|tool_response|tool|channel|turn)\|>|<\|\"\|>",
    in_template=r"<\|tool_call>call:",
    stops=("<|tool_response>", "<turn|>", "<|turn>"),
)
