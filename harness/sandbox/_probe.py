"""What a command in a sandbox can see of the host: asked inside, judged outside."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

PROBE = b"""
import json, os, sys
status = dict(line.split(":\\t", 1) for line in open("/proc/self/status") if ":\\t" in line)
print(json.dumps({
    "python": ".".join(map(str, sys.version_info[:3])),
    "environment": dict(os.environ),
    "visible": [path for path in sys.argv[1:] if os.path.lexists(path)],
    "namespaces": {n: os.readlink("/proc/self/ns/" + n) for n in os.listdir("/proc/self/ns")},
    "status": {key: value.strip() for key, value in status.items()},
}))
"""
"""A Python program. Its arguments are paths of the host that must not be there."""

_NAMESPACES = ("user", "ipc", "pid", "net", "uts", "mnt")
_STATUS = {
    "CapEff": "0000000000000000",
    "CapPrm": "0000000000000000",
    "CapBnd": "0000000000000000",
    "NoNewPrivs": "1",
    "Seccomp": "2",
}
_BY_THE_WAY = {"PWD", "LC_CTYPE"}
"""Set by bwrap and by Python itself."""


def flaw(facts: Mapping[str, Any], environment: Mapping[str, str]) -> str | None:
    """The first thing in a probe's answer that isolation should not allow, in words."""
    if facts["visible"]:
        return f"{', '.join(facts['visible'])} can be seen inside"
    told = {key: value for key, value in facts["environment"].items() if key not in _BY_THE_WAY}
    if told != dict(environment):
        return f"the environment inside holds {', '.join(sorted(told))}"
    for name in _NAMESPACES:
        if facts["namespaces"].get(name) == str(Path("/proc/self/ns", name).readlink()):
            return f"commands share the host's {name} namespace"
    for key, value in _STATUS.items():
        if facts["status"].get(key) != value:
            return f"{key} is {facts['status'].get(key)}, not {value}"
    if tuple(map(int, facts["python"].split("."))) < (3, 11):
        return f"python3 inside is {facts['python']}, and 3.11 is needed"
    return None
