"""gpt-oss, which speaks OpenAI's harmony.

    <|channel|>analysis<|message|>The file is small.<|end|><|start|>assistant<|channel|>commentary
    to=functions.fs_read <|constrain|>json<|message|>{"path": "notes/a.txt"}<|call|>

A reply is a row of messages. Each has a header with its channel and, where it calls a tool, its
recipient: behind the channel or before it. ``analysis`` is what the model thinks, ``final`` what
it says, ``commentary`` what it says when it calls. Read as ``openai_harmony`` reads it, which is
what OpenAI publishes for it (https://github.com/openai/harmony, docs/format.md), except that a
text cannot tell a mark from the same characters in a string. So arguments end where their JSON
does, and a message ends where its mark is followed by the next message or nothing.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from harness.dialects import Dialect, Parsed
from harness.dialects._json import members, skip_blanks
from harness.records import ToolCall

_LONGEST_HEADER = 400
_WORD = re.compile(r"<\|(?:channel|constrain)\|>\w*|<\|\w+\|>|[^\s<]+|<")
_END = re.compile(r"<\|(?:end|call|return)\|>(?=<\|start\|>|\Z)")
_ANY_END = re.compile(r"<\|(?:end|call|return)\|>")
_MESSAGE = "<|message|>"
_CHANNEL = "<|channel|>"
_FUNCTIONS = "functions."
_NOBODY = {"assistant", "user", "all"}


@dataclass
class _Header:
    channel: str | None = None
    recipient: str | None = None


@dataclass
class _Reply:
    thought: list[str] = field(default_factory=list)
    said: list[str] = field(default_factory=list)
    calls: list[tuple[str, str]] = field(default_factory=list)
    malformed: str | None = None


def parse(text: str, turn: int) -> Parsed:
    """Take a reply's messages apart: thoughts, calls, and what it says."""
    reply = _Reply()
    at = 0
    while at < len(text):
        at = _message(text, at, reply)
    calls = tuple(
        ToolCall(id=f"call_{turn}_{number}", name=name, arguments=arguments)
        for number, (name, arguments) in enumerate(reply.calls, start=1)
    )
    return Parsed(_together(reply.said) or "", calls, reply.malformed, _together(reply.thought))


def _together(parts: list[str]) -> str | None:
    return "\n".join(filter(None, (part.strip() for part in parts))) or None


def _message(text: str, at: int, reply: _Reply) -> int:
    """Add the message at ``at`` to the reply; where it ends."""
    ends = text.find(_MESSAGE, at, at + _LONGEST_HEADER)
    header = _header(text[at:ends]) if ends >= 0 else None
    if not header:
        return _no_message(text, at, reply)
    start = ends + len(_MESSAGE)
    if header.recipient and header.recipient not in _NOBODY:
        return _call(text, at, start, header.recipient, reply)
    body, end = _body(text, start)
    (reply.thought if header.channel == "analysis" else reply.said).append(body)
    return end


def _header(written: str) -> _Header | None:
    """Channel and recipient of a message of the model's; None where this heads none."""
    written = written.removeprefix("<|start|>assistant").removeprefix("assistant")
    header = _Header()
    typed = False
    for word in _WORD.findall(written):
        if word == _CHANNEL:
            return None
        if word.startswith(_CHANNEL) and not typed and _may_begin_again(header):
            header.channel = word.removeprefix(_CHANNEL)
        elif word.startswith(("to=", _FUNCTIONS)) and not (header.recipient or typed):
            header.recipient = word.removeprefix("to=")
        elif not typed and (header.channel or header.recipient):
            typed = word.removeprefix("<|constrain|>").isidentifier()
            if not typed:
                return None
        else:
            return None
    return header


def _may_begin_again(header: _Header) -> bool:
    """Whether a channel may follow. Now and then it stumbles: commentary<|channel|>analysis, or
    commentary to=assistant<|channel|>analysis."""
    stumbled = header.channel == "commentary" and not header.recipient
    return not header.channel or stumbled or header.recipient == "assistant"


def _body(text: str, start: int) -> tuple[str, int]:
    """The text of the message that begins at ``start``, and where the next may begin."""
    end = _END.search(text, start)
    return (text[start : end.start()], end.end()) if end else (text[start:], len(text))


def _call(text: str, at: int, start: int, recipient: str, reply: _Reply) -> int:
    """Add the call whose arguments begin at ``start``; where its message ends."""
    try:
        arguments, stop = _arguments(text, start, recipient)
        end = _END.match(text, skip_blanks(text, stop))
        if not end and text[stop:].strip():
            raise ValueError("more follows the arguments")
    except (ValueError, RecursionError) as error:
        _, after = _body(text, start)
        reply.malformed = reply.malformed or f"to={recipient} at character {at}: {error}"
        reply.said.append(text[at:after])
        return after
    reply.calls.append((recipient.removeprefix(_FUNCTIONS), arguments))
    return end.end() if end else len(text)


def _arguments(text: str, start: int, recipient: str) -> tuple[str, int]:
    """The arguments that begin at ``start``, and where they end. A tool that is no function, such
    as Python, is sent what it is sent."""
    if recipient.startswith(_FUNCTIONS):
        first = skip_blanks(text, start)
        _, _, stop = members(text, first)
        return text[first:stop], stop
    end = _ANY_END.search(text, start)
    stop = end.start() if end else len(text)
    return text[start:stop], stop


def _no_message(text: str, at: int, reply: _Reply) -> int:
    """Add what is no message of the model's, up to the next that may be one, as it stands."""
    after = text.find("<|start|>", at + 1)
    after = after if after >= 0 else len(text)
    kept = text[at:after]
    if "to=" + _FUNCTIONS in kept:
        reply.malformed = reply.malformed or f"to={_FUNCTIONS} at character {at}: no call follows"
    reply.said.append(kept)
    return after


DIALECT = Dialect(
    family="gpt-oss",
    version=2,
    parse=parse,
    markup=r"<\|(?:start|channel|message|constrain|call|return|end)\|>",
    in_template=r"<\|channel\|>(?:analysis|commentary|final)",
    stops=("<|call|>", "<|return|>"),
)
