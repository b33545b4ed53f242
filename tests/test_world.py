"""The machine itself misbehaves in the middle of a campaign: processes that stand still, a
network whose link goes down. Nothing of it becomes a score."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pandas as pd
import pytest

from harness.records import Fault, Outcome, Repeat, Reply
from harness.store import LEDGER_ENTRY, CampaignFolder, SittingEntry, read_transcript
from tests.chaos_proxy import Asked, chaos_proxy
from tests.conftest import MakeCampaign, command
from tests.llama_server import llama_server, smollm2
from tests.openai_server import (
    STREAM_HEAD,
    Received,
    chunked,
    delta,
    endpoint,
    event,
    finish,
    hang,
    stream,
)
from tests.waiting import HANGS, until_then

REMOTE = """
[[models]]
name = "remote"
kind = "openai"
model = "m"
base_url = "{url}"
connect_seconds = 4
stall_seconds = {stall}
first_token_seconds = {stall}
[budgets]
turns = 2
tokens_per_turn = 48
{budget}
[infrastructure]
retries = 1
concurrency = 1
"""


def news(folder: Path) -> list[str]:
    """What the ledger tells of the sitting."""
    lines = CampaignFolder(folder).ledger.read_bytes().splitlines()
    entries = [LEDGER_ENTRY.validate_json(line) for line in lines]
    return [entry.event for entry in entries if isinstance(entry, SittingEntry)]


def events(folder: Path, kind: type) -> list[object]:
    paths = CampaignFolder(folder).transcript_paths()
    return [e for path in paths for e in read_transcript(path) if isinstance(e, kind)]


@contextmanager
def network_namespace(name: str) -> Iterator[str]:
    """A namespace with one link to this one; gives our end's address. The link is ``name``0."""

    def ip(*words: str) -> None:
        subprocess.run(["ip", *words], check=True, capture_output=True)

    try:
        ip("netns", "add", name)
    except (OSError, subprocess.CalledProcessError) as error:
        pytest.skip(f"no network namespace can be made here: {error}")
    try:
        ip("link", "add", f"{name}0", "type", "veth", "peer", "name", f"{name}1", "netns", name)
        ip("addr", "add", "10.213.77.1/30", "dev", f"{name}0")
        ip("link", "set", f"{name}0", "up")
        ip("-n", name, "addr", "add", "10.213.77.2/30", "dev", f"{name}1")
        ip("-n", name, "link", "set", f"{name}1", "up")
        ip("-n", name, "link", "set", "lo", "up")
        yield "10.213.77.1"
    finally:
        subprocess.run(["ip", "netns", "del", name], check=False, capture_output=True)


async def test_a_link_that_goes_down_and_up_again_costs_no_run(
    make_campaign: MakeCampaign,
) -> None:
    said = stream(*[delta("no ")] * 8, finish("stop"))
    half_said = asyncio.Event()

    async def stops_in_the_middle(request: Received, writer: asyncio.StreamWriter) -> None:
        half_said.set()
        await hang(STREAM_HEAD + chunked(event(delta("no "))))(request, writer)

    name = f"ft{os.getpid() % 100_000}"
    with network_namespace(name) as address:
        behaviours = [said, said, said, stops_in_the_middle, said]
        async with endpoint(*behaviours, host=address) as server:
            models = REMOTE.format(url=server.base_url, stall=4, budget="")
            folder = make_campaign(models, runs_per_task=3)
            campaign = await asyncio.create_subprocess_exec(
                *("ip", "netns", "exec", name), *command("run", folder, "--skip-preflight")
            )
            await asyncio.wait_for(half_said.wait(), HANGS)
            subprocess.run(["ip", "link", "set", f"{name}0", "down"], check=True)
            await until_then(lambda: "paused" in news(folder))
            await asyncio.sleep(4)
            subprocess.run(["ip", "link", "set", f"{name}0", "up"], check=True)
            assert await asyncio.wait_for(campaign.wait(), HANGS) == 0
    assert news(folder) == ["opened", "paused", "resumed", "closed"]
    outcomes = [event.outcome for event in events(folder, Outcome) if isinstance(event, Outcome)]
    assert outcomes == ["wrong_answer"] * 12
    assert events(folder, Fault) == []
    assert len(events(folder, Repeat)) >= 1
    dates = ["started_at", "ended_at"]
    table = pd.read_csv(folder / "verification" / "attempts.csv", parse_dates=dates)
    assert table["repeats"].sum() == len(events(folder, Repeat))
    assert table["waited_seconds"].max() > 4
    # What was waited is no part of what it took.
    whole = (table["ended_at"] - table["started_at"]).dt.total_seconds()
    assert (table["seconds"] + table["waited_seconds"] < whole + 1).all()


async def test_a_server_that_stands_still_for_a_while_is_waited_for_and_not_scored(
    make_campaign: MakeCampaign,
) -> None:
    stopped = asyncio.Event()
    with llama_server(smollm2()) as server:
        port = int(server.base_url.split(":")[2].split("/")[0])

        def at_the_second(_: Asked) -> None:
            if len(proxy.asked) == 2:
                server.process.send_signal(signal.SIGSTOP)
                stopped.set()

        async with chaos_proxy(port) as proxy:
            proxy.choose.append(at_the_second)
            models = REMOTE.format(url=proxy.base_url, stall=HANGS, budget="model_seconds = 3000")
            folder = make_campaign(models, runs_per_task=1)
            campaign = await asyncio.create_subprocess_exec(
                *command("run", folder, "--skip-preflight")
            )
            await asyncio.wait_for(stopped.wait(), HANGS)
            await asyncio.sleep(12)
            server.process.send_signal(signal.SIGCONT)
            assert await asyncio.wait_for(campaign.wait(), HANGS) == 0
    outcomes = [event.outcome for event in events(folder, Outcome) if isinstance(event, Outcome)]
    assert len(outcomes) == 4
    assert "infrastructure_error" not in outcomes
    slow = [e.model_seconds or 0 for e in events(folder, Reply) if isinstance(e, Reply)]
    assert max(slow) > 11
