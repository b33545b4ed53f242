"""Where Inspect and Fairtrial have a word for the same thing, for the way out and the way in."""

from __future__ import annotations

from typing import Literal

from harness.records import BudgetName, FinishReason

OURS = "fairtrial"
"""The key of a sample's metadata under which a log that we wrote holds what Inspect has no word
for."""

CHECKER = "checker"
"""The scorer of a log that we wrote."""

StopReason = Literal[
    "stop", "max_tokens", "model_length", "tool_calls", "content_filter", "unknown"
]
STOP_REASON: dict[FinishReason, StopReason] = {
    "stop": "stop",
    "tool_calls": "tool_calls",
    "length": "max_tokens",
    "context": "model_length",
    "filtered": "content_filter",
}

LimitType = Literal["context", "time", "working", "message", "token", "turn", "cost"]
LIMIT: dict[BudgetName, LimitType] = {
    "turns": "turn",
    "context": "context",
    "clock": "working",
    "tokens": "token",
    "cost": "cost",
}
BUDGET: dict[str, BudgetName] = {
    **{limit: budget for budget, limit in LIMIT.items()},
    "message": "turns",
    "time": "clock",
}
"""Inspect counts messages where we count turns, and has two clocks."""
