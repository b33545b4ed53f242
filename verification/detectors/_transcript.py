"""A transcript as detectors read it: replies with their calls, and calls with their results."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from harness.records import Event, Reply, ToolCall

_DURATION = re.compile(r"\d\.\d+ ?s\b")
_OK = "exit code: 0\n"
_EXIT = "exit code: "


@dataclass(slots=True)
class Call:
    """A tool call in its place. ``line`` is that of the reply which makes it; ``result`` is None
    where no answer was recorded, and ``ok`` is False where it was an error."""

    turn: int
    line: int
    name: str
    arguments: str
    result: str | None = None
    ok: bool = True
    _parsed: dict[str, Any] | None = None

    def argument(self, name: str) -> str:
        """An argument that is text; empty where the call has none of that name."""
        if self._parsed is None:
            try:
                parsed = json.loads(self.arguments)
            except (ValueError, RecursionError):
                parsed = None
            self._parsed = parsed if isinstance(parsed, dict) else {}
        value = self._parsed.get(name)
        return value if isinstance(value, str) else ""

    @property
    def failed(self) -> bool:
        """Whether it was answered with an error, or a command with an exit code other than 0."""
        if self.result is None:
            return False
        return not self.ok or (self.result.startswith(_EXIT) and not self.result.startswith(_OK))


@dataclass(slots=True)
class Said:
    """A reply in its place. ``cut`` is whether it ended at the budget of tokens."""

    turn: int
    line: int
    text: str
    cut: bool
    tokens: int | None
    calls: list[Call]


@dataclass(slots=True)
class Transcript:
    """What detectors look at. ``answered`` is whether the run came to an answer of its own,
    ``accepted`` what the checker said of it (None: nothing); ``oracle_calls`` is how many calls
    the task's own solution makes (None: unknown)."""

    turns_allowed: int | None = None
    oracle_calls: int | None = None
    prompts: list[str] = field(default_factory=list)
    replies: list[Said] = field(default_factory=list)
    calls: list[Call] = field(default_factory=list)
    answered: bool = False
    accepted: bool | None = None

    @classmethod
    def of(cls, events: Iterable[Event]) -> Transcript:
        """Take in the events of one transcript, the first of which stands in line 1."""
        run = cls()
        unanswered: list[Call] = []
        for line, event in enumerate(events, start=1):
            match event.type:  # by class it would take twice the time
                case "reply":
                    unanswered = run._add(line, event)[::-1]
                case "recovered":
                    # The model spelled these, and has seen what became of them.
                    reply = run.replies[-1].line if run.replies else line
                    unanswered = _calls(reply, event.turn, event.tool_calls)
                    run.calls += unanswered
                    unanswered.reverse()
                case "tool_result" if unanswered:
                    # Calls are answered in their order; ids are the model's, and may repeat.
                    call = unanswered.pop()
                    call.result, call.ok = event.content, event.ok
                case "started":
                    run.turns_allowed = event.budgets.turns if event.budgets else None
                    run.oracle_calls = event.oracle_calls
                case "prompt":
                    run.prompts.append(event.content)
                case "ended":
                    run.answered = event.budget is None
                case "graded":
                    run.accepted = event.passed
        return run

    def _add(self, line: int, reply: Reply) -> list[Call]:
        calls = _calls(line, reply.turn, reply.tool_calls)
        cut = reply.finish_reason == "length"
        self.replies.append(Said(reply.turn, line, reply.text, cut, reply.usage.output, calls))
        self.calls += calls
        return calls

    @property
    def answer(self) -> Said | None:
        """The reply that is the run's final answer; None where it never gave one."""
        if not self.answered or not self.replies or self.replies[-1].calls:
            return None
        return self.replies[-1]


def _calls(line: int, turn: int, calls: Iterable[ToolCall]) -> list[Call]:
    return [Call(turn, line, call.name, call.arguments) for call in calls]


def timeless(result: str | None) -> str | None:
    """A result without the durations in it, which no two calls share."""
    return result and _DURATION.sub("", result)
