"""From a campaign's folder to the document that a report is: which sections, in which order."""

from __future__ import annotations

from collections.abc import Sequence

from harness.errors import BadInput
from harness.records import Plan
from harness.store import CampaignFolder, read_manifest
from verification.evidence import Evidence
from verification.report import conducted, notes, results, stories, unknown
from verification.report.document import Document, Section


def compose(
    folder: CampaignFolder,
    evidence: Evidence,
    *,
    sibling: CampaignFolder | None = None,
    others: Sequence[CampaignFolder] = (),
) -> Document:
    """The report on a campaign. Raises BadInput where no run has begun."""
    plan = evidence.plan
    if plan is None:
        raise BadInput(f"{folder.path}: no run has begun; fairtrial run {folder.path.name}")
    manifest, headers = read_manifest(folder), conducted.read_headers(folder)
    derived: list[Section] = [
        results.result(evidence),
        conducted.section(headers, manifest, _planned(plan)),
        stories.section(folder, evidence),
        results.infrastructure(evidence),
        results.noticed(evidence),
        results.cost(evidence),
        results.every_run(evidence, plan),
        unknown.section(evidence, manifest, headers, predicted=False),
    ]
    return Document(folder.id, _title(plan, headers), results.lede(evidence), derived)


def _planned(plan: Plan) -> dict[str, str]:
    runs = len(plan.models) * len(plan.tasks) * plan.runs_per_task
    return {
        "campaign": plan.campaign,
        "suite": plan.suite,
        "planned runs": f"{runs}: {len(plan.models)} models, {len(plan.tasks)} tasks, "
        f"{plan.runs_per_task} runs each",
        "seed": str(plan.seed),
    }


def _title(plan: Plan, headers: conducted.Headers) -> str:
    """The models, without the scripts among them if there are others, on the suite."""
    models = [name for name in plan.models if headers.kinds.get(name) != "scripted"]
    names = models or list(plan.models)
    listed = f"{', '.join(names[:-1])} and {names[-1]}" if len(names) > 1 else names[0]
    return f"{listed} on {plan.suite}"
