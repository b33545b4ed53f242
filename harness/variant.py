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
import re
import sqlite3
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any

import jinja2

from harness.errors import BadInput, did_you_mean
from harness.task_code import last_line_in, load_code, located
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
        facts, files, sql = _drawn(folder, seed)
        return Variant(
            seed=seed,
            facts=facts,
            instruction=_text(folder / "instruction.md", facts).strip(),
            files=_workspace(folder / "workspace", facts) | files,
            sql=sql if sql is not None else _sql(folder, facts),
        )
    except BadInput as error:
        if seed is None:
            raise
        raise BadInput(f"{error} (in the variant of seed {seed})") from error


def _drawn(
    folder: Path, seed: int | None
) -> tuple[Mapping[str, Any], dict[str, bytes], str | None]:
    """What variants.py gives for a seed: facts, files and, where it builds one, a database."""
    path = folder / "variants.py"
    if not can_be_drawn(folder):
        return {}, {}, None
    try:
        module = load_code(path)
        for needed in ("FIXED", "draw"):
            if not hasattr(module, needed):
                raise BadInput(f"{path}: no {needed} in it; every variants.py has FIXED and draw")
        facts = module.FIXED if seed is None else module.draw(random.Random(seed))
        if not isinstance(facts, Mapping):
            raise BadInput(f"{path}: facts are a dict, and these are: {type(facts).__name__}")
        texts = module.files(facts) if hasattr(module, "files") else {}
        files = {name: text.encode() for name, text in texts.items()}
        return facts, files, module.database(facts) if hasattr(module, "database") else None
    except BadInput:
        raise
    except Exception as error:  # a task's own code may fail in any way
        raise BadInput(located(error, path)) from error


def _workspace(source: Path, facts: Mapping[str, Any]) -> dict[str, bytes]:
    return {
        path.relative_to(source).as_posix(): _content(path, facts)
        for path in sorted(source.rglob("*"))
        if path.is_file() and CACHES not in path.parts
    }


def _content(path: Path, facts: Mapping[str, Any]) -> bytes:
    content = path.read_bytes()
    try:
        text = content.decode()
    except UnicodeDecodeError:
        return content
    return _rendered(path, text, facts).encode()


def _sql(folder: Path, facts: Mapping[str, Any]) -> str | None:
    path = folder / "database.sql"
    return _text(path, facts) if path.is_file() else None


def _text(path: Path, facts: Mapping[str, Any]) -> str:
    try:
        return _rendered(path, path.read_text(encoding="utf-8"), facts)
    except (OSError, UnicodeDecodeError) as error:
        raise BadInput(f"{path}: cannot be read: {error}") from error


def _rendered(path: Path, text: str, facts: Mapping[str, Any]) -> str:
    try:
        return render(text, facts)
    except MarkError as error:
        raise BadInput(f"{path}:{error.line}: {error}") from error


class MarkError(Exception):
    """A mark that cannot be filled in, as a sentence; ``line`` is that of the text around it."""

    def __init__(self, line: int | None, sentence: str) -> None:
        super().__init__(sentence)
        self.line = line


def render(text: str, facts: Mapping[str, Any]) -> str:
    """``text`` with its marks filled in; without a mark, or without facts, as it stands.

    Raises MarkError.
    """
    if not facts or "«" not in text:
        return text
    try:
        return _template(text).render(facts)
    except jinja2.TemplateSyntaxError as error:
        raise MarkError(error.lineno, f"not well formed: {error.message}") from error
    except Exception as error:  # an expression may fail in any way
        raise MarkError(last_line_in(error, "<template>"), _why(error, facts)) from error


def _why(error: Exception, facts: Mapping[str, Any]) -> str:
    unknown = re.fullmatch(r"'(\w+)' is undefined", str(error))
    if isinstance(error, jinja2.UndefinedError) and unknown:
        return f"no fact {unknown[1]!r}; {did_you_mean(unknown[1], facts)}"
    return f"{type(error).__name__}: {error}"


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
