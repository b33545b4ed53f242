"""A task's own Python, its checker and its variants: run from its text, blamed by file and line."""

from __future__ import annotations

import traceback
from pathlib import Path
from types import ModuleType
from typing import Any


def load_code(path: Path) -> Any:
    """The module that a file's text makes; whatever that text raises passes through.

    Compiled here, not imported, so that no bytecode is written into the suite.
    """
    module = ModuleType(f"{path.stem}_of_{path.parent.name}")
    module.__file__ = str(path)
    source = path.read_text(encoding="utf-8")
    exec(compile(source, path, "exec", dont_inherit=True), module.__dict__)
    return module


def located(error: BaseException, path: Path) -> str:
    """What is wrong in ``path``, on one line: ``checker.py:38: KeyError: 'hidden'``."""
    if isinstance(error, SyntaxError) and error.filename == str(path):
        return f"{path}:{error.lineno}: {type(error).__name__}: {error.msg}"
    line = last_line_in(error, str(path))
    where = f"{path}:{line}" if line else str(path)
    return f"{where}: {type(error).__name__}: {' '.join(str(error).split())}"


def last_line_in(error: BaseException, filename: str) -> int | None:
    """The line of a file that an error came through last; None where it never did."""
    frames = traceback.extract_tb(error.__traceback__)
    return next((f.lineno for f in reversed(frames) if f.filename == filename), None)
