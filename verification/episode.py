"""One run as a whole, for what must see all of it at once: pages and other programs' formats."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from harness.conversation import final_answer
from harness.errors import BadInput
from harness.records import (
    Earlier,
    Event,
    Fault,
    Graded,
    Outcome,
    Price,
    Prompt,
    Recovered,
    Reply,
    Signal,
    Started,
    ToolCall,
    ToolResult,
    Usage,
)
from harness.store import CampaignFolder, read_transcript
from verification.evidence import Evidence

DEEPEST = 64
"""How deep the arguments of a call may be nested. Deeper ones are not for any reader's parser."""


@dataclass(frozen=True)
class Turn:
    """A reply, what was notable in it, and each of its calls with what the tool answered. Where
    the reply made none, ``calls`` are those that were ``recovered`` from its text, if any."""

    reply: Reply
    calls: tuple[tuple[ToolCall, ToolResult | None], ...]
    signals: tuple[Signal, ...]
    recovered: Recovered | None = None


@dataclass(frozen=True)
class Episode:
    """The latest attempt of a run: its header, and the events after it."""

    started: Started
    events: tuple[Event, ...]

    @property
    def outcome(self) -> Outcome | None:
        """How it came out; None where it was cut off, which counts as interrupted."""
        return next((e for e in self.events if isinstance(e, Outcome)), None)

    @property
    def graded(self) -> Graded | None:
        """The checker's verdict, where it came to one."""
        return next((e for e in self.events if isinstance(e, Graded)), None)

    @property
    def trouble(self) -> str | None:
        """What the world did to the run, in a sentence; None where it left it alone."""
        if self.outcome is None:
            return "interrupted: the transcript is cut short"
        if self.outcome.outcome != "infrastructure_error":
            return None
        fault = next((e for e in self.events if isinstance(e, Fault)), None)
        cause = self.outcome.cause or "unknown cause"
        return f"{cause}: {fault.detail}" if fault else cause

    @property
    def answer(self) -> str:
        """The text of the last reply, where it is a final answer: it makes no call."""
        return final_answer(self.events)

    @property
    def replies(self) -> list[Reply]:
        """What the model said, turn by turn."""
        return [event for event in self.events if isinstance(event, Reply)]

    @property
    def prompts(self) -> list[Prompt]:
        """What the run itself asked; not what stood before its task."""
        return [event for event in self.events if isinstance(event, Prompt)]

    def story(self) -> Iterator[Prompt | Earlier | Turn]:
        """The conversation in its order: what was asked, and each turn with its results."""
        for number, event in enumerate(self.events):
            match event:
                case Prompt() | Earlier():
                    yield event
                case Reply():
                    yield self._turn(event, self.events[number + 1 :])

    def _turn(self, reply: Reply, rest: tuple[Event, ...]) -> Turn:
        results: dict[str, list[ToolResult]] = {}
        signals = []
        recovered = None
        for event in rest:
            match event:
                case Reply():
                    break
                case ToolResult():
                    results.setdefault(event.call_id, []).append(event)
                case Signal():
                    signals.append(event)
                case Recovered():
                    recovered = event
        # A model may give two of its calls the same id: each takes the next result.
        made = recovered.tool_calls if recovered else reply.tool_calls
        calls = [(c, r.pop(0) if (r := results.get(c.id)) else None) for c in made]
        return Turn(reply, tuple(calls), tuple(signals), recovered)


def episodes(folder: CampaignFolder, evidence: Evidence) -> Iterator[Episode]:
    """The runs of a campaign one by one, by model, task and repetition."""
    for run in evidence.runs["run"]:
        yield read_episode(folder, run)


def read_episode(folder: CampaignFolder, run: str) -> Episode:
    """A run's latest attempt; raises BadInput for a transcript that cannot be read."""
    path = folder.transcript(run)
    started, *events = read_transcript(path)
    if not isinstance(started, Started):
        raise BadInput(f"{path}:1: a transcript begins with its 'started' event")
    return Episode(started, tuple(events))


def cost(usage: Usage, price: Price | None) -> float | None:
    """US dollars of one request; None where a count or the price is unknown."""
    if price is None or usage.input is None or usage.output is None:
        return None
    if usage.cached is None and price.cached not in (None, price.input):
        return None
    cached = usage.cached or 0
    return price.usd(tokens_in=usage.input, cached=cached, tokens_out=usage.output)


def total(usages: Iterable[Usage]) -> Usage:
    """Tokens of several requests; a count that one of them does not say is unknown."""
    every = list(usages)

    def added(counts: list[int | None]) -> int | None:
        known = [count for count in counts if count is not None]
        return sum(known) if counts and len(known) == len(counts) else None

    return Usage(
        input=added([usage.input for usage in every]),
        cached=added([usage.cached for usage in every]),
        output=added([usage.output for usage in every]),
    )


def arguments(call: ToolCall) -> dict[str, Any] | None:
    """A call's arguments as the object they spell; None where they spell none that every JSON
    parser takes: no object, NaN, half a character, nested without end."""
    try:
        value = json.loads(call.arguments, parse_constant=_refuse)
        json.dumps(value, ensure_ascii=False, allow_nan=False).encode()
        deep = _depth(value) > DEEPEST
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) and not deep else None


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} is no JSON")


def _depth(value: object) -> int:
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return 1 + max(map(_depth, inner), default=0)
