"""Runs inside the sandbox, beside what the model wrote: calls it and reports what it gave back.

Reads a job from stdin, ``{"nonce": ..., "calls": [[function, arguments], ...]}``, and prints one
line of JSON, ``{"nonce": ..., "results": [...]}``, each result as JSON text again. It knows no
expected value. Dates travel as ISO text under the key ``date``, sets of them under ``dates``.
"""

import json
import os
import sys
from datetime import date
from pathlib import Path


def decode(value):
    """An argument as the package expects it."""
    if isinstance(value, dict) and "date" in value:
        return date.fromisoformat(value["date"])
    if isinstance(value, dict) and "dates" in value:
        return frozenset(map(date.fromisoformat, value["dates"]))
    return value


def encode(value):
    """A result as plain data. Exact types only: nothing of the package's own gets to speak."""
    if type(value) is date:
        return value.isoformat()
    if type(value) in (bool, int):
        return value
    if type(value) in (list, tuple):
        return [encode(item) for item in value]
    if type(value).__name__ == "Payment":
        return {"due": encode(value.due), "cents": encode(value.cents)}
    return f"a value of type {type(value).__name__}"


def call(package, name, arguments):
    """What the package does with one call: its result, or that it refused its input."""
    function = getattr(package.months if name == "one_month_after" else package, name)
    try:
        return encode(function(*map(decode, arguments)))
    except ValueError:
        return "ValueError"


def main():
    # The package may print as it likes: the report goes out by a descriptor of its own.
    report = os.dup(1)
    os.dup2(2, 1)
    job = json.load(sys.stdin)
    # Last, so that no module beside the package can stand in for one of Python's own.
    sys.path.append(str(Path.cwd()))
    import instalments
    import instalments.months

    results = [json.dumps(call(instalments, *each), sort_keys=True) for each in job["calls"]]
    with os.fdopen(report, "w") as out:
        json.dump({"nonce": job["nonce"], "results": results}, out)


main()
