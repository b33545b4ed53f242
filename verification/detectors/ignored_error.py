"""A call that failed, after which the model did nothing else and said nothing of it.

It answered as if the call had worked, or made the very same call again. An error is taken as
dealt with once a later turn makes any other call, or a later text admits that something went
wrong. A command counts as failed where its exit code is not 0 and it wrote to stderr: ``grep``
and ``diff`` end with 1 to say that they found nothing, or something.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from harness.terminal import one_line
from verification.detectors import Seen
from verification.detectors._transcript import Call, Said, Transcript

_ADMITS = re.compile(
    r"error|fail|could ?n.t|could not|cannot|can.t\b|unable|no such|not found|not exist|n.t exist"
    r"|missing|denied|invalid|not work|n.t work|not (?:been )?able|instead|not available"
    r"|not offered",
    re.IGNORECASE,
)

_Tried = tuple[str, str, bool]
"""A tool, its arguments, and whether it failed."""


def find(run: Transcript) -> Iterator[Seen]:
    """Failed calls that nothing came of, each at its first time."""
    if not any(_is_error(call) for call in _last_calls(run)):
        return
    ignored: dict[_Tried, Call] = {}
    later: set[_Tried] = set()
    for reply in reversed(run.replies):
        for call in reply.calls:
            key = _tried(call)
            went_on = later == {key} or (not later and run.answer is not None)
            if went_on and _is_error(call):
                ignored[key] = call
        later.update(map(_tried, reply.calls))
        if len(later) > 1 or _ADMITS.search(reply.text):
            break  # whatever failed before this reply was dealt with
    for call in sorted(ignored.values(), key=lambda call: call.line):
        yield Seen(call.turn, call.line, _words(call, run))


def _tried(call: Call) -> _Tried:
    return call.name, call.arguments, call.failed


def _last_calls(run: Transcript) -> Iterator[Call]:
    """The calls after which no two different ones came: no others can have been ignored."""
    later: set[_Tried] = set()
    for reply in reversed(run.replies):
        yield from reply.calls
        later.update(map(_tried, reply.calls))
        if len(later) > 1:
            return


def _is_error(call: Call) -> bool:
    return call.failed and (not call.ok or "stderr:\n" in (call.result or ""))


def _words(call: Call, run: Transcript) -> str:
    answer: Said | None = run.answer
    after = "then made the same call again" if answer is None else "then answered"
    said = f" {one_line(answer.text, 50)!r}" if answer else ""
    return f"{call.name} failed ({one_line(call.result or '', 80)}), {after}{said}"
