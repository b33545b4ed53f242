"""The truth: what each fault that can be injected is, in the words of the table of attribution.

A fault's name says where it strikes and what it does. Its cause is written out here once more,
so that a slip in ``harness.attribution`` is not taken for the truth.
"""

from __future__ import annotations

from typing import NamedTuple

from harness.records import Cause, FaultKind
from tests import chaos_answers as answers
from tests.chaos_proxy import Fault, Point

POINTS: tuple[Point, ...] = ("request", "first byte", "headers", "stream")


class Truth(NamedTuple):
    """A fault, and what is to be made of it."""

    fault: Fault
    kind: FaultKind
    cause: Cause


def _cuts() -> dict[str, Truth]:
    """Connections that are lost, or that fall silent, at each point of an exchange."""
    truths = {}
    for at in POINTS:
        where = f"{at}: "
        truths[where + "reset"] = Truth(Fault(at, "reset"), "reset", "unreachable")
        truths[where + "close"] = Truth(Fault(at, "close"), "reset", "unreachable")
        truths[where + "stall"] = Truth(Fault(at, "stall"), "silent", "timeout")
    later: dict[str, Truth] = {
        "stream: reset later": Truth(Fault("stream", "reset", pieces=2), "reset", "unreachable"),
        "stream: close later": Truth(Fault("stream", "close", pieces=2), "reset", "unreachable"),
        "stream: stall": Truth(Fault("stream", "stall", pieces=2), "stalled", "timeout"),
    }
    return truths | later


def _answer(content: bytes, kind: FaultKind, cause: Cause) -> Truth:
    return Truth(Fault("request", instead=content), kind, cause)


def _garbage(content: bytes, kind: FaultKind, cause: Cause) -> Truth:
    return Truth(Fault("stream", instead=content), kind, cause)


CUTS = _cuts()

DOWN = {f"{at}: down": Truth(Fault(at, "down"), "reset", "unreachable") for at in POINTS}
"""The link goes down in the middle of a turn, and for good."""

BETWEEN_TURNS = Truth(Fault("end", "down"), "refused", "unreachable")
"""The link goes down behind a whole reply: what is asked next is refused."""

ANSWERS = {
    **{
        f"{status} {form}": _answer(content, "server_error", "server_error")
        for form, contents in (
            ("JSON", answers.SERVER_ERRORS),
            ("page", answers.SERVER_ERROR_PAGES),
        )
        for status, content in contents.items()
    },
    **{
        f"{status} cut short": _answer(content, "reset", "unreachable")
        for status, content in answers.CUT_SHORT.items()
    },
    "400 ours": _answer(answers.OUR_BUG, "bad_request", "harness_bug"),
    "200 page": _answer(answers.A_PAGE_WITH_200, "garbled", "bad_response"),
    "200 empty": _answer(answers.NOTHING_WITH_200, "garbled", "bad_response"),
    "200 no gzip": _answer(answers.NO_GZIP, "garbled", "bad_response"),
    "200 without an end": _answer(answers.UNFRAMED, "garbled", "bad_response"),
    "no HTTP": _answer(answers.NO_HTTP, "garbled", "bad_response"),
    "no JSON": _answer(answers.NO_JSON, "garbled", "bad_response"),
    "unfinished call": _answer(answers.UNFINISHED_CALL, "garbled", "bad_response"),
    "no choices": _answer(answers.NO_CHOICES, "garbled", "bad_response"),
    "garbage event": _garbage(answers.GARBAGE_EVENT, "garbled", "bad_response"),
    "garbage frames": _garbage(answers.GARBAGE_FRAMES, "garbled", "bad_response"),
    "error event": _garbage(answers.ERROR_EVENT, "broken_off", "server_error"),
}

LIMITS = {
    "429": _answer(answers.RATE_LIMITED, "rate_limited", "rate_limited"),
    "429 with Retry-After": _answer(answers.RATE_LIMITED_SHORTLY, "rate_limited", "rate_limited"),
}
"""Met with patience: one alone costs nothing but time."""

STOPS = {
    "401": _answer(answers.NOT_ALLOWED[401], "not_allowed", "server_error"),
    "403": _answer(answers.NOT_ALLOWED[403], "not_allowed", "server_error"),
    "429 no quota": _answer(answers.NO_QUOTA, "no_quota", "rate_limited"),
}
"""Met by a person alone."""
