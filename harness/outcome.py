"""Events and the checker's verdict -> exactly one of the four outcomes.

a fault, or no end at all           infrastructure_error, with its cause
a budget ran out                    gave_up, with which budget
the last reply was no valid turn    wrong_answer, whatever state it left
the checker rejects                 wrong_answer
the checker accepts                 pass
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from harness.records import (
    BudgetName,
    Cause,
    Ended,
    Event,
    Fault,
    Graded,
    OutcomeName,
    Signal,
    SignalName,
)

NO_VALID_TURN: frozenset[SignalName] = frozenset(
    {"template_leakage", "token_ceiling", "malformed_tool_call"}
)
"""Signals that make a last reply no answer: markup as text, or text without end."""


class Classification(NamedTuple):
    """An outcome and what goes with it."""

    outcome: OutcomeName
    cause: Cause | None = None
    budget: BudgetName | None = None
    signals: tuple[SignalName, ...] = ()


def classify(events: Iterable[Event]) -> Classification:
    """The outcome that the events of one attempt amount to."""
    fault = ended = graded = None
    signals: list[Signal] = []
    for event in events:
        match event:
            case Fault():
                fault = event
            case Ended():
                ended = event
            case Graded():
                graded = event
            case Signal():
                signals.append(event)
    names = tuple(sorted({signal.name for signal in signals}))
    if fault is not None:
        return Classification("infrastructure_error", cause=fault.cause, signals=names)
    if ended is None or graded is None:
        return Classification("infrastructure_error", cause="interrupted", signals=names)
    if ended.budget is not None:
        return Classification("gave_up", budget=ended.budget, signals=names)
    invalid = any(s.turn == ended.turn and s.name in NO_VALID_TURN for s in signals)
    passed = graded.passed and not invalid
    return Classification("pass" if passed else "wrong_answer", signals=names)
