"""Query the task's database."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Annotated

from pydantic import Field

from harness.sandbox import Limits
from harness.tools import Bench, ToolError

SECONDS = 10.0
DATABASE = "/database/task.db"
"""Where the database is inside the sandbox."""


def sql(
    bench: Bench, query: Annotated[str, Field(description="one SELECT statement of SQLite")]
) -> str:
    """Query the SQLite database, read-only. Answers with a line of column names and a line a row.

    The tables are in sqlite_schema; PRAGMA table_info(name) describes one.
    """
    if bench.database is None:
        raise ToolError("this task has no database")
    # Whatever the query makes SQLite do, it does it in a process that can be killed, in a
    # folder that holds nothing else, on a file nobody can write.
    empty = bench.sandbox.make_workspace()
    try:
        result = bench.sandbox.run(
            ["python3", "-I", "-S", "-c", _runner(), DATABASE],
            empty,
            stdin=json.dumps(query).encode(),
            limits=Limits(seconds=SECONDS),
            read_only={DATABASE: bench.database},
        )
    finally:
        bench.sandbox.remove_workspace(empty)
    if result.stopped is not None:
        raise ToolError(f"the query was stopped: it took too much {result.stopped}")
    text = result.stdout.decode("utf-8", "replace")
    if result.exit_code != 0:
        reason = text.strip() or result.stderr.decode("utf-8", "replace").strip()[-300:]
        raise ToolError(reason or f"the database's process ended with {result.exit_code}")
    return text.rstrip("\n")


@cache
def _runner() -> str:
    return (Path(__file__).parent / "_sql_runner.py").read_text(encoding="utf-8")
