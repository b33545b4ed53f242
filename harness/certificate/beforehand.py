"""What is wrong in a task's files, said before anything of it is played.

Whoever wrote the task must mend it first, so it is a BadInput: file, line, and what to do.
"""

from __future__ import annotations

import difflib
import re
import sqlite3
from collections.abc import Sequence
from pathlib import Path

from harness.certificate import FOLDERS
from harness.errors import BadInput
from harness.models.scripted import read_script, reply_of
from harness.task import KNOWN, Task
from harness.task_code import load_code, located
from harness.variant import Variant

_MARK = re.compile("«[^»\n]*»")
_NEAR = 0.85
"""How alike two names are of which one is surely the other, misspelt."""


def refuse_unplayable(task: Task, variants: Sequence[Variant]) -> None:
    """Raises BadInput for a file of a task that cannot be used as it is, on any of its variants."""
    _refuse_stray_files(task.folder)
    _refuse_broken_checker(task.folder / "checker.py")
    for variant in variants:
        _refuse_broken_database(task, variant)
        for path in scripts_of(task.folder):
            script = read_script(path)
            for turn in range(1, len(script) + 1):
                reply_of(script, turn, variant.facts, path)
        if not variant.facts:
            _refuse_marks(task.folder)


def scripts_of(folder: Path) -> list[Path]:
    """Every script of a task: its solution, then the others."""
    others = (path for name in FOLDERS.values() for path in sorted((folder / name).glob("*.jsonl")))
    return [folder / "solution.jsonl", *others]


def _refuse_stray_files(folder: Path) -> None:
    """Misspelt names and scripts under another suffix would be passed over without a word."""
    for entry in sorted(folder.iterdir()):
        near = difflib.get_close_matches(entry.name.lower(), KNOWN, n=1, cutoff=_NEAR)
        if near and entry.name not in KNOWN:
            raise BadInput(f"{entry}: nothing reads this; did you mean {near[0]!r}?")
    for name in FOLDERS.values():
        for entry in sorted((folder / name).glob("[!.]*")):
            if entry.suffix != ".jsonl" or not entry.is_file():
                raise BadInput(f"{entry}: nothing reads this; a script is a file *.jsonl")


def _refuse_broken_checker(path: Path) -> None:
    try:
        checker = load_code(path)
    except (Exception, SystemExit) as error:  # a task's own code may fail in any way
        raise BadInput(located(error, path)) from error
    if not callable(getattr(checker, "check", None)):
        raise BadInput(f"{path}: no function check(run) in it; every checker has one")


def _refuse_broken_database(task: Task, variant: Variant) -> None:
    try:
        _ = variant.database
    except sqlite3.Error as error:
        where = "as published" if variant.seed is None else f"of seed {variant.seed}"
        raise BadInput(f"{task.folder}: the database {where} cannot be built: {error}") from error


def _refuse_marks(folder: Path) -> None:
    """Without facts a mark stays as it is, and a model would read it."""
    texts = [folder / "instruction.md", folder / "database.sql", *scripts_of(folder)]
    workspace = [path for path in (folder / "workspace").rglob("*") if path.is_file()]
    for path in (*texts, *sorted(workspace)):
        for number, line in enumerate(_lines(path), start=1):
            if mark := _MARK.search(line):
                raise BadInput(
                    f"{path}:{number}: {mark.group()} stands for a fact, and this task has none; "
                    "facts come from variants.py"
                )


def _lines(path: Path) -> list[str]:
    """The lines of a text; none of a file that is missing, or no text."""
    try:
        return path.read_text(encoding="utf-8").splitlines()
    except (FileNotFoundError, UnicodeDecodeError):
        return []
