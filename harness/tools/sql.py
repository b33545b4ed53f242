"""The tool that queries the task's database.

SQLite can spend minutes inside one step, where nothing in its own process can stop it: so each
query has a process of its own, in a fresh sandbox that holds the database read-only.
"""

from __future__ import annotations

from dataclasses import replace
from importlib.resources import files
from typing import Annotated

from pydantic import Field

from harness.errors import InfrastructureFault
from harness.tools import Bench, ToolError
from harness.tools.shell import why_stopped

DATABASE = "/database/task.db"
_SECONDS = 10.0
_LONGEST_QUERY = 20_000
_ANSWERED, _REFUSED, _KILLED = 0, 1, 128


def sql(
    bench: Bench,
    query: Annotated[str, Field(description="one SELECT statement in SQLite's dialect")],
) -> str:
    """Query the task's SQLite database, read-only. List its tables with
    SELECT name, sql FROM sqlite_schema."""
    if bench.database is None:
        raise ToolError("this task has no database")
    if "\0" in query:
        raise ToolError("a query cannot contain a NUL character")
    if len(query.encode()) > _LONGEST_QUERY:
        raise ToolError(f"the query is too long: at most {_LONGEST_QUERY} bytes")
    limits = replace(bench.limits, seconds=min(_SECONDS, bench.limits.seconds))
    result = bench.sandbox.run(
        ["python3", "-I", "-S", "-", DATABASE, query],
        bench.workspace,
        stdin=files(__package__).joinpath("_sql_runner.py").read_bytes(),
        limits=limits,
        read_only={DATABASE: bench.database},
    )
    printed = result.stdout.decode(errors="replace").removesuffix("\n")
    if result.exit_code == _ANSWERED:
        return printed
    if result.exit_code == _REFUSED and printed:
        raise ToolError(printed)
    if result.stopped:
        raise ToolError(f"the query was {why_stopped(result, limits)}")
    if result.exit_code is not None and result.exit_code > _KILLED:
        raise ToolError("the query made SQLite crash")
    said = result.stderr.decode(errors="replace").strip()[-500:]
    raise InfrastructureFault(
        "sandbox", f"no answer from SQLite (exit code {result.exit_code}): {said}"
    )
