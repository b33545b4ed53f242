"""A citation such as ``pass_rate_by_task[task_05].effective | k_of_n`` -> one cell -> its words.

    table[keys].column | filter

``table`` is a verification CSV's name without ``.csv``. ``keys``, separated by commas, pick
exactly one row: each is a cell of a column that tells rows apart, or the beginning of one, with
``column=`` before it where that alone would not do. The model may be left out where
only one is no script. ``effective`` will do for ``effective_rate``, and any beginning that only
one column has.

Nothing is evaluated: a citation has this shape or is refused.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from harness.errors import BadInput, did_you_mean
from verification.tables import Table

LONGEST = 300
"""Characters of a citation."""

MOST_ROWS = 1000
"""Of a CSV that a suggestion is looked for in."""

MOST_HINTS = 100
"""Cells among which the one that may have been meant is looked for."""

RUN_KEYS = ("model", "task", "repetition")
"""Tell runs apart as well as their UUIDs do, in every CSV that has these columns."""

UNKNOWN_CELL = "unknown"
"""What stands in prose for an empty cell."""

SHAPE = "{{ table[keys].column }}, for example {{ pass_rate_by_task[task_05].effective }}"
FILTERS = ("cell", "k_of_n", "percent", "round", "usd")

_HEAD = re.compile(r"(?P<table>\w+) *(?:\[(?P<keys>.*)\])? *\. *(?P<column>\w+)")
_FILTER = re.compile(r"(?P<name>\w+)(?: *\( *(?P<digits>\d)? *\))?")
_INTEGER = re.compile(r"-?\d+")
_RATE = re.compile(
    r".*_rate|coverage|share|probability|(raw|effective|suite|leaked|strict|nudged|recovered)_(low|high)|"
    r"pass_(at|hat)_k(_low|_high)?"
)
_DOLLARS = re.compile(r"usd|price_.*")

Row = Mapping[str, str]


@dataclass(frozen=True)
class Filter:
    """How a cell is written: the name of a format, and how many digits it keeps, if told."""

    name: str
    digits: int | None = None

    def __str__(self) -> str:
        return self.name if self.digits is None else f"{self.name}({self.digits})"


@dataclass(frozen=True)
class Cell:
    """One cell of a verification CSV, as it stands there."""

    table: str
    row: Row
    column: str

    @property
    def text(self) -> str:
        """What the CSV says; empty is unknown."""
        return self.row[self.column]


class Sheets:
    """The CSVs that can be cited, by name; each is parsed when it is first asked for."""

    def __init__(self, tables: Sequence[Table]) -> None:
        self._tables = {Path(table.name).stem: table for table in tables}
        self._rows: dict[str, list[dict[str, str]]] = {}

    @property
    def names(self) -> list[str]:
        return list(self._tables)

    def rows(self, name: str) -> list[dict[str, str]]:
        """The rows of a CSV."""
        if name not in self._rows:
            text = self._tables[name].csv
            self._rows[name] = list(csv.DictReader(io.StringIO(text, newline="")))
        return self._rows[name]

    def keys(self, name: str) -> list[str]:
        """The columns that a citation's keys are looked for in."""
        columns = self.rows(name)[0].keys() if self.rows(name) else ()
        also = [column for column in RUN_KEYS if column in columns]
        return list(dict.fromkeys([*self._tables[name].keys, *also]))

    @cached_property
    def only_model(self) -> str | None:
        """The one model that is no script; None where there are several, or none."""
        runs = self.rows("runs") if "runs" in self._tables else []
        models = {row["model"] for row in runs if row["kind"] != "scripted"}
        return models.pop() if len(models) == 1 else None

    def cite(self, citation: str) -> tuple[Cell, Filter | None]:
        """The cell that a citation names, and the format it asks for. Raises BadInput, with what
        there is instead, where it names none or several."""
        head, *filters = (part.strip() for part in citation.split("|"))
        match = _HEAD.fullmatch(head) if len(citation) <= LONGEST else None
        if match is None or len(filters) > 1:
            raise BadInput(f"no citation of a cell; write {SHAPE}")
        name = match["table"]
        if name not in self._tables:
            raise BadInput(f"no table {name!r}; {did_you_mean(name, self._tables)}")
        row = self._row(name, match["keys"] or "")
        cell = Cell(name, row, _column(match["column"], list(row)))
        return cell, _parse_filter(filters[0]) if filters else None

    def words(self, cell: Cell, how: Filter | None = None) -> str:
        """A cell as people write it: a rate as 91.7%, US dollars as $0.03, a count as 1,024,
        empty as ``unknown``, or as the filter says. Raises BadInput where that cannot be."""
        if cell.text == "":
            return UNKNOWN_CELL
        if how is None:
            return _plainly(cell)
        if how.name == "k_of_n":
            return self._k_of_n(cell)
        if how.name == "cell":
            return cell.text
        try:
            value = float(cell.text)
        except ValueError:
            raise BadInput(f"{cell.column} holds no number, so {how.name} cannot be") from None
        if how.name == "percent":
            return _percent(value, how.digits)
        return _dollars(value) if how.name == "usd" else f"{value:,.{how.digits or 0}f}"

    def _row(self, name: str, wanted: str) -> Row:
        """The one row that the keys pick."""
        rows, keys = self.rows(name), self.keys(name)
        found: Sequence[Row] = rows
        for column, value in _parse_keys(wanted, keys):
            found = _narrowed(found, [column] if column else keys, value)
            if not found:
                cells = {row[key] for row in rows for key in ([column] if column else keys)} - {""}
                hint = f"; {did_you_mean(value, cells)}" if len(cells) <= MOST_HINTS else ""
                raise BadInput(f"no row of {name} has {value!r}{hint}")
        if len(found) > 1 and self.only_model and "model" in keys:
            found = [row for row in found if row["model"] == self.only_model] or found
        if len(found) == 1:
            return found[0]
        if not found:
            raise BadInput(f"{name} has no rows yet")
        differing = next((key for key in keys if len({row[key] for row in found}) > 1), keys[0])
        several = sorted({row[differing] for row in found} - {""})
        raise BadInput(
            f"{len(found)} rows of {name} fit; say of which {differing}: {', '.join(several[:6])}"
        )

    def _k_of_n(self, cell: Cell) -> str:
        parts = self._parts(cell)
        if parts is None:
            raise BadInput(
                f"k_of_n: {cell.table}.{cell.column} is no count out of others; it goes with "
                "raw_rate, effective_rate and coverage of pass_rate_by_task, and with share of "
                "failure_mode_histogram"
            )
        return f"{parts[0]}/{parts[1]}"

    def _parts(self, cell: Cell) -> tuple[int, int] | None:
        """Of a rate, what is counted, out of how many."""
        row = cell.row
        if cell.table == "failure_mode_histogram" and cell.column == "share":
            rows = self.rows(cell.table)
            return int(row["runs"]), sum(
                int(each["runs"]) for each in rows if each["model"] == row["model"]
            )
        if cell.table != "pass_rate_by_task":
            return None
        own = int(row["runs"]) - int(row["infrastructure_error"])
        parts = {
            "raw_rate": (int(row["pass"]), int(row["planned"])),
            "effective_rate": (int(row["pass"]), own),
            "coverage": (own, int(row["planned"])),
        }
        return parts.get(cell.column)

    def suggest(self, number: str, line: str, paragraph: str) -> str | None:
        """A citation that gives ``number`` as it is written, of a cell that its line, or else its
        paragraph, is about; None where there is none."""
        best, citation = (0, 0), None
        for cell, how in self._candidates(number):
            if not self._gives(cell, how, number):
                continue
            if number.isdigit() and _spelled(cell.column) not in _spelled(paragraph):
                continue  # many cells hold a 0 or a 3, and mean something else
            fit = _fit(cell, line), _fit(cell, paragraph)
            if fit > best and (found := self._citation(cell)):
                best, citation = fit, f"{{{{ {found}{f' | {how}' if how else ''} }}}}"
        return citation

    def _gives(self, cell: Cell, how: Filter | None, number: str) -> bool:
        try:
            return self.words(cell, how) == number
        except BadInput:
            return False

    def _candidates(self, number: str) -> Iterator[tuple[Cell, Filter | None]]:
        """Cells and formats that could give a number of this form."""
        decimals = len(number.rstrip("%").partition(".")[2])
        for name in sorted(self._tables, key=lambda name: name == "runs"):
            if len(self.rows(name)) > MOST_ROWS:
                continue
            keys = self.keys(name)
            for row in self.rows(name):
                for column in (each for each in row if each not in keys):
                    cell = Cell(name, row, column)
                    rate = _RATE.fullmatch(column)
                    if "/" in number:
                        yield cell, Filter("k_of_n")
                    elif bool(rate) == number.endswith("%"):
                        yield cell, None
                        if not _INTEGER.fullmatch(cell.text):
                            yield cell, Filter("percent" if rate else "round", decimals)

    def _citation(self, cell: Cell) -> str | None:
        """A citation of a cell, without the model where it can do without; None where its keys
        do not tell it apart."""
        cells = {key: cell.row[key] for key in self.keys(cell.table) if cell.row[key]}
        if "run" in cells:
            cells = {"run": cells["run"]}
        for left_out in ("model", None):
            texts = [_shortened(key, text) for key, text in cells.items() if key != left_out]
            keys = f"[{', '.join(texts)}]" if texts else ""
            citation = f"{cell.table}{keys}.{_short_column(cell.column)}"
            try:
                if self.cite(citation)[0] == cell:
                    return citation
            except BadInput:
                continue
        return None


