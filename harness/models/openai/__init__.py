"""Any endpoint that speaks OpenAI's chat completions, through the official client.

    settings.py   the keys of its [[models]] table
    messages.py   a Request as the body that is posted
    stream.py     what streams back, put together into a Completion
    faults.py     every error of the client and its transport as a fault of ours

Replies are streamed, so that an endpoint that hangs and one that is slow can be told apart. The
client runs on its aiohttp transport: on the usual one, 64 runs at once wait for the processor.
"""

from __future__ import annotations

import asyncio
import os
import time
from typing import Any

import openai
from openai import AsyncOpenAI, AsyncStream, DefaultAioHttpClient
from pydantic import BaseModel, ValidationError

from harness.errors import BadInput, BadResponse, InfrastructureFault, ServerError
from harness.models import Request
from harness.models.openai.faults import is_context_full, translated
from harness.models.openai.messages import chat_request
from harness.models.openai.settings import Settings
from harness.models.openai.stream import Assembly
from harness.records import Completion

__all__ = ["Model", "Settings"]

_SHORTEST_SECRET = 8
"""A shorter key is a placeholder such as ``EMPTY``, and hiding it would garble replies."""

_MODELS_NOTED = 20

_DROP_CONNECTIONS = {"llama.cpp"}
"""Servers, as they name themselves, that close a connection after each stream although they
announce to keep it: a request sent on it would be lost."""


class Model:
    """One model behind one endpoint. Nothing is kept from one request to the next."""

    parallel: int | None = None

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._key = ""
        self._client: AsyncOpenAI | None = None
        self._turnstile = asyncio.Lock()

    async def open(self) -> dict[str, Any]:
        """Check that the endpoint answers; any answer of HTTP but 401 and 403 will do.

        Returns the address, the client's version, the server's name for itself and, where it
        lists its models, the first of them and whether the asked one is there.
        """
        await self.close()
        self._key = _read_key(self._settings)
        try:
            with translated(self._settings.base_url, self._hide):
                answer = await self._list_models()
        except InfrastructureFault as fault:
            raise BadInput(f"{fault}; {_advice(self._settings, fault)}") from None
        server = answer.headers.get("server", "")
        self._client = _connect(
            self._settings,
            self._key,
            max_retries=self._settings.max_retries,
            headers={"Connection": "close"} if server in _DROP_CONNECTIONS else {},
        )
        models = _model_names(answer.text)
        return {
            "base_url": self._settings.base_url,
            "client": f"openai {openai.__version__}",
            "server": self._hide(server) or None,
            "models": None if models is None else list(map(self._hide, models[:_MODELS_NOTED])),
            "model_listed": None if models is None else self._settings.model in models,
        }

    async def reply(self, request: Request) -> Completion:
        """Answer one request; a full context is an answer, every other refusal a fault."""
        if self._client is None:
            raise RuntimeError("reply() before open()")
        try:
            with translated(self._settings.base_url, self._hide):
                try:
                    return await self._ask(self._client, request)
                except openai.APIError as error:
                    if not is_context_full(error):
                        raise
                    return Completion(finish_reason="context")
        except BadResponse as fault:
            # Later it may be something in this conversation that was refused, and in no other.
            fault.stops_campaign = fault.stops_campaign and request.turn == 1
            raise

    async def close(self) -> None:
        """Drop the connections. May be called at any time, and twice."""
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
                async for chunk in stream:
                    assembly.take(chunk)
                    if assembly.begun and first_token_seconds is None:
                        first_token_seconds = time.monotonic() - sent
                    silence = (
                        settings.stall_seconds if assembly.begun else settings.first_token_seconds
                    )
                    patience.reschedule(clock() + silence)
        return assembly.completion(self._hide, first_token_seconds, time.monotonic() - sent)

    async def _list_models(self) -> Any:
        """The HTTP answer to a listing of models, whatever its status but 401 and 403.

        It is asked for once, so that a server that is not there is known at once.
        """
        async with (
            asyncio.timeout(2 * self._settings.connect_seconds),
            _connect(self._settings, self._key, max_retries=0, headers={}) as client,
        ):
            try:
                return (await client.models.with_raw_response.list()).http_response
            except openai.APIStatusError as error:
                if error.status_code in (401, 403):
                    raise
                return error.response

    def _hide(self, text: str) -> str:
        """``text`` without the key, which a server may echo in errors, headers or replies."""
        return text.replace(self._key, "[key]") if len(self._key) >= _SHORTEST_SECRET else text


def _read_key(settings: Settings) -> str:
    """The key, or '' where none is asked for; raises BadInput where its variable is no use."""
    variable = settings.api_key_env
    if variable is None:
        return ""
    key = os.environ.get(variable, "").strip()
    if not key:
        raise BadInput(
            f"model {settings.name!r}: the environment variable {variable} (api_key_env) "
            "is not set; export it with the endpoint's key"
        )
    if not (key.isascii() and key.isprintable()):
        raise BadInput(
            f"model {settings.name!r}: the environment variable {variable} (api_key_env) "
            "holds characters that no key has; was it copied whole?"
        )
    return key


def _connect(
    settings: Settings, key: str, *, max_retries: int, headers: dict[str, str]
) -> AsyncOpenAI:
    client = AsyncOpenAI(
        # Not empty, or the client would take a key meant for another endpoint from OPENAI_API_KEY.
        api_key=key or "none",
        base_url=settings.base_url,
        max_retries=max_retries,
        default_headers=headers,
        timeout=openai.Timeout(None, connect=settings.connect_seconds),
        http_client=DefaultAioHttpClient(event_hooks={"request": [_note_time]}),
    )
    client.organization = client.project = None  # or those of OpenAI's own variables are sent
    return client


async def _note_time(request: Any) -> None:
    """Note on each request when it was sent, so that the time spent on tries that failed, and
    on waiting between them, is not counted as the model's."""
    request.extensions["sent_at"] = time.monotonic()


def _advice(settings: Settings, fault: InfrastructureFault) -> str:
    if isinstance(fault, ServerError):
        return f"the key is read from {settings.api_key_env or 'the variable in api_key_env'}"
    return "start the server, or mend base_url"


class _Listed(BaseModel):
    id: str


class _Listing(BaseModel):
    data: list[_Listed]


def _model_names(body: str) -> list[str] | None:
    """The names in an answer to GET /models; None where it is no such answer."""
    try:
        return [listed.id for listed in _Listing.model_validate_json(body).data]
    except ValidationError:
        return None
