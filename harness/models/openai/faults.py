"""Every error of the client and its transport, as one of our faults.

The transport cannot be taken at its word: it reports a refused connection and a dropped one as
a timeout. So what happened is read from the causes behind an error, down to the system's own.
"""

from __future__ import annotations

import json
import re
import ssl
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

import aiohttp
import httpx2
import openai
from pydantic import ValidationError

from harness.errors import InfrastructureFault
from harness.records import FaultKind
from harness.secrets import redacted

_CONTEXT_CODES = {"context_length_exceeded", "exceed_context_size_error"}

_CONTEXT_WORDS = re.compile(
    r"""
      maximum\ (?:context|prompt|model)\ length     # OpenAI, vLLM, DeepSeek, Mistral, xAI
    | exceeds?\ the\ (?:available\ )?context        # llama.cpp
    | (?:exceeds?|longer\ than)\ the\ (?:model's\ )?(?:maximum\ )?context\ (?:length|window|size)
    | context\ length\ is\ only                     # vLLM
    | exceeds?\ context\ (?:window|length|size)     # llama-cpp-python
    | context\ (?:size|length|window)\ (?:has\ been\ |was\ )?exceeded   # LM Studio
    | loaded\ with\ context\ length                 # LM Studio
    | exceeds\ the\ maximum\ number\ of\ tokens     # Gemini
    | tokens?\ exceed\ the\ configured\ limit       # OpenAI
    | exceeded\ model\ token\ limit                 # Moonshot
    | range\ of\ input\ length\ should\ be          # DashScope
    | prompt\ is\ too\ long | prompt\ exceeds\ max\ length | input\ is\ too\ long
    | inputs.{0,3}\ tokens\ \+\ .{0,3}max_new_tokens   # TGI
    """,
    re.VERBOSE | re.IGNORECASE,
)

_LONGEST_DETAIL = 300


@contextmanager
def translated(where: str) -> Iterator[None]:
    """Raise what went wrong at the endpoint ``where`` as an InfrastructureFault.

    The original error, which may hold the key, is cut off on purpose.
    """
    try:
        yield
    except InfrastructureFault as fault:
        raise _placed(fault, where) from None
    except (openai.APIError, httpx2.RequestError, aiohttp.ClientError, TimeoutError) as error:
        # The client lets httpx2's errors through where the body of a refusal breaks off.
        raise _placed(_fault(error), where) from None
    except (json.JSONDecodeError, UnicodeDecodeError, ValidationError, RecursionError) as error:
        garbled = f"the answer is not of the protocol: {_reason(error)}"
        raise _placed(InfrastructureFault("garbled", garbled), where) from None


def is_context_full(error: openai.APIError) -> bool:
    """Whether an endpoint refused a request because its prompt did not fit the context.

    Only the error's code, type and the beginning of its message are looked at: some endpoints
    echo the request further on, and a conversation may be about anything.
    """
    body = error.body if isinstance(error.body, dict) else {}
    if not _CONTEXT_CODES.isdisjoint({str(body.get("code")), str(body.get("type"))}):
        return True
    status = error.status_code if isinstance(error, openai.APIStatusError) else body.get("code")
    message = str(body.get("message", ""))[:_LONGEST_DETAIL]
    return status in (400, 413, 422) and _CONTEXT_WORDS.search(message) is not None


def _placed(fault: InfrastructureFault, where: str) -> InfrastructureFault:
    """``fault`` with the endpoint before its detail, and the detail fit for a terminal."""
    detail = "".join(c if c.isprintable() else " " for c in redacted(str(fault)))
    detail = f"{where}: {detail[:_LONGEST_DETAIL]}"
    return InfrastructureFault(fault.kind, detail, retry_after=fault.retry_after)


def _fault(error: Exception) -> InfrastructureFault:
    if isinstance(error, openai.APIStatusError):
        return _refusal(error)
    if isinstance(error, openai.APIError) and not isinstance(error, openai.APIConnectionError):
        return InfrastructureFault("broken_off", f"the reply broke off: {_words(error)}")
    if isinstance(error, aiohttp.ClientResponseError):
        return InfrastructureFault("garbled", f"the answer is no HTTP: {error}")
    return _lost(list(_causes(error)))


