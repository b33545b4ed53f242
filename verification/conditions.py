"""Whether two models were played under the same conditions, as the transcripts' headers say."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from harness.records import Record, Started
from harness.terminal import one_line

Headers = Mapping[tuple[str, int], Started]
"""The headers of one model's runs, by task and repetition."""

UNKNOWN = "unknown"
"""What an imported run does not say. It differs from all that is known, not from itself."""

_ALL = "all of it"
"""Stands for every field of a record that is unknown."""

MOST_NAMED = 3
"""Tasks that are named where many differ."""

LONGEST_VALUE = 40
"""Characters of a setting, which another program's log may make as long as it likes."""

NO_CONDITION = frozenset(
    {
        "adaptive_connections",
        "attempt_timeout",
        "batch",
        "cache",
        "cache_prompt",
        "max_connections",
        "max_retries",
        "seed",
        "stream_idle_timeout",
        "timeout",
    }
)
"""What a log of Inspect sets for a model and that is no condition: how it is reached, and where
its draws begin."""


def other_limits(header: Started) -> Mapping[str, Any]:
    """The limits that an imported run's log names and that are no part of its ``budgets``."""
    limits = dict(_told(header, "limits"))
    tokens = _told(header, "generate_config").get("max_tokens")
    if header.budgets is not None:
        limits.pop("turn_limit", None)
    elif tokens is not None:
        limits["max_tokens"] = tokens
    return limits


def _other_sampling(header: Started) -> Mapping[str, Any]:
    """What an imported run's log says of how it was drawn and that ``sampling`` does not."""
    elsewhere = {"max_tokens"} | NO_CONDITION
    if header.model.sampling is not None:
        elsewhere |= header.model.sampling.model_dump().keys()
    told = _told(header, "generate_config")
    return {key: value for key, value in told.items() if key not in elsewhere}


def _told(header: Started, key: str) -> Mapping[str, Any]:
    """What ``verification.imports.inspect`` puts into a model's settings; empty of any other."""
    told = header.model.settings.get(key) if header.model.kind == "imported" else None
    return told if isinstance(told, dict) else {}


ASPECTS: Mapping[str, Callable[[Started], Mapping[str, Any]]] = {
    "suites": lambda header: {"suite": header.plan.suite},
    "versions of a task": lambda header: {"digest": header.task_digest[:12]},
    "variants of a task": lambda header: {"digest": (header.variant_digest or UNKNOWN)[:12]},
    "budgets": lambda header: _fields(header.budgets),
    "sampling": lambda header: _fields(header.model.sampling),
    "loads of the context": lambda header: {"context_load": header.context_load},
    "limits in an imported log": other_limits,
    "settings in an imported log": _other_sampling,
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


def unknown_of_both(a: Headers, b: Headers) -> list[str]:
    """The aspects of which neither model's headers say all: they may have differed, unseen."""
    return [
        aspect
        for aspect, of in ASPECTS.items()
        if any(UNKNOWN in of(x).values() and UNKNOWN in of(y).values() for x, y in _pairs(a, b))
    ]


def _fields(record: Record | None) -> Mapping[str, Any]:
    return record.model_dump() if record else {_ALL: UNKNOWN}


def _pairs(a: Headers, b: Headers) -> list[tuple[Started, Started]]:
    pairs = [(a[place], b[place]) for place in sorted(a.keys() & b.keys())]
    paired = {x.task for x, _ in pairs}
    first_a, first_b = _first(a), _first(b)
    alone = sorted((first_a.keys() & first_b.keys()) - paired)
    return pairs + [(first_a[task], first_b[task]) for task in alone]


def _first(headers: Headers) -> dict[str, Started]:
    return {task: headers[task, number] for task, number in sorted(headers, reverse=True)}


def _differing(a: Mapping[str, Any], b: Mapping[str, Any]) -> str:
    if (_ALL in a) != (_ALL in b):
        return "known of one alone"
    keys = [key for key in dict.fromkeys([*a, *b]) if a.get(key) != b.get(key)]
    return ", ".join(f"{key} {_value(a, key)} against {_value(b, key)}" for key in keys)


def _value(of: Mapping[str, Any], key: str) -> str:
    return one_line(str(of.get(key, "not set")), LONGEST_VALUE)


def _named(tasks: list[str]) -> str:
    more = len(tasks) - MOST_NAMED
    return f"in {', '.join(tasks[:MOST_NAMED])}" + (f" and {more} more" if more > 0 else "")
