"""A proxy on loopback, between a client and a real server, that spoils what it is told to spoil.

    async with chaos_proxy(server.port) as proxy:
        proxy.inject(Fault("stream", "reset"), where=in_turn(2), times=1)
        ...  # the first request of a second turn loses its connection in the middle of the reply

Everything else passes byte for byte. A fault is how far an exchange comes, and how it then ends:

    request      the request has arrived, and is not forwarded
    first byte   it is forwarded, and nothing of the answer comes back
    headers      half of the answer's headers come back
    stream       the headers come back, and the first pieces of the body
    end          the whole answer comes back; the next request meets what was done

    reset        the connection is reset (RST)
    close        the connection is closed (FIN), as if all were well
    stall        the connection stays open, and nothing more comes
    down         nothing listens any more, and every connection is reset: see ``cut``

``instead`` is what comes in place of the rest. What it may be is in ``tests.chaos_answers``.
Only questions (POST) are spoiled; the list of models is not, unless the link is down.
"""

from __future__ import annotations

import asyncio
import json
import socket
import struct
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import aclosing, asynccontextmanager, closing, suppress
from dataclasses import dataclass, field
from typing import Any, Literal

Point = Literal["request", "first byte", "headers", "stream", "end"]
End = Literal["reset", "close", "stall", "down"]


@dataclass(frozen=True)
class Fault:
    """How far an exchange comes, what comes in place of the rest, and how it ends.

    ``pieces`` is how much of the body comes at the point ``stream``, in chunks.
    """

    at: Point
    then: End = "close"
    instead: bytes = b""
    pieces: int = 1


@dataclass(frozen=True)
class Asked:
    """A request, as it arrived and as it is to be understood."""

    raw: bytes
    method: str
    body: Any

    @property
    def turn(self) -> int:
        """One more than the model's replies that the conversation holds."""
        return 1 + [message["role"] for message in self.body["messages"]].count("assistant")


Where = Callable[[Asked], bool]
"""Which requests a fault is for."""

Choose = Callable[[Asked], Fault | None]
"""The fault that a request meets, if any."""


def everywhere(_: Asked) -> bool:
    return True


def in_turn(turn: int) -> Where:
    """Requests of this turn, of any run. A probe asks in the first one."""
    return lambda asked: asked.turn == turn


def since(begins: Where) -> Where:
    """Every request from the first one on that ``begins`` is true of."""
    begun = False

    def where(asked: Asked) -> bool:
        nonlocal begun
        begun = begun or begins(asked)
        return begun

    return where


@dataclass
class _Injection:
    fault: Fault
    where: Where
    times: int | None

    def __call__(self, asked: Asked) -> Fault | None:
        if self.times == 0 or not self.where(asked):
            return None
        if self.times is not None:
            self.times -= 1
        return self.fault


