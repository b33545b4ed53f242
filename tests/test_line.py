"""The way to a model: what is repeated, waited out and slowed down, through the real client."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from harness import line as line_module
from harness.errors import InfrastructureFault
from harness.line import Line
from harness.models import Request
from harness.models.openai import Model, Settings
from harness.records import Completion, Prompt, Repeat
from tests.openai_server import (
    STREAM_HEAD,
    Behaviour,
    Endpoint,
    Received,
    answer,
    chunked,
    delta,
    endpoint,
    event,
    finish,
    hang,
    reset,
    stream,
)
from tests.waiting import HANGS, until_then

OK = stream(delta("ok"), finish("stop"))
DOWN = answer(503, {"error": {"message": "down"}})
LIMITED = answer(429, {"error": {"message": "slow down"}}, Retry_After="0.2")


@dataclass
class Heard:
    """What a line said of itself, and what it noted for the transcript."""

    news: list[str] = field(default_factory=list)
    repeats: list[Repeat] = field(default_factory=list)

    def paused(self, model: str, reason: str, patience_seconds: float) -> None:
        self.news.append("paused")

    def resumed(self, model: str, seconds: float) -> None:
        self.news.append("resumed")

    def slowed(self, model: str, seconds: float, at_once: int) -> None:
        self.news.append(f"slowed to {at_once}")


@pytest.fixture(autouse=True)
def short_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(line_module, "LONGEST_BACKOFF", 0.05)
    monkeypatch.setattr(line_module, "FIRST_PROBE_GAP", 0.1)
    monkeypatch.setattr(line_module, "LONGEST_PROBE_GAP", 0.1)


def a_request() -> Request:
    hello = Prompt(role="user", content="hello")
    return Request("run.1", 1, (hello,), (), 64, 1, Path())


def slowly(behaviour: Behaviour) -> Behaviour:
    async def behave(request: Received, writer: asyncio.StreamWriter) -> None:
        await asyncio.sleep(0.5)
        await behaviour(request, writer)

    return behave


@asynccontextmanager
async def a_line(
    *behaviours: Behaviour, retries: int = 1, patience: float = HANGS, at_once: int = 8, **keys: Any
) -> AsyncIterator[tuple[Line, Heard, Endpoint]]:
    async with endpoint(*behaviours) as server:
        model = Model(Settings(name="m", model="m", base_url=server.base_url, **keys))
        await model.open()
        heard = Heard()
        line = Line("m", model, heard, retries=retries, patience_seconds=patience, at_once=at_once)
        yield line, heard, server
        await model.close()


async def ask(line: Line, heard: Heard, gate: asyncio.Semaphore | None = None) -> Completion:
    async with (gate := gate or asyncio.Semaphore(1)):
        return await line.ask(a_request(), gate, heard.repeats.append)


@pytest.mark.parametrize(
    "spoiled",
    [
        reset(),
        reset(STREAM_HEAD + chunked(event(delta("a")))),
        DOWN,
        stream(b"data: {nope\n\n"),
        stream(delta("a"), done=False),
    ],
    ids=["reset", "reset in the stream", "503", "not JSON", "cut off"],
)
async def test_a_request_of_which_nothing_came_is_made_again_within_the_turn(
    spoiled: Behaviour,
) -> None:
    async with a_line(spoiled, OK) as (line, heard, server):
        assert (await ask(line, heard)).text == "ok"
    assert len(server.posts) == 2
    assert server.posts[0].body == server.posts[1].body
    assert len(heard.repeats) == 1
    assert heard.news == []


async def test_the_time_spent_on_tries_that_failed_is_not_the_models() -> None:
    async with a_line(slowly(LIMITED), slowly(DOWN), OK) as (line, heard, _):
        began = time.monotonic()
        told = await ask(line, heard)
        took = time.monotonic() - began
    assert told.model_seconds is not None
    assert told.model_seconds < took - 0.5 - 0.2 - 0.5


async def test_a_request_that_fails_although_the_model_answers_is_given_up() -> None:
    async with a_line(DOWN, DOWN, OK) as (line, heard, _):
        with pytest.raises(InfrastructureFault, match="down") as caught:
            await ask(line, heard)
    assert not caught.value.final
    assert heard.news == []


async def test_an_outage_is_waited_out_and_the_run_goes_on_where_it_was() -> None:
    async with a_line(*[DOWN] * 5, OK) as (line, heard, server):
        told = await ask(line, heard)
    assert told.text == "ok"
    assert heard.news == ["paused", "resumed"]
    assert len(heard.repeats) == 2
    assert told.waited_seconds > heard.repeats[-1].waited_seconds
    assert heard.repeats[-1].waited_seconds > 0.15
    assert len(server.posts) == 7


async def test_past_its_patience_an_outage_is_final() -> None:
    async with a_line(DOWN, patience=0.3) as (line, heard, _):
        began = time.monotonic()
        with pytest.raises(InfrastructureFault, match="no answer for") as caught:
            await ask(line, heard)
        assert 0.25 < time.monotonic() - began < HANGS
        assert caught.value.final
        with pytest.raises(InfrastructureFault) as again:
            await ask(line, heard)
    assert again.value.final
    assert heard.news == ["paused"]


async def test_a_key_that_is_refused_in_an_outage_ends_the_waiting() -> None:
    refused = answer(401, {"error": {"message": "no such key"}})
    async with a_line(DOWN, DOWN, refused) as (line, heard, _):
        with pytest.raises(InfrastructureFault, match="no such key") as caught:
            await ask(line, heard)
    assert caught.value.final


async def test_runs_that_meet_one_outage_share_one_probe_and_let_others_play() -> None:
    gate = asyncio.Semaphore(2)
    over = asyncio.Event()

    async def outage(request: Received, writer: asyncio.StreamWriter) -> None:
        await (OK if over.is_set() else DOWN)(request, writer)

    async with a_line(outage, retries=0) as (line, heard, _):
        asked = [asyncio.create_task(ask(line, heard, gate)) for _ in range(2)]
        await until_then(lambda: "paused" in heard.news)
        async with asyncio.timeout(HANGS), gate:  # although two runs are under way
            over.set()
        replies = await asyncio.gather(*asked)
    assert [reply.text for reply in replies] == ["ok", "ok"]
    assert heard.news == ["paused", "resumed"]


async def test_a_silent_model_is_probed_and_not_asked_again_at_once() -> None:
    async with a_line(hang(), OK, first_token_seconds=1.0) as (line, heard, server):
        with pytest.raises(InfrastructureFault, match="was silent for") as caught:
            await ask(line, heard)
    assert caught.value.kind == "silent"
    assert len(server.posts) == 2
    assert heard.repeats == []


async def test_a_rate_limit_slows_all_runs_down_and_success_speeds_them_up() -> None:
    most = now = owed = 0

    async def counted(request: Received, writer: asyncio.StreamWriter) -> None:
        nonlocal most, now, owed
        now += 1
        most = max(most, now)
        # Until all have come that may.
        await until_then(lambda: now >= min(line._limit.at_once, owed))
        now -= 1
        owed -= 1
        await OK(request, writer)

    async with a_line(LIMITED, counted, at_once=4) as (line, heard, server):
        gate = asyncio.Semaphore(8)
        began = time.monotonic()
        owed = 1
        await ask(line, heard, gate)
        assert time.monotonic() - began >= 0.2
        assert heard.news == ["slowed to 2"]
        owed = 4
        await asyncio.gather(*(ask(line, heard, gate) for _ in range(4)))
        assert most in (2, 3)
        owed = 12
        await asyncio.gather(*(ask(line, heard, gate) for _ in range(12)))
        assert most == 4
    assert [repeat.kind for repeat in heard.repeats] == ["rate_limited"]
    assert len(server.posts) == 18


async def test_a_rate_limit_that_never_ends_is_given_up_past_our_patience() -> None:
    limited = answer(429, {"error": {"message": "slow down"}}, Retry_After="0.1")
    async with a_line(limited, patience=1.0) as (line, heard, server):
        with pytest.raises(InfrastructureFault, match="slow down") as caught:
            await ask(line, heard)
    assert caught.value.final
    assert 2 <= len(server.posts) <= 12
