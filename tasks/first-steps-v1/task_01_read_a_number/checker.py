"""The one number in count.txt."""

from harness.answers import shortened, the_number
from harness.records import Check, Verdict
from harness.task import FinishedRun


def check(run: FinishedRun) -> Verdict:
    """Accept the number in the file as it was shipped, and no other."""
    expected = the_number(run.pristine("count.txt"))
    answer = Check(
        name="answer",
        passed=expected is not None and the_number(run.answer) == expected,
        detail=f"expected {expected}, got: {shortened(run.answer)}",
    )
    return Verdict(checks=(answer,))
