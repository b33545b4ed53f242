"""What a command in bubblewrap finds: its namespaces, its environment and its file system."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from harness.errors import BadInput
from harness.sandbox._base import reachable

ENVIRONMENT = {
    "HOME": "/tmp/home",
    "LANG": "C.UTF-8",
    "PATH": "/usr/local/bin:/usr/bin:/bin",
    "PYTHONDONTWRITEBYTECODE": "1",
    "PYTHONHASHSEED": "0",
    "SOURCE_DATE_EPOCH": "1767225600",
    "TZ": "UTC",
}
"""All that a command is told, the same on every machine, so that a replay can say the same."""

_ID = "1000"
"""The uid and gid of a command, as it sees itself."""

_TMP_BYTES = 128 << 20
_SHM_BYTES = 64 << 20

_ETC = {
    "passwd": "root:x:0:0:root:/root:/bin/sh\nuser:x:1000:1000:user:/tmp/home:/bin/sh\n"
    "nobody:x:65534:65534:nobody:/nonexistent:/bin/false\n",
    "group": "root:x:0:\nuser:x:1000:\nnogroup:x:65534:\n",
    "hosts": "127.0.0.1 localhost sandbox\n::1 localhost sandbox\n",
    "nsswitch.conf": "passwd: files\ngroup: files\nhosts: files\n",
}
_OURS = Path(__file__).resolve().parents[1]
_USR = Path("/usr")
_PYTHON = Path("/opt/python")
_BIN = Path("/opt/bin")


class Inside:
    """The same for every command of a sandbox. Its own files are made in ``scratch``; ``owner``
    must be able to read whatever is bound. Raises BadInput where there is no fit Python."""

    def __init__(self, scratch: Path, owner: int | None, hide: Sequence[Path] = ()) -> None:
        self.environment = dict(ENVIRONMENT)
        self._etc = _make_etc(scratch / "etc")
        self._hide = tuple(path.resolve() for path in hide)
        self._bound = {_USR: _USR}
        if not _is_fit(shutil.which("python3", path=self.environment["PATH"])):
            self._bring_python(scratch / "bin", owner)

    def options(self) -> tuple[str, ...]:
        """bwrap's options, in order, but for the workspace and what is bound beside it."""
        return (
            *("--unshare-user", "--unshare-ipc", "--unshare-pid", "--unshare-net"),
            *("--unshare-uts", "--unshare-cgroup-try", "--uid", _ID, "--gid", _ID),
            *("--disable-userns", "--cap-drop", "ALL", "--die-with-parent", "--new-session"),
            *("--hostname", "sandbox", "--clearenv"),
            *(word for item in self.environment.items() for word in ("--setenv", *item)),
            *(
                word
                for at in self._bound.items()
                for word in ("--ro-bind", *map(str, reversed(at)))
            ),
            *_links_to_usr(),
            *("--ro-bind", str(self._etc), "/etc"),
            *("--ro-bind-try", "/etc/alternatives", "/etc/alternatives"),
            *(word for path in self._hidden() for word in ("--tmpfs", path, "--remount-ro", path)),
            *("--proc", "/proc", "--remount-ro", "/proc"),
            *("--dev", "/dev", *_sized(_SHM_BYTES), "/dev/shm", "--remount-ro", "/dev"),
            *(*_sized(_TMP_BYTES), "/tmp", "--dir", self.environment["HOME"]),
        )

    def _bring_python(self, bin_folder: Path, owner: int | None) -> None:
        """Put the Python that runs us in first place, as the system has none that is fit."""
        prefix = Path(sys.base_prefix).resolve()
        name = f"python{sys.version_info.major}.{sys.version_info.minor}"
        if owner is not None and not reachable(prefix / "bin" / name):
            raise BadInput(
                f"commands need Python 3.11 or later: /usr/bin has none with sqlite3, and only "
                f"root can come to {prefix}; apt install python3"
            )
        if not prefix.is_relative_to(_USR):
            self._bound[_PYTHON] = prefix
            self.environment["LD_LIBRARY_PATH"] = str(_PYTHON / "lib")
        home = _PYTHON if _PYTHON in self._bound else prefix
        bin_folder.mkdir()
        (bin_folder / "python3").symlink_to(home / "bin" / name)
        self._bound[_BIN] = bin_folder
        self.environment["PATH"] = f"{_BIN}:{self.environment['PATH']}"

    def _hidden(self) -> Iterator[str]:
        """Our own files, suites among them, and the current folder, where they lie in what is
        bound: models must not read checkers."""
        here = Path.cwd().resolve()
        ours = [_OURS, *(_OURS.parent / name for name in ("verification", "tasks")), *self._hide]
        if not any(path.is_relative_to(here) for path in (Path("/usr/bin"), *self._bound.values())):
            ours.append(here)
        for path in filter(Path.is_dir, ours):
            for inside, outside in self._bound.items():
                if path.is_relative_to(outside):
                    yield str(inside / path.relative_to(outside))


def _make_etc(folder: Path) -> Path:
    (folder / "alternatives").mkdir(parents=True)
    for name, text in _ETC.items():
        (folder / name).write_text(text, encoding="utf-8")
    cache = Path("/etc/ld.so.cache")
    if cache.is_file():
        shutil.copyfile(cache, folder / cache.name)
    for path in (folder, *folder.iterdir()):
        path.chmod(0o755 if path.is_dir() else 0o644)
    return folder


def _is_fit(python: str | None) -> bool:
    """Whether this Python is in /usr, new enough, and has SQLite."""
    if python is None or not Path(python).resolve().is_relative_to(_USR):
        return False
    question = "import sqlite3, sys; sys.exit(sys.version_info < (3, 11))"
    command = [python, "-I", "-c", question]
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


def _links_to_usr() -> Iterator[str]:
    """/bin, /lib and the like: links into /usr, or folders of their own on older systems."""
    for name in ("bin", "sbin", "lib", "lib32", "lib64", "libx32"):
        path = Path("/", name)
        if path.is_symlink():
            yield from ("--symlink", f"usr/{name}", str(path))
        elif path.is_dir():
            yield from ("--ro-bind", str(path), str(path))


def _sized(size: int) -> tuple[str, ...]:
    return ("--perms", "1777", "--size", str(size), "--tmpfs")
