"""Variants: one task, drawn anew from a seed, so that a memorised answer earns nothing.

A task that can be drawn has a ``variants.py`` beside its checker:

    FIXED                  the facts of the published variant: a dict of names, numbers, texts
    def draw(random)       -> the facts of another one, of the same difficulty
    def files(facts)       -> {path: text} for the workspace, over what workspace/ holds (optional)
    def database(facts)    -> SQL that builds the database, in place of database.sql (optional)

In every other text of the task, ``«fact»`` stands for a fact: in instruction.md, in the files of
workspace/, in database.sql and in the strings of scripts. What is between the marks is a jinja2
expression (``«total + 1»``); a line of its own may hold a statement (``«% if late %»``).
Without a variants.py a task has only what its files say, and no marks.
"""

from __future__ import annotations

import hashlib
import random
import sqlite3
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from pathlib import Path
from types import ModuleType
from typing import Any

import jinja2

from harness.errors import BadInput
from harness.workspace import CACHES


@dataclass(frozen=True)
class Variant:
    """A task as one run meets it. ``seed`` is None for the published variant.

    ``files`` is the pristine workspace, path to content; ``facts`` are for checker and scripts.
    """

    seed: int | None
    facts: Mapping[str, Any]
    instruction: str
    files: Mapping[str, bytes]
    sql: str | None = field(repr=False, default=None)

    @cached_property
    def digest(self) -> str:
        """SHA-256 over all that a model can come to see: instruction, workspace, database."""
        total = hashlib.sha256(self.instruction.encode())
        for path, content in sorted(self.files.items()):
            total.update(f"\n{path} {hashlib.sha256(content).hexdigest()}".encode())
        total.update(f"\n{self.sql}".encode())
        return total.hexdigest()

    @cached_property
    def database(self) -> bytes | None:
        """The SQLite file that the ``sql`` tool reads; None where the task has none."""
        if self.sql is None:
            return None
        with closing(sqlite3.connect(":memory:")) as connection:
            connection.executescript(self.sql)
            return connection.serialize()

    def fill(self, workspace: Path) -> None:
        """Write the pristine workspace into an empty folder; scripts with ``#!`` can be run."""
        for path, content in self.files.items():
            target = workspace / path
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(content)
            if content.startswith(b"#!"):
                target.chmod(0o755)


def can_be_drawn(folder: Path) -> bool:
    """Whether the task in ``folder`` has variants beside the published one."""
    return (folder / "variants.py").is_file()


@lru_cache(maxsize=256)
def load_variant(folder: Path, digest: str, seed: int | None) -> Variant:
    """The variant of the task in ``folder`` for a seed; None for the published one.

    ``digest`` is the folder's: a task that has changed is read again. Raises BadInput.
    """
    if seed is not None and not can_be_drawn(folder):
        raise BadInput(f"{folder}: no variants.py, so no seed can draw a variant of this task")
    try:
        module = _module(folder)
        facts = module.draw(random.Random(seed)) if seed is not None else module.FIXED
        files = {path: text.encode() for path, text in module.files(facts).items()}
        sql = module.database(facts) if hasattr(module, "database") else _sql(folder, facts)
        return Variant(
            seed=seed,
            facts=facts,
            instruction=_text(folder / "instruction.md", facts).strip(),
            files=_workspace(folder / "workspace", facts) | files,
            sql=sql,
        )
    except Exception as error:  # a task's own code and texts may fail in any way
        which = "the published variant" if seed is None else f"the variant of seed {seed}"
        raise BadInput(f"{folder}: {which}: {type(error).__name__}: {error}") from error


def _module(folder: Path) -> Any:
    module = ModuleType(f"variants_of_{folder.name}")
    module.__dict__.update(FIXED={}, files=lambda facts: {})
    path = folder / "variants.py"
    module.__file__ = str(path)
    if path.is_file():
        # Compiled here, not imported, so that no bytecode is written into the suite.
        source = path.read_text(encoding="utf-8")
        exec(compile(source, path, "exec", dont_inherit=True), module.__dict__)
    return module


def _workspace(source: Path, facts: Mapping[str, Any]) -> dict[str, bytes]:
    return {
        path.relative_to(source).as_posix(): _content(path, facts)
        for path in sorted(source.rglob("*"))
        if path.is_file() and CACHES not in path.parts
    }


def _content(path: Path, facts: Mapping[str, Any]) -> bytes:
    content = path.read_bytes()
    try:
        return render(content.decode(), facts).encode()
    except UnicodeDecodeError:
        return content


def _sql(folder: Path, facts: Mapping[str, Any]) -> str | None:
    path = folder / "database.sql"
    return _text(path, facts) if path.is_file() else None


def _text(path: Path, facts: Mapping[str, Any]) -> str:
    return render(path.read_text(encoding="utf-8"), facts)


def render(text: str, facts: Mapping[str, Any]) -> str:
    """``text`` with its marks filled in; without a mark, or without facts, as it stands."""
    return _template(text).render(facts) if facts and "«" in text else text


_JINJA = jinja2.Environment(
    block_start_string="«%",
    block_end_string="%»",
    variable_start_string="«",
    variable_end_string="»",
    comment_start_string="«#",
    comment_end_string="#»",
    trim_blocks=True,
    keep_trailing_newline=True,
    undefined=jinja2.StrictUndefined,
)
_template = lru_cache(maxsize=4096)(_JINJA.from_string)
