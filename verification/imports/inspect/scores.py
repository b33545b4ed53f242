"""What a scorer's value says: passed, or not."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from inspect_ai.scorer import Score

from harness.errors import BadInput

WORDS = {"C": 1.0, "P": 0.5, "I": 0.0, "N": 0.0, "yes": 1.0, "true": 1.0, "no": 0.0, "false": 0.0}
"""What Inspect's own ``value_to_float`` takes these words for. It takes any other for 0 too."""


def values(scores: Mapping[str, Score] | None) -> dict[str, object]:
    """Values by scorer; one that is a table of values counts as ``<scorer>.<key>`` each."""
    flat: dict[str, object] = {}
    for name, score in (scores or {}).items():
        if isinstance(score.value, Mapping):
            flat |= {f"{name}.{key}": value for key, value in score.value.items()}
        else:
            flat[name] = score.value
    return flat


@dataclass(frozen=True)
class Rule:
    """Which score of a log decides, and from which value on a run has passed."""

    log: str
    scorer: str
    pass_at: float | None

    def passed(self, scores: Mapping[str, Score] | None) -> bool | None:
        """Whether a sample passed; None where it has no score, which is no failure.

        Raises BadInput for a value that is neither right nor wrong, where ``pass_at`` is not set.
        """
        value = values(scores).get(self.scorer)
        number = self._number(value)
        if number is None or math.isnan(number):
            return None
        if self.pass_at is not None:
            return number >= self.pass_at
        if number not in (0.0, 1.0):
            raise BadInput(
                f"{self.log}: {self.scorer} gave {value!r}, neither right nor wrong; "
                "say with --pass-at from which value on a run has passed"
            )
        return number == 1.0

    def explanation(self, scores: Mapping[str, Score] | None) -> str:
        """What the scorer said of its value, in its own words."""
        for name, score in (scores or {}).items():
            if self.scorer == name or self.scorer.startswith(f"{name}."):
                return score.explanation or str(score.value)
        return ""

    def _number(self, value: object) -> float | None:
        match value:
            case None:
                return None
            case bool() | int() | float():
                return float(value)
            case str() if (word := WORDS.get(value, WORDS.get(value.lower()))) is not None:
                return word
            case str():
                try:
                    return float(value)
                except ValueError:
                    pass
        raise BadInput(f"{self.log}: {self.scorer} gave {value!r}, which is no number")
