"""Whether two models were played under the same conditions, as the transcripts' headers say."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from harness.records import Record, Started

Headers = Mapping[tuple[str, int], Started]
"""The headers of one model's runs, by task and repetition."""

UNKNOWN = "unknown"
"""What an imported run does not say. It differs from all that is known, not from itself."""

MOST_NAMED = 3
"""Tasks that are named where many differ."""

ASPECTS: Mapping[str, Callable[[Started], Mapping[str, Any]]] = {
    "suites": lambda header: {"suite": header.plan.suite},
    "versions of a task": lambda header: {"digest": header.task_digest[:12]},
    "variants of a task": lambda header: {"digest": (header.variant_digest or UNKNOWN)[:12]},
    "budgets": lambda header: _fields(header.budgets),
    "sampling": lambda header: _fields(header.model.sampling),
}
"""What must be the same where two runs are compared."""


def differences(a: Headers, b: Headers) -> list[str]:
    """What forbids comparing the two, a clause each; none where the conditions were the same.

    A run is held against the other model's of the same task and repetition, since a seeded
    variant belongs to a repetition; of a task where no repetition was begun by both, the first.
    """
    pairs = _pairs(a, b)
    found = []
    for aspect, of in ASPECTS.items():
        unlike = {x.task: _differing(of(x), of(y)) for x, y in reversed(pairs) if of(x) != of(y)}
        if unlike:
            tasks = sorted(unlike)
            where = "throughout" if len(tasks) == len({x.task for x, _ in pairs}) else _named(tasks)
            found.append(f"different {aspect} ({unlike[tasks[0]]}; {where})")
    return found


def _fields(record: Record | None) -> Mapping[str, Any]:
    return record.model_dump() if record else {"all of it": UNKNOWN}


def _pairs(a: Headers, b: Headers) -> list[tuple[Started, Started]]:
    pairs = [(a[place], b[place]) for place in sorted(a.keys() & b.keys())]
    paired = {x.task for x, _ in pairs}
    first_a, first_b = _first(a), _first(b)
    alone = sorted((first_a.keys() & first_b.keys()) - paired)
    return pairs + [(first_a[task], first_b[task]) for task in alone]


def _first(headers: Headers) -> dict[str, Started]:
    return {task: headers[task, number] for task, number in sorted(headers, reverse=True)}


def _differing(a: Mapping[str, Any], b: Mapping[str, Any]) -> str:
    if a.keys() != b.keys():
        return "known of one alone"
    return ", ".join(f"{key} {a[key]} against {b[key]}" for key in a if a[key] != b[key])


def _named(tasks: list[str]) -> str:
    more = len(tasks) - MOST_NAMED
    return f"in {', '.join(tasks[:MOST_NAMED])}" + (f" and {more} more" if more > 0 else "")
