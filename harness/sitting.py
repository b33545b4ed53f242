"""One sitting of a campaign: everything is opened and tried, what is owed is played, and the
ledger tells what became of it."""

from __future__ import annotations

import asyncio
import random
import time
from collections import Counter, deque
from collections.abc import AsyncIterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from typing import Any, Literal, Protocol

import structlog

from harness import earlier, machine, predictions
from harness.attempt import Record, Stage, play_attempt
from harness.campaign import Choice, Work, everything, ready, survey
from harness.errors import FairtrialError, InfrastructureFault
from harness.line import Line, Nobody
from harness.manifest import refuse_other_files
from harness.meter import Meter
from harness.models import Model, ModelSettings, Request, load_kind
from harness.models.scripted import calls_in
from harness.preflight import machine_is_fit, prompts_fit, rehearse
from harness.prices import price_of
from harness.records import Completion, Event, Fault, ModelRecord, Outcome, Reply, Started
from harness.rescue import rescue_of
from harness.sandbox import Limits, Sandbox
from harness.sandbox import make as make_sandbox
from harness.schedule import Run, variant_seed
from harness.store import (
    AttemptEntry,
    CampaignFolder,
    JsonLines,
    Manifest,
    SittingEntry,
    write_whole,
)
from harness.toolbox import schemas

log = structlog.get_logger()

LONGEST_WAIT = 30.0
"""Seconds; waits between attempts double from one second up to this."""

IN_A_ROW = 3
"""Runs of one model that end alike, all their attempts spoiled: what comes next would too."""


class Watcher(Protocol):
    """Whoever shows a campaign to a person."""

    def opens(self, model: str, doing: str) -> None: ...
    def tries(self, model: str, observed: Mapping[str, Any]) -> None: ...
    def tried(self, model: str, facts: Mapping[str, Any]) -> None: ...
    def began(self, work: Work, sandbox: Mapping[str, Any]) -> None: ...
    def attempt_began(self, run: Run, attempt: int) -> None: ...
    def happened(self, run: Run, event: Event) -> None: ...
    def attempt_ended(self, run: Run, outcome: Outcome, *, final: bool) -> None: ...
    def paused(self, model: str, reason: str, patience_seconds: float) -> None: ...
    def resumed(self, model: str, seconds: float) -> None: ...
    def slowed(self, model: str, seconds: float, at_once: int) -> None: ...
    def stopped(self, model: str | None, reason: str) -> None: ...


@dataclass
class Standing:
    """How a sitting left its campaign. ``began`` is false where there was nothing to play;
    ``stopped_by`` says what ended it early, by model, or for all (None)."""

    total: int
    owed: int
    began: bool = False
    stopped_by: dict[str | None, str] = field(default_factory=dict)


async def run_campaign(
    folder: CampaignFolder,
    watcher: Watcher,
    *,
    choose: Choice = everything,
    preflight: bool = True,
) -> Standing:
    """Play every run that is owed (or what ``choose`` leaves of it), and say how the campaign
    stands after it.

    The folder has been prepared.
    Raises BadInput where a person must act before anything can be run. When cancelled, runs in
    flight are recorded as interrupted and stay owed.
    """
    with folder.locked():
        work = choose(survey(folder))
        ready(work)
        standing = Standing(total=work.total, owed=len(work.owed))
        if not work.owed:
            return standing
        async with _opened(work, watcher, preflight=preflight) as sitting:
            standing.began = True
            watcher.began(work, sitting.sandbox_facts)
            await sitting.play_all()
            standing.stopped_by = sitting.stopped_by
        standing.owed = len(survey(folder).owed)
        return standing


