"""Campaigns through a proxy that spoils what it is told to: the truth is known, and every fault
must become its cause, no fault a score, and no score a fault."""

from __future__ import annotations

import asyncio
import csv
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from contextlib import asynccontextmanager
from itertools import cycle
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from harness import line, sitting
from harness.attribution import RULES
from harness.progress import Progress
from harness.records import Event, Fault, Outcome, Repeat
from harness.schedule import Run
from harness.sitting import Standing, run_campaign
from harness.store import LEDGER_ENTRY, AttemptEntry, CampaignFolder, SittingEntry, read_transcript
from tests import model_server as models
from tests.chaos_faults import ANSWERS, CUTS, LIMITS, STOPS, Truth
from tests.chaos_proxy import Asked, ChaosProxy, Choose, Point, chaos_proxy, in_turn, since
from tests.chaos_proxy import Fault as Spoil
from tests.model_server import ModelServer, Play, model_server
from tests.waiting import until_then
from verification.verify import write

FIRST_STEPS = "first-steps-v1"
CAMPAIGN = """
suite = "{suite}"
runs_per_task = {runs}
uncertified = true
[infrastructure]
retries = {retries}
attempts = {attempts}
patience_minutes = {patience}
concurrency = {concurrency}
"""
MODEL = """
[[models]]
name = "{name}"
kind = "openai"
model = "{name}"
base_url = "{url}"
first_token_seconds = {limit}
stall_seconds = {limit}
"""
UNTIMED = ("pass_rate_by_task", "failure_mode_histogram", "tool_calls_by_task", "findings")
EVERY = CUTS | ANSWERS | LIMITS | STOPS
RUNS = 4
"""A task, where a campaign is compared with an undisturbed one."""

ALL_PASSED = {("pass", None): 4 * RUNS}
TURNS = RUNS * (2 + 2 + 2 + 3)


@pytest.fixture(autouse=True)
def short_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(line, "LONGEST_BACKOFF", 0.02)
    monkeypatch.setattr(line, "LONGEST_LIMIT", 0.1)
    monkeypatch.setattr(line, "FIRST_PROBE_GAP", 0.2)
    monkeypatch.setattr(line, "LONGEST_PROBE_GAP", 0.2)
    monkeypatch.setattr(sitting, "LONGEST_WAIT", 0.02)


class Onlooker(Progress):
    """Shows a campaign to nobody, and does something whenever an attempt has ended."""

    def __init__(self, do: Callable[[Counter[str]], object] = lambda _: None) -> None:
        super().__init__(Console(quiet=True))
        self._do = do
        self._ended: Counter[str] = Counter()

    def attempt_ended(self, run: Run, outcome: Outcome, *, final: bool) -> None:
        super().attempt_ended(run, outcome, final=final)
        self._ended[run.model] += 1
        self._do(self._ended)


@asynccontextmanager
async def link(**players: Play) -> AsyncIterator[tuple[ModelServer, ChaosProxy]]:
    """A server that plays these models (else the oracle), and the proxy before it."""
    async with (
        model_server(players or {"oracle": models.oracle(FIRST_STEPS)}) as server,
        chaos_proxy(server.port) as proxy,
    ):
        yield server, proxy


def make(
    folder: Path,
    urls: dict[str, str],
    *,
    suite: str = FIRST_STEPS,
    runs: int = 1,
    retries: int = 0,
    attempts: int = 1,
    patience: float = 0.0,
    concurrency: int = 1,
    limit: float = 30.0,
) -> CampaignFolder:
    """A campaign's folder, for models by name and address. All are called alike, for their runs
    to have the same names."""
    folder = folder / "trial"
    folder.mkdir()
    text = CAMPAIGN.format(
        suite=suite,
        runs=runs,
        retries=retries,
        attempts=attempts,
        patience=patience,
        concurrency=concurrency,
    )
    text += "".join(MODEL.format(name=name, url=url, limit=limit) for name, url in urls.items())
    (folder / "campaign.toml").write_text(text, encoding="utf-8")
    campaign = CampaignFolder.find(folder)
    campaign.prepare()
    return campaign


async def play(
    campaign: CampaignFolder, do: Callable[[Counter[str]], object] = lambda _: None
) -> Standing:
    return await run_campaign(campaign, Onlooker(do), preflight=False)


