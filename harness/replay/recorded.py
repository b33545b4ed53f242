"""A transcript together with its task and variant, which must be those that were played."""

from __future__ import annotations

import platform
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from harness.errors import BadInput
from harness.records import Entry, Event, Graded, Left, Outcome, OutcomeName, Started
from harness.store import read_header, read_transcript
from harness.task import Suite, Task, load_suite
from harness.toml_file import read_toml
from harness.variant import Variant

_ALIKE = (
    (re.compile(r"\b\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(?:\.\d+)?(?:Z|[+-]\d\d:?\d\d)?"), "<date>"),
    (re.compile(r"\b\d+(?:\.\d+)?(?:e-\d+)? ?(?:s|ms|us|secs?|seconds?)\b"), "<duration>"),
    (re.compile(r"\b0x[0-9a-f]{6,}\b"), "<address>"),
    (re.compile(r"/tmp/[\w./-]+"), "<temporary path>"),
)


@dataclass(frozen=True)
class Recorded:
    """One attempt as its transcript tells it."""

    path: Path
    started: Started
    events: Sequence[Event]
    task: Task
    variant: Variant


def campaign_beside(transcript: Path) -> Path | None:
    """The campaign.toml of the campaign that a transcript lies in, if it lies in one."""
    config = transcript.resolve().parent.parent.parent / "campaign.toml"
    return config if config.is_file() else None


def suite_of(transcript: Path, named: str | None = None) -> Suite:
    """The suite that a transcript's task is looked for in: ``named`` (a name or a path), else
    that of its campaign, else the built-in one of the name that was played. Raises BadInput."""
    config = campaign_beside(transcript)
    try:
        if named is None and config is not None:
            return load_suite(str(read_toml(config).get("suite")), relative_to=config.parent)
        return load_suite(named or read_header(transcript).plan.suite)
    except BadInput:
        if named is None and read_header(transcript).model.kind == "imported":
            raise BadInput(
                f"{transcript}: was played by another program, and its tasks are not here to be "
                "played again; fairtrial show prints it"
            ) from None
        raise


def read_recorded(path: Path, suite: Suite) -> Recorded:
    """Read a transcript; raises BadInput where its task is not to be had as it was played."""
    started = read_header(path)
    task = _task_of(path, started, suite)
    variant = task.variant(started.variant_seed)
    if variant.digest != started.variant_digest:
        raise BadInput(_why_another_variant(task, started))
    return Recorded(path, started, list(read_transcript(path)), task, variant)


def graded_in(events: Sequence[Event]) -> Graded | None:
    """The verdict, where there is one."""
    return next((event for event in events if isinstance(event, Graded)), None)


def left_in(events: Sequence[Event]) -> Left | None:
    """What the run left; None where it came to no end, or its transcript does not say."""
    return next((event for event in events if isinstance(event, Left)), None)


def rescued_in(events: Sequence[Event]) -> OutcomeName | None:
    """What the run would have been, had its rescue counted; None where it had none."""
    last = events[-1]
    return last.rescued if isinstance(last, Outcome) else None


def outcome_in(events: Sequence[Event]) -> OutcomeName | None:
    """The outcome, where there is one of the model's; None where the world spoiled the run."""
    last = events[-1]
    if not isinstance(last, Outcome) or last.outcome == "infrastructure_error":
        return None
    return last.outcome


def verdict_difference(recorded: Sequence[Event], again: Sequence[Event]) -> str | None:
    """How the second verdict and outcome differ from the recorded ones; None: not at all, or
    nothing was recorded that could."""
    was, now = graded_in(recorded), graded_in(again)
    then = {check.name: check.passed for check in was.checks} if was else {}
    checks = now.checks if now else ()
    if was is not None and then != {check.name: check.passed for check in checks}:
        other = [check for check in checks if then.get(check.name) != check.passed]
        words = "; ".join(f"{c.name} is now {c.passed}: {c.detail}" for c in other)
        return f"another verdict: {words or 'the checks are other ones'}"
    if outcome_in(recorded) not in (None, outcome_in(again)):
        return f"another outcome: {outcome_in(recorded)} is recorded, and it is {outcome_in(again)}"
    if rescued_in(recorded) not in (None, rescued_in(again)):
        return (
            f"rescued, it would be another: {rescued_in(recorded)} is recorded, and it is "
            f"{rescued_in(again)}"
        )
    return None


def left_difference(recorded: Sequence[Event], again: Sequence[Event]) -> str | None:
    """How what was left the second time differs; None: not at all, or it was not recorded."""
    was, now = left_in(recorded), left_in(again)
    if was is None or now is None:
        return None
    then = {change.path: _entry_alike(change.after) for change in was.changes}
    again_ = {change.path: _entry_alike(change.after) for change in now.changes}
    paths = then.keys() | again_.keys()
    other = sorted(path for path in paths if then.get(path, ...) != again_.get(path, ...))
    return f"it left another workspace: {', '.join(other[:5])}" if other else None


def alike(text: str) -> str:
    """``text`` with what no two runs share written alike: dates, durations, addresses, and
    temporary paths."""
    for pattern, word in _ALIKE:
        text = pattern.sub(word, text)
    return text


def _entry_alike(entry: Entry | None) -> object:
    return entry and (entry.kind, alike(entry.content), entry.executable)


def _task_of(path: Path, started: Started, suite: Suite) -> Task:
    found = [task for task in suite.tasks if task.id == started.task]
    if not found:
        raise BadInput(f"{path}: its task {started.task!r} is not in {suite.folder}")
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
