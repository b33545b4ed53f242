"""Any endpoint that speaks OpenAI's chat completions, through the official client.

    settings.py   the keys of its [[models]] table
    connection.py the key and the client: one try, sockets that notice a dead peer
    messages.py   a Request as the body that is posted
    stream.py     what streams back, put together into a Completion
    faults.py     every error of the client and its transport as a fault of ours

Replies are streamed, so that an endpoint that hangs and one that is slow can be told apart. The
client runs on its aiohttp transport: on the usual one, 64 runs at once wait for the processor.
"""

from __future__ import annotations

import asyncio
import time
from pathlib import Path
from typing import Any

import openai
import structlog
from openai import AsyncOpenAI, AsyncStream
from pydantic import BaseModel, ValidationError

from harness.errors import BadInput, InfrastructureFault
from harness.models import Request
from harness.models._telling import Say, silent
from harness.models.openai.connection import connect, read_key
from harness.models.openai.faults import is_context_full, translated
from harness.models.openai.messages import chat_request
from harness.models.openai.settings import Settings
from harness.models.openai.stream import Assembly
from harness.records import Completion, Prompt
from harness.secrets import redacted

__all__ = ["Model", "Settings"]

log = structlog.get_logger()

_MODELS_NOTED = 20

_DROP_CONNECTIONS = {"llama.cpp"}
"""Servers, as they name themselves, that close a connection after each stream although they
announce to keep it: a request sent on it would be lost."""

_PROBE_SECONDS = 60.0

_LONG_PAUSE = 10.0
"""Seconds. A reply that has begun and then pauses for longer was held up by the world, not by
the model: the time is not counted as the model's."""


