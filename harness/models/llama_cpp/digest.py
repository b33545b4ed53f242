"""SHA-256 of large files, worked out once.

To hash 7 GB takes half a minute, each time a campaign goes on. So a digest is kept, in the user's
cache, under what the system says of the file: size, times and inode. The time of the inode's last
change is among them, which no program can set: a file that was replaced or written to is hashed
anew, also where its date was put back.
"""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import platformdirs
from pydantic import Field, ValidationError

from harness.errors import BadInput
from harness.records import Record

_NAMED_BY_DIGEST = "sha256-"


class _Kept(Record):
    """A file of the cache: what the system said of a model's file, and its digest."""

    state: tuple[int, ...]
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")


def of_parts(parts: Sequence[Path], where: str) -> str:
    """SHA-256 of a model's file, in hexadecimal; of one in several parts, that of the lines
    that sha256sum prints for them, in order.

    ``where`` opens the sentence of the BadInput for a file that cannot be read, that changes
    while it is read, or that is not what its store named it for.
    """
    digests = [_of_file(part, where) for part in parts]
    if len(digests) == 1:
        return digests[0]
    lines = (f"{each}  {part.name}\n" for each, part in zip(digests, parts, strict=True))
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def _of_file(path: Path, where: str) -> str:
    try:
        before = _state(path)
        kept = _recall(path, before)
        if kept is not None:
            return kept
        with path.open("rb") as file:
            sha256 = hashlib.file_digest(file, "sha256").hexdigest()
        changed = _state(path) != before
    except OSError as error:
        raise BadInput(f"{where}: {path}: {error.strerror}; mend its path") from None
    if changed:
        raise BadInput(f"{where}: {path}: it is being written to; wait until it is whole")
    promised = _promised(path)
    if promised not in (None, sha256):
        raise BadInput(
            f"{where}: {path}: damaged, or changed since it was fetched (SHA-256 {sha256}, and "
            f"it was fetched as {promised}); delete {path.resolve()} and fetch it again"
        )
    _keep(path, _Kept(state=before, sha256=sha256))
    return sha256


def _promised(path: Path) -> str | None:
    """The digest by which Hugging Face's cache or Ollama's store names a file; None: by none."""
    name = path.resolve().name.removeprefix(_NAMED_BY_DIGEST)
    return name if len(name) == 64 and set(name) <= set("0123456789abcdef") else None


def _state(path: Path) -> tuple[int, ...]:
    found = path.stat()
    return (found.st_size, found.st_mtime_ns, found.st_ctime_ns, found.st_ino, found.st_dev)


def _recall(path: Path, state: tuple[int, ...]) -> str | None:
    with suppress(OSError, ValidationError):  # not there, or spoilt: it is worked out again
        kept = _Kept.model_validate_json(_cache(path).read_bytes())
        if kept.state == state:
            return kept.sha256
    return None


def _keep(path: Path, kept: _Kept) -> None:
    """Written whole, so that another program never reads half of it; where it cannot be written,
    the next time just takes as long."""
    with suppress(OSError):
        cache = _cache(path)
        cache.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=cache.parent)
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(kept.model_dump_json())
        Path(name).replace(cache)


def _cache(path: Path) -> Path:
    name = hashlib.sha256(os.fsencode(path.resolve())).hexdigest()
    return platformdirs.user_cache_path("fairtrial") / "digests" / f"{name}.json"
