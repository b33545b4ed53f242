"""Budgets of money and time: a campaign that reaches one pauses cleanly and goes on later."""

from __future__ import annotations

import asyncio
import subprocess
from pathlib import Path

from harness.records import Fault
from harness.store import CampaignFolder, read_transcript
from tests.conftest import MakeCampaign, fairtrial
from tests.openai_server import delta, endpoint, finish, stream, usage

REMOTE = """
[[models]]
name = "remote"
kind = "openai"
model = "m"
base_url = "{url}"
{price}
[infrastructure]
concurrency = 1
{budget}
"""
PRICE = "price = { input = 1.0, output = 2.0 }"
MILLION = usage(prompt_tokens=1_000_000, completion_tokens=500_000)  # 2 US dollars
SAYS_NOTHING = stream(delta("I do not know."), finish("stop"), MILLION)


async def run(folder: Path, *options: str) -> subprocess.CompletedProcess[str]:
    return await asyncio.to_thread(fairtrial, "run", folder, "--skip-preflight", *options)


def rewrite(folder: Path, old: str, new: str) -> None:
    path = folder / "campaign.toml"
    path.write_text(path.read_text().replace(old, new))


async def test_a_budget_of_money_pauses_the_campaign_and_a_larger_one_lets_it_go_on(
    make_campaign: MakeCampaign,
) -> None:
    async with endpoint(SAYS_NOTHING) as server:
        models = REMOTE.format(url=server.base_url, price=PRICE, budget="max_cost_usd = 3.0")
        folder = make_campaign(models, runs_per_task=1)
        first = await run(folder)
        assert len(server.posts) == 2
        again = await run(folder)
        assert len(server.posts) == 2
        rewrite(folder, "max_cost_usd = 3.0", "max_cost_usd = 100.0")
        last = await run(folder)
        assert len(server.posts) == 4
    assert first.returncode == again.returncode == 3
    assert "max_cost_usd = 3 is reached (4.0000 US dollars)" in first.stderr
    assert "left 2 of 4 runs undone" in first.stderr
    assert last.returncode == 0, last.stderr
    events = [
        e for path in CampaignFolder(folder).transcript_paths() for e in read_transcript(path)
    ]
    assert not any(isinstance(event, Fault) for event in events)


async def test_without_a_price_a_budget_of_money_is_refused_before_the_first_run(
    make_campaign: MakeCampaign,
) -> None:
    async with endpoint(SAYS_NOTHING) as server:
        models = REMOTE.format(url=server.base_url, price="", budget="max_cost_usd = 3.0")
        done = await run(make_campaign(models, runs_per_task=1))
        assert server.posts == []
    assert done.returncode == 2
    assert "max_cost_usd cannot be kept; give it price = " in done.stderr


async def test_an_endpoint_that_tells_no_usage_cannot_spend_unseen(
    make_campaign: MakeCampaign,
) -> None:
    silent = stream(delta("I do not know."), finish("stop"))
    async with endpoint(silent) as server:
        models = REMOTE.format(url=server.base_url, price=PRICE, budget="max_cost_usd = 3.0")
        done = await run(make_campaign(models, runs_per_task=1))
        assert len(server.posts) == 1
    assert done.returncode == 3
    assert "does not say how many tokens it used" in done.stderr


async def test_a_budget_of_time_pauses_the_campaign(make_campaign: MakeCampaign) -> None:
    async with endpoint(stream(delta("no"), finish("stop"), pause=2.5)) as server:
        models = REMOTE.format(url=server.base_url, price="", budget="max_hours = 0.0015")
        folder = make_campaign(models, runs_per_task=1)
        first = await run(folder)
        assert 0 < len(server.posts) < 4
        rewrite(folder, "max_hours = 0.0015", "")
        assert (await run(folder)).returncode == 0
        assert len(server.posts) == 4
    assert first.returncode == 3
    assert "max_hours = 0.0015 are over" in first.stderr
