"""A campaign: suite x models x runs, from wherever it stands to its end.

What is owed is read from the transcripts at every start, so that a campaign that was stopped,
killed or cut off goes on with exactly the runs that have no outcome of the model's yet.
"""

from __future__ import annotations

import asyncio
import random
from collections import Counter, deque
from collections.abc import AsyncIterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Literal, Protocol

import structlog
from pydantic import AwareDatetime, ValidationError

from harness import machine
from harness.attempt import Stage, play_attempt
from harness.certificate import shortcoming
from harness.config import Campaign, load_campaign
from harness.errors import BadInput, FairtrialError
from harness.models import Model, ModelSettings, load_kind
from harness.prices import price_of
from harness.records import Event, Fault, ModelRecord, Outcome, OutcomeName, Plan, Record, Started
from harness.sandbox import Limits, Sandbox
from harness.sandbox import make as make_sandbox
from harness.schedule import Run, runs_of, variant_seed
from harness.store import CampaignFolder, JsonLines, LedgerEntry, write_whole
from harness.task import Suite, load_suite
from harness.toolbox import schemas

log = structlog.get_logger()

LONGEST_WAIT = 30.0
"""Seconds; waits between attempts double from one second up to this."""


class Manifest(Record):
    """What was resolved and observed when a campaign began."""

    campaign: str
    note: str
    started_at: AwareDatetime
    plan: Plan
    config: dict[str, Any]
    infrastructure: dict[str, Any]
    suite_digest: str
    suite_shortcoming: str | None
    task_digests: dict[str, str]
    models: tuple[ModelRecord, ...]
    sandbox: dict[str, Any]
    versions: dict[str, str]
    hardware: dict[str, Any]


class Watcher(Protocol):
    """Whoever shows a campaign to a person."""

    def began(self, work: Work, sandbox: Mapping[str, Any]) -> None: ...
    def attempt_began(self, run: Run, attempt: int) -> None: ...
    def happened(self, run: Run, event: Event) -> None: ...
    def attempt_ended(self, run: Run, outcome: Outcome, *, final: bool) -> None: ...


@dataclass(frozen=True)
class Work:
    """A campaign as it stands: what is planned, and what is still owed."""

    folder: CampaignFolder
    campaign: Campaign
    suite: Suite
    plan: Plan
    manifest: Manifest | None
    """What was filed when the campaign began; None before that."""
    total: int
    owed: tuple[Run, ...]
    shortcoming: str | None
    """Why no certificate vouches for the suite; None where one does."""
    settled: Counter[tuple[str, OutcomeName]]
    """Runs that have an outcome of the model's, by model and outcome."""


@dataclass
class Standing:
    """How a session left its campaign. ``began`` is false where there was nothing to play;
    ``stopped_by`` says what ended it early."""

    total: int
    owed: int
    began: bool = False
    stopped_by: str | None = None


def survey(folder: CampaignFolder) -> Work:
    """Read the campaign's files and transcripts; touches nothing, raises BadInput."""
    campaign = load_campaign(folder.config)
    manifest = read_manifest(folder)
    suite = load_suite(campaign.suite, relative_to=folder.path)
    for task in suite.tasks:
        task.variant(None if campaign.variants == "fixed" else 0)
    plan = Plan(
        # A campaign that has begun keeps its name, and so its runs, wherever its folder goes.
        campaign=manifest.campaign if manifest else folder.id,
        suite=suite.name,
        models=tuple(model.name for model in campaign.models),
        tasks=tuple(task.id for task in suite.tasks),
        runs_per_task=campaign.runs_per_task,
        seed=campaign.seed,
    )
    owed: list[Run] = []
    settled: Counter[tuple[str, OutcomeName]] = Counter()
    for run in runs_of(plan):
        outcome = folder.finished(run.id)
        if outcome is None or outcome.outcome == "infrastructure_error":
            owed.append(run)
        else:
            settled[run.model, outcome.outcome] += 1
    total = len(owed) + settled.total()
    return Work(
        folder, campaign, suite, plan, manifest, total, tuple(owed), shortcoming(suite), settled
    )


