"""Events and the checker's verdict -> exactly one of the four outcomes.

a fault, or no end at all           infrastructure_error, with its cause
a budget ran out                    gave_up, with which budget
the last reply was no valid turn    wrong_answer, whatever state it left
a leak was rescued                  wrong_answer, whatever came after; and, beside it, what it
                                    would have been, had the rescue counted
the checker rejects                 wrong_answer
the checker accepts                 pass
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from harness.records import (
    BudgetName,
    Cause,
    Ended,
    Event,
    Fault,
    Graded,
    OutcomeName,
    Prompt,
    Recovered,
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
    rescued: OutcomeName | None = None


def classify(events: Iterable[Event]) -> Classification:
    """The outcome that the events of one attempt amount to."""
    fault = ended = graded = None
    rescued = False
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
            case Recovered() | Prompt(nudge_after=int()):
                rescued = True
    names = tuple(sorted({signal.name for signal in signals}))
    if fault is not None:
        return Classification("infrastructure_error", cause=fault.cause, signals=names)
    if ended is None or graded is None:
        return Classification("infrastructure_error", cause="interrupted", signals=names)
    outcome = _of_its_own(ended, graded, signals)
    if rescued:
        return Classification("wrong_answer", signals=names, rescued=outcome)
    return Classification(outcome, budget=ended.budget, signals=names)


def _of_its_own(ended: Ended, graded: Graded, signals: Sequence[Signal]) -> OutcomeName:
    """What a run comes to that the world left alone."""
    if ended.budget is not None:
        return "gave_up"
    invalid = any(s.turn == ended.turn and s.name in NO_VALID_TURN for s in signals)
    return "pass" if graded.passed and not invalid else "wrong_answer"
