"""The chat templates that llama.cpp keeps for its own tests, by name.

They are in the source package of llama-cpp-python and belong to the makers of the models, so they
are fetched from the package index once, beside the installed packages, and never copied into this
project. FAIRTRIAL_TEMPLATES may name a folder that holds them already.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tarfile
import tempfile
from functools import cache
from importlib.metadata import version
from pathlib import Path, PurePosixPath

_PACKAGE = "llama-cpp-python"
_WITHIN = "vendor/llama.cpp/models/templates"


@cache
def vendored_templates() -> dict[str, str]:
    """The sources by the names of their files, without ``.jinja``."""
    return {
        path.stem: path.read_text(encoding="utf-8") for path in sorted(_folder().glob("*.jinja"))
    }


def _folder() -> Path:
    if named := os.environ.get("FAIRTRIAL_TEMPLATES"):
        return Path(named)
    folder = Path(sys.prefix) / "share" / f"{_PACKAGE}-{version(_PACKAGE)}-templates"
    if not folder.is_dir():
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder.parent) as scratch:
            fetched = Path(scratch) / "templates"
            _extract(_download(Path(scratch)), fetched)
            try:
                fetched.rename(folder)
            except OSError:  # another process was quicker
                assert folder.is_dir()
    return folder


def _download(into: Path) -> Path:
    """The source package. pip asks its build tool for its metadata, but compiles nothing."""
    pip = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check", "download"]
    wanted = ["--no-deps", "--no-binary", ":all:", f"{_PACKAGE}=={version(_PACKAGE)}"]
    subprocess.run([*pip, *wanted, "--dest", str(into)], check=True, timeout=600)
    return next(into.glob("*.tar.gz"))


def _extract(package: Path, into: Path) -> None:
    into.mkdir()
    with tarfile.open(package) as archive:
        for member in archive:
            path = PurePosixPath(member.name)
            if str(path.parent).endswith(_WITHIN) and path.suffix == ".jinja":
                file = archive.extractfile(member)
                assert file is not None
                (into / path.name).write_bytes(file.read())
