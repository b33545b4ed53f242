"""How many tools runs called, by model and task: every run a dot."""

from __future__ import annotations

from verification.evidence import Evidence
from verification.plots._strips import Strips, by_task

STEM = "tool_calls_by_task"


def chart(evidence: Evidence) -> Strips:
    """Calls made, those that were answered with an error among them."""
    return by_task(evidence, "tool_calls", title="How many tool calls", unit="tool calls")
