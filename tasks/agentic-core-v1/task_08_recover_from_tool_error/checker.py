"""The line of diary.txt that holds the byte the instruction names, whole and exact."""

from harness.answers import bare, shortened
from harness.records import Check, Verdict
from harness.task import FinishedRun

BYTE = 50081
"""The second of a character's three bytes, so that counting from 0 or 1 leads to one line."""


def check(run: FinishedRun) -> Verdict:
    """Accept that line of the diary as it was shipped, and nothing more or less."""
    diary = run.pristine("diary.txt").encode()
    start, end = diary.rfind(b"\n", 0, BYTE) + 1, diary.find(b"\n", BYTE)
    expected = bare(diary[start:end].decode())
    answer = Check(
        name="answer",
        passed=bare(run.answer) == expected,
        detail=f"expected {expected}, got: {shortened(run.answer)}",
    )
    return Verdict(checks=(answer,))
