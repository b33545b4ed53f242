"""Whose fault, and what is done about it: one table, a row for each way the world can fail.

Whoever meets a fault names its row (``InfrastructureFault("reset", ...)``); what follows from it
is written here and nowhere else. docs/attribution.md shows the table as it stands.

    repeat    The request is made again within the turn, ``retries`` times, after 1 s, 2 s, 4 s
              and so on up to 30 s, with jitter: nothing has come of it, so it is safe to repeat.
              Where that does not help, the model is probed. If the probe fails too, it is an
              outage: every run of that model waits, for ``patience_minutes``, and then goes on
              where it was. If the probe does not fail, it was this request: a new attempt.
    probe     As ``repeat``, without repeating at once what took long to fail.
    slow      As long as the server says, or 1 s doubling to 60 s, and for all runs of the model
              at once, with half as many requests side by side; more again as they succeed.
    attempt   A new attempt from a fresh workspace, ``attempts`` in all.
    stop      No retry mends it: what is in flight ends, and the rest stays owed.
"""

from __future__ import annotations

from typing import Literal, NamedTuple

from harness.records import Cause, FaultKind

Remedy = Literal["repeat", "probe", "slow", "attempt", "stop"]


class Rule(NamedTuple):
    """A row: what happened, in words; the cause that is recorded; what is done about it."""

    what: str
    cause: Cause
    remedy: Remedy


RULES: dict[FaultKind, Rule] = {
    # Between here and an endpoint.
    "refused": Rule("connection refused, no route, network down", "unreachable", "repeat"),
    "unresolved": Rule("the host's name is not resolved", "unreachable", "repeat"),
    "reset": Rule("connection lost before the reply was whole", "unreachable", "repeat"),
    "tls": Rule("no TLS connection", "unreachable", "repeat"),
    "untrusted": Rule("the server's certificate is not valid", "unreachable", "stop"),
    "silent": Rule("no token came for longer than patience allows", "timeout", "probe"),
    "stalled": Rule("a reply began and fell silent", "timeout", "probe"),
    # What an endpoint answers.
    "timed_out": Rule("HTTP 408: the server gave up waiting", "timeout", "repeat"),
    "rate_limited": Rule("HTTP 429, with or without Retry-After", "rate_limited", "slow"),
    "no_quota": Rule("HTTP 402, or 429 because the account is spent", "rate_limited", "stop"),
    "server_error": Rule("HTTP 5xx", "server_error", "repeat"),
    "broken_off": Rule("the server gave up in the middle of a reply", "server_error", "repeat"),
    "not_allowed": Rule("HTTP 401 or 403: the key", "server_error", "stop"),
    "not_found": Rule("HTTP 404: the address or the model's name", "server_error", "stop"),
    "garbled": Rule(
        "not of the protocol: no HTTP, no JSON, no choice, an unfinished stream or call",
        "bad_response",
        "repeat",
    ),
    "bad_request": Rule(
        "HTTP 400 and other refusals of what was asked, but a full context",
        "harness_bug",
        "attempt",
    ),
    # A model's process on this machine.
    "process_died": Rule(
        "the process that runs a model died, or was killed for memory", "model_crashed", "repeat"
    ),
    "process_hung": Rule("the process that runs a model fell silent", "timeout", "probe"),
    # This machine.
    "sandbox": Rule("a sandbox could not be made, or did not hold", "sandbox_failed", "attempt"),
    "checker": Rule("the checker raised, or did not end", "checker_crashed", "attempt"),
    "disk_full": Rule("no space, or no leave, to write evidence", "disk_full", "stop"),
    "interrupted": Rule("Ctrl-C, a kill, a power cut", "interrupted", "attempt"),
    "bug": Rule("anything else that was raised", "harness_bug", "attempt"),
}
