"""The CSVs on disk: written whole, or held against what the transcripts say."""

from __future__ import annotations

import csv
import io
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from itertools import islice, zip_longest
from pathlib import Path

from harness.store import CampaignFolder, write_whole
from harness.terminal import one_line
from verification import predictions
from verification.evidence import read
from verification.tables import Table, tables

MOST_NAMED = 20
"""Differences that are spelled out; beyond them they are counted."""

Row = list[str]
Key = tuple[str, ...]


def derive(folder: CampaignFolder, *, anew: bool = False) -> list[Table]:
    """Every CSV that a campaign's folder gives rise to; ``anew`` from the transcripts alone,
    whatever was known of them. Raises BadInput for transcripts or predictions that cannot be
    read."""
    evidence = read(folder, anew=anew)
    return [*tables(evidence), *predictions.tables(folder, evidence)]


def write(folder: CampaignFolder, *, anew: bool = False) -> None:
    """Derive every CSV and write it whole, and remove scores of predictions that stand no more;
    raises as ``derive`` does."""
    derived = derive(folder, anew=anew)
    for table in derived:
        write_whole(folder.verification / table.name, table.lines())
    if predictions.CSV not in {table.name for table in derived}:
        (folder.verification / predictions.CSV).unlink(missing_ok=True)


def verify(folder: CampaignFolder) -> list[str]:
    """Read every transcript, derive every CSV again and compare it with what is on disk, byte
    for byte.

    Returns a sentence for each difference, naming file, row, column and both values; none where
    all is as it should be. Only the first twenty are spelled out. Raises BadInput for
    transcripts that cannot be read.
    """
    derived = derive(folder, anew=True)
    differences = [line for table in derived for line in _compare(table, folder.verification)]
    strays = {path.name for path in folder.verification.glob("*.csv")}
    strays -= {table.name for table in derived}
    differences += [f"{one_line(name)}: follows from no transcript" for name in sorted(strays)]
    more = len(differences) - MOST_NAMED
    return [*differences[:MOST_NAMED], *([f"and {more} more differences"] if more > 0 else [])]


def _compare(table: Table, folder: Path) -> Iterator[str]:
    try:
        with (folder / table.name).open("rb") as file:
            same = all(file.read(len(part)) == part for part in map(str.encode, table.lines()))
            if same and not file.read(1):
                return
    except OSError as error:
        yield f"{table.name}: cannot be read: {error.strerror}"
        return
    found = False
    with (folder / table.name).open(encoding="utf-8", errors="replace", newline="") as file:
        for difference in _cells(table, file):
            found = True
            yield f"{table.name}: {difference}"
    if not found:
        yield f"{table.name}: the same cells in another order, or with other quotes or line ends"


def _cells(table: Table, on_disk: Iterable[str]) -> Iterator[str]:
    """The differences in words. Rows are matched by the table's keys; rows that have no match
    are taken in pairs, so that a key that was altered is named as a cell like any other."""
    columns = next(_parse(_lines(table)))
    try:
        disk_columns = next(_parse(on_disk), [])
        if disk_columns != columns:
            yield f"the columns are {_quote(disk_columns)} on disk, {_quote(columns)} derived"
            return
        differing = _differing(_parse(on_disk), lambda: islice(_parse(_lines(table)), 1, None))
        disk, right = (_by_key(table, columns, rows) for rows in differing)
    except csv.Error as error:
        yield f"no CSV: {error}"
        return
    alone = [row for key, row in disk.items() if key not in right]
    missing = [row for key, row in right.items() if key not in disk]
    pairs = [(disk[key], row) for key, row in right.items() if key in disk]
    for old, new in [*pairs, *zip(alone, missing, strict=False)]:
        yield from _differing_cells(table, columns, old, new)
    for row in alone[len(missing) :]:
        yield f"{_name(table, columns, row)} is on disk and not derived"
    for row in missing[len(alone) :]:
        yield f"{_name(table, columns, row)} is derived and not on disk"


def _differing_cells(table: Table, columns: Row, disk: Row, derived: Row) -> Iterator[str]:
    for column, old, new in zip_longest(columns, disk, derived):
        if old != new:
            where = "a column without name" if column is None else f"column {column}"
            yield (
                f"{_name(table, columns, derived)}, {where}: {_quote(old)} on disk, "
                f"{_quote(new)} derived"
            )


def _differing(
    disk: Iterable[Row], derived: Callable[[], Iterable[Row]]
) -> tuple[list[Row], list[Row]]:
    """The rows that are only on disk, and those that are only derived. Of the others no more
    than a number is held."""
    unseen = Counter(hash(tuple(row)) for row in derived())

    def seen(row: Row) -> bool:
        unseen[hash(tuple(row))] -= 1
        return unseen[hash(tuple(row))] >= 0

    alone = [row for row in disk if not seen(row)]
    unseen = +unseen
    return alone, [row for row in derived() if seen(row)]


def _lines(table: Table) -> Iterator[str]:
    for lines in table.lines():
        yield from io.StringIO(lines, newline="")


def _parse(lines: Iterable[str]) -> Iterator[Row]:
    return csv.reader(lines, strict=True)


def _by_key(table: Table, columns: Row, rows: Iterable[Row]) -> dict[Key, Row]:
    """Rows by the cells of their keys; the second of two equal keys gets a mark of its own."""
    keyed: dict[Key, Row] = {}
    for row in rows:
        key = _key(table, columns, row)
        while key in keyed:
            key = (*key, "again")
        keyed[key] = row
    return keyed


def _key(table: Table, columns: Row, row: Row) -> Key:
    cells = dict(zip(columns, row, strict=False))
    return tuple(cells.get(column, "") for column in table.keys)


def _name(table: Table, columns: Row, row: Row) -> str:
    cells = zip(table.keys, _key(table, columns, row), strict=True)
    return "row " + ", ".join(f"{column}={_quote(cell)}" for column, cell in cells if cell)


def _quote(value: object) -> str:
    return "no cell" if value is None else one_line(repr(value), 100)
