"""How near to the ideal 64 conversations at once come, against a server that answers after 200 ms.

Each conversation asks for one reply after the other, so the ideal is replies x 0.2 s however
many there are. All of them ask in the same moment, again and again, which is the worst case: a
processor that is busy with one reply is late for the 63 others. The rows share a server and a
run; only their ratios mean something.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
from aiohttp import web
from openai import AsyncOpenAI

from harness.models import Request
from harness.models.openai import Model, Settings
from harness.records import Prompt, ToolSchema

SECONDS = 0.2
"""Between a request and the end of its answer."""

TOOL = ToolSchema(name="shell", description="Run a command.", parameters={"type": "object"})
ASKED = Prompt(role="user", content="Count the files. " * 50)
REPLY = (
    b"".join(
        b"data: " + json.dumps(chunk).encode() + b"\n\n"
        for chunk in (
            {"choices": [{"index": 0, "delta": {"content": "There are "}}]},
            {
                "choices": [
                    {"index": 0, "delta": {"content": "42 of them."}, "finish_reason": "stop"}
                ]
            },
            {"choices": [], "usage": {"prompt_tokens": 200, "completion_tokens": 9}},
        )
    )
    + b"data: [DONE]\n\n"
)

Ask = Callable[[], Awaitable[object]]


@dataclass(frozen=True)
class Measured:
    """Seconds on the wall, and processor seconds of this process, for every reply together."""

    wall: float
    cpu: float


async def answer(request: web.Request) -> web.Response:
    """A whole stream of events, SECONDS after it was asked for."""
    await request.read()
    await asyncio.sleep(SECONDS)
    return web.Response(body=REPLY, headers={"content-type": "text/event-stream"})


async def list_models(_: web.Request) -> web.Response:
    return web.json_response({"data": [{"id": "m"}]})


async def serve() -> None:
    """Serve on a free port, print it, and stay until stdin closes."""
    app = web.Application()
    app.router.add_post("/v1/chat/completions", answer)
    app.router.add_get("/v1/models", list_models)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0, backlog=1024).start()
    print(runner.addresses[0][1], flush=True)
    await asyncio.to_thread(sys.stdin.read)


async def converse(ask: Ask, at_once: int, replies: int) -> Measured:
    """Hold conversations side by side, after one that is not counted."""

    async def conversation() -> None:
        for _ in range(replies):
            await ask()

    await ask()
    wall, cpu = time.perf_counter(), time.process_time()
    await asyncio.gather(*(conversation() for _ in range(at_once)))
    return Measured(time.perf_counter() - wall, time.process_time() - cpu)


async def with_aiohttp(base_url: str, at_once: int, replies: int) -> Measured:
    """The floor: the same bytes sent and read, and nothing made of them."""
    body = {"model": "m", "stream": True, "messages": [ASKED.model_dump(exclude={"type"})]}
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:

        async def ask() -> bytes:
            async with session.post(f"{base_url}/chat/completions", json=body) as response:
                return await response.read()

        return await converse(ask, at_once, replies)


async def with_harness(base_url: str, at_once: int, replies: int) -> Measured:
    """The kind ``openai``, as a campaign uses it."""
    model = Model(Settings(name="m", model="m", base_url=base_url))
    request = Request("run.1", 1, [ASKED], [TOOL], 4096, 7, Path())
    await model.open()
    try:
        return await converse(lambda: model.reply(request), at_once, replies)
    finally:
        await model.close()


async def with_usual_client(base_url: str, at_once: int, replies: int) -> Measured:
    """The official client on the transport it comes with."""
    async with AsyncOpenAI(base_url=base_url, api_key="none") as client:

        async def ask() -> str:
            messages: list[Any] = [ASKED.model_dump(exclude={"type"})]
            stream = await client.chat.completions.create(model="m", messages=messages, stream=True)
            chunks = [chunk async for chunk in stream]
            return "".join(c.choices[0].delta.content or "" for c in chunks if c.choices)

        return await converse(ask, at_once, replies)


def main() -> None:
    """Start the server, measure each way of asking, print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--serve", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--at-once", type=int, default=64)
    parser.add_argument("--replies", type=int, default=6)
    options = parser.parse_args()
    if options.serve:
        asyncio.run(serve())
        return
    with subprocess.Popen(
        [sys.executable, __file__, "--serve"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as server:
        assert server.stdout is not None
        base_url = f"http://127.0.0.1:{server.stdout.readline().strip()}/v1"
        try:
            measure(base_url, options.at_once, options.replies)
        finally:
            server.kill()


def measure(base_url: str, at_once: int, replies: int) -> None:
    """Print a row for each way of asking."""
    ideal = SECONDS * replies
    print(
        f"{at_once} conversations at once x {replies} replies of {SECONDS} s; ideal {ideal:.2f} s"
    )
    print(f"{'':32}{'seconds':>8}{'of ideal':>10}{'CPU ms a reply':>16}")
    for name, ask in (
        ("raw aiohttp (floor)", with_aiohttp),
        ("harness, kind openai", with_harness),
        ("official client as it comes", with_usual_client),
    ):
        found = asyncio.run(ask(base_url, at_once, replies))
        cpu = 1000 * found.cpu / (at_once * replies)
        print(f"{name:32}{found.wall:8.2f}{ideal / found.wall:10.0%}{cpu:16.2f}")


if __name__ == "__main__":
    main()
