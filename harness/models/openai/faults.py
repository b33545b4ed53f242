"""Every error of the client and its transport, as one of our faults.

The transport cannot be taken at its word: it reports a refused connection and a dropped one as
a timeout. So what happened is read from the causes behind an error, down to the system's own.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import aiohttp
import openai
from pydantic import ValidationError

from harness.errors import (
    BadResponse,
    InfrastructureFault,
    RateLimited,
    ServerError,
    TimedOut,
    Unreachable,
)

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
def translated(where: str, hide: Callable[[str], str]) -> Iterator[None]:
    """Raise what went wrong at the endpoint ``where`` as an InfrastructureFault.

    Each detail passes through ``hide``, which takes out the key. The original error, which may
    hold the key, is cut off on purpose.
    """
    try:
        yield
    except InfrastructureFault as fault:
        raise _placed(fault, where, hide) from None
    except (openai.APIError, aiohttp.ClientError, TimeoutError) as error:
        raise _placed(_fault(error), where, hide) from None
    except (json.JSONDecodeError, UnicodeDecodeError, ValidationError, RecursionError) as error:
        garbled = BadResponse(f"the answer is not of the protocol: {_reason(error)}")
        raise _placed(garbled, where, hide) from None


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


def _placed(
    fault: InfrastructureFault, where: str, hide: Callable[[str], str]
) -> InfrastructureFault:
    """``fault`` with the endpoint before its detail, and the detail fit for a terminal."""
    detail = "".join(c if c.isprintable() else " " for c in hide(str(fault)))
    return type(fault)(f"{where}: {detail[:_LONGEST_DETAIL]}", stops_campaign=fault.stops_campaign)


def _fault(error: Exception) -> InfrastructureFault:
    if isinstance(error, openai.APIStatusError):
        return _refusal(error)
    if isinstance(error, openai.APIError) and not isinstance(error, openai.APIConnectionError):
        return ServerError(f"the reply broke off with an error: {_words(error)}")
    causes = list(_causes(error))
    if any(isinstance(cause, TimeoutError) for cause in causes):
        return TimedOut("silent for longer than connect_, first_token_ or stall_seconds allow")
    last = causes[-1]
    if isinstance(error, aiohttp.ClientResponseError):
        return BadResponse(f"the answer is no HTTP: {last}")
    if isinstance(last, OSError):
        return Unreachable(f"no connection: {last}")
    if any(isinstance(cause, aiohttp.ClientError) for cause in causes):
        return Unreachable("the server hung up before its answer was whole")
    return BadResponse(f"the answer cannot be read: {last}")


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__


def _refusal(error: openai.APIStatusError) -> InfrastructureFault:
    """The fault behind an HTTP status of 400 and more (or one that is no answer at all)."""
    status = error.status_code
    detail = f"HTTP {status}: {_words(error)}"
    if status == 429:
        return RateLimited(detail, stops_campaign=error.code == "insufficient_quota")
    if status == 408:
        return TimedOut(detail)
    if status >= 500:
        return ServerError(detail)
    if status in (401, 402, 403, 404):
        return ServerError(
            f"{detail} (no retry mends this: check key, account, base_url and model)",
            stops_campaign=True,
        )
    return BadResponse(f"{detail} (the request was refused)", stops_campaign=True)


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