def _parse_keys(text: str, keys: Sequence[str]) -> list[tuple[str | None, str]]:
    """Pairs of a column, if one of ``keys`` is named, and the cell that is wanted in it."""
    try:
        values = next(csv.reader([text], skipinitialspace=True, strict=True), [])
    except csv.Error as error:
        raise BadInput(f"the keys [{text}] cannot be read: {error}") from None
    parsed: list[tuple[str | None, str]] = []
    for value in map(str.strip, values):
        column, equals, cell = (part.strip() for part in value.partition("="))
        named = bool(equals) and column in keys
        parsed.append((column, cell) if named else (None, value))
    return parsed


def _parse_filter(text: str) -> Filter:
    match = _FILTER.fullmatch(text)
    name = match["name"] if match else text
    if match is None or name not in FILTERS:
        raise BadInput(f"no filter {name!r}; {did_you_mean(name, FILTERS)}")
    return Filter(name, None if match["digits"] is None else int(match["digits"]))


def _column(name: str, columns: list[str]) -> str:
    """The column that ``name`` is, or is short for; raises BadInput."""
    for known in (name, f"{name}_rate"):
        if known in columns:
            return known
    beginning = [column for column in columns if column.startswith(name)]
    if len(beginning) == 1:
        return beginning[0]
    raise BadInput(
        f"several columns begin with {name!r}: {', '.join(beginning)}"
        if beginning
        else f"no column {name!r}; {did_you_mean(name, {*columns, *map(_short_column, columns)})}"
    )


