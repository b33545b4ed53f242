"""Exactly one outcome, and whose it was."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.outcome import classify
from harness.records import OUTCOMES, Check, Ended, Event, Fault, Graded, Signal, SignalName

ACCEPTED = Graded(checks=(Check(name="answer", passed=True, detail="25"),), seconds=0.1)
REJECTED = Graded(checks=(Check(name="answer", passed=False, detail="24"),), seconds=0.1)
ANSWERED = Ended(turn=2)
OUT_OF_TURNS = Ended(turn=15, budget="turns")
REFUSED = Fault(kind="refused", cause="unreachable", detail="refused")


def signal(name: SignalName, turn: int = 2) -> Signal:
    return Signal(turn=turn, name=name, detail="")


@pytest.mark.parametrize(
    ("events", "outcome", "cause", "budget"),
    [
        ([ANSWERED, ACCEPTED], "pass", None, None),
        ([ANSWERED, REJECTED], "wrong_answer", None, None),
        ([OUT_OF_TURNS, REJECTED], "gave_up", None, "turns"),
        ([OUT_OF_TURNS, ACCEPTED], "gave_up", None, "turns"),
        ([Ended(turn=3, budget="context"), REJECTED], "gave_up", None, "context"),
        ([REFUSED], "infrastructure_error", "unreachable", None),
        ([], "infrastructure_error", "interrupted", None),
        ([ANSWERED], "infrastructure_error", "interrupted", None),
        (
            [ANSWERED, Fault(kind="checker", cause="checker_crashed", detail="")],
            "infrastructure_error",
            "checker_crashed",
            None,
        ),
        ([signal("template_leakage"), ANSWERED, ACCEPTED], "wrong_answer", None, None),
        ([signal("token_ceiling"), ANSWERED, ACCEPTED], "wrong_answer", None, None),
        ([signal("malformed_tool_call"), ANSWERED, ACCEPTED], "wrong_answer", None, None),
        ([signal("malformed_tool_call", turn=1), ANSWERED, ACCEPTED], "pass", None, None),
        ([signal("empty_reply"), ANSWERED, ACCEPTED], "pass", None, None),
    ],
)
def test_events_amount_to_one_outcome(
    events: list[Event], outcome: str, cause: str | None, budget: str | None
) -> None:
    found = classify(events)
    assert (found.outcome, found.cause, found.budget) == (outcome, cause, budget)


@given(
    st.lists(
        st.sampled_from(
            [ACCEPTED, REJECTED, ANSWERED, OUT_OF_TURNS, REFUSED, signal("template_leakage")]
        )
    )
)
def test_infrastructure_never_becomes_a_score(events: list[Event]) -> None:
    found = classify(events)
    assert found.outcome in OUTCOMES
    assert (found.outcome == "infrastructure_error") == (found.cause is not None)
    if REFUSED in events:
        assert found.cause == "unreachable"
    assert (found.outcome == "gave_up") == (found.budget is not None)
