"""The number of lines in words.txt, which is what the command prints before the name."""

from harness.answers import shortened, the_number
from harness.records import Check, Verdict
from harness.task import FinishedRun


def check(run: FinishedRun) -> Verdict:
    """Accept the line count of the file as it was shipped, and no other number."""
    expected = run.pristine("words.txt").count("\n")
    answer = Check(
        name="answer",
        passed=the_number(run.answer) == expected,
        detail=f"expected {expected}, got: {shortened(run.answer)}",
    )
    return Verdict(checks=(answer,))
