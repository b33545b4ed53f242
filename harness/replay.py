"""Replay a transcript: its calls again in a fresh sandbox, its checker again on what they leave.

The recorded replies are played as an attempt of their own; no model is asked. Each tool result
is compared with the recorded one, with what no two runs share (durations, dates, addresses)
written alike in both.
"""

from __future__ import annotations

import asyncio
import difflib
import platform
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from harness.attempt import Stage, directly, play_attempt
from harness.errors import BadInput, InfrastructureFault
from harness.models import scripted
from harness.records import Event, Fault, Graded, Outcome, OutcomeName, Started, ToolResult
from harness.sandbox import Limits
from harness.sandbox import make as make_sandbox
from harness.store import read_header, read_transcript
from harness.task import Task, load_suite
from harness.toml_file import read_toml

_ALIKE = (
    (re.compile(r"\b\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(?:\.\d+)?(?:Z|[+-]\d\d:?\d\d)?"), "<date>"),
    (re.compile(r"\b\d+(?:\.\d+)?(?:e-\d+)? ?(?:s|ms|us|secs?|seconds?)\b"), "<duration>"),
    (re.compile(r"\b0x[0-9a-f]{6,}\b"), "<address>"),
    (re.compile(r"/tmp/[\w./-]+"), "<temporary path>"),
)


@dataclass(frozen=True)
class Replay:
    """What became of a replay. Verdicts are None where there was nothing to grade."""

    results: int
    identical: int
    first_difference: str | None
    recorded_verdict: bool | None
    verdict: bool | None

    @property
    def same(self) -> bool:
        """Whether everything that was recorded came out again."""
        return self.first_difference is None


async def replay(path: Path, suite: str | None = None) -> Replay:
    """Play a transcript again; raises BadInput where its task is not to be had as it was.

    The suite is looked for by ``suite`` (a name or path), else in the transcript's campaign,
    else among the built-in ones. Hostile commands run in the default sandbox, never in none.
    """
    recorded = list(read_transcript(path))
    started = read_header(path)
    task = _task_of(path, started, suite)
    variant = task.variant(started.variant_seed)
    if variant.digest != started.variant_digest:
        raise BadInput(_why_another_variant(task, started))
    model = scripted.Model(scripted.Settings(name="replay", script=str(path)))
    await model.open()
    sandbox = make_sandbox("bubblewrap")
    replayed: list[Event] = []
    try:
        await asyncio.to_thread(sandbox.open, (task.folder.parent, path.parent))
        stage = Stage(task, variant, directly(model), sandbox, Limits())
        await play_attempt(started, stage, replayed.append)
    finally:
        await asyncio.to_thread(sandbox.close)
    for event in replayed:
        if isinstance(event, Fault):
            raise InfrastructureFault("sandbox", f"the replay met {event.cause}: {event.detail}")
    return compare(recorded, replayed)


def compare(recorded: Sequence[Event], replayed: Sequence[Event]) -> Replay:
    """Hold a replay's tool results and verdict against the recorded ones."""
    then = [event for event in recorded if isinstance(event, ToolResult)]
    now = [event for event in replayed if isinstance(event, ToolResult)]
    differences = [
        _difference(a, b) for a, b in zip(then, now, strict=False) if _alike(a) != _alike(b)
    ]
    if len(now) < len(then):
        missing = then[len(now)]
        differences.append(f"turn {missing.turn}: the recorded {missing.name} was not reached")
    was, is_now = _verdict(recorded), _verdict(replayed)
    if was is not None and _checks(recorded) != _checks(replayed):
        differences.append(_verdicts_differ(recorded, replayed))
    elif _outcome(recorded) not in (None, _outcome(replayed)):
        differences.append(
            f"another outcome: {_outcome(recorded)} is recorded, and it is {_outcome(replayed)}"
        )
    return Replay(
        results=len(then),
        identical=sum(_alike(a) == _alike(b) for a, b in zip(then, now, strict=False)),
        first_difference=differences[0] if differences else None,
        recorded_verdict=was,
        verdict=is_now,
    )


def _task_of(path: Path, started: Started, suite: str | None) -> Task:
    config = path.resolve().parent.parent.parent / "campaign.toml"
    if suite is None and config.is_file():
        loaded = load_suite(str(read_toml(config).get("suite")), relative_to=config.parent)
    else:
        loaded = load_suite(suite or started.plan.suite)
    found = [task for task in loaded.tasks if task.id == started.task]
    if not found:
        raise BadInput(f"{path}: its task {started.task!r} is not in {loaded.folder}")
    if found[0].digest != started.task_digest:
        raise BadInput(
            f"{found[0].folder}: not the task that was played (another digest); "
            "check out the version the transcript was made with, or name it with --suite"
        )
    return found[0]


def _why_another_variant(task: Task, started: Started) -> str:
    then, now = started.versions.get("python", "of that time"), platform.python_version()
    if then == now:
        return f"{task.folder / 'variants.py'}: does not draw the same from the same seed"
    return (
        f"{task.folder}: this Python draws another variant than the one that was played; "
        f"replay with Python {then}"
    )


def _alike(result: ToolResult) -> tuple[str, bool, str]:
    content = result.content
    for pattern, word in _ALIKE:
        content = pattern.sub(word, content)
    return result.name, result.ok, content


def _difference(then: ToolResult, now: ToolResult) -> str:
    lines = difflib.unified_diff(
        then.content.splitlines(), now.content.splitlines(), "recorded", "replayed", lineterm=""
    )
    return f"turn {then.turn}, {then.name}:\n" + "\n".join(list(lines)[:20])


def _graded(events: Sequence[Event]) -> Graded | None:
    return next((event for event in events if isinstance(event, Graded)), None)


def _checks(events: Sequence[Event]) -> dict[str, bool]:
    graded = _graded(events)
    return {check.name: check.passed for check in graded.checks} if graded else {}


def _outcome(events: Sequence[Event]) -> OutcomeName | None:
    """The outcome that was recorded; None where there is none of the model's."""
    last = events[-1]
    if not isinstance(last, Outcome) or last.outcome == "infrastructure_error":
        return None
    return last.outcome


def _verdict(events: Sequence[Event]) -> bool | None:
    graded = _graded(events)
    return None if graded is None else graded.passed


def _verdicts_differ(recorded: Sequence[Event], replayed: Sequence[Event]) -> str:
    was, now = _checks(recorded), _graded(replayed)
    differing = [c for c in (now.checks if now else ()) if was.get(c.name) != c.passed]
    checks = "; ".join(f"{c.name} is now {c.passed}: {c.detail}" for c in differing)
    return f"another verdict: {checks or 'the checks are other ones'}"
