"""One transcript -> one row of totals, and its findings. Nothing else of it is kept in memory."""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from harness.errors import BadInput
from harness.leaks import family_of, leaks_in
from harness.outcome import classify
from harness.records import Compute, Event, Outcome, Price, Reply, Started
from harness.store import read_transcript
from verification.detectors import detect

_DECIDING = frozenset({"signal", "prompt", "recovered", "ended", "fault", "graded"})
"""The types of the events that an outcome follows from."""

UNKNOWN = math.nan
"""Whatever is added to it stays unknown, so that a sum with a gap is never taken for a sum."""

NOT_OFFERED = "not_offered"
"""Stands for every tool that was not offered: a model may call one by any name it likes."""


EDGES = (2_000, 4_000, 8_000, 16_000, 32_000)
DEPTHS = ("0-2k", "2-4k", "4-8k", "8-16k", "16-32k", "32k+")
"""How deep in its context a reply was made, by the tokens before it: below the first of the edges,
from there to below the next, and so on. Each depth is twice as deep as the one before it."""

NO_DEPTH = "unknown"


@dataclass(slots=True)
class Finding:
    """A signal or what a detector saw, in its place. ``line`` counts the transcript's lines
    from 1; ``source`` says who noted it: ``signal``, ``detector`` or ``both``."""

    model: str
    task: str
    repetition: int
    run: str
    line: int
    turn: int
    name: str
    source: str
    detail: str


@dataclass(slots=True)
class Attempt:
    """Totals of one transcript: seconds, tokens, US dollars; NaN is unknown. ``depths`` counts
    replies by how deep in the context they were made, ``leak_depths`` those of them that leaked
    and made no call, ``leak_families`` these by whose markup it was.

    Until its ``outcome`` line is seen, an attempt counts as interrupted.
    """

    model: str
    kind: str
    task: str
    repetition: int
    run: str
    attempt: int
    transcript: str
    seed: int | None
    task_digest: str
    variant_seed: int | None
    context_load: int
    on_leak: str
    started_at: str
    ended_at: str | None = None
    outcome: str = "infrastructure_error"
    cause: str | None = "interrupted"
    budget: str | None = None
    signals: str | None = None
    rescued: str | None = None
    fault: str | None = None
    repeats: int = 0
    waited_seconds: float = 0.0
    turns: int = 0
    tool_calls: int = 0
    tool_errors: int = 0
    replies_without_usage: int = 0
    tokens_input: float = 0.0
    tokens_cached: float = 0.0
    tokens_output: float = 0.0
    usd: float = UNKNOWN
    seconds: float = UNKNOWN
    model_seconds: float = 0.0
    tool_seconds: float = 0.0
    first_token_seconds: float = UNKNOWN
    context_tokens: float = UNKNOWN
    nudges: int = 0
    recovered_calls: int = 0
    cold_start_seconds: float = UNKNOWN
    tokens_read: float = 0.0
    reading_seconds: float = 0.0
    tokens_written: float = 0.0
    writing_seconds: float = 0.0
    tokens_evaluated: float = 0.0
    peak_memory_bytes: float = UNKNOWN
    vram_bytes: float = UNKNOWN
    joules: float = 0.0
    calls: dict[str, int] = field(default_factory=dict)
    depths: dict[str, int] = field(default_factory=dict)
    leak_depths: dict[str, int] = field(default_factory=dict)
    leak_families: dict[str, int] = field(default_factory=dict)


def read_totals(path: Path) -> tuple[Started, Attempt, list[Finding]] | None:
    """The header of a transcript, its totals and its findings.

    None where not even its first line is whole. Raises BadInput, naming file and line, for a
    bad record, and where the outcome is not what the events before it amount to.
    """
    events = list(read_transcript(path))
    if not events:
        return None
    started = events[0]
    if not isinstance(started, Started):
        raise BadInput(f"{path}:1: a transcript begins with its 'started' event")
    attempt = _begin(path, started)
    signals = _add_up(attempt, {tool.name for tool in started.tools}, events)
    _refuse_another_outcome(path, events)
    findings = _detected(attempt, events, signals)
    _close(attempt, started.model.price)
    return started, attempt, findings


def _begin(path: Path, started: Started) -> Attempt:
    return Attempt(
        model=started.model.name,
        kind=started.model.kind,
        task=started.task,
        repetition=started.repetition,
        run=started.run,
        attempt=started.attempt,
        transcript=path.name,
        seed=started.seed,
        task_digest=started.task_digest,
        variant_seed=started.variant_seed,
        context_load=started.context_load,
        on_leak=started.on_leak,
        started_at=started.started_at.isoformat(),
        cold_start_seconds=_known(started.model.observed.get("load_seconds")),
    )


def _add_up(attempt: Attempt, offered: set[str], events: Sequence[Event]) -> list[Finding]:
    findings = []
    recovered = 0
    for line, event in enumerate(events, start=1):
        match event.type:  # by class it would take twice the time
            case "reply":
                _add_reply(attempt, event, offered)
            case "prompt":
                attempt.nudges += event.nudge_after is not None
            case "recovered":
                recovered = event.turn
                attempt.recovered_calls += len(event.tool_calls)
            case "tool_result":
                # The model has made no call that was recovered, so none of them badly.
                attempt.tool_errors += not event.ok and event.turn != recovered
                attempt.tool_seconds += _known(event.seconds)
            case "repeat":
                attempt.repeats += 1
            case "signal":
                findings.append(
                    _finding(attempt, line, event.turn, event.name, "signal", event.detail)
                )
            case "fault":
                attempt.fault = event.detail
            case "outcome":
                _conclude(attempt, event)
    return findings


