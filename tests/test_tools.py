"""What the tools say to a model, and what a hostile query or call comes to."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from harness.errors import InfrastructureFault
from harness.records import Signal, ToolCall, ToolResult
from harness.sandbox import LONGEST_ARGUMENT, Limits, Sandbox, make
from harness.toolbox import Toolbox, schemas
from harness.tools import Bench, ToolError, tool_names
from harness.tools.fs_read import MOST as MOST_READ
from harness.tools.fs_read import fs_read
from harness.tools.shell import MOST as MOST_PRINTED
from harness.tools.shell import shell
from harness.tools.sql import sql
from harness.workspace import list_files
from tests.waiting import HANGS

SCHEMA = """
    CREATE TABLE books (title TEXT, year INTEGER, cover BLOB);
    INSERT INTO books VALUES ('Čapek | R.U.R.', 1920, NULL);
    INSERT INTO books VALUES ('two' || char(10) || 'lines', 2, x'00ff');
    CREATE INDEX by_year ON books (year);
    CREATE VIEW old AS SELECT title FROM books WHERE year < 1950;
    CREATE VIRTUAL TABLE words USING fts5(word);
    INSERT INTO words VALUES ('robot');
    CREATE TABLE numbers (n INTEGER);
    WITH RECURSIVE up(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM up WHERE n < 3000)
    INSERT INTO numbers SELECT n FROM up;
