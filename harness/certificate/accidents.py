"""Scripts that go wrong by accident: what they then prove, they prove of nothing.

No script of a task, right or wrong, may make a call that no tool takes: of a tool that is not
offered, or with arguments that do not fit.

No near miss may end a program of its own in an uncaught Python error: it would fail for that, and
show nothing of the checker. Its own is what it gives on stdin or by ``-c``, and each line that it
wrote. An error that comes out of the task's own code, or that a test runner catches and reports,
is what models meet too, and is fine; so is any error in a solution, which passes all the same.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence

from harness.records import Event, Reply, Signal, ToolResult

_TRACE = re.compile(
    r"(?P<head>^Traceback .*\n)?(?P<frames>(?:^  .*\n)+)^(?P<error>[A-Za-z_][\w.]*(?:: .*)?)$",
    re.MULTILINE,
)
"""Frames, each indented, and the error that they end in. What is no Python has one frame, in no
function, and no head."""

_FRAME = re.compile(
    r'^  File "(?P<file>.+)", line \d+(?:, in (?P<function>.+))?\n(?:    +(?P<line>.*)$)?',
    re.MULTILINE,
)
_PROGRAMS = ("<stdin>", "<string>")
_PYTHONS_OWN = ("/usr/", "<frozen ")


def bad_call(events: Sequence[Event]) -> str | None:
    """The first call of a script that no tool takes, in words; None: there is none."""
    for event in events:
        if isinstance(event, Signal) and event.name in ("unknown_tool", "malformed_tool_call"):
            return f"a call that no tool takes: {event.detail.removeprefix('error: ')}"
    return None


def failing_program(events: Sequence[Event]) -> str | None:
    """The first program of a script's own that fails, in words; None: there is none."""
    said = ""
    for event in events:
        if isinstance(event, Reply):
            said += "".join(call.arguments for call in event.tool_calls)
        if isinstance(event, ToolResult) and (error := _error_of_its_own(event.content, said)):
            return f"its own program fails (does it still fit the task?): {error}"
    return None


def _error_of_its_own(printed: str, said: str) -> str | None:
    """The uncaught error of a program that a script wrote. ``said`` is all that it has said so
    far, in the JSON of its calls."""
    for trace in _TRACE.finditer(printed):
        frames = list(_FRAME.finditer(trace["frames"]))
        if not frames or not _of_a_whole_program(frames[0], headed=trace["head"] is not None):
            continue
        not_pythons = [frame for frame in frames if not frame["file"].startswith(_PYTHONS_OWN)]
        if not_pythons and _wrote(not_pythons[-1], said):
            return trace["error"]
    return None


def _of_a_whole_program(outermost: re.Match[str], *, headed: bool) -> bool:
    """A test runner's tracebacks begin in one of its functions, or in a test's."""
    begins = outermost["function"]
    return begins is None or (headed and begins in ("<module>", "_run_module_as_main"))


def _wrote(frame: re.Match[str], said: str) -> bool:
    line = json.dumps(frame["line"] or "", ensure_ascii=False)[1:-1]
    return frame["file"] in _PROGRAMS or (bool(line) and line in said)
