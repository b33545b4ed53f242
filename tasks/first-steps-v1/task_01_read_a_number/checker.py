"""The number of apples that count.txt gives, and no other number."""

from harness.answers import shortened, the_number
from harness.records import Check, Verdict
from harness.task import FinishedRun


def check(run: FinishedRun) -> Verdict:
    """Accept the one number after ``apples:`` in the file as it was shipped."""
    counts = dict(line.split(": ") for line in run.pristine("count.txt").splitlines())
    answer = Check(
        name="answer",
        passed=the_number(run.answer) == int(counts["apples"]),
        detail=f"expected {counts['apples']}, got: {shortened(run.answer)}",
    )
    return Verdict(checks=(answer,))