class Model:
    """One model behind one endpoint. Nothing is kept from one request to the next.

    ``key`` is used instead of the one that the settings name, by who started the endpoint.
    """

    parallel: int | None = None
    rehearses = True

    def __init__(self, settings: Settings, *, key: str | None = None) -> None:
        self._settings = settings
        self._given_key = key
        self._key = ""
        self._client: AsyncOpenAI | None = None
        self._turnstile = asyncio.Lock()
        self._heart: asyncio.Task[None] | None = None
        self._last_used = 0.0

    async def open(self, say: Say = silent) -> dict[str, Any]:
        """Check that the endpoint answers; any answer of HTTP but 401 and 403 will do.

        Returns the address, the client's version, the server's name for itself and, where it
        lists its models, the first of them, whether the asked one is there and its context.
        """
        await self.close()
        self._key = read_key(self._settings) if self._given_key is None else self._given_key
        try:
            with translated(self._settings.base_url):
                answer = await self._list_models()
        except InfrastructureFault as fault:
            raise BadInput(f"{fault}; {_advice(self._settings, fault)}") from None
        server = answer.headers.get("server", "")
        headers = {"Connection": "close"} if server in _DROP_CONNECTIONS else {}
        self._client = connect(self._settings, self._key, headers=headers)
        self._heart = asyncio.create_task(self._beat())
        models = _listed(answer.text)
        names = None if models is None else [redacted(model.id) for model in models]
        return {
            "base_url": self._settings.base_url,
            "client": f"openai {openai.__version__}",
            "server": redacted(server) or None,
            "models": None if names is None else names[:_MODELS_NOTED],
            "model_listed": None if names is None else self._settings.model in names,
            "context_window": self._settings.context_window
            or _context_window(models or [], self._settings.model),
        }

    async def reply(self, request: Request) -> Completion:
        """Answer one request; a full context is an answer, every other refusal a fault."""
        if self._client is None:
            raise RuntimeError("reply() before open()")
        with translated(self._settings.base_url):
            try:
                return await self._ask(self._client, request)
            except openai.APIError as error:
                if not is_context_full(error):
                    raise
                return Completion(finish_reason="context")

    async def probe(self) -> None:
        """Ask for one word. A refusal of what was asked shows as well that somebody answers."""
        if self._client is None:
            raise RuntimeError("probe() before open()")
        hello = Prompt(role="user", content="Say: ok")
        with translated(self._settings.base_url):
            try:
                async with asyncio.timeout(_PROBE_SECONDS):
                    await self._ask(self._client, Request("probe", 1, (hello,), (), 16, 0, Path()))
            except openai.APIStatusError as error:
                if error.status_code not in (400, 422):
                    raise

    async def close(self) -> None:
        """Drop the connections. May be called at any time, and twice."""
        if self._heart is not None:
            self._heart.cancel()
            self._heart = None
        if self._client is not None:
            client, self._client = self._client, None
            await client.close()

    async def _ask(self, client: AsyncOpenAI, request: Request) -> Completion:
        settings = self._settings
        assembly = Assembly(request.turn, request.max_tokens)
        clock = asyncio.get_running_loop().time
        first_token_seconds = None
        async with self._turnstile:
            # One at a time, with the event loop turning in between: else, where many ask in the
            # same moment, the first request leaves only after the last one has been made, and
            # that wait would count as the model's time.
            await asyncio.sleep(0)
        held_up = 0.0
        try:
            async with asyncio.timeout(settings.first_token_seconds) as patience:
                # post(), not chat.completions.create(): the latter lets chunks of any shape pass
                # as if they were typed, so that what an endpoint garbles would look like our bug.
                stream = await client.post(
                    "/chat/completions",
                    cast_to=object,
                    body=chat_request(settings, request),
                    stream=True,
                    stream_cls=AsyncStream[object],
                )
                sent: float = stream.response.request.extensions["sent_at"]
                async with stream:
                    before = time.monotonic()
                    async for chunk in stream:
                        now = time.monotonic()
                        if assembly.begun and now - before > _LONG_PAUSE:
                            held_up += now - before
                        before = now
                        assembly.take(chunk)
                        if assembly.begun and first_token_seconds is None:
                            first_token_seconds = now - sent
                        patience.reschedule(clock() + self._longest_silence(assembly))
        except TimeoutError:
            if not patience.expired():
                raise
            what = "fell silent in the middle of its reply" if assembly.begun else "was silent"
            raise InfrastructureFault(
                "stalled" if assembly.begun else "silent",
                f"the model {what} for {self._longest_silence(assembly):g} s",
            ) from None
        self._last_used = time.monotonic()
        seconds = self._last_used - sent - held_up
        return assembly.completion(first_token_seconds, seconds)

    def _longest_silence(self, assembly: Assembly) -> float:
        settings = self._settings
        return settings.stall_seconds if assembly.begun else settings.first_token_seconds

    async def _list_models(self) -> Any:
        """The HTTP answer to a listing of models, whatever its status but 401 and 403.

        It is asked for once, so that a server that is not there is known at once.
        """
        async with (
            asyncio.timeout(2 * self._settings.connect_seconds),
            connect(self._settings, self._key, headers={}) as client,
        ):
            try:
                return (await client.models.with_raw_response.list()).http_response
            except openai.APIStatusError as error:
                if error.status_code in (401, 403):
                    raise
                return error.response

    async def _beat(self) -> None:
        """Ask for something small whenever nothing was asked for a while: tunnels and address
        translators forget connections that are idle, and a run may think long in its tools."""
        assert self._client is not None
        while True:
            await asyncio.sleep(self._settings.heartbeat_seconds)
            if time.monotonic() - self._last_used < self._settings.heartbeat_seconds:
                continue
            try:
                with translated(self._settings.base_url):
                    await self._client.models.with_raw_response.list()
            except InfrastructureFault as fault:
                log.info("heartbeat", endpoint=self._settings.base_url, lost=fault.kind)


def _advice(settings: Settings, fault: InfrastructureFault) -> str:
    if fault.kind == "not_allowed":
        source = settings.api_key_env or settings.api_key_file
        return f"the key is read from {source or 'what api_key_env or api_key_file names'}"
    return "start the server, or mend base_url"


class _Listed(BaseModel):
    """A model as GET /models lists it; how large its context is has no common word."""

    id: str
    max_model_len: int | None = None  # vLLM, SGLang
    context_length: int | None = None  # OpenRouter, Together
    context_window: int | None = None  # Groq
    max_context_length: int | None = None  # Mistral
    meta: dict[str, Any] | None = None  # llama.cpp


class _Listing(BaseModel):
    data: list[_Listed]


def _listed(body: str) -> list[_Listed] | None:
    """The models in an answer to GET /models; None where it is no such answer."""
    try:
        return _Listing.model_validate_json(body).data
    except ValidationError:
        return None


def _context_window(models: list[_Listed], name: str) -> int | None:
    """How many tokens of context the endpoint says the model has; None where it says nothing."""
    for model in models:
        if model.id == name or len(models) == 1:
            told = (model.meta or {}).get("n_ctx")
            known = (model.max_model_len, model.context_length, model.context_window)
            sizes = (told, *known, model.max_context_length)
            return next((size for size in sizes if isinstance(size, int) and size > 0), None)
    return None
