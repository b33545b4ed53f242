"""Answers one query on one SQLite file, inside a sandbox: python3 -I - FILE QUERY.

Prints a table and exits with 0, or prints what is wrong with the query and exits with 1. Any
other end is no answer. It does not rest on the sandbox alone: the file is opened so that it
cannot change, and the query may only read, within bounds.
"""

import sqlite3
import sys

ROWS = 200
CELL = 2_000
OUTPUT = 32 * 1024

SETTINGS = """
    PRAGMA hard_heap_limit = 67108864;
    PRAGMA query_only = ON;
    PRAGMA trusted_schema = OFF;
    PRAGMA temp_store = MEMORY;
    PRAGMA mmap_size = 0;
    PRAGMA cell_size_check = ON;
"""
LIMITS = {
    sqlite3.SQLITE_LIMIT_LENGTH: 1_000_000,
    sqlite3.SQLITE_LIMIT_SQL_LENGTH: 20_000,
    sqlite3.SQLITE_LIMIT_ATTACHED: 0,
    sqlite3.SQLITE_LIMIT_EXPR_DEPTH: 100,
    sqlite3.SQLITE_LIMIT_COMPOUND_SELECT: 20,
    sqlite3.SQLITE_LIMIT_COLUMN: 200,
    sqlite3.SQLITE_LIMIT_VDBE_OP: 50_000,
}
PRAGMAS = (
    "foreign_key_list",
    "index_info",
    "index_list",
    "index_xinfo",
    "table_info",
    "table_list",
    "table_xinfo",
)
TABLE_FUNCTIONS = ("json_each('[]')", "json_tree('[]')", *(f"pragma_{name}" for name in PRAGMAS))
READING = {
    sqlite3.SQLITE_SELECT,
    sqlite3.SQLITE_READ,
    sqlite3.SQLITE_RECURSIVE,
}
# Chance cannot be replayed; the others reach out of the database.
FORBIDDEN_FUNCTIONS = {
    "edit",
    "fts3_tokenizer",
    "load_extension",
    "random",
    "randomblob",
    "readfile",
    "writefile",
}


def main(file: str, query: str) -> int:
    connection = sqlite3.connect(f"file:{file}?mode=ro&immutable=1", uri=True)
    prepare(connection)
    try:
        cursor = connection.execute(query)
        if cursor.description is None:
            raise sqlite3.ProgrammingError("no result: give one SELECT")
        say(table(cursor))
    except (sqlite3.Error, sqlite3.Warning) as error:
        say(explain(str(error)))
        return 1
    except UnicodeError:
        say("an error whose text is no UTF-8")
        return 1
    except MemoryError:
        say("the query needs more memory than it may have")
        return 1
    return 0


def prepare(connection: sqlite3.Connection) -> None:
    connection.text_factory = lambda value: value.decode(errors="replace")
    connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()
    connection.executescript(SETTINGS)
    for limit, value in LIMITS.items():
        connection.setlimit(limit, value)
    # Their first use makes a table in memory, which the authorizer would refuse.
    for function in TABLE_FUNCTIONS:
        connection.execute(f"SELECT * FROM {function}").fetchall()
    connection.set_authorizer(authorize)


def authorize(
    action: int, first: str | None, second: str | None, database: str | None, source: str | None
) -> int:
    allowed = (
        action in READING
        or (action == sqlite3.SQLITE_FUNCTION and second not in FORBIDDEN_FUNCTIONS)
        or (action == sqlite3.SQLITE_PRAGMA and first in PRAGMAS)
    )
    return sqlite3.SQLITE_OK if allowed else sqlite3.SQLITE_DENY


def table(cursor: sqlite3.Cursor) -> str:
    """The first rows, as many as there is room for, one a line, with a note on the rest."""
    lines = [" | ".join(cell(column[0]) for column in cursor.description)]
    size = len(lines[0].encode())
    for number, row in enumerate(cursor):
        line = " | ".join(map(cell, row))
        size += len(line.encode()) + 1
        if number == ROWS or size > OUTPUT:
            lines.append(f"[only the first {number} rows are shown; narrow the query]")
            break
        lines.append(line)
    else:
        count = len(lines) - 1
        lines.append(f"({count} row{'' if count == 1 else 's'})")
    return "\n".join(lines)


def cell(value: object) -> str:
    if value is None:
        return "NULL"
    text = f"x'{value[:CELL].hex()}'" if isinstance(value, bytes) else str(value)
    if len(text) > CELL:
        text = f"{text[:CELL]}[cut]"
    # A line break would look like another row, and control characters like anything at all.
    return "".join(c if c.isprintable() else repr(c)[1:-1] for c in text)


def explain(error: str) -> str:
    if "authorized" in error or "prohibited" in error or "readonly" in error:
        pragmas = ", ".join(PRAGMAS)
        return f"{error}: the database can only be read, with SELECT or PRAGMA {pragmas}"
    return error


def say(text: str) -> None:
    sys.stdout.buffer.write(f"{text}\n".encode(errors="replace"))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[2]))