@dataclass
class _Sitting:
    """Everything is open. It is also what a line reports to."""

    work: Work
    watcher: Watcher
    models: dict[str, Model]
    records: dict[str, ModelRecord]
    sandbox: Sandbox
    sandbox_facts: dict[str, Any]
    ledger: JsonLines
    meter: Meter
    versions: dict[str, str] = field(default_factory=machine.versions)
    oracle_calls: dict[str, int | None] = field(init=False)
    stopped_by: dict[str | None, str] = field(default_factory=dict)
    spoiled: Counter[str] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        self.oracle_calls = {
            task.id: calls_in(task.folder / "solution.jsonl") for task in self.work.suite.tasks
        }

    async def play_all(self) -> None:
        """Play what is owed, as many at once as models and campaign allow."""
        settings = self.work.campaign.infrastructure
        gate = asyncio.Semaphore(settings.concurrency)
        async with asyncio.TaskGroup() as group:
            for name, model in self.models.items():
                queue = deque(run for run in self.work.owed if run.model == name)
                at_once = min(model.parallel or settings.concurrency, settings.concurrency)
                line = Line(
                    name,
                    model,
                    self,
                    retries=settings.retries,
                    patience_seconds=60 * settings.patience_minutes,
                    at_once=at_once,
                )
                for _ in range(min(at_once, len(queue))):
                    group.create_task(self._work_through(queue, line, gate))

    def paused(self, model: str, reason: str, patience_seconds: float) -> None:
        self._tell("paused", model, reason)
        self.watcher.paused(model, reason, patience_seconds)

    def resumed(self, model: str, seconds: float) -> None:
        self._tell("resumed", model, f"after {seconds:.0f} s")
        self.watcher.resumed(model, seconds)

    def slowed(self, model: str, seconds: float, at_once: int) -> None:
        self._tell("slowed", model, f"for {seconds:.1f} s, then {at_once} requests at once")
        self.watcher.slowed(model, seconds, at_once)

    def stop(self, model: str | None, reason: str) -> None:
        """Begin no more runs of this model (None: of any)."""
        if model not in self.stopped_by:
            self.stopped_by[model] = reason
            self.watcher.stopped(model, reason)

    async def _work_through(self, queue: deque[Run], line: Line, gate: asyncio.Semaphore) -> None:
        while queue:
            await line.clear()
            if reason := self.meter.used_up():
                self.stop(None, reason)
            if not queue or not self.stopped_by.keys().isdisjoint({None, line.name}):
                return
            try:
                await self._play_run(queue.popleft(), line, gate)
            except (FairtrialError, OSError) as error:
                # Not even a fault could be recorded: no space, or a file only a person can mend.
                self.stop(None, str(error))

    async def _play_run(self, run: Run, line: Line, gate: asyncio.Semaphore) -> None:
        """Attempt a run until it is settled or its attempts are used up."""
        attempts = self.work.campaign.infrastructure.attempts
        for tried in range(1, attempts + 1):
            async with gate:
                outcome, fault = await self._attempt(run, line, gate)
            if fault is not None and fault.final:
                self.stop(None if fault.kind == "disk_full" else run.model, fault.detail)
            last = fault is None or fault.final or tried == attempts or bool(self.stopped_by)
            self.watcher.attempt_ended(run, outcome, final=last)
            if last:
                self._count_spoiled(run, fault)
                return
            # Jitter, so that runs that failed together do not come back together.
            await asyncio.sleep(min(LONGEST_WAIT, 2.0 ** (tried - 1)) * random.uniform(0.5, 1.5))

    def _count_spoiled(self, run: Run, fault: Fault | None) -> None:
        if fault is None:
            self.spoiled[run.model] = 0
            return
        self.spoiled[run.model] += 1
        if self.spoiled[run.model] >= IN_A_ROW:
            self.stop(
                run.model, f"{IN_A_ROW} runs in a row were spoiled, the last one by: {fault.detail}"
            )

    async def _attempt(
        self, run: Run, line: Line, gate: asyncio.Semaphore
    ) -> tuple[Outcome, Fault | None]:
        folder = self.work.folder
        attempt = folder.next_attempt(run.id)
        self._enter("begun", run, attempt)
        self.watcher.attempt_began(run, attempt)
        faults: list[Fault] = []

        async def ask(request: Request, note: Record) -> Completion:
            return await line.ask(request, gate, note)

        stage = self._stage(run, ask)
        with JsonLines(folder.transcript(run.id)) as transcript:

            def record(event: Event) -> None:
                transcript.append(event)
                self.watcher.happened(run, event)
                if isinstance(event, Reply):
                    self.meter.add(run.model, event)
                if isinstance(event, Fault):
                    faults.append(event)
                if isinstance(event, Outcome):
                    self._enter("ended", run, attempt, event, faults[0] if faults else None)

            outcome = await play_attempt(self._header(run, attempt, stage), stage, record)
        return outcome, faults[0] if faults else None

    def _stage(self, run: Run, ask: Any) -> Stage:
        (task,) = (task for task in self.work.suite.tasks if task.id == run.task)
        seed = None
        if self.work.campaign.variants == "seeded":
            seed = variant_seed(self.work.campaign.seed, run.task, run.repetition)
        return Stage(
            task,
            task.variant(seed),
            ask,
            self.sandbox,
            Limits(),
            earlier=earlier.turns(run.seed, self.work.campaign.load_of(run.repetition), task.tools),
            rescue=rescue_of(self.work.campaign.on_leak, self.records[run.model]),
        )

    def _header(self, run: Run, attempt: int, stage: Stage) -> Started:
        return Started(
            run=run.id,
            attempt=attempt,
            plan=self.work.plan,
            task=run.task,
            task_digest=stage.task.digest,
            variant_seed=stage.variant.seed,
            variant_digest=stage.variant.digest,
            repetition=run.repetition,
            model=self.records[run.model],
            seed=run.seed,
            budgets=self.work.campaign.budgets_for(stage.task),
            oracle_calls=self.oracle_calls[run.task],
            tools=schemas(stage.task.tools),
            sandbox=self.sandbox_facts,
            versions=self.versions,
            started_at=datetime.now(UTC),
            on_leak=self.work.campaign.on_leak,
            context_load=self.work.campaign.load_of(run.repetition),
        )

    def _enter(
        self,
        event: Literal["begun", "ended"],
        run: Run,
        attempt: int,
        outcome: Outcome | None = None,
        fault: Fault | None = None,
    ) -> None:
        entry = AttemptEntry(
            event=event,
            run=run.id,
            attempt=attempt,
            model=run.model,
            task=run.task,
            repetition=run.repetition,
            at=datetime.now(UTC),
            outcome=outcome.outcome if outcome else None,
            cause=fault.cause if fault else None,
            detail=fault.detail if fault else None,
        )
        self.ledger.append(entry)
        log.info("attempt", **entry.model_dump(mode="json", exclude_none=True, exclude={"event"}))

    def _tell(self, event: Literal["paused", "resumed", "slowed"], model: str, detail: str) -> None:
        self.ledger.append(
            SittingEntry(event=event, at=datetime.now(UTC), model=model, detail=detail)
        )
        log.info(event, model=model, detail=detail)