"""


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    made = make("bubblewrap")
    try:
        made.open()
        yield made
    finally:
        made.close()


@pytest.fixture(scope="module")
def database(sandbox: Sandbox) -> Path:
    path = sandbox.make_workspace() / "task.db"
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript(SCHEMA)
        connection.commit()
    path.chmod(0o444)
    return path


@pytest.fixture
def bench(sandbox: Sandbox, database: Path) -> Iterator[Bench]:
    workspace = sandbox.make_workspace()
    yield Bench(workspace, sandbox, Limits(seconds=HANGS), database)
    sandbox.remove_workspace(workspace)


def put(bench: Bench, content: str | bytes, name: str = "file") -> None:
    data = content.encode() if isinstance(content, str) else content
    (bench.workspace / name).write_bytes(data)
    bench.sandbox.adopt(bench.workspace)


# fs_read

MIXED = "aé日😀z"  # characters begin at bytes 0, 1, 3, 6, 10; 11 bytes in all


@pytest.mark.parametrize(
    ("offset", "length", "expected"),
    [
        (None, None, MIXED),
        (0, 1, "a"),
        (1, 2, "é"),
        (3, 7, "日😀"),
        (6, None, "😀z"),
        (10, 500, "z"),
    ],
)
def test_a_range_between_characters_is_read(
    bench: Bench, offset: int | None, length: int | None, expected: str
) -> None:
    put(bench, MIXED)
    assert fs_read(bench, "file", offset, length) == expected


@pytest.mark.parametrize(
    ("offset", "length", "verb", "begin", "size"),
    [
        (2, 1, "begins", 1, 2),
        (4, 2, "begins", 3, 3),
        (5, 1, "begins", 3, 3),
        (9, None, "begins", 6, 4),
        (0, 2, "ends", 1, 2),
        (3, 1, "ends", 3, 3),
        (3, 5, "ends", 6, 4),
        (6, 3, "ends", 6, 4),
    ],
)
def test_a_range_that_splits_a_character_says_where_the_character_is(
    bench: Bench, offset: int, length: int | None, verb: str, begin: int, size: int
) -> None:
    put(bench, MIXED)
    with pytest.raises(ToolError) as error:
        fs_read(bench, "file", offset, length)
    said = str(error.value)
    assert f"the range {verb} inside a character" in said
    assert f"begins at byte {begin} and is {size} bytes long" in said
    assert f"ends before byte {begin + size}" in said


@given(
    text=st.text(st.characters(exclude_categories=["Cs"]), max_size=30),
    offset=st.integers(0, 40),
    length=st.integers(1, 40),
)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_a_range_is_read_exactly_where_it_splits_no_character(
    bench: Bench, text: str, offset: int, length: int
) -> None:
    data = text.encode()
    (bench.workspace / "any").write_bytes(data)
    try:
        expected: str | None = data[offset : offset + length].decode()
    except UnicodeDecodeError:
        expected = None
    if offset >= len(data) and offset:
        expected = None
    try:
        found: str | None = fs_read(bench, "any", offset, length)
    except ToolError:
        found = None
    assert found == expected


def test_a_file_that_is_no_text_says_at_which_byte(bench: Bench) -> None:
    put(bench, b"good \xff bad")
    with pytest.raises(ToolError, match=r"not UTF-8 text: byte 5 \(0xff\)"):
        fs_read(bench, "file")
    with pytest.raises(ToolError, match="byte 5"):
        fs_read(bench, "file", 3, 4)


def test_a_long_file_is_read_in_parts_that_join_without_a_gap(bench: Bench) -> None:
    text = "日本語" * 9_000
    put(bench, text)
    first = fs_read(bench, "file")
    shown, note = first.rsplit("\n", 1)
    end = len(shown.encode())
    assert MOST_READ - 3 <= end <= MOST_READ
    assert note == f"[bytes 0 to {end} of {len(text.encode())}; read on with offset {end}]"
    rest = ""
    while note.startswith("["):
        part = fs_read(bench, "file", len((shown + rest).encode()))
        body, note = part.rsplit("\n", 1) if part.endswith("]") else (part, "")
        rest += body
    assert shown + rest == text


def test_an_offset_past_the_end_says_how_long_the_file_is(bench: Bench) -> None:
    put(bench, MIXED)
    with pytest.raises(ToolError, match="has 11 bytes, so there is none at offset 11"):
        fs_read(bench, "file", 11)


def test_a_link_that_a_command_made_to_the_host_is_not_followed(bench: Bench) -> None:
    shell(bench, "ln -s /etc/passwd stolen; ln -s / root; mkfifo pipe")
    for path in ("stolen", "root/etc/passwd", "pipe", "../../etc/passwd"):
        with pytest.raises(ToolError):
            fs_read(bench, path)


# shell


@pytest.mark.parametrize(
    ("command", "expected"),
    [
        ("echo out", "exit code: 0\nstdout:\nout"),
        ("echo err >&2; exit 3", "exit code: 3\nstderr:\nerr"),
        ("echo out; echo err >&2", "exit code: 0\nstdout:\nout\nstderr:\nerr"),
        ("true", "exit code: 0\n(no output)"),
        ("kill -9 $$", "exit code: 137\n(no output)"),
        (r"printf 'a\377b\033[31m'", "exit code: 0\nstdout:\na\ufffdb\x1b[31m"),
    ],
)
def test_a_command_is_answered_in_a_fixed_form(bench: Bench, command: str, expected: str) -> None:
    assert shell(bench, command) == expected


def test_long_output_keeps_its_beginning_and_its_end(bench: Bench) -> None:
    said = shell(bench, "seq 1 20000")
    assert said.startswith("exit code: 0\nstdout:\n1\n2\n3\n")
    assert said.endswith("\n19999\n20000")
    full = len("".join(f"{n}\n" for n in range(1, 20_001)))
    assert f"\n[{full - MOST_PRINTED} characters left out]\n" in said


@pytest.mark.parametrize(
    ("command", "limits", "said"),
    [
        ("echo a; sleep 60", Limits(seconds=3), "stopped after 3 seconds\nstdout:\na"),
        ("yes", Limits(output_bytes=4), "stopped: it printed more than 4 bytes\nstdout:\ny\ny"),
        ("touch 1 2 3", Limits(files=2), "stopped: the workspace grew over 256 MiB or 2 files"),
    ],
)
def test_a_stopped_command_says_which_limit_it_met(
    bench: Bench, command: str, limits: Limits, said: str
) -> None:
    with pytest.raises(ToolError) as error:
        shell(replace(bench, limits=limits), command)
    assert str(error.value).startswith(said)


@pytest.mark.parametrize("command", ["echo \0", "x" * (LONGEST_ARGUMENT + 1), "é" * 70_000])
def test_a_command_that_cannot_be_run_is_the_models_error(bench: Bench, command: str) -> None:
    with pytest.raises(ToolError, match="command"):
        shell(bench, command)


# sql

ANSWERED = {
    "SELECT title, year, cover FROM books ORDER BY year DESC": (
        "title | year | cover\nČapek | R.U.R. | 1920 | NULL\ntwo\\nlines | 2 | x'00ff'\n(2 rows)"
    ),
    "SELECT * FROM old WHERE 0": "title\n(0 rows)",
    "SELECT count(*) AS n FROM old": "n\n2\n(1 row)",
    "SELECT name FROM sqlite_schema WHERE type = 'view'": "name\nold\n(1 row)",
    "SELECT name, type t FROM pragma_table_info('books') LIMIT 1": (
        "name | t\ntitle | TEXT\n(1 row)"
    ),
    "PRAGMA index_list(books)": (
        "seq | name | unique | origin | partial\n0 | by_year | 0 | c | 0\n(1 row)"
    ),
    "SELECT value FROM json_each('[1,2]')": "value\n1\n2\n(2 rows)",
    "WITH RECURSIVE c(x) AS (SELECT 1 UNION SELECT x+1 FROM c WHERE x<3) SELECT max(x) m FROM c": (
        "m\n3\n(1 row)"
    ),
    "SELECT char(27) || '[31m' AS red": "red\n\\x1b[31m\n(1 row)",
    "SELECT cast(x'ff41' AS TEXT) AS t": "t\n\ufffdA\n(1 row)",
}


@pytest.mark.parametrize("query", ANSWERED)
def test_a_query_is_answered_with_a_table(bench: Bench, query: str) -> None:
    assert sql(bench, query) == ANSWERED[query]


WRITTEN = "only be read"
ATTACKS = {
    "ATTACH '/workspace/new.db' AS other": WRITTEN,
    "ATTACH ':memory:' AS other": WRITTEN,
    "DETACH main": WRITTEN,
    "VACUUM": "authoriz",
    "VACUUM INTO '/workspace/copy.db'": "authoriz",
    "INSERT INTO numbers VALUES (1)": WRITTEN,
    "UPDATE books SET year = 0": WRITTEN,
    "DELETE FROM books": WRITTEN,
    "DROP TABLE books": WRITTEN,
    "CREATE TABLE mine (x)": WRITTEN,
    "CREATE TEMP TABLE mine (x)": WRITTEN,
    "CREATE TEMP TRIGGER t AFTER INSERT ON books BEGIN SELECT 1; END": WRITTEN,
    "CREATE VIRTUAL TABLE mine USING fts5(x)": WRITTEN,
    "CREATE VIRTUAL TABLE mine USING rtree(id, a, b)": WRITTEN,
    "ALTER TABLE books RENAME TO mine": WRITTEN,
    "REINDEX": "authoriz|no result",
    "ANALYZE": WRITTEN,
    "BEGIN EXCLUSIVE": WRITTEN,
    "SAVEPOINT s": WRITTEN,
    "PRAGMA query_only = 0": WRITTEN,
    "PRAGMA journal_mode = WAL": WRITTEN,
    "PRAGMA writable_schema = 1": WRITTEN,
    "PRAGMA hard_heap_limit = 0": WRITTEN,
    "PRAGMA temp_store_directory = '/workspace'": WRITTEN,
    "PRAGMA database_list": WRITTEN,
    "SELECT * FROM pragma_database_list": WRITTEN,
    "SELECT load_extension('/workspace/x.so')": "not authorized",
    "SELECT fts3_tokenizer('x', x'00')": "not authorized|no such function",
    "SELECT readfile('/etc/passwd')": "not authorized|no such function",
    "SELECT writefile('/workspace/x', 'x')": "not authorized|no such function",
    "SELECT edit('x')": "not authorized|no such function",
    "SELECT random()": "not authorized",
    "SELECT hex(randomblob(8))": "not authorized",
    "SELECT zeroblob(100000000)": "too big",
    "SELECT replace(hex(zeroblob(400000)), '0', hex(zeroblob(400000)))": "too big",
    "SELECT group_concat(hex(zeroblob(40000))) FROM numbers": "too big",
    "SELECT 1; DROP TABLE books": "one statement",
    "SELECT 1; SELECT 2": "one statement",
    "": "one SELECT",
    "-- nothing": "one SELECT",
    "SELECT \0": "NUL",
    "SELECT * FROM missing": "no such table: missing",
    "SELEKT": "syntax error",
    "SELECT " + "(" * 2000 + "1" + ")" * 2000: "too|overflow",
    "SELECT " + "+".join("1" * 1000): "Expression tree is too large",
    "SELECT " + ",".join("1" * 1000): "too many columns",
    " UNION ALL ".join(["SELECT 1"] * 100): "too many terms",
    "SELECT '" + "x" * 30_000 + "'": "too long",
}


@pytest.mark.parametrize("query", ATTACKS, ids=lambda query: repr(query[:60]))
def test_an_attack_on_the_database_is_refused_and_leaves_nothing(bench: Bench, query: str) -> None:
    assert bench.database is not None
    before = bench.database.read_bytes()
    with pytest.raises(ToolError, match=ATTACKS[query]):
        sql(bench, query)
    assert bench.database.read_bytes() == before
    assert list_files(bench.database.parent) == ["task.db"]
    assert list_files(bench.workspace) == []


BOMBS = (
    "WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x+1 FROM c) SELECT count(*) FROM c",
    "SELECT count(*) FROM numbers a, numbers b, numbers c",
    "SELECT max(length(printf('%.900000f', a.n))) FROM numbers a, numbers b",
)


@pytest.mark.parametrize("query", BOMBS)
def test_a_query_that_would_run_for_ever_is_stopped(bench: Bench, query: str) -> None:
    with pytest.raises(ToolError, match="the query was stopped after 1 seconds"):
        sql(replace(bench, limits=Limits(seconds=1)), query)


def test_a_query_that_needs_too_much_memory_is_refused(bench: Bench) -> None:
    query = "SELECT count(DISTINCT hex(zeroblob(300000)) || a.n) FROM numbers a"
    with pytest.raises(ToolError, match="memory"):
        sql(bench, query)


def test_an_error_that_sqlite_words_in_no_utf8_is_the_models_error(bench: Bench) -> None:
    with pytest.raises(ToolError):
        sql(bench, "SELECT json_extract('{}', CAST(x'24ff' AS TEXT))")


def test_a_huge_result_is_cut_and_says_so(bench: Bench) -> None:
    lines = sql(bench, "SELECT n FROM numbers").split("\n")
    assert lines[0] == "n"
    assert lines[1:-1] == [str(n) for n in range(1, 201)]
    assert lines[-1] == "[only the first 200 rows are shown; narrow the query]"


def test_wide_cells_and_rows_are_cut(bench: Bench) -> None:
    wide = sql(bench, "SELECT hex(zeroblob(400000)) AS x")
    assert wide == f"x\n{'0' * 2000}[cut]\n(1 row)"
    many = sql(bench, "SELECT hex(zeroblob(900)) AS x FROM numbers")
    assert len(many.encode()) < 33 * 1024
    assert many.endswith("[only the first 18 rows are shown; narrow the query]")


def test_what_the_model_left_in_its_workspace_does_not_change_an_answer(bench: Bench) -> None:
    for name in ("sqlite3.py", "sys.py", "sitecustomize.py", "usercustomize.py"):
        put(bench, "print('mine')\nraise SystemExit(0)\n", name)
    put(bench, "#!/bin/sh\necho mine\n", "python3")
    shell(bench, "chmod +x python3")
    assert sql(bench, "SELECT 1 AS one") == "one\n1\n(1 row)"


def test_a_task_without_a_database_says_so(bench: Bench) -> None:
    with pytest.raises(ToolError, match="no database"):
        sql(replace(bench, database=None), "SELECT 1")


def test_a_database_that_cannot_be_read_is_not_the_models_fault(
    bench: Bench, tmp_path: Path
) -> None:
    broken = bench.sandbox.make_workspace() / "task.db"
    broken.write_bytes(b"this is no database" * 100)
    with pytest.raises(InfrastructureFault, match="not a database"):
        sql(replace(bench, database=broken), "SELECT 1")


# The toolbox


def call(bench: Bench, name: str, arguments: str) -> tuple[ToolResult, Signal | None]:
    toolbox = Toolbox(["fs_read", "shell"], bench)
    return toolbox.call(3, ToolCall(id="c1", name=name, arguments=arguments))


def test_every_tool_is_found_by_its_file() -> None:
    assert tool_names() == ["fs_read", "shell", "sql"]


def test_a_tools_schema_comes_from_its_function() -> None:
    (schema,) = schemas(["fs_read"])
    assert schema.name == "fs_read"
    assert schema.description == fs_read.__doc__
    assert list(schema.parameters["properties"]) == ["path", "offset", "length"]
    assert schema.parameters["properties"]["offset"] == {
        "type": "integer",
        "minimum": 0,
        "description": "first byte to read, from 0",
    }
    assert schema.parameters["required"] == ["path"]
    assert schema.parameters["additionalProperties"] is False


def test_a_call_is_answered_under_its_own_id_and_turn(bench: Bench) -> None:
    put(bench, "hello")
    result, signal = call(bench, "fs_read", '{"path": "file", "offset": null}')
    assert result.model_dump(exclude={"seconds"}) == {
        "type": "tool_result",
        "turn": 3,
        "call_id": "c1",
        "name": "fs_read",
        "content": "hello",
        "ok": True,
    }
    assert signal is None


def test_an_ordinary_failure_is_an_answer_and_no_signal(bench: Bench) -> None:
    result, signal = call(bench, "fs_read", '{"path": "nothing"}')
    assert (result.ok, result.content) == (False, "error: nothing: no such file or directory")
    assert signal is None


def test_an_unknown_tool_is_answered_with_the_known_ones(bench: Bench) -> None:
    result, signal = call(bench, "sql", '{"query": "SELECT 1"}')
    said = "error: there is no tool 'sql'; the tools are: fs_read, shell"
    assert (result.ok, result.content) == (False, said)
    assert signal == Signal(turn=3, name="unknown_tool", detail=said)


MALFORMED = {
    "": "Invalid JSON",
    "{": "Invalid JSON",
    '{"path": "x"} and more': "Invalid JSON",
    '{"path": "\\ud800"}': "Invalid JSON",
    "[]": "they must be one JSON object",
    '"path"': "they must be one JSON object",
    "null": "they must be one JSON object",
    "{}": "'path' is missing",
    '{"pth": "x"}': "no parameter 'pth'; did you mean 'path'?",
    '{"path": 7}': "path: Input should be a valid string",
    '{"path": "x", "offset": -1}': "offset: Input should be greater than or equal to 0",
    '{"path": "x", "length": 0}': "length: Input should be greater than or equal to 1",
    '{"path": "x", "offset": "ten"}': "offset: Input should be a valid integer",
    '{"path": "x", "offset": 1e400}': "offset: ",
    '{"path": "x", "offset": "[1]"}': "offset: Input should be a valid integer",
    '{"path": "x", "offset": "%s"}' % ("[" * 100_000): "offset: Input should be a valid integer",
    "[" * 100_000: "Invalid JSON",
}


@pytest.mark.parametrize("arguments", MALFORMED, ids=lambda text: repr(text[:40]))
def test_bad_arguments_are_answered_with_what_is_wrong(bench: Bench, arguments: str) -> None:
    result, signal = call(bench, "fs_read", arguments)
    assert not result.ok
    assert result.content.startswith("error: bad arguments for fs_read: ")
    assert MALFORMED[arguments] in result.content
    assert signal is not None
    assert signal.name == "malformed_tool_call"


@pytest.mark.parametrize(("offset", "read"), [("2", "cd"), ("null", "abcd"), (" 3 ", "d")])
def test_a_text_is_read_as_what_its_parameter_is(bench: Bench, offset: str, read: str) -> None:
    (bench.workspace / "7").write_text("abcd")
    result, signal = call(bench, "fs_read", json.dumps({"path": "7", "offset": offset}))
    assert (result.content, signal) == (read, None)


def test_a_string_may_hold_line_breaks_as_they_are(bench: Bench) -> None:
    result, signal = call(bench, "shell", '{"command": "cat <<E\n\ta\nE"}')
    assert result.content.endswith("\ta")
    assert signal is None


@given(name=st.text(max_size=20), arguments=st.text(max_size=60))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_nothing_a_model_can_write_in_a_call_raises(
    bench: Bench, name: str, arguments: str
) -> None:
    for text in (arguments, json.dumps({"path": arguments})):
        result, _ = call(bench, "fs_read" if name > "m" else name, text)
        assert not result.ok
        result.model_dump_json()


def test_a_huge_call_gets_a_bounded_answer(bench: Bench) -> None:
    result, signal = call(bench, "x" * 1_000_000, "{}")
    assert len(result.content) <= 64 * 1024
    assert signal is not None
    assert len(signal.detail) <= 500


def test_a_fault_of_the_sandbox_passes_through(bench: Bench) -> None:
    gone = replace(bench, workspace=bench.workspace / "gone")
    with pytest.raises(InfrastructureFault):
        call(gone, "shell", '{"command": "true"}')