@dataclass
class ChaosProxy:
    """A running proxy. ``asked`` holds every question, ``under_way`` how many wait for an answer,
    ``spoiled`` is how many faults there were. The first to ``choose`` a fault has its way."""

    upstream: int
    port: int = 0
    asked: list[Asked] = field(default_factory=list)
    under_way: int = 0
    spoiled: int = 0
    choose: list[Choose] = field(default_factory=list)
    _server: asyncio.Server | None = None
    _exchanges: dict[asyncio.Task[None], asyncio.StreamWriter] = field(default_factory=dict)

    @property
    def base_url(self) -> str:
        return f"http://127.0.0.1:{self.port}/v1"

    def inject(self, fault: Fault, *, where: Where = everywhere, times: int | None = None) -> None:
        """Spoil the requests of ``where``: so many, or else all until ``heal``."""
        self.choose.append(_Injection(fault, where, times))

    def heal(self) -> None:
        """Spoil nothing any more. What hangs goes on hanging."""
        self.choose.clear()

    async def mend(self) -> None:
        """Listen (again), always on the same port."""
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    def cut(self) -> None:
        """The link is down: connections are refused, and those that are open are reset."""
        if self._server is not None:
            self._server.close()
            self._server = None
        for task, writer in self._exchanges.items():
            _reset(writer)
            if task is not asyncio.current_task():
                task.cancel()

    async def close(self) -> None:
        """Cut the link for good."""
        self.cut()
        await asyncio.gather(*self._exchanges, return_exceptions=True)

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.get_running_loop().create_task(self._serve(reader, writer))
        self._exchanges[task] = writer
        task.add_done_callback(self._exchanges.pop)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Exchange after exchange on one connection, until one side or a fault ends it."""
        try:
            server, to_server = await asyncio.open_connection("127.0.0.1", self.upstream)
            with closing(to_server), suppress(OSError, asyncio.IncompleteReadError):
                while await self._exchange(reader, writer, server, to_server):
                    pass
        finally:
            writer.close()

    async def _exchange(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        server: asyncio.StreamReader,
        to_server: asyncio.StreamWriter,
    ) -> bool:
        """One request and its answer. Returns whether the connection is still good."""
        asked = await _read_request(reader)
        self.under_way += 1
        try:
            fault = self._fault_for(asked)
            if fault is None or fault.at != "request":
                to_server.write(asked.raw)
            if fault is None or fault.at == "end":
                async for piece in _answer(server):
                    await _write(writer, piece)
            elif fault.at in ("headers", "stream"):
                await self._begin(fault, server, writer)
            if fault is not None:
                await self._end(fault, reader, writer)
            return fault is None
        finally:
            self.under_way -= 1

    async def _end(
        self, fault: Fault, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        """What the fault is, after what came before it."""
        self.spoiled += 1
        await _write(writer, fault.instead)
        if fault.then == "stall":
            await reader.read()  # until the client gives up
        elif fault.then in ("reset", "down"):
            await asyncio.sleep(0.02)  # or the reset overtakes what was written
            _reset(writer)
        if fault.then == "down":
            self.cut()

    async def _begin(
        self, fault: Fault, server: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        """Let pass what comes before the fault."""
        async with aclosing(_answer(server)) as answer:
            head = await anext(answer)
            if fault.at == "headers":
                await _write(writer, head[: len(head) // 2])
                return
            await _write(writer, head)
            for _ in range(fault.pieces):
                await _write(writer, await anext(answer))

    def _fault_for(self, asked: Asked) -> Fault | None:
        if asked.method != "POST":
            return None
        self.asked.append(asked)
        return next((fault for one in self.choose if (fault := one(asked))), None)


@asynccontextmanager
async def chaos_proxy(upstream: int) -> AsyncIterator[ChaosProxy]:
    """A proxy before the server on this port of loopback."""
    proxy = ChaosProxy(upstream)
    await proxy.mend()
    try:
        yield proxy
    finally:
        await proxy.close()


async def _read_request(reader: asyncio.StreamReader) -> Asked:
    head = await reader.readuntil(b"\r\n\r\n")
    body = await reader.readexactly(_length(head))
    return Asked(head + body, head.split(b" ", 1)[0].decode(), json.loads(body) if body else None)


async def _answer(reader: asyncio.StreamReader) -> AsyncGenerator[bytes, None]:
    """An answer as it comes: its head, then each chunk of its body, or the body in thirds."""
    head = await reader.readuntil(b"\r\n\r\n")
    yield head
    if b"transfer-encoding: chunked" not in head.lower():
        body = await reader.readexactly(_length(head))
        third = len(body) // 3
        for piece in (body[:third], body[third : 2 * third], body[2 * third :]):
            yield piece
        return
    size = -1
    while size != 0:
        line = await reader.readuntil(b"\r\n")
        size = int(line, 16)
        yield line + await reader.readexactly(size + 2)


def _length(head: bytes) -> int:
    fields = dict(line.lower().split(b": ", 1) for line in head.split(b"\r\n")[1:-2])
    return int(fields.get(b"content-length", b"0"))


async def _write(writer: asyncio.StreamWriter, data: bytes) -> None:
    writer.write(data)
    await writer.drain()


def _reset(writer: asyncio.StreamWriter) -> None:
    """Close with an RST, and not with the FIN of an orderly end."""
    sock = writer.get_extra_info("socket")
    if sock is not None and not writer.transport.is_closing():
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        writer.transport.abort()
