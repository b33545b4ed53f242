"""The line of diary.txt that holds the byte the instruction names, whole and exact."""

from harness.answers import bare, shortened
from harness.records import Check, Verdict
from harness.task import FinishedRun


def check(run: FinishedRun) -> Verdict:
    """Accept that line of the diary as it was shipped, and nothing more or less."""
    diary, byte = run.pristine("diary.txt").encode(), run.facts["byte"]
    start, end = diary.rfind(b"\n", 0, byte) + 1, diary.find(b"\n", byte)
    expected = bare(diary[start:end].decode())
    answer = Check(
        name="answer",
        passed=bare(run.answer) == expected,
        detail=f"expected {expected}, got: {shortened(run.answer)}",
    )
    return Verdict(checks=(answer,))
