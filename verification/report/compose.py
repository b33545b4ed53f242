"""From a campaign's folder to the document that a report is: which sections, in which order."""

from __future__ import annotations

from collections.abc import Sequence
from typing import get_args

from harness import predictions
from harness.errors import BadInput
from harness.records import Plan, SignalName
from harness.store import CampaignFolder, read_manifest
from verification import predictions as predictions_scored
from verification.detectors import detectors
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
    standing = predictions.standing(folder)
    derived: list[Section] = [
        results.result(evidence),
        conducted.section(headers, manifest, _planned(plan)),
        stories.section(folder, evidence),
        results.infrastructure(evidence),
        results.noticed(evidence),
        results.looked_for(evidence, _patterns()),
        Section("What was predicted", "Observed", predictions_scored.exhibits(folder)),
        results.cost(evidence),
        results.every_run(evidence, plan),
        unknown.section(evidence, manifest, headers, predicted=standing.predictions is not None),
    ]
    written = _notes(folder)
    return Document(
        folder.id,
        written.title or _title(plan, headers),
        results.lede(evidence),
        written.opening,
        notes.woven(derived, written),
    )


def _notes(folder: CampaignFolder) -> notes.Notes:
    """The author's words; none where there is no notes.md."""
    path = folder.path / "notes.md"
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        text = ""
    except (OSError, UnicodeDecodeError) as error:
        raise BadInput(f"{path}: cannot be read: {error}; save it as UTF-8") from None
    return notes.parse(text)


def _patterns() -> list[str]:
    """What is looked for in every transcript: by the harness as it plays, and by detectors."""
    return sorted({*get_args(SignalName), *detectors()})


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
