"""How an endpoint is reached: the key, and the official client on sockets that are kept alive."""

from __future__ import annotations

import os
import socket
import time
from pathlib import Path
from typing import Any

import aiohttp
import httpx2
import openai
from openai import AsyncOpenAI, DefaultAioHttpClient

# Private, but the only transport of the client that can be handed sockets of ours.
from openai._vendor.httpx_aiohttp import AiohttpTransport

from harness import secrets
from harness.errors import BadInput
from harness.models.openai.settings import Settings

_KEEPALIVE = {"TCP_KEEPIDLE": 30, "TCP_KEEPINTVL": 10, "TCP_KEEPCNT": 6}
"""Seconds, seconds, times: a peer that is gone without a word is noticed in a minute and a half,
and not only when patience with a slow first token ends."""


def read_key(settings: Settings) -> str:
    """The key, or '' where none is asked for; raises BadInput where what is named has none."""
    if settings.api_key_env:
        where = f"the environment variable {settings.api_key_env} (api_key_env)"
        key = os.environ.get(settings.api_key_env, "")
    elif settings.api_key_file:
        where = f"the file {settings.api_key_file} (api_key_file)"
        try:
            key = Path(settings.api_key_file).expanduser().read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise BadInput(f"model {settings.name!r}: {where} cannot be read: {error}") from None
    else:
        return ""
    key = key.strip()
    if not key:
        raise BadInput(
            f"model {settings.name!r}: {where} is not set or empty; it must hold the endpoint's key"
        )
    if not (key.isascii() and key.isprintable()):
        raise BadInput(
            f"model {settings.name!r}: {where} holds characters that no key has; "
            "was it copied whole?"
        )
    secrets.keep(key)
    return key


def connect(settings: Settings, key: str, *, headers: dict[str, str]) -> AsyncOpenAI:
    """A client that makes each request once: what is repeated is decided in one place, for all
    kinds of models."""
    client = AsyncOpenAI(
        # Not empty, or the client would take a key meant for another endpoint from OPENAI_API_KEY.
        api_key=key or "none",
        base_url=settings.base_url,
        max_retries=0,
        default_headers=headers,
        timeout=openai.Timeout(None, connect=settings.connect_seconds),
        http_client=DefaultAioHttpClient(
            event_hooks={"request": [_note_time]}, transport=_transport(settings.base_url)
        ),
    )
    client.organization = client.project = None  # or those of OpenAI's own variables are sent
    return client


def _transport(base_url: str) -> AiohttpTransport:
    # The environment's proxies stand between here and the network, not between here and here.
    proxies = httpx2.URL(base_url).host not in ("127.0.0.1", "localhost", "::1")
    transport = AiohttpTransport()

    def session() -> aiohttp.ClientSession:
        connector = aiohttp.TCPConnector(
            limit=0,  # as many as runs, which the campaign bounds
            ssl=transport.ssl_context,
            socket_factory=keepalive_socket,
        )
        return aiohttp.ClientSession(connector=connector, trust_env=proxies)

    transport.client = session
    return transport


def keepalive_socket(address: Any) -> socket.socket:
    """A socket for an address as aiohttp describes one; the system looks after its peer."""
    family, kind, protocol, _, _ = address
    made = socket.socket(family, kind, protocol)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for option, value in _KEEPALIVE.items():
        if hasattr(socket, option):  # macOS calls the first one otherwise
            made.setsockopt(socket.IPPROTO_TCP, getattr(socket, option), value)
    return made


async def _note_time(request: Any) -> None:
    """Note on each request when it was sent: waiting for a connection is not the model's time."""
    request.extensions["sent_at"] = time.monotonic()
