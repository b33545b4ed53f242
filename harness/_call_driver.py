"""Runs inside the sandbox, beside what a model wrote: calls it and reports what it gave back.

Reads a job from stdin, ``{"nonce": ..., "calls": [[function, arguments], ...]}``, and prints one
line of JSON, ``{"nonce": ..., "results": [...]}``, each result as JSON text again. It knows no
expected value. It is given to Python as source, so it uses nothing of ours.
"""

import json
import os
import sys
from collections.abc import Callable
from datetime import date
from importlib import import_module
from pathlib import Path
from typing import Any


def decode(value: Any) -> Any:
    """An argument as it is meant: what JSON has no word for travels under a tag."""
    if isinstance(value, list):
        return [decode(item) for item in value]
    if not isinstance(value, dict):
        return value
    if "$tuple" in value:
        return tuple(map(decode, value["$tuple"]))
    if "$date" in value:
        return date.fromisoformat(value["$date"])
    if "$set" in value:
        return frozenset(map(decode, value["$set"]))
    if "$dict" in value:
        return {decode(key): decode(item) for key, item in value["$dict"]}
    return {key: decode(item) for key, item in value.items()}


def encode(value: Any) -> Any:
    """A result as plain data. Exact types only: nothing that a model wrote speaks for itself."""
    kind = type(value)
    if value is None or kind in (bool, int, float, str):
        return value
    if kind is date:
        return {"$date": value.isoformat()}
    if kind is list:
        return [encode(item) for item in value]
    if kind is tuple:
        return {"$tuple": [encode(item) for item in value]}
    if kind in (set, frozenset):
        return {"$set": sorted((encode(item) for item in value), key=json.dumps)}
    if kind is dict:
        if all(type(key) is str and key[:1] != "$" for key in value):
            return {key: encode(item) for key, item in value.items()}
        pairs = ([encode(key), encode(item)] for key, item in value.items())
        return {"$dict": sorted(pairs, key=json.dumps)}
    named = getattr(kind, "_fields", None) or getattr(kind, "__dataclass_fields__", None)
    fields = named or vars(value)
    return {"$type": kind.__name__} | {name: encode(getattr(value, name)) for name in fields}


def call(function: str, arguments: list[Any]) -> Any:
    """What one call comes to: its result, or which of Python's own exceptions it raised."""
    try:
        return encode(find(function)(*map(decode, arguments)))
    except Exception as error:  # noqa: BLE001 - whatever it raises is what it comes to
        known = next(each for each in type(error).__mro__ if each.__module__ == "builtins")
        return {"$raises": known.__name__}


def find(function: str) -> Callable[..., Any]:
    """The function ``name`` of ``package.module:name``."""
    module, _, name = function.partition(":")
    found: Callable[..., Any] = getattr(import_module(module), name)
    return found


def main() -> None:
    """Do the job."""
    # What is called may print as it likes: the report goes out by a descriptor of its own.
    report = os.dup(1)
    os.dup2(2, 1)
    job = json.load(sys.stdin)
    # Last, so that no module in the workspace can stand in for one of Python's own.
    sys.path.append(str(Path.cwd()))
    results = [json.dumps(call(*each), sort_keys=True) for each in job["calls"]]
    with os.fdopen(report, "w") as out:
        json.dump({"nonce": job["nonce"], "results": results}, out)


if __name__ == "__main__":
    main()
