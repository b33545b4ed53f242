"""Tools: one file per tool, found by its name.

A tool ``x`` is the function ``x`` in ``harness.tools.x``. Its first parameter is the ``Bench``;
the others, typed and annotated, are what the model may pass, and its docstring is what the model
is told. It returns the text the model sees, or raises ``ToolError`` with the text of an ordinary
failure (no such file, a bad query). An InfrastructureFault passes through.
"""

from __future__ import annotations

import pkgutil
from dataclasses import dataclass
from pathlib import Path

from harness.sandbox import Limits, Sandbox


class ToolError(Exception):
    """An ordinary failure, in words for the model."""


@dataclass(frozen=True)
class Bench:
    """What tools work on during one attempt."""

    workspace: Path
    sandbox: Sandbox
    limits: Limits
    database: Path | None = None


def tool_names() -> list[str]:
    """The names of all tools, by looking at this folder; a leading underscore hides a helper."""
    return sorted(m.name for m in pkgutil.iter_modules(__path__) if not m.name.startswith("_"))