def events(campaign: CampaignFolder) -> list[Event]:
    """Every event of every attempt."""
    return [event for path in campaign.transcript_paths() for event in read_transcript(path)]


def found(campaign: CampaignFolder) -> Counter[tuple[str, str | None]]:
    """Outcome and cause of every attempt."""
    outcomes = [event for event in events(campaign) if isinstance(event, Outcome)]
    return Counter((one.outcome, one.cause) for one in outcomes)


def ledger(campaign: CampaignFolder) -> list[AttemptEntry | SittingEntry]:
    lines = campaign.ledger.read_bytes().splitlines()
    return [LEDGER_ENTRY.validate_json(each) for each in lines]


def told(campaign: CampaignFolder) -> list[str]:
    """What the ledger says of waiting."""
    waits = ("paused", "resumed", "slowed")
    return [entry.event for entry in ledger(campaign) if entry.event in waits]


def evidence(campaign: CampaignFolder) -> dict[str, object]:
    """All evidence in which there are no times: whole tables, and the other columns of runs."""
    write(campaign)
    tables: dict[str, object] = {
        name: (campaign.verification / f"{name}.csv").read_bytes() for name in UNTIMED
    }
    with (campaign.verification / "runs.csv").open(newline="", encoding="utf-8") as file:
        tables["runs.csv"] = [
            {key: value for key, value in row.items() if "seconds" not in key}
            for row in csv.DictReader(file)
        ]
    return tables


@pytest.fixture(scope="module")
def calm(tmp_path_factory: pytest.TempPathFactory) -> dict[str, object]:
    """The evidence of a campaign that nothing disturbed: four runs a task, all passes."""

    async def undisturbed() -> dict[str, object]:
        async with link() as (_, proxy):
            folder = tmp_path_factory.mktemp("calm")
            campaign = make(folder, {"oracle": proxy.base_url}, runs=RUNS, concurrency=4)
            assert (await play(campaign)).owed == 0
        assert found(campaign) == ALL_PASSED
        return evidence(campaign)

    return asyncio.run(undisturbed())


def after(attempts: int, do: Callable[[], object]) -> Callable[[Counter[str]], None]:
    """Do it once so many attempts have ended."""

    def count(ended: Counter[str]) -> None:
        if ended.total() == attempts:
            do()

    return count


def struck(asked: Asked) -> bool:
    """In the first turn of the first task, the last of the second, a middle one of the fourth."""
    places = {"count.txt": 1, "table books": 2, "start.txt": 2}
    instruction = str(asked.body["messages"][-1 if asked.turn == 1 else 1]["content"])
    return any(word in instruction and asked.turn == turn for word, turn in places.items())


def each_once(truths: Iterable[Truth], met: list[Truth]) -> Choose:
    """Every request meets a fault, one after the other, and none when it is made again."""
    seen: set[bytes] = set()
    following = cycle(truths)

    def choose(asked: Asked) -> Spoil | None:
        if "tools" not in asked.body or asked.raw in seen:
            return None
        seen.add(asked.raw)
        met.append(next(following))
        return met[-1].fault

    return choose


@pytest.mark.parametrize("name", CUTS | ANSWERS)
async def test_a_fault_becomes_its_cause_in_whichever_turn_it_strikes(
    tmp_path: Path, name: str
) -> None:
    truth = EVERY[name]
    async with link() as (_, proxy):
        proxy.inject(truth.fault, where=struck)
        limit = 2.0 if truth.cause == "timeout" else 30.0
        campaign = make(tmp_path, {"oracle": proxy.base_url}, limit=limit)
        standing = await play(campaign)
    assert found(campaign) == {("infrastructure_error", truth.cause): 3, ("pass", None): 1}
    assert [e.kind for e in events(campaign) if isinstance(e, Fault)] == [truth.kind] * 3
    assert standing.owed == 3
    assert proxy.spoiled == 3


LASTING = ("stream: reset", "first byte: stall", "503 page", "no JSON", "400 ours")