@asynccontextmanager
async def _opened(work: Work, watcher: Watcher, *, preflight: bool) -> AsyncIterator[_Sitting]:
    """Open and try everything, file the manifest, and let go of it all at the end."""
    concurrency = work.campaign.infrastructure.concurrency
    # Tools, checkers and folders block: a thread for each run, and a few for those that end.
    asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(concurrency + 4))
    if preflight:
        machine_is_fit(work.folder.path, work.manifest)
    sandbox = make_sandbox(work.campaign.sandbox)
    models = {
        settings.name: load_kind(settings.kind, settings.name).Model(settings)
        for settings in work.campaign.models
    }
    try:
        hidden = (work.suite.folder, work.folder.path)
        facts = await asyncio.to_thread(sandbox.open, hidden)
        records: dict[str, ModelRecord] = {}
        tried: dict[str, dict[str, Any]] = {}
        for settings in work.campaign.models:
            model = models[settings.name]
            began = time.monotonic()
            records[settings.name] = await _open_model(model, settings, watcher)
            cold = {"cold_start_seconds": round(time.monotonic() - began, 3)}
            if preflight and model.rehearses:
                watcher.tries(settings.name, records[settings.name].observed)
                measured = await _try(work, records[settings.name], model)
                tried[settings.name] = cold | measured
                watcher.tried(settings.name, tried[settings.name])
        meter = Meter(work.campaign.infrastructure)
        meter.open(records, work.folder)
        if work.manifest is None:
            _file_manifest(work, records, facts, tried if preflight else None)
        else:
            refuse_other_files(work.manifest, records)
        with JsonLines(work.folder.ledger) as ledger:
            detail = None if preflight else "preflight was skipped"
            ledger.append(
                SittingEntry(event="opened", at=datetime.now(UTC), detail=detail, preflight=tried)
            )
            sitting = _Sitting(work, watcher, models, records, sandbox, facts, ledger, meter)
            ended: str | None = "interrupted"
            try:
                yield sitting
                ended = "; ".join(sitting.stopped_by.values()) or None
            finally:
                with suppress(InfrastructureFault):  # no room for it, which was said already
                    ledger.append(SittingEntry(event="closed", at=datetime.now(UTC), detail=ended))
    finally:
        await asyncio.to_thread(sandbox.close)
        for model in models.values():
            await model.close()


