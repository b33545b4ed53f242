"""The number of rows in the table ``books``, counted again from the script that built it."""

import sqlite3
from contextlib import closing

from harness.answers import shortened, the_number
from harness.records import Check, Verdict
from harness.task import FinishedRun


def check(run: FinishedRun) -> Verdict:
    """Accept the row count, and no other number."""
    script = (run.task.folder / "database.sql").read_text(encoding="utf-8")
    with closing(sqlite3.connect(":memory:")) as database:
        database.executescript(script)
        (expected,) = database.execute("SELECT count(*) FROM books").fetchone()
    answer = Check(
        name="answer",
        passed=the_number(run.answer) == expected,
        detail=f"expected {expected}, got: {shortened(run.answer)}",
    )
    return Verdict(checks=(answer,))
