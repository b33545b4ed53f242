"""The number in the file that start.txt names, and no other number."""

import re

from harness.answers import shortened, the_number
from harness.records import Check, Verdict
from harness.task import FinishedRun


def check(run: FinishedRun) -> Verdict:
    """Follow the two files as they were shipped, and accept the number at the end."""
    (named,) = re.findall(r"\w+\.txt", run.pristine("start.txt"))
    expected = the_number(run.pristine(named))
    answer = Check(
        name="answer",
        passed=expected is not None and the_number(run.answer) == expected,
        detail=f"expected {expected}, got: {shortened(run.answer)}",
    )
    return Verdict(checks=(answer,))
