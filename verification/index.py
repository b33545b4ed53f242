"""What was read from each transcript of a campaign, in one SQLite database.

    files      the transcripts as the folder lists them: name, size, times, inode
    headers    what many transcripts share
    attempts   the totals of a transcript, the columns of ``Attempt``
    findings   what was found in it, the columns of ``Finding`` that its attempt does not have

The database is private and temporary: what does not fit SQLite's small cache is in a file that
nobody else sees, so a campaign of any size is gone through in the same memory. A copy is kept
beside the CSVs of a large campaign. The next one begins with the rows of all files that are
still the same, and only the others are read.

A copy that is damaged, or gone, or of another version is no loss. Nor does it prove anything:
whoever verifies reads every transcript.
"""

from __future__ import annotations

import hashlib
import json
import os
import sqlite3
import weakref
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any, get_type_hints

import pandas as pd

from harness import leaks, records, store, terminal
from harness.errors import BadInput, FairtrialError
from harness.store import CampaignFolder, replaced
from verification.reading import ATTEMPT, FINDING, Header, Rows
from verification.totals import Attempt, Finding

SQL_TYPES: Mapping[Any, str] = {
    str: "TEXT NOT NULL",
    str | None: "TEXT",
    int: "INTEGER NOT NULL",
    int | None: "INTEGER",
    bool: "INTEGER NOT NULL",
    float: "REAL",  # NULL where it is NaN
    dict[str, int]: "TEXT NOT NULL CHECK (json_valid({0}))",
}
"""How SQLite holds a column, by the type that its dataclass gives it."""

DTYPES: Mapping[Any, str] = {int: "int64", int | None: "Int64", bool: "bool", float: "float64"}
"""How pandas does; text as it sees fit."""

COLUMNS: Mapping[str, Any] = {
    **get_type_hints(Finding),
    **get_type_hints(Attempt),
    "latest": bool,
    "runs": int,
}

ALL = (*ATTEMPT, "latest")
"""Every column of an attempt."""

WORTH_SAVING = 1_000
"""Transcripts from which on a copy is kept: about half a second's reading."""

PART = 5_000
"""Rows of a long table that are held at once."""


