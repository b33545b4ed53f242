"""Calls functions that a model wrote, in a fresh sandbox, for checkers.

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
from typing import Any, NamedTuple

from harness.answers import shortened
from harness.sandbox import CommandResult
from harness.task import FinishedRun

PYTHON = ("python3", "-I", "-S", "-B", "-X", "pycache_prefix=/nonexistent")
"""Isolated, without site-packages, and deaf to compiled files that a model may have left."""

_DRIVER = Path(__file__).with_name("_call_driver.py").read_text(encoding="utf-8")


class Call(NamedTuple):
    """A call of ``package.module:function``, seen from the workspace's top folder.

    Arguments are what JSON can hold, and dates and sets.
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
    """A value as calls report it, to compare with: lists for tuples; dates, sets, named tuples
    and ``Raises`` under a tag."""
    match value:
        case Raises():
            return {"$raises": value.name}
        case date():
            return {"$date": value.isoformat()}
        case tuple() if hasattr(value, "_asdict"):
            fields = {name: plain(item) for name, item in value._asdict().items()}
            return {"$type": type(value).__name__} | fields
        case list() | tuple():
            return [plain(item) for item in value]
        case set() | frozenset():
            return {"$set": sorted((plain(item) for item in value), key=json.dumps)}
        case dict():
            return {str(key): plain(item) for key, item in value.items()}
        case _:
            return value


def wrong_call(
    run: FinishedRun,
    expected: Sequence[tuple[Call, Any]],
    *,
    put: Mapping[str, str] | None = None,
    seconds: float = 5.0,
) -> str | None:
    """Make every call; say, for a check's detail, what the first wrong one gave back.

    ``expected`` pairs calls with the values they must give (see ``plain``; ``True`` is not 1).
    ``put`` is written over the copy of the workspace that they are made in. None: all are right.
    """
    nonce = secrets.token_hex(16)
    calls = [[call.function, plain(call.arguments)] for call, _ in expected]
    job = json.dumps({"nonce": nonce, "calls": calls})
    result = run.execute([*PYTHON, "-c", _DRIVER], put=put, stdin=job, seconds=seconds)
    found = _results(result, nonce)
    if len(found) != len(expected):
        return f"it could not be called: {last_line(result)}"
    wanted = [json.dumps(plain(value), sort_keys=True) for _, value in expected]
    wrong = [index for index, text in enumerate(found) if text != wanted[index]]
    if not wrong:
        return None
    first = wrong[0]
    return (
        f"{len(wrong)} of {len(expected)} calls wrong; {expected[first][0]}: "
        f"expected {shortened(wanted[first])}, got {shortened(found[first])}"
    )


def last_line(result: CommandResult) -> str:
    """How a command ended, with the last thing it said on stderr, for a check's detail."""
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