def _narrowed(rows: Sequence[Row], keys: Sequence[str], value: str) -> list[Row]:
    """The rows that have ``value`` in one of ``keys``; else those that have it as a beginning."""
    exactly = [row for row in rows if any(row[key] == value for key in keys)]
    return exactly or [row for row in rows if any(row[key].startswith(value) for key in keys)]


def _plainly(cell: Cell) -> str:
    if _INTEGER.fullmatch(cell.text):
        return f"{int(cell.text):,}"
    try:
        value = float(cell.text)
    except ValueError:
        return cell.text
    if _RATE.fullmatch(cell.column):
        return _percent(value)
    if _DOLLARS.fullmatch(cell.column):
        return _dollars(value)
    # A small figure keeps two digits that say something: 0.33, 0.014, never 0.0.
    return f"{value:,.1f}" if value == 0 or abs(value) >= 1 else f"{value:.2g}"


def _percent(rate: float, digits: int | None = None) -> str:
    """A rate in per cent: to one decimal, but for 0% and 100%, or to as many as are asked for.
    Only what is exactly 0 or 1 is written as 0 or 100."""
    if digits is None and rate in (0, 1):
        return f"{rate:.0%}"
    digits = 1 if digits is None else digits
    least = 10.0**-digits
    if 0 < rate < least / 200:
        return f"<{least:.{digits}f}%"
    if 1 - least / 200 < rate < 1:
        return f">{100 - least:.{digits}f}%"
    return f"{rate:.{digits}%}"


def _dollars(value: float) -> str:
    """Cents; where that would be 0, two digits that say something."""
    return f"${value:,.2f}" if value == 0 or abs(value) >= 0.01 else f"${value:.2g}"


def _fit(cell: Cell, words: str) -> int:
    """How much a sentence is about a cell: it names its task, model, outcome or column, or the row
    is of all tasks. 0: nothing says that it is."""
    said = _spelled(words)
    task = cell.row.get("task", "(all)")
    named = [cell.row.get("model", ""), cell.row.get("outcome", ""), cell.column]
    told = sum(bool(name) and _spelled(name) in said for name in named)
    return 4 * (_spelled(_short_task(task)) in said) + 2 * (task == "(all)") + told


def _spelled(words: str) -> str:
    """Words in small letters, each between two underscores: "gave up" is gave_up."""
    return "_".join(["", *re.findall(r"[^\W_]+", words.lower()), ""])


def _short_column(column: str) -> str:
    return column.removesuffix("_rate")


def _short_task(task: str) -> str:
    """``task_05`` of ``task_05_minimal_fix``; a name without a number is its own."""
    match = re.match(r"[A-Za-z]+_?\d+", task)
    return match[0] if match else task


def _shortened(key: str, text: str) -> str:
    short = {"task": _short_task(text), "run": text[:8]}.get(key, text)
    return f'"{short}"' if "," in short else short