def _add_reply(attempt: Attempt, reply: Reply, offered: set[str]) -> None:
    if reply.turn == 1:
        attempt.first_token_seconds = _known(reply.first_token_seconds)
    attempt.turns += 1
    attempt.waited_seconds += reply.waited_seconds
    attempt.tool_calls += len(reply.tool_calls)
    for call in reply.tool_calls:
        name = call.name if call.name in offered else NOT_OFFERED
        attempt.calls[name] = attempt.calls.get(name, 0) + 1
    usage = reply.usage
    attempt.replies_without_usage += usage.input is None or usage.output is None
    attempt.tokens_input += _known(usage.input)
    attempt.tokens_cached += _known(usage.cached)
    attempt.tokens_output += _known(usage.output)
    attempt.model_seconds += _known(reply.model_seconds)
    _add_depth(attempt, reply)
    _add_speed(attempt, reply)
    _add_compute(attempt, reply.compute, _known(reply.model_seconds))


def _add_depth(attempt: Attempt, reply: Reply) -> None:
    tokens = reply.usage.input
    if attempt.turns == 1:
        attempt.context_tokens = _known(tokens)
    depth = depth_of(tokens)
    attempt.depths[depth] = attempt.depths.get(depth, 0) + 1
    if not reply.tool_calls and (leaks := leaks_in(reply.text)):
        family = family_of(leaks)
        attempt.leak_depths[depth] = attempt.leak_depths.get(depth, 0) + 1
        attempt.leak_families[family] = attempt.leak_families.get(family, 0) + 1


def depth_of(tokens: int | None) -> str:
    """How deep a reply was made with so many tokens before it; ``NO_DEPTH`` where no one knows."""
    return NO_DEPTH if tokens is None else DEPTHS[bisect_right(EDGES, tokens)]


def _add_speed(attempt: Attempt, reply: Reply) -> None:
    """Tokens that were read before a reply's first one and written after it, and how long either
    took; of replies of which that is known, so not of one that its prompt left no room for."""
    usage, first, seconds = reply.usage, reply.first_token_seconds, reply.model_seconds
    if first is None or seconds is None:
        return
    attempt.tokens_read += _known(usage.input) - _known(usage.cached)
    attempt.reading_seconds += first
    attempt.tokens_written += _known(usage.output) - 1
    attempt.writing_seconds += seconds - first


def _add_compute(attempt: Attempt, compute: Compute | None, seconds: float) -> None:
    if compute is None:
        attempt.tokens_evaluated = attempt.joules = UNKNOWN
        return
    attempt.tokens_evaluated += compute.evaluated
    attempt.joules += _known(compute.watts) * seconds
    attempt.peak_memory_bytes = _peak(attempt.peak_memory_bytes, compute.peak_memory_bytes)
    attempt.vram_bytes = _peak(attempt.vram_bytes, compute.vram_bytes)


def _detected(
    attempt: Attempt, events: Sequence[Event], signals: Sequence[Finding]
) -> list[Finding]:
    """What the detectors see, and the signals that none of them saw as well: what both the
    harness and a detector noted of one turn is one finding, in the detector's words."""
    noted = {(signal.name, signal.turn) for signal in signals}
    findings = []
    for name, seen in detect(events):
        source = "both" if (name, seen.turn) in noted else "detector"
        findings.append(_finding(attempt, seen.line, seen.turn, name, source, seen.detail))
    detected = {(finding.name, finding.turn) for finding in findings}
    return findings + [s for s in signals if (s.name, s.turn) not in detected]


def _finding(
    attempt: Attempt, line: int, turn: int, name: str, source: str, detail: str
) -> Finding:
    return Finding(
        model=attempt.model,
        task=attempt.task,
        repetition=attempt.repetition,
        run=attempt.run,
        line=line,
        turn=turn,
        name=name,
        source=source,
        detail=detail,
    )


def _conclude(attempt: Attempt, outcome: Outcome) -> None:
    attempt.outcome = outcome.outcome
    attempt.cause = outcome.cause
    attempt.budget = outcome.budget
    attempt.signals = " ".join(outcome.signals) or None
    attempt.rescued = outcome.rescued
    attempt.seconds = _known(outcome.seconds) - attempt.waited_seconds
    attempt.ended_at = outcome.ended_at.isoformat()


def _refuse_another_outcome(path: Path, events: Sequence[Event]) -> None:
    outcome = events[-1]
    if not isinstance(outcome, Outcome):
        return
    amounts_to = classify(event for event in events if event.type in _DECIDING)
    says = outcome.outcome, outcome.cause, outcome.budget, outcome.rescued
    if says != (*amounts_to[:3], amounts_to.rescued):
        raise BadInput(
            f"{path}:{len(events)}: says {outcome.outcome!r}, but what stands before it amounts "
            f"to {amounts_to.outcome!r}; a line was changed: restore the transcript"
        )


def _close(attempt: Attempt, price: Price | None) -> None:
    """Give the attempt its cost; where no reply came, nothing is known of tokens and time."""
    if attempt.turns == 0:
        attempt.tokens_input = attempt.tokens_cached = attempt.tokens_output = UNKNOWN
        attempt.model_seconds = attempt.tokens_evaluated = attempt.joules = UNKNOWN
    if price is None:
        return
    attempt.usd = price.usd(
        tokens_in=attempt.tokens_input,
        cached=attempt.tokens_cached,
        tokens_out=attempt.tokens_output,
    )


def _peak(so_far: float, now: int | None) -> float:
    return so_far if now is None or so_far >= now else now


def _known(value: float | None) -> float:
    return UNKNOWN if value is None else value