async def run_campaign(folder: CampaignFolder, watcher: Watcher) -> Standing:
    """Play every run that is owed, and say how the campaign stands after it.

    The folder has been prepared.
    Raises BadInput where a person must act before anything can be run. When cancelled, runs in
    flight are recorded as interrupted and stay owed.
    """
    with folder.locked():
        work = survey(folder)
        if work.manifest is not None:
            _refuse_changes(work.manifest, work)
        standing = Standing(total=work.total, owed=len(work.owed))
        if not work.owed:
            return standing
        if work.shortcoming and not work.campaign.uncertified:
            raise BadInput(
                f"{folder.config}: {work.shortcoming}; prove it with 'fairtrial certify "
                f"{work.campaign.suite}', or set uncertified = true to run it all the same"
            )
        async with _opened(work) as session:
            standing.began = True
            watcher.began(work, session.sandbox_facts)
            await session.play_all(watcher, standing)
        standing.owed = len(survey(folder).owed)
        return standing


def read_manifest(folder: CampaignFolder) -> Manifest | None:
    """The manifest of a campaign that has begun; None before that."""
    try:
        return Manifest.model_validate_json(folder.manifest.read_bytes())
    except FileNotFoundError:
        return None
    except ValidationError as error:
        raise BadInput(
            f"{folder.manifest}: no manifest ({error.error_count()} errors); "
            "restore it, or move data/ away to begin anew"
        ) from None


def _refuse_changes(manifest: Manifest, work: Work) -> None:
    """A campaign's runs must all be of one kind; raises BadInput naming what has changed."""
    now = work.campaign.resolved()
    for key, then in manifest.config.items():
        if now.get(key) != then:
            raise BadInput(
                f"{work.folder.config}: {key!r} has changed since the campaign began (it was "
                f"{then!r}); put it back, or start a new campaign"
            )
    digests = {task.id: task.digest for task in work.suite.tasks}
    for task, then in manifest.task_digests.items():
        if digests.pop(task, None) != then:
            raise BadInput(
                f"{work.suite.folder / task}: the task has changed since the campaign began "
                "(another digest); put it back, or start a new campaign"
            )
    if digests:
        raise BadInput(
            f"{work.suite.folder}: has new tasks since the campaign began "
            f"({', '.join(digests)}); take them out, or start a new campaign"
        )