@pytest.mark.parametrize("turn", [1, 2])
@pytest.mark.parametrize("name", [*LASTING, *LIMITS, *STOPS])
async def test_a_fault_for_good_is_never_scored_and_leaves_the_rest_owed(
    tmp_path: Path, name: str, turn: int
) -> None:
    truth = EVERY[name]
    async with link() as (_, proxy):
        proxy.inject(truth.fault, where=since(in_turn(turn)))
        limit = 2.0 if truth.cause == "timeout" else 30.0
        campaign = make(tmp_path, {"oracle": proxy.base_url}, limit=limit)
        standing = await play(campaign)
    assert set(found(campaign)) == {("infrastructure_error", truth.cause)}
    # A refused request says nothing of the next run's, until three in a row are refused.
    assert found(campaign).total() == (3 if truth.kind == "bad_request" else 1)
    assert standing.owed == 4
    assert "oracle" in standing.stopped_by


@pytest.mark.parametrize("at", ["request", "first byte", "headers", "stream", "end"])
async def test_a_link_that_goes_down_spoils_one_run_and_scores_none(
    tmp_path: Path, at: Point
) -> None:
    async with link() as (_, proxy):
        proxy.inject(Spoil(at, "down"), where=in_turn(2), times=1)
        campaign = make(tmp_path, {"oracle": proxy.base_url})
        standing = await play(campaign)
    # The first task has two turns: had its last reply come whole, it would be a pass.
    passed = int(at == "end")
    assert found(campaign)["infrastructure_error", "unreachable"] == 1
    assert found(campaign)["pass", None] == passed == found(campaign).total() - 1
    assert standing.owed == 4 - passed
    (fault,) = (event for event in events(campaign) if isinstance(event, Fault))
    # Between turns, it is as it happens: the next request may still find the old connection.
    assert fault.kind in ({"refused", "reset"} if at == "end" else {"reset"})
    assert fault.final


async def test_a_link_that_is_down_before_a_turn_begins_is_refused_and_not_scored(
    tmp_path: Path,
) -> None:
    async with link() as (_, proxy):
        proxy.inject(Spoil("end", "down"), where=in_turn(1), times=1)
        campaign = make(tmp_path, {"oracle": proxy.base_url})
        standing = await play(campaign)
        assert found(campaign) == {("infrastructure_error", "unreachable"): 1}
        assert standing.owed == 4
        await proxy.mend()
        assert (await play(campaign)).owed == 0
    assert found(campaign) == {("infrastructure_error", "unreachable"): 1, ("pass", None): 4}


@pytest.mark.parametrize("end", ["close", "reset"])
async def test_a_connection_that_dies_between_turns_costs_nothing(
    tmp_path: Path, end: str, calm: dict[str, object]
) -> None:
    async with link() as (_, proxy):
        proxy.inject(Spoil("end", "reset" if end == "reset" else "close"))
        campaign = make(tmp_path, {"oracle": proxy.base_url}, runs=RUNS, retries=1)
        standing = await play(campaign)
    assert standing.owed == 0
    assert found(campaign) == ALL_PASSED
    assert evidence(campaign) == calm


async def test_faults_that_pass_leave_repeats_in_the_transcript_and_nothing_in_the_evidence(
    tmp_path: Path, calm: dict[str, object]
) -> None:
    met: list[Truth] = []
    every = [
        truth
        for truth in (CUTS | ANSWERS | LIMITS).values()
        if RULES[truth.kind].remedy in ("repeat", "slow")
    ]
    async with link() as (_, proxy):
        proxy.choose.append(each_once(every, met))
        keys: dict[str, Any] = {"retries": 1, "attempts": 3, "patience": 10.0}
        campaign = make(tmp_path, {"oracle": proxy.base_url}, runs=RUNS, **keys)
        standing = await play(campaign)
    assert standing.owed == 0
    assert len(every) < len(met) == TURNS
    assert found(campaign) == ALL_PASSED
    repeats = [event.kind for event in events(campaign) if isinstance(event, Repeat)]
    assert Counter(repeats) == Counter(truth.kind for truth in met)
    assert "paused" not in told(campaign)
    assert evidence(campaign) == calm


async def test_a_fault_that_only_a_new_attempt_mends_is_kept_and_not_in_the_evidence(
    tmp_path: Path, calm: dict[str, object]
) -> None:
    met: list[Truth] = []
    every = [EVERY[name] for name in ("first byte: stall", "400 ours", "stream: stall")]
    async with link() as (_, proxy):
        proxy.choose.append(each_once(every, met))
        keys: dict[str, Any] = {"retries": 1, "attempts": 4, "patience": 10.0, "concurrency": 8}
        campaign = make(tmp_path, {"oracle": proxy.base_url}, runs=RUNS, limit=3.0, **keys)
        standing = await play(campaign)
    assert standing.owed == 0
    assert len(met) == TURNS
    causes = Counter(("infrastructure_error", truth.cause) for truth in met)
    assert found(campaign) == ALL_PASSED | causes
    assert evidence(campaign) == calm


