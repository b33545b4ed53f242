"""A table for people: built once, shown alike in the terminal, in Markdown and on a page.

Whatever compares, ranks or scores ends in an ``Exhibit``; the CSVs stay the place for exact
figures. Cells are text that may come from outside: each way of showing makes it harmless.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from rich.box import HORIZONTALS
from rich.cells import cell_len
from rich.console import Console
from rich.table import Table
from rich.text import Text

from harness.terminal import one_line


@dataclass(frozen=True)
class Link:
    """A cell that leads somewhere: ``target`` is a path, such as a transcript's, with ``#turn=4``
    behind it where a turn is meant. In the terminal only ``text`` is seen."""

    text: str
    target: str


Cell = str | Link

MARKUP = re.compile(r"[\\`*{}\[\]|~#!@$]|(?<![^\W_])_|_(?![^\W_])")
"""What Markdown obeys. An underscore between two letters or figures, as in task_01, it does not."""

BEGINNING = re.compile(r"\A(\d+(?=[.)](?!\w))|(?=>|[-+=](?![\w.])))")
"""Before what Markdown takes at the beginning of a line for a list, a rule or a quotation, and the
figures before it. A number, such as -0.5 or 1.5, it does not."""

LEAST_WORDS = 10
"""Characters to which a column of words may be folded."""


@dataclass(frozen=True)
class Column:
    """A heading; figures stand to the right, words to the left."""

    heading: str
    figures: bool = False


@dataclass(frozen=True)
class Exhibit:
    """A table with its title above it, and sentences on how to read it below."""

    title: str
    columns: Sequence[Column]
    rows: Sequence[Sequence[Cell]]
    notes: Sequence[str] = ()

    def print(self, console: Console) -> None:
        """Show it in the terminal, a row as a block of lines where the terminal is too narrow
        for a table; long words are folded, never cut."""
        console.print()
        if self._least_width() <= console.width:
            console.print(self._table())
        else:
            console.print(Text(one_line(self.title), "bold"))
            for row in self.rows:
                console.print(self._block(row))
            console.print()
        for note in self.notes:
            console.print(Text(one_line(note), "dim"))

    def _table(self) -> Table:
        table = Table(
            title=Text(one_line(self.title), "bold"),
            title_justify="left",
            box=HORIZONTALS,
            padding=(0, 1, 0, 0),
            pad_edge=False,
            show_edge=False,
        )
        for column in self.columns:
            table.add_column(
                Text(column.heading),
                justify="right" if column.figures else "left",
                overflow="fold",
                no_wrap=column.figures,
            )
        for row in self.rows:
            table.add_row(*(Text(one_line(_words(cell))) for cell in row))
        return table

    def _block(self, row: Sequence[Cell]) -> Table:
        """A row as lines of heading and cell, under an empty one."""
        block = Table.grid(padding=(0, 2, 0, 0))
        block.add_row()
        for column, cell in zip(self.columns, row, strict=True):
            block.add_row(
                Text(column.heading, "dim"), Text(one_line(_words(cell)), overflow="fold")
            )
        return block

    def _least_width(self) -> int:
        """Of a table in which figures stand on one line and words are not folded to shreds."""
        width = 0
        for number, column in enumerate(self.columns):
            cells = [column.heading, *(one_line(_words(row[number])) for row in self.rows)]
            longest = max(map(cell_len, cells))
            width += 1 + (longest if column.figures else min(longest, LEAST_WORDS))
        return width

    def markdown(self) -> str:
        """It as GitHub's Markdown, without its title: a table, and a paragraph a note."""
        rule = ["---:" if column.figures else "---" for column in self.columns]
        rows = [[escaped(column.heading) for column in self.columns], rule]
        rows += [[_in_markdown(cell) for cell in row] for row in self.rows]
        lines = [f"| {' | '.join(row)} |" for row in rows]
        return "\n".join(lines) + "".join(f"\n\n{escaped(note)}" for note in self.notes) + "\n"


def _words(cell: Cell) -> str:
    return cell.text if isinstance(cell, Link) else cell


def _in_markdown(cell: Cell) -> str:
    if isinstance(cell, Link):
        return f"[{escaped(cell.text)}](<{cell.target.replace('>', '%3E')}>)"
    return escaped(cell)


def escaped(text: str) -> str:
    """``text`` on one line, with all that Markdown would take for markup, mathematics, link or
    mention disarmed, and what would make a list or a quotation of it at the beginning of a line."""
    line = one_line(text).lstrip().replace("&", "&amp;").replace("<", "&lt;")
    words = BEGINNING.sub(r"\1\\", MARKUP.sub(r"\\\g<0>", line))
    # Or GitHub would make links of them.
    return words.replace("://", r"\://").replace("www.", r"www\.")