def _lost(causes: Sequence[BaseException]) -> InfrastructureFault:
    """The fault behind a connection that failed, from the last of its causes."""
    last = causes[-1]
    for cause in causes:
        if isinstance(cause, TimeoutError):
            words = "silent for longer than connect_, first_token_ or stall_seconds allow"
            return InfrastructureFault("silent", words)
        if isinstance(cause, ssl.SSLCertVerificationError):
            return InfrastructureFault("untrusted", f"its certificate is not valid: {cause}")
        if isinstance(cause, ssl.SSLError):
            return InfrastructureFault("tls", f"no TLS connection: {cause}")
        if isinstance(cause, aiohttp.ClientConnectorDNSError):
            return InfrastructureFault("unresolved", f"no such host: {last}")
    if any(isinstance(cause, aiohttp.ClientConnectorError) for cause in causes):
        return InfrastructureFault("refused", f"no connection: {last}")
    if isinstance(last, ConnectionResetError | BrokenPipeError):
        return InfrastructureFault("reset", f"connection lost: {last}")
    if isinstance(last, OSError):
        return InfrastructureFault("refused", f"no connection: {last}")
    if any(isinstance(cause, aiohttp.ClientError) for cause in causes):
        return InfrastructureFault("reset", "the server hung up before its answer was whole")
    return InfrastructureFault("garbled", f"the answer cannot be read: {last}")


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__


def _refusal(error: openai.APIStatusError) -> InfrastructureFault:
    """The fault behind an HTTP status of 400 and more (or one that is no answer at all)."""
    kind = _kind_of_refusal(error)
    advice = {
        "no_quota": " (mend the account)",
        "not_allowed": " (mend the key)",
        "not_found": " (mend base_url or the model's name)",
        "bad_request": " (the request was refused)",
    }.get(kind, "")
    detail = f"HTTP {error.status_code}: {_words(error)}{advice}"
    return InfrastructureFault(kind, detail, retry_after=_asked_to_wait(error.response.headers))


def _kind_of_refusal(error: openai.APIStatusError) -> FaultKind:
    match error.status_code:
        case 401 | 403:
            return "not_allowed"
        case 402:
            return "no_quota"
        case 404:
            return "not_found"
        case 408:
            return "timed_out"
        case 429:
            return "no_quota" if error.code == "insufficient_quota" else "rate_limited"
        case status:
            return "server_error" if status >= 500 else "bad_request"


def _asked_to_wait(headers: Mapping[str, str]) -> float | None:
    """Seconds that the server asks us to wait, or until its limits are reset; None: not said.

    Retry-After is of RFC 9110, section 10.2.3: seconds or a date. The others are OpenAI's.
    """
    with suppress(KeyError, ValueError):
        return max(0.0, float(headers["retry-after-ms"]) / 1000)
    with suppress(KeyError, ValueError):
        return max(0.0, float(headers["retry-after"]))
    with suppress(KeyError, ValueError):
        date = parsedate_to_datetime(headers["retry-after"])
        return max(0.0, (date - datetime.now(UTC)).total_seconds())
    resets = [
        _seconds(headers[f"x-ratelimit-reset-{what}"])
        for what in ("requests", "tokens")
        if headers.get(f"x-ratelimit-remaining-{what}") == "0"
        and f"x-ratelimit-reset-{what}" in headers
    ]
    return max(resets, default=None)


def _seconds(text: str) -> float:
    """The seconds of a duration such as ``1m30s`` or ``250ms``."""
    units = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}
    parts = re.findall(r"([0-9.]+)(ms|s|m|h)", text)
    return sum(float(number) * units[unit] for number, unit in parts)


def _words(error: openai.APIError) -> str:
    """What the endpoint said, in its own words where it has any."""
    body = error.body
    if isinstance(body, dict) and body.get("message"):
        return str(body["message"])
    return str(body or error.message)


def _reason(error: Exception) -> str:
    if not isinstance(error, ValidationError):
        return str(error) or type(error).__name__
    first = error.errors(include_url=False, include_input=False)[0]
    return f"{'.'.join(map(str, first['loc'])) or 'a chunk'}: {first['msg']}"