class Index:
    """The database of one campaign: first it is filled, then settled, then asked."""

    def __init__(self, folder: CampaignFolder) -> None:
        self._folder = folder
        self._db = sqlite3.connect("", uri=True, isolation_level=None)
        weakref.finalize(self, self._db.close)
        for statement in _schema():
            self._db.execute(statement)
        self._db.execute("INSERT INTO version VALUES (?)", [_version()])
        self._db.execute("BEGIN")
        self._db.executemany("INSERT INTO files VALUES (?, ?, ?, ?, ?)", _listed(folder))
        self._db.execute("COMMIT")

    def take_over(self) -> None:
        """Begin with what the saved copy says of files that have not changed since."""
        uri = f"{self._folder.index.absolute().as_uri()}?mode=ro&immutable=1"
        try:
            self._db.execute("ATTACH ? AS saved", [uri])
        except sqlite3.Error:
            return
        self._db.execute("BEGIN")
        try:
            if self._is_ours("saved"):
                for statement in _TAKE_OVER:
                    self._db.execute(statement)
            self._db.execute("COMMIT")
        except sqlite3.Error:
            self._db.execute("ROLLBACK")
        self._db.execute("DETACH saved")

    def _is_ours(self, saved: str) -> bool:
        """Whether a saved copy is of this version, and has these tables and nothing else: it may
        have come with a campaign from anywhere."""
        if self._db.execute(f"SELECT digest FROM {saved}.version").fetchall() != [(_version(),)]:
            return False
        theirs, ours = (
            set(self._db.execute(f"SELECT type, name, sql FROM {schema}.sqlite_schema"))
            for schema in (saved, "main")
        )
        return theirs == ours

    def unread(self) -> list[Path]:
        """The transcripts of which nothing is known yet, in the order of their names."""
        names = self._db.execute(
            "SELECT name FROM files WHERE name NOT IN (SELECT transcript FROM attempts) "
            "ORDER BY name"
        )
        return [self._folder.transcripts / name for (name,) in names]

    def add(self, transcripts: Iterable[Rows]) -> None:
        """Take in what was read; raises BadInput for a number that no column holds."""
        ids = {Header(*row): key for key, *row in self._db.execute("SELECT * FROM headers")}
        cursor = self._db.execute("BEGIN")
        for header, attempt, findings in transcripts:
            if header not in ids:
                cursor.execute(_INSERT_HEADER, header)
                ids[header] = cursor.lastrowid or 0
            try:
                cursor.execute(_INSERT_ATTEMPT, (ids[header], *attempt))
                key = cursor.lastrowid
                cursor.executemany(_INSERT_FINDING, ((key, *finding) for finding in findings))
            except OverflowError:
                path = self._folder.transcripts / attempt[ATTEMPT.index("transcript")]
                raise BadInput(f"{path}: holds a number of more than 63 bits") from None
        self._db.execute("COMMIT")

    def save(self) -> None:
        """Keep a copy for the next time, where that is worth it and the folder lets us."""
        if self._count("SELECT count(*) FROM attempts") < WORTH_SAVING:
            return
        with suppress(FairtrialError, sqlite3.Error), replaced(self._folder.index) as temporary:
            self._db.execute("VACUUM INTO ?", [str(temporary)])

    def settle(self) -> None:
        """Tell which attempts are the latest of their runs. Raises BadInput, naming the file,
        for a transcript of another plan than the first one's, or of a run that is there twice."""
        for statement in _SETTLE:
            self._db.execute(statement)
        for stray in self._db.execute(_STRAY):
            raise BadInput(
                f"{self._folder.transcripts / stray[0]}: belongs to another plan than the "
                "transcripts before it; move it to the campaign it came from"
            )
        for one, other in self._db.execute(_TWICE):
            raise BadInput(
                f"{self._folder.transcripts / one}: holds the same run as {other}; move one away"
            )

    def headers(self) -> list[Header]:
        """Every header that a transcript has."""
        return [Header(*row) for _, *row in self._db.execute("SELECT * FROM headers ORDER BY id")]

    def attempts(
        self, columns: Sequence[str] = ALL, where: str = "1", *values: object
    ) -> Iterator[pd.DataFrame]:
        """The attempts that meet a condition, in parts, sorted by model, task, repetition and
        number; at least one part, if an empty one."""
        query = (
            f"SELECT {', '.join(columns)} FROM attempts WHERE {where} "
            "ORDER BY model, task, repetition, attempt"
        )
        return _parts(self._db.execute(query, values), columns)

    def findings(self) -> Iterator[pd.DataFrame]:
        """The findings in the latest attempts, in parts like those of ``attempts``."""
        columns = tuple(get_type_hints(Finding))
        query = (
            f"SELECT {', '.join(columns)} FROM attempts JOIN findings ON attempts.id = attempt_id "
            "WHERE latest ORDER BY model, task, repetition, line, name, detail"
        )
        return _parts(self._db.execute(query), columns)

    def counts(self, columns: Sequence[str]) -> Iterator[pd.DataFrame]:
        """How many ``runs`` there are that agree in all of these columns, sorted by them, in such
        parts."""
        names = ", ".join(columns)
        query = (
            f"SELECT {names}, count(*) FROM attempts WHERE latest GROUP BY {names} ORDER BY {names}"
        )
        return _parts(self._db.execute(query), (*columns, "runs"))

    def _count(self, query: str) -> int:
        (count,) = self._db.execute(query).fetchone()
        return int(count)


def _parts(cursor: sqlite3.Cursor, columns: Sequence[str]) -> Iterator[pd.DataFrame]:
    dtypes = {name: DTYPES[COLUMNS[name]] for name in columns if COLUMNS[name] in DTYPES}
    counted = [name for name in columns if COLUMNS[name] == dict[str, int]]
    rows = cursor.fetchmany(PART)
    while True:
        frame = pd.DataFrame.from_records(rows, columns=list(columns)).astype(dtypes)
        for name in counted:  # each different text is read once: there are few
            read = {text: json.loads(text) for text in frame[name].unique()}
            frame[name] = frame[name].map(read.__getitem__)
        yield frame
        rows = cursor.fetchmany(PART)
        if not rows:
            return


def _listed(folder: CampaignFolder) -> Iterator[tuple[str, int, int, int, int]]:
    """Every transcript as the folder lists it."""
    try:
        entries = os.scandir(folder.transcripts)
    except FileNotFoundError:
        return
    with entries:
        for entry in entries:
            if entry.name.endswith(".jsonl"):
                # One that is renamed at this moment, as its run begins anew, is no more.
                with suppress(FileNotFoundError):
                    stat = entry.stat()
                    yield (
                        entry.name,
                        stat.st_size,
                        stat.st_mtime_ns,
                        stat.st_ctime_ns,
                        stat.st_ino,
                    )


