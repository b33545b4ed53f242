"""What this machine and this installation are, as observed; nothing is taken from hearsay."""

from __future__ import annotations

import os
import platform
import sys
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import psutil

from harness import __version__

_PACKAGES = ("openai", "llama-cpp-python", "xllamacpp", "pydantic", "pandas", "scipy")


def versions() -> dict[str, str]:
    """Versions of Fairtrial, Python and the packages that can change a result."""
    found = {"fairtrial": __version__, "python": platform.python_version()}
    for package in _PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found


def hardware() -> dict[str, str | int | None]:
    """Processor, cores, memory in bytes and system, as the system itself reports them."""
    return {
        "processor": _processor(),
        "physical_cores": psutil.cpu_count(logical=False),
        "logical_cores": psutil.cpu_count(),
        "usable_cores": len(os.sched_getaffinity(0)) if sys.platform == "linux" else None,
        "memory_bytes": psutil.virtual_memory().total,
        "system": platform.platform(),
        "machine": platform.machine(),
    }


def _processor() -> str | None:
    """The name in /proc/cpuinfo: ``platform.processor()`` is empty on most Linux systems."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor() or None
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else None