@pytest.mark.parametrize("how", ["down", "503", "stall"])
async def test_an_outage_in_the_middle_of_a_campaign_is_waited_out(
    tmp_path: Path, how: str, calm: dict[str, object]
) -> None:
    async with link() as (_, proxy):
        again: list[asyncio.Task[None]] = []

        async def end() -> None:
            await until_then(lambda: "paused" in told(campaign))
            await asyncio.sleep(0.5)  # for some probes that find nobody
            proxy.heal()
            if how == "down":
                await proxy.mend()

        def begin() -> None:
            if how == "down":
                proxy.cut()
            else:
                proxy.inject(EVERY["503 page" if how == "503" else "first byte: stall"].fault)
            again.append(asyncio.create_task(end()))

        keys: dict[str, Any] = {"retries": 1, "attempts": 1, "patience": 10.0, "concurrency": 4}
        campaign = make(tmp_path, {"oracle": proxy.base_url}, runs=RUNS, limit=3.0, **keys)
        standing = await play(campaign, after(5, begin))
    assert standing.owed == 0
    assert found(campaign) == ALL_PASSED
    assert told(campaign) == ["paused", "resumed"]
    assert evidence(campaign) == calm


async def test_past_its_patience_a_campaign_stops_with_the_rest_owed_and_goes_on_another_day(
    tmp_path: Path, calm: dict[str, object]
) -> None:
    async with link() as (_, proxy):
        keys: dict[str, Any] = {"retries": 1, "attempts": 3, "patience": 0.02, "concurrency": 4}
        campaign = make(tmp_path, {"oracle": proxy.base_url}, runs=RUNS, **keys)
        standing = await play(campaign, after(5, proxy.cut))
        before = found(campaign)
        assert set(before) == {("pass", None), ("infrastructure_error", "unreachable")}
        assert before["infrastructure_error", "unreachable"] <= 4  # those that were under way
        assert standing.owed == 4 * RUNS - before["pass", None]
        assert told(campaign) == ["paused"]
        assert "no answer for" in standing.stopped_by["oracle"]
        await proxy.mend()
        assert (await play(campaign)).owed == 0
    assert found(campaign)["pass", None] == 4 * RUNS
    assert evidence(campaign) == calm


async def test_while_one_model_is_waited_for_the_other_one_goes_on(tmp_path: Path) -> None:
    oracle = models.oracle(FIRST_STEPS)
    async with link(here=oracle, there=oracle) as (server, proxy), chaos_proxy(server.port) as far:
        again: list[asyncio.Task[None]] = []

        def follow(ended: Counter[str]) -> None:
            if not again and ended["there"] == 1:
                far.cut()
            if ended["here"] == 4 * RUNS and not again:
                again.append(asyncio.create_task(far.mend()))

        keys: dict[str, Any] = {"retries": 1, "attempts": 1, "patience": 10.0, "concurrency": 2}
        urls = {"here": proxy.base_url, "there": far.base_url}
        campaign = make(tmp_path, urls, runs=RUNS, **keys)
        standing = await play(campaign, follow)
    assert standing.owed == 0
    assert found(campaign) == {("pass", None): 8 * RUNS}
    assert told(campaign) == ["paused", "resumed"]
    waiting = [entry.event for entry in ledger(campaign)]
    meanwhile = ledger(campaign)[waiting.index("paused") : waiting.index("resumed")]
    settled = [entry.model for entry in meanwhile if entry.event == "ended"]
    assert set(settled) == {"here"}
    assert len(settled) >= 2 * RUNS


