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
from tests.conftest import MakeCampaign, command
from tests.llama_server import llama_server, smollm2
from tests.openai_server import delta, endpoint, finish, stream

REMOTE = """
[[models]]
name = "remote"
kind = "openai"
model = "m"
base_url = "{url}"
connect_seconds = 1
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


async def some_runs_are_done(folder: Path, count: int) -> None:
    for _ in range(600):
        if folder.exists() and len(CampaignFolder(folder).transcript_paths()) > count:
            return
        await asyncio.sleep(0.05)
    raise AssertionError("the campaign does not get on")


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
    said = stream(*[delta("no ")] * 8, finish("stop"), pause=0.05)
    name = f"ft{os.getpid() % 100_000}"
    with network_namespace(name) as address:
        async with endpoint(said, host=address) as server:
            models = REMOTE.format(url=server.base_url, stall=1, budget="")
            folder = make_campaign(models, runs_per_task=3)
            campaign = await asyncio.create_subprocess_exec(
                *("ip", "netns", "exec", name), *command("run", folder, "--skip-preflight")
            )
            await some_runs_are_done(folder, 3)
            subprocess.run(["ip", "link", "set", f"{name}0", "down"], check=True)
            await asyncio.sleep(6)
            subprocess.run(["ip", "link", "set", f"{name}0", "up"], check=True)
            assert await asyncio.wait_for(campaign.wait(), 120) == 0
    assert news(folder) == ["opened", "paused", "resumed", "closed"]
    outcomes = [event.outcome for event in events(folder, Outcome) if isinstance(event, Outcome)]
    assert outcomes == ["wrong_answer"] * 12
    assert events(folder, Fault) == []
    assert len(events(folder, Repeat)) >= 1
    table = pd.read_csv(folder / "verification" / "attempts.csv")
    assert table["repeats"].sum() == len(events(folder, Repeat))
    assert table["waited_seconds"].max() > 3
    assert table["seconds"].max() < 6


async def test_a_server_that_stands_still_for_a_while_is_waited_for_and_not_scored(
    make_campaign: MakeCampaign,
) -> None:
    with llama_server(smollm2()) as server:
        models = REMOTE.format(url=server.base_url, stall=60, budget="model_seconds = 30")
        folder = make_campaign(models, runs_per_task=1)
        campaign = await asyncio.create_subprocess_exec(*command("run", folder, "--skip-preflight"))
        await some_runs_are_done(folder, 1)
        server.process.send_signal(signal.SIGSTOP)
        await asyncio.sleep(12)
        server.process.send_signal(signal.SIGCONT)
        assert await asyncio.wait_for(campaign.wait(), 120) == 0
    outcomes = [event.outcome for event in events(folder, Outcome) if isinstance(event, Outcome)]
    assert len(outcomes) == 4
    assert "infrastructure_error" not in outcomes
    slow = [e.model_seconds or 0 for e in events(folder, Reply) if isinstance(e, Reply)]
    assert max(slow) < 30
