"""How many turns runs took to their outcome, by model and outcome: every run a dot."""

from __future__ import annotations

import pandas as pd

from verification.evidence import Evidence
from verification.plots._bars import LOOKS
from verification.plots._strips import Strip, Strips, strip, strips

STEM = "turns_to_outcome"


def chart(evidence: Evidence) -> Strips:
    """Replies until the run ended; a strip for each outcome that the model had."""
    return strips(evidence, _by_outcome, title="How many turns to the outcome", unit="turns")


def _by_outcome(runs: pd.DataFrame) -> list[Strip]:
    groups = ((look.words, runs[runs["outcome"] == name]) for name, look in LOOKS.items())
    return [strip(words, some, "turns") for words, some in groups if len(some)]