@cache
def _version() -> str:
    """A digest of the code that rows follow from: with other code, no row is taken over."""
    here = sorted(Path(__file__).parent.rglob("*.py"))
    digest = hashlib.sha256()
    modules = [Path(str(module.__file__)) for module in (records, store, terminal, leaks)]
    harness = modules[-1].parent  # what leaks ask in their turn
    for path in (*here, *modules, harness / "quoted.py", *sorted(harness.glob("dialects/*.py"))):
        digest.update(path.read_bytes())
    return digest.hexdigest()


def _schema() -> Iterator[str]:
    def declared(columns: Iterable[str]) -> str:
        return ", ".join(f"{name} {SQL_TYPES[COLUMNS[name]].format(name)}" for name in columns)

    yield "PRAGMA journal_mode = MEMORY"
    yield "PRAGMA synchronous = OFF"
    yield "CREATE TABLE version (digest TEXT NOT NULL) STRICT"
    yield (
        "CREATE TABLE files (name TEXT PRIMARY KEY, size INTEGER NOT NULL, "
        "mtime_ns INTEGER NOT NULL, ctime_ns INTEGER NOT NULL, inode INTEGER NOT NULL) STRICT"
    )
    named = ", ".join(f"{name} TEXT NOT NULL" for name in Header._fields)
    yield f"CREATE TABLE headers (id INTEGER PRIMARY KEY, {named}) STRICT"
    yield (
        "CREATE TABLE attempts (id INTEGER PRIMARY KEY, header INTEGER NOT NULL, "
        f"latest INTEGER NOT NULL DEFAULT 1, {declared(ATTEMPT)}, UNIQUE (transcript)) STRICT"
    )
    yield f"CREATE TABLE findings (attempt_id INTEGER NOT NULL, {declared(FINDING)}) STRICT"


def _insert(table: str, columns: Sequence[str]) -> str:
    marks = ", ".join("?" * len(columns))
    return f"INSERT INTO {table} ({', '.join(columns)}) VALUES ({marks})"


_INSERT_HEADER = _insert("headers", Header._fields)
_INSERT_ATTEMPT = _insert("attempts", ("header", *ATTEMPT))
_INSERT_FINDING = _insert("findings", ("attempt_id", *FINDING))

_KEPT, _FOUND = ", ".join(("id", "header", *ATTEMPT)), ", ".join(("attempt_id", *FINDING))
_TAKE_OVER = (
    "INSERT INTO headers SELECT * FROM saved.headers",
    f"INSERT INTO attempts ({_KEPT}) SELECT {_KEPT} FROM saved.attempts "
    "WHERE transcript IN (SELECT name FROM saved.files "
    "JOIN main.files USING (name, size, mtime_ns, ctime_ns, inode)) ORDER BY id",
    f"INSERT INTO findings SELECT {_FOUND} FROM saved.findings "
    "WHERE attempt_id IN (SELECT id FROM main.attempts)",
)

_SETTLE = (
    "DELETE FROM headers WHERE id NOT IN (SELECT header FROM attempts)",
    "CREATE INDEX places ON attempts (model, task, repetition, attempt)",
    "CREATE INDEX of_attempt ON findings (attempt_id, line)",
    "UPDATE attempts SET latest = 0 WHERE EXISTS (SELECT 1 FROM attempts AS later "
    "WHERE (later.model, later.task, later.repetition) = "
    "(attempts.model, attempts.task, attempts.repetition) AND later.attempt > attempts.attempt)",
)
_STRAY = (
    "SELECT transcript FROM attempts WHERE header IN (SELECT id FROM headers WHERE plan <> "
    "(SELECT plan FROM attempts JOIN headers ON headers.id = header ORDER BY transcript LIMIT 1)) "
    "ORDER BY transcript LIMIT 1"
)
_TWICE = (
    "SELECT one.transcript, other.transcript FROM attempts AS one JOIN attempts AS other ON "
    "(one.model, one.task, one.repetition) = (other.model, other.task, other.repetition) "
    "WHERE (one.run <> other.run OR one.attempt = other.attempt) "
    "AND one.transcript > other.transcript ORDER BY one.transcript LIMIT 1"
)