async def _open_model(model: Model, settings: ModelSettings, watcher: Watcher) -> ModelRecord:
    observed = await model.open(partial(watcher.opens, settings.name))
    price, source = price_of(settings, datetime.now(UTC))
    return ModelRecord(
        name=settings.name,
        kind=settings.kind,
        settings=settings.model_dump(mode="json", exclude={"name", "kind", "sampling", "price"}),
        observed=observed | {"price_source": source},
        sampling=settings.sampling,
        price=price,
    )


async def _try(work: Work, record: ModelRecord, model: Model) -> dict[str, Any]:
    """The preflight of one model; a request that the world spoils is repeated, as in a run."""
    prompts_fit(work.campaign, work.suite, record)
    budgets = [work.campaign.budgets_for(task).tokens_per_turn for task in work.suite.tasks]
    line = Line(
        record.name,
        model,
        Nobody(),  # needs to know of a pause that patience of no length ends at once
        retries=work.campaign.infrastructure.retries,
        patience_seconds=0,
        at_once=1,
    )
    gate = asyncio.Semaphore(1)

    async def ask(request: Request) -> Completion:
        async with gate:
            return await line.ask(request, gate, lambda repeat: None)

    return await rehearse(record, ask, min(budgets))


def _file_manifest(
    work: Work,
    models: Mapping[str, ModelRecord],
    sandbox: dict[str, Any],
    preflight: dict[str, dict[str, Any]] | None,
) -> None:
    """Write the manifest of a campaign that begins, and with it file its predictions."""
    now = datetime.now(UTC)
    manifest = Manifest(
        campaign=work.plan.campaign,
        note=work.campaign.note,
        started_at=now,
        plan=work.plan,
        config=work.campaign.resolved(),
        infrastructure=work.campaign.infrastructure.model_dump(),
        suite_digest=work.suite.digest,
        suite_shortcoming=work.shortcoming,
        task_digests={task.id: task.digest for task in work.suite.tasks},
        models=tuple(models.values()),
        sandbox=sandbox,
        versions=machine.versions(),
        hardware=machine.hardware(),
        preflight=preflight,
        predictions=predictions.file(work.folder, work.scope, now),
    )
    write_whole(work.folder.manifest, manifest.model_dump_json(indent=2) + "\n")
