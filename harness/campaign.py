"""A campaign: suite x models x runs, from wherever it stands to its end.

What is owed is read from the transcripts at every start, so that a campaign that was stopped,
killed or cut off goes on with exactly the runs that have no outcome of the model's yet. How it
is then played is in ``harness.sitting``.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

from harness import predictions
from harness.certificate import shortcoming
from harness.config import Campaign, load_campaign
from harness.errors import BadInput
from harness.manifest import refuse_changes
from harness.records import OutcomeName, Plan
from harness.schedule import Run, runs_of
from harness.store import CampaignFolder, Manifest, read_manifest
from harness.task import Suite, load_suite


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
    spoiled: frozenset[str]
    """Those of the owed runs that were begun, and that the world spoiled."""
    shortcoming: str | None
    """Why no certificate vouches for the suite; None where one does."""
    settled: Counter[tuple[str, OutcomeName]] = field(default_factory=Counter)
    """Runs that have an outcome of the model's, by model and outcome."""

    @property
    def scope(self) -> predictions.Scope:
        """What the campaign's predictions can be about."""
        kinds = {model.name: model.kind for model in self.campaign.models}
        return predictions.Scope.of(self.plan, kinds)


def played_elsewhere(folder: CampaignFolder) -> str | None:
    """The model that another program played, where the campaign was imported."""
    models = load_campaign(folder.config).models
    return next((model.name for model in models if not model.PLAYS), None)


def survey(folder: CampaignFolder) -> Work:
    """Read the campaign's files and transcripts; touches nothing, raises BadInput."""
    if elsewhere := played_elsewhere(folder):
        raise BadInput(
            f"{folder.config}: {elsewhere!r} was played elsewhere and imported, so there is "
            "nothing to run or to predict; fairtrial verify, histogram and export read it as any "
            "other"
        )
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
        runs_per_task=campaign.runs_in_all,
        seed=campaign.seed,
    )
    owed: list[Run] = []
    spoiled: set[str] = set()
    settled: Counter[tuple[str, OutcomeName]] = Counter()
    for run in runs_of(plan):
        outcome = folder.finished(run.id)
        if outcome is not None and outcome.outcome != "infrastructure_error":
            settled[run.model, outcome.outcome] += 1
            continue
        owed.append(run)
        if folder.transcript(run.id).exists():
            spoiled.add(run.id)
    work = Work(
        folder=folder,
        campaign=campaign,
        suite=suite,
        plan=plan,
        manifest=manifest,
        total=len(owed) + settled.total(),
        owed=tuple(owed),
        spoiled=frozenset(spoiled),
        shortcoming=shortcoming(suite),
        settled=settled,
    )
    if manifest is None and folder.predictions.exists():
        predictions.read(folder.predictions, work.scope)
    return work


def ready(work: Work) -> None:
    """Raises BadInput where a campaign may not go on, or not begin, as it is."""
    if work.manifest is not None:
        refuse_changes(work.manifest, work.folder, work.campaign, work.suite)
    if work.owed and work.shortcoming and not work.campaign.uncertified:
        raise BadInput(
            f"{work.folder.config}: {work.shortcoming}; prove it with 'fairtrial certify "
            f"{work.suite.folder.resolve()}', or set uncertified = true to run it all the same"
        )


Choice = Callable[[Work], Work]
"""Leaves less owed: what a person wants played in this sitting."""


def everything(work: Work) -> Work:
    """All that is owed."""
    return work


def only_spoiled(work: Work) -> Work:
    """The runs that were begun and that the world spoiled; not those that never began."""
    return replace(work, owed=tuple(run for run in work.owed if run.id in work.spoiled))


def only_named(beginnings: Sequence[str]) -> Choice:
    """The runs whose UUIDs begin so. A run that has an outcome of the model's is refused: a
    score is not drawn again."""

    def choose(work: Work) -> Work:
        owed = {run.id: run for run in work.owed}
        runs = [_named(beginning, work) for beginning in beginnings]
        for run in runs:
            if run.id not in owed:
                raise BadInput(
                    f"run {run.id} has an outcome of the model's ({run.model}, {run.task} "
                    f"#{run.repetition}), and a score is not drawn again; start a new campaign"
                )
        chosen = {run.id for run in runs}
        return replace(work, owed=tuple(run for run in work.owed if run.id in chosen))

    return choose


def _named(beginning: str, work: Work) -> Run:
    found = [run for run in runs_of(work.plan) if run.id.startswith(beginning)]
    if len(found) != 1:
        raise BadInput(
            f"{beginning}: {len(found)} runs of {work.plan.campaign} begin so; "
            "runs.csv lists their UUIDs"
        )
    return found[0]
