"""Runs one query, as a program of its own inside the sandbox: nothing here imports Fairtrial.

The database's path is the first argument, the query is JSON on stdin, the answer goes to stdout.
An error of SQLite's is printed and ends with exit code 1. Reading only is held three times: by
the sandbox's read-only file, by SQLite's open mode, and by an authorizer that knows what it
allows instead of what it forbids.
"""

import json
import sqlite3
import sys
from typing import Any

MOST_ROWS = 200
LONGEST_CELL = 2_000
LONGEST_ANSWER = 32 * 1024

PRAGMAS = {
    "table_info",
    "table_xinfo",
    "table_list",
    "index_list",
    "index_info",
    "index_xinfo",
    "foreign_key_list",
}
FORBIDDEN_FUNCTIONS = {
    "load_extension",
    "readfile",
    "writefile",
    "edit",
    "fts3_tokenizer",
    "zeroblob",
    "randomblob",
}
LIMITS = {
    sqlite3.SQLITE_LIMIT_LENGTH: 1_000_000,
    sqlite3.SQLITE_LIMIT_SQL_LENGTH: 20_000,
    sqlite3.SQLITE_LIMIT_ATTACHED: 0,
    sqlite3.SQLITE_LIMIT_EXPR_DEPTH: 100,
    sqlite3.SQLITE_LIMIT_COMPOUND_SELECT: 20,
    sqlite3.SQLITE_LIMIT_COLUMN: 200,
    sqlite3.SQLITE_LIMIT_VDBE_OP: 50_000,
}
SETTINGS = (
    "PRAGMA query_only = ON",
    "PRAGMA trusted_schema = OFF",
    "PRAGMA temp_store = MEMORY",
    "PRAGMA mmap_size = 0",
    "PRAGMA cell_size_check = ON",
    "PRAGMA hard_heap_limit = 67108864",
)


def main() -> None:
    """Answer the query on stdin."""
    query = json.load(sys.stdin)
    try:
        cursor = connect(sys.argv[1]).execute(query)
        answer = table(cursor)
    except (sqlite3.Error, sqlite3.Warning, MemoryError, UnicodeError) as error:
        print(f"{error or 'out of memory'}")
        sys.exit(1)
    print(answer)


def connect(path: str) -> sqlite3.Connection:
    """The database, opened for reading and locked down."""
    connection = sqlite3.connect(f"file:{path}?mode=ro&immutable=1", uri=True)
    for limit, value in LIMITS.items():
        connection.setlimit(limit, value)
    for setting in SETTINGS:
        connection.execute(setting)
    # Touched while it is still allowed, since to use one the first time is to declare it.
    connection.execute("SELECT * FROM json_each('[]'), json_tree('[]')").fetchall()
    for pragma in sorted(PRAGMAS - {"table_list"}):
        connection.execute(f"SELECT * FROM pragma_{pragma}('')").fetchall()
    connection.execute("SELECT * FROM pragma_table_list").fetchall()
    connection.set_authorizer(authorize)
    return connection


def authorize(action: int, first: Any, second: Any, *_: Any) -> int:
    """Allow reading, the functions that are not forbidden, and pragmas that only describe."""
    if action in (sqlite3.SQLITE_SELECT, sqlite3.SQLITE_READ, sqlite3.SQLITE_RECURSIVE):
        return sqlite3.SQLITE_OK
    if action == sqlite3.SQLITE_FUNCTION and str(second).lower() not in FORBIDDEN_FUNCTIONS:
        return sqlite3.SQLITE_OK
    if action == sqlite3.SQLITE_PRAGMA and str(first).lower() in PRAGMAS:
        return sqlite3.SQLITE_OK
    return sqlite3.SQLITE_DENY


def table(cursor: sqlite3.Cursor) -> str:
    """Column names and rows, a line each; what does not fit is counted or cut, and said so."""
    if cursor.description is None:
        return "no rows: the statement was no query"
    lines = [" | ".join(str(column[0]) for column in cursor.description)]
    size = len(lines[0])
    rows = cursor.fetchmany(MOST_ROWS + 1)
    for row in rows[:MOST_ROWS]:
        line = " | ".join(map(cell, row))
        size += len(line) + 1
        if size > LONGEST_ANSWER:
            lines.append(f"[the answer is longer than {LONGEST_ANSWER} characters: ask for less]")
            return "\n".join(lines)
        lines.append(line)
    if len(rows) > MOST_ROWS:
        lines.append(f"[only the first {MOST_ROWS} rows are shown]")
    if not rows:
        lines.append("[no rows]")
    return "\n".join(lines)


def cell(value: Any) -> str:
    """One value on one line."""
    if value is None:
        return "NULL"
    if isinstance(value, bytes):
        return f"X'{value[: LONGEST_CELL // 2].hex()}'"
    text = str(value).replace("\r", "\\r").replace("\n", "\\n")
    return text if len(text) <= LONGEST_CELL else f"{text[:LONGEST_CELL]}[...]"


main()
