"""Runs what a model wrote, in a fresh sandbox, for checkers: its functions, and its tests.

The code runs beside a driver that reports what each call gave back and knows nothing of what is
expected. What comes out is data; whether it is right is decided by the caller, out here. So code
that takes the driver over can say what it likes, and still has to say what is right.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Mapping, Sequence
from datetime import date
from pathlib import Path
from signal import SIGKILL
from typing import Any, NamedTuple

from harness.answers import shortened
from harness.sandbox import CommandResult
from harness.task import FinishedRun

PYTHON = ("python3", "-I", "-S", "-B", "-X", "pycache_prefix=/nonexistent")
"""Isolated, without site-packages, and deaf to compiled files that a model may have left."""

CPU_SECONDS = 5
"""What such code may take of a processor: as much on a slow or busy machine as on any other."""

_PATIENCE = 30.0
"""Seconds until it is stopped, however little it did. That is the model's doing as well: if it
were the machine's, a model could sleep until its run counts as broken rather than as wrong."""

# Hard and soft at once, before Python starts: what runs in there cannot raise it again.
_LIMITED = ("sh", "-c", f'ulimit -t {CPU_SECONDS} && exec "$@"', "sh")

_KILLED = (-SIGKILL, 128 + SIGKILL)

_DRIVER = Path(__file__).with_name("_call_driver.py").read_text(encoding="utf-8")


class Call(NamedTuple):
    """A call of ``package.module:function``, seen from the workspace's top folder.

    Arguments are what JSON can hold, and tuples, dates and sets.
    """

    function: str
    arguments: tuple[Any, ...]

    def __str__(self) -> str:
        name = self.function.rpartition(":")[2]
        return f"{name}({shortened(', '.join(map(repr, self.arguments)))})"


class Raises(NamedTuple):
    """An expected exception of Python's own, by its name; classes derived from it count as it."""

    name: str


def plain(value: Any) -> Any:
    """A value as calls report it, to compare with: what JSON has no word for, under a tag."""
    match value:
        case Raises():
            return {"$raises": value.name}
        case date():
            return {"$date": value.isoformat()}
        case tuple() if hasattr(value, "_asdict"):
            fields = {name: plain(item) for name, item in value._asdict().items()}
            return {"$type": type(value).__name__} | fields
        case tuple():
            return {"$tuple": [plain(item) for item in value]}
        case list():
            return [plain(item) for item in value]
        case set() | frozenset():
            return {"$set": sorted((plain(item) for item in value), key=json.dumps)}
        case dict() if all(isinstance(key, str) and key[:1] != "$" for key in value):
            return {key: plain(item) for key, item in value.items()}
        case dict():
            pairs = ([plain(key), plain(item)] for key, item in value.items())
            return {"$dict": sorted(pairs, key=json.dumps)}
        case _:
            return value


def wrong_call(
    run: FinishedRun,
    expected: Sequence[tuple[Call, Any]],
    *,
    put: Mapping[str, str] | None = None,
) -> str | None:
    """Make every call; say, for a check's detail, what the first wrong one gave back.

    ``expected`` pairs calls with the values they must give. Types must be right as well: ``True``
    is not 1, nor a list a tuple. ``put`` is written over the copy of the workspace that the calls
    are made in. None: all are right.
    """
    nonce = secrets.token_hex(16)
    calls = [[call.function, [plain(each) for each in call.arguments]] for call, _ in expected]
    job = json.dumps({"nonce": nonce, "calls": calls})
    result = _python(run, "-c", _DRIVER, put=put, stdin=job)
    found = _results(result, nonce)
    if len(found) != len(expected):
        return f"it could not be called: {_last_line(result)}"
    wanted = [json.dumps(plain(value), sort_keys=True) for _, value in expected]
    wrong = [index for index, text in enumerate(found) if text != wanted[index]]
    if not wrong:
        return None
    first = wrong[0]
    return (
        f"{len(wrong)} of {len(expected)} calls wrong; {expected[first][0]}: "
        f"expected {shortened(wanted[first])}, got {shortened(found[first])}"
    )


def failed_tests(run: FinishedRun, *, put: Mapping[str, str]) -> str | None:
    """Run ``python3 -m unittest``; say, for a check's detail, how it ended. None: with success.

    ``put`` brings the tests as they were. A necessary sign only: what a model wrote can end this
    process as it likes.
    """
    result = _python(run, "-m", "unittest", put=put)
    return None if result.exit_code == 0 else _last_line(result)


def _python(
    run: FinishedRun, *arguments: str, put: Mapping[str, str] | None, stdin: str = ""
) -> CommandResult:
    argv = [*_LIMITED, *PYTHON, *arguments]
    return run.execute(argv, put=put, stdin=stdin, seconds=_PATIENCE)


def _last_line(result: CommandResult) -> str:
    """How a command ended, with the last thing it said on stderr."""
    # Which of the two comes first depends on how busy the machine is, and no verdict may.
    if result.stopped == "time" or result.exit_code in _KILLED:
        return f"killed, or not done after {CPU_SECONDS} seconds of a processor's time"
    if result.stopped is not None:
        return f"stopped: {result.stopped} limit"
    lines = result.stderr[-2000:].decode(errors="replace").strip().splitlines() or ["no output"]
    return f"exit code {result.exit_code}: {shortened(lines[-1])}"


def _results(result: CommandResult, nonce: str) -> list[str]:
    """What the driver reported, as JSON text; nothing where something else spoke in its place."""
    try:
        report = json.loads(result.stdout)
    except (ValueError, RecursionError):
        return []
    if not isinstance(report, dict) or report.get("nonce") != nonce:
        return []
    results = report.get("results")
    return [each for each in results if isinstance(each, str)] if isinstance(results, list) else []
