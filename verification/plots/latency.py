"""How long runs took, by model and task: every run a dot."""

from __future__ import annotations

from verification.evidence import Evidence
from verification.plots._strips import Strips, by_task

STEM = "latency_distribution"


def chart(evidence: Evidence) -> Strips:
    """Seconds from the empty workspace to the outcome, without the waiting for an outage or a
    limit, as in ``runs.csv``."""
    return by_task(evidence, "seconds", title="How long the runs took", unit="seconds")