@dataclass
class _Session:
    """One sitting of a campaign: everything is open."""

    work: Work
    models: dict[str, Model]
    records: dict[str, ModelRecord]
    sandbox: Sandbox
    sandbox_facts: dict[str, Any]
    ledger: JsonLines
    versions: dict[str, str] = field(default_factory=machine.versions)

    async def play_all(self, watcher: Watcher, standing: Standing) -> None:
        """Play what is owed, as many at once as models and campaign allow."""
        concurrency = self.work.campaign.infrastructure.concurrency
        gate = asyncio.Semaphore(concurrency)
        async with asyncio.TaskGroup() as group:
            for name, model in self.models.items():
                queue = deque(run for run in self.work.owed if run.model == name)
                for _ in range(min(model.parallel or concurrency, concurrency, len(queue))):
                    group.create_task(self._work_through(queue, gate, watcher, standing))

    async def _work_through(
        self, queue: deque[Run], gate: asyncio.Semaphore, watcher: Watcher, standing: Standing
    ) -> None:
        while queue and standing.stopped_by is None:
            run = queue.popleft()
            try:
                await self._play_run(run, gate, watcher, standing)
            except (FairtrialError, OSError) as error:
                # Not even a fault could be recorded: no space, or a file only a person can mend.
                standing.stopped_by = str(error)

    async def _play_run(
        self, run: Run, gate: asyncio.Semaphore, watcher: Watcher, standing: Standing
    ) -> None:
        """Attempt a run until it is settled or its attempts are used up."""
        attempts = self.work.campaign.infrastructure.attempts
        for tried in range(1, attempts + 1):
            async with gate:
                outcome, fault = await self._attempt(run, watcher)
            if fault is not None and fault.stops_campaign:
                standing.stopped_by = fault.detail
            last = fault is None or tried == attempts or standing.stopped_by is not None
            watcher.attempt_ended(run, outcome, final=last)
            if last:
                return
            # Jitter, so that runs that failed together do not come back together.
            await asyncio.sleep(min(LONGEST_WAIT, 2.0 ** (tried - 1)) * random.uniform(0.5, 1.5))

    async def _attempt(self, run: Run, watcher: Watcher) -> tuple[Outcome, Fault | None]:
        folder = self.work.folder
        attempt = folder.next_attempt(run.id)
        self._enter("begun", run, attempt)
        watcher.attempt_began(run, attempt)
        faults: list[Fault] = []
        stage = self._stage(run)
        with JsonLines(folder.transcript(run.id)) as transcript:

            def record(event: Event) -> None:
                transcript.append(event)
                watcher.happened(run, event)
                if isinstance(event, Fault):
                    faults.append(event)

                if isinstance(event, Outcome):
                    self._enter("ended", run, attempt, event, faults[0] if faults else None)

            outcome = await play_attempt(self._header(run, attempt, stage), stage, record)
        return outcome, faults[0] if faults else None

    def _stage(self, run: Run) -> Stage:
        (task,) = (task for task in self.work.suite.tasks if task.id == run.task)
        seed = None
        if self.work.campaign.variants == "seeded":
            seed = variant_seed(self.work.plan.seed, run.task, run.repetition)
        return Stage(task, task.variant(seed), self.models[run.model], self.sandbox, Limits())

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
            tools=schemas(stage.task.tools),
            sandbox=self.sandbox_facts,
            versions=self.versions,
            started_at=datetime.now(UTC),
        )

    def _enter(
        self,
        event: Literal["begun", "ended"],
        run: Run,
        attempt: int,
        outcome: Outcome | None = None,
        fault: Fault | None = None,
    ) -> None:
        entry = LedgerEntry(
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


@asynccontextmanager
async def _opened(work: Work) -> AsyncIterator[_Session]:
    """Open sandbox and models, file the manifest, and let go of everything at the end."""
    concurrency = work.campaign.infrastructure.concurrency
    # Tools, checkers and folders block: a thread for each run, and a few for those that end.
    asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(concurrency + 4))
    sandbox = make_sandbox(work.campaign.sandbox)
    models = {
        settings.name: load_kind(settings.kind, settings.name).Model(settings)
        for settings in work.campaign.models
    }
    try:
        hidden = (work.suite.folder, work.folder.path)
        facts = await asyncio.to_thread(sandbox.open, hidden)
        records = {}
        for settings in work.campaign.models:
            records[settings.name] = await _open_model(models[settings.name], settings)
        _file_manifest(work, records, facts)
        with JsonLines(work.folder.ledger) as ledger:
            yield _Session(work, models, records, sandbox, facts, ledger)
    finally:
        await asyncio.to_thread(sandbox.close)
        for model in models.values():
            await model.close()


async def _open_model(model: Model, settings: ModelSettings) -> ModelRecord:
    observed = await model.open()
    price, source = price_of(settings, datetime.now(UTC))
    return ModelRecord(
        name=settings.name,
        kind=settings.kind,
        settings=settings.model_dump(mode="json", exclude={"name", "kind", "sampling", "price"}),
        observed=observed | {"price_source": source},
        sampling=settings.sampling,
        price=price,
    )


def _file_manifest(
    work: Work,
    models: Mapping[str, ModelRecord],
    sandbox: dict[str, Any],
) -> None:
    """Write the manifest of a campaign that begins; hold one that goes on against its own."""
    if work.manifest is not None:
        for then in work.manifest.models:
            digest, now = then.observed.get("sha256"), models[then.name].observed.get("sha256")
            if digest != now:
                raise BadInput(
                    f"{then.name}: the model's file has changed since the campaign began (SHA-256 "
                    f"{digest} then, {now} now); put it back, or start a new campaign"
                )
        return
    manifest = Manifest(
        campaign=work.plan.campaign,
        note=work.campaign.note,
        started_at=datetime.now(UTC),
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
    )
    write_whole(work.folder.manifest, manifest.model_dump_json(indent=2) + "\n")