@pytest.mark.parametrize("name", LIMITS)
async def test_rate_limits_slow_requests_down_and_they_speed_up_again(
    tmp_path: Path, name: str, calm: dict[str, object]
) -> None:
    unlimited: list[int] = []
    """How many were under way as each request came, since there is no limit any more."""

    async with link() as (server, proxy):

        def slowed_down() -> bool:
            words = [entry.detail or "" for entry in ledger(campaign) if entry.event == "slowed"]
            return any("then 1 request" in each or "then 2 requests" in each for each in words)

        def at_most_two(asked: Asked) -> Spoil | None:
            if slowed_down():
                unlimited.append(proxy.under_way)
            return EVERY[name].fault if proxy.under_way > 2 and not unlimited else None

        proxy.choose.append(at_most_two)
        # Each takes long enough for others to come, until enough have.
        server.seconds, server.enough = 2.0, lambda: max(unlimited[8:], default=0) > 2
        campaign = make(
            tmp_path, {"oracle": proxy.base_url}, runs=RUNS, patience=10.0, concurrency=8
        )
        standing = await play(campaign)
    assert standing.owed == 0
    assert found(campaign) == ALL_PASSED
    assert set(told(campaign)) == {"slowed"}
    assert max(unlimited[8:]) > 2  # the first ones may have been under way before
    assert evidence(campaign) == calm


HONEST: Mapping[str, tuple[Play, str, str | None]] = {
    "wrong": (models.wrong, "wrong_answer", None),
    "says-nothing": (models.says_nothing, "wrong_answer", None),
    "leaks": (models.leaks, "wrong_answer", None),
    "leaks-at-the-end": (models.leaks_at_the_end, "wrong_answer", None),
    "repeats-itself": (models.repeats_itself, "wrong_answer", None),
    "is-filtered": (models.is_filtered, "wrong_answer", None),
    "fills-the-context": (models.fills_the_context, "gave_up", "context"),
    "garbage-arguments": (models.garbage_arguments, "gave_up", "turns"),
    "no-object": (models.no_object, "gave_up", "turns"),
    "unknown-tool": (models.unknown_tool, "gave_up", "turns"),
    "the-same-call": (models.the_same_call, "gave_up", "turns"),
}


@pytest.mark.parametrize("disturbed", [False, True])
async def test_what_a_model_does_badly_is_never_anybody_elses_fault(
    tmp_path: Path, disturbed: bool
) -> None:
    async with link(**{name: play for name, (play, _, _) in HONEST.items()}) as (_, proxy):
        if disturbed:
            repeated = [EVERY[name] for name in ("stream: reset", "503 page", "unfinished call")]
            proxy.choose.append(each_once(repeated, []))
        keys: dict[str, Any] = {"retries": 2, "attempts": 1, "patience": 10.0, "concurrency": 8}
        campaign = make(tmp_path, dict.fromkeys(HONEST, proxy.base_url), **keys)
        standing = await play(campaign)
    assert standing.owed == 0
    rows = evidence(campaign)["runs.csv"]
    assert isinstance(rows, list)
    assert len(rows) == 4 * len(HONEST)
    for row in rows:
        _, outcome, budget = HONEST[row["model"]]
        assert (row["model"], row["outcome"], row["budget"]) == (
            row["model"],
            outcome,
            budget or "",
        )


async def test_the_published_campaign_loses_nothing_to_a_link_that_drops(tmp_path: Path) -> None:
    suite = "agentic-core-v1"
    async with link(oracle=models.oracle(suite)) as (_, proxy):
        campaign = make(tmp_path, {"oracle": proxy.base_url}, suite=suite, runs=3)
        standing = await play(campaign, after(24, proxy.cut))
        assert standing.owed == 6
        assert found(campaign) == {("pass", None): 24, ("infrastructure_error", "unreachable"): 1}
        total = rates(campaign)
        assert total["coverage"] == "0.800000"
        assert (total["raw_low"], total["raw_high"]) == ("0.800000", "1.000000")
        assert (total["effective_rate"], total["owed"]) == ("1.000000", "5")
        await proxy.mend()
        standing = await play(campaign)
    assert standing.owed == 0
    assert rates(campaign)["coverage"] == "1.000000"
    assert rates(campaign)["pass"] == rates(campaign)["runs"] == "30"
    ends = [e for e in ledger(campaign) if isinstance(e, AttemptEntry) and e.outcome == "pass"]
    assert len(ends) == len({entry.run for entry in ends}) == 30


def rates(campaign: CampaignFolder) -> dict[str, str]:
    """The row of all tasks together."""
    write(campaign)
    path = campaign.verification / "pass_rate_by_task.csv"
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))[-1]
