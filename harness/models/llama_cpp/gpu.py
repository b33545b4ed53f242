"""What the graphics processors say of their memory and power, where NVML answers.

nvidia-ml-py, which asks NVIDIA's NVML, is optional: without it, or without such a processor,
everything is unknown.
"""

from __future__ import annotations

import os
from importlib import import_module
from typing import Any


class Gpus:
    """All NVIDIA processors of this machine."""

    def __init__(self) -> None:
        self._nvml, self._devices = _devices()

    def memory_bytes(self) -> int | None:
        """Bytes that this process holds on all of them; None where that is not told."""
        used: list[int] = []
        for device in self._devices:
            try:
                processes = self._nvml.nvmlDeviceGetComputeRunningProcesses(device)
            except self._nvml.NVMLError:
                return None
            # usedGpuMemory is None where the driver keeps it to itself.
            mine = [each.usedGpuMemory for each in processes if each.pid == os.getpid()]
            used += [size for size in mine if size is not None]
        return sum(used) if used else None

    def joules(self) -> float | None:
        """Energy that all of them together have used since the driver was loaded, whoever used
        them; None where that is not told (before Volta, it is not)."""
        if not self._devices:
            return None
        try:
            read = self._nvml.nvmlDeviceGetTotalEnergyConsumption  # in millijoules
            return float(sum(read(device) for device in self._devices)) / 1000
        except self._nvml.NVMLError:
            return None


def _devices() -> tuple[Any, list[Any]]:
    try:
        nvml = import_module("pynvml")
    except ImportError:
        return None, []
    try:
        nvml.nvmlInit()
        return nvml, [
            nvml.nvmlDeviceGetHandleByIndex(index) for index in range(nvml.nvmlDeviceGetCount())
        ]
    except nvml.NVMLError:
        return nvml, []
