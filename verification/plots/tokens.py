"""How many tokens runs took, by model: read, of these from a cache, and written."""

from __future__ import annotations

import pandas as pd

from verification.evidence import Evidence
from verification.plots._strips import Strip, Strips, strip, strips

STEM = "tokens_by_model"

ROWS = {
    "in": "tokens_input",
    "of these cached": "tokens_cached",
    "out": "tokens_output",
}


def chart(evidence: Evidence) -> Strips:
    """Tokens of all replies of a run; those in include those cached."""
    return strips(evidence, _by_way, title="How many tokens a run", unit="tokens")


def _by_way(runs: pd.DataFrame) -> list[Strip]:
    return [strip(label, runs, column) for label, column in ROWS.items()]
