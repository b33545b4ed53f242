"""The number of readings above the limit, counted again from the file as it was given."""

from harness.answers import shortened, the_number
from harness.records import Check, Verdict
from harness.task import FinishedRun


def check(run: FinishedRun) -> Verdict:
    """Accept that number, in whatever sentence it stands, and no other."""
    readings = map(float, run.pristine("readings.csv").splitlines()[1:])
    expected = sum(reading > run.facts["limit"] for reading in readings)
    answer = Check(
        name="answer",
        passed=the_number(run.answer) == expected,
        detail=f"expected {expected}, got: {shortened(run.answer)}",
    )
    return Verdict(checks=(answer,))
