"""An OpenAI-compatible endpoint on loopback that misbehaves as it is told, down to the socket.

    async with endpoint(stream(delta("Hi"), finish("stop")), reset()) as server:
        ...  # the first POST is answered with the stream, every later one with a reset

A behaviour is a coroutine function that is given the request and the open connection.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Received:
    """A request as it arrived."""

    method: str
    path: str
    headers: dict[str, str]
    body: Any


Behaviour = Callable[[Received, asyncio.StreamWriter], Coroutine[Any, Any, None]]


@dataclass
class Endpoint:
    """A running server: its address, what it was asked, how many clients hung up on it."""

    port: int
    host: str = "127.0.0.1"
    posts: list[Received] = field(default_factory=list)
    gets: list[Received] = field(default_factory=list)
    hung_up: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def base_url(self) -> str:
        return f"http://{self.host}:{self.port}/v1"


@asynccontextmanager
async def endpoint(
    *behaviours: Behaviour, models: Behaviour | None = None, host: str = "127.0.0.1"
) -> AsyncIterator[Endpoint]:
    """Serve: the nth POST gets the nth behaviour, the last one repeated; a GET gets ``models``."""
    listing = models or answer(200, {"object": "list", "data": [{"id": "m"}]}, server="hostile")

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            request = await _read(reader)
            asked = here.gets if request.method == "GET" else here.posts
            asked.append(request)
            number = min(len(asked), len(behaviours)) - 1
            behaviour = listing if request.method == "GET" else behaviours[number]
            await _until_hang_up(behaviour(request, writer), reader, here.hung_up)
        except (ConnectionError, asyncio.IncompleteReadError):
            here.hung_up.set()
        finally:
            writer.close()

    def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.get_running_loop().create_task(serve(reader, writer))
        tasks.add(task)
        task.add_done_callback(tasks.discard)

    tasks: set[asyncio.Task[Any]] = set()
    server = await asyncio.start_server(accept, host, 0)
    here = Endpoint(server.sockets[0].getsockname()[1], host)
    try:
        yield here
    finally:
        server.close()
        for task in tuple(tasks):
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await server.wait_closed()


async def _until_hang_up(
    playing: Coroutine[Any, Any, None], reader: asyncio.StreamReader, hung_up: asyncio.Event
) -> None:
    """Play to the end, but stop when the client closes its side."""
    play = asyncio.ensure_future(playing)
    listen = asyncio.ensure_future(reader.read(1))
    try:
        await asyncio.wait({play, listen}, return_when=asyncio.FIRST_COMPLETED)
        if not play.done():
            hung_up.set()
    finally:
        for task in (play, listen):
            if not task.done():
                task.cancel()
        await asyncio.gather(play, listen, return_exceptions=True)


async def _read(reader: asyncio.StreamReader) -> Received:
    first = await reader.readexactly(1)
    if not first.isalpha():
        raise ConnectionError("this is no HTTP; TLS, probably")
    head = (first + await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
    start, *lines = head.strip().split("\r\n")
    headers = {name.lower(): value for name, value in (line.split(": ", 1) for line in lines)}
    body = await reader.readexactly(int(headers.get("content-length", "0")))
    method, path, _ = start.split(" ")
    return Received(method, path, headers, json.loads(body) if body else None)


# Behaviours.


def answer(status: int, body: object, **headers: str) -> Behaviour:
    """A whole answer; ``body`` is sent as JSON, or as it is where it is bytes."""
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    kind = "text/html" if isinstance(body, bytes) else "application/json"
    fields = {"content-type": kind, "content-length": str(len(content)), "connection": "close"}
    fields |= {name.replace("_", "-"): value for name, value in headers.items()}
    return raw(_head(status, fields), content)


def raw(*pieces: bytes) -> Behaviour:
    """Exactly these bytes, piece by piece, and then the end of the connection."""

    async def behave(_request: Received, writer: asyncio.StreamWriter) -> None:
        for piece in pieces:
            writer.write(piece)
            await writer.drain()
            await asyncio.sleep(0)

    return behave


def stream(*chunks: object, pause: float = 0.0, done: bool = True) -> Behaviour:
    """Server-sent events. A chunk is JSON, or bytes that are sent as they are."""
    pieces = [c if isinstance(c, bytes) else event(c) for c in chunks]
    pieces += [b"data: [DONE]\n\n"] * done

    async def behave(_request: Received, writer: asyncio.StreamWriter) -> None:
        writer.write(STREAM_HEAD)
        for piece in pieces:
            writer.write(b"%x\r\n%b\r\n" % (len(piece), piece))
            await writer.drain()
            await asyncio.sleep(pause)
        writer.write(b"0\r\n\r\n")
        await writer.drain()

    return behave


def reset(*before: bytes) -> Behaviour:
    """Some bytes, and then a reset of the connection."""

    async def behave(request: Received, writer: asyncio.StreamWriter) -> None:
        await raw(*before)(request, writer)
        await asyncio.sleep(0.02)  # or the reset overtakes what was written
        writer.transport.abort()

    return behave


def hang(*before: bytes) -> Behaviour:
    """Some bytes, and then nothing, with the connection open."""

    async def behave(request: Received, writer: asyncio.StreamWriter) -> None:
        await raw(*before)(request, writer)
        await asyncio.Event().wait()

    return behave


# What streams are made of.


def event(data: object) -> bytes:
    """One server-sent event, in UTF-8 as servers send it."""
    return b"data: " + json.dumps(data, ensure_ascii=False).encode() + b"\n\n"


def chunked(piece: bytes) -> bytes:
    """One piece of a chunked body."""
    return b"%x\r\n%b\r\n" % (len(piece), piece)


def chunk(**choice: Any) -> dict[str, Any]:
    """A chunk with one choice."""
    return {"object": "chat.completion.chunk", "choices": [{"index": 0, **choice}]}


def delta(content: str | None = None, **more: Any) -> dict[str, Any]:
    """A chunk that carries a piece of the reply."""
    return chunk(delta={"content": content, **more}, finish_reason=None)


def calls(*deltas: dict[str, Any]) -> dict[str, Any]:
    """A chunk that carries pieces of tool calls."""
    return delta(tool_calls=list(deltas))


def finish(reason: str | None) -> dict[str, Any]:
    """The chunk that says why the reply ended."""
    return chunk(delta={}, finish_reason=reason)


def usage(**tokens: Any) -> dict[str, Any]:
    """The chunk that carries the usage and no choice."""
    return {"object": "chat.completion.chunk", "choices": [], "usage": tokens}


def _head(status: int, fields: dict[str, str]) -> bytes:
    lines = [f"HTTP/1.1 {status} X", *(f"{name}: {value}" for name, value in fields.items())]
    return "\r\n".join([*lines, "", ""]).encode()


STREAM_HEAD = _head(
    200,
    {
        "content-type": "text/event-stream; charset=utf-8",
        "transfer-encoding": "chunked",
        "connection": "close",
    },
)
