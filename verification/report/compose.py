"""From a campaign's folder to the document that a report is: which sections, in which order."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import combinations

from harness import predictions
from harness.errors import BadInput
from harness.records import Plan
from harness.store import CampaignFolder, Manifest, read_manifest
from verification import claims
from verification import predictions as predicted
from verification.compare import compare
from verification.evidence import Evidence, read
from verification.leaderboard import leaderboards
from verification.plots import pictures
from verification.report import conducted, notes, results, stories, unknown
from verification.report.conducted import UNKNOWN, Headers
from verification.report.document import Block, Document, Paragraph, Section
from verification.tables import tables

MOST_MATCHES = 6
"""Pairs of models that are held against each other in one report."""


def compose(
    folder: CampaignFolder,
    evidence: Evidence,
    *,
    sibling: CampaignFolder | None = None,
    others: Sequence[CampaignFolder] = (),
    anyway: bool = False,
) -> Document:
    """The report on a campaign. Raises BadInput where no run has begun, and for a sibling that was
    played under other conditions, unless ``anyway``."""
    plan = evidence.plan
    if plan is None:
        raise BadInput(f"{folder.path}: no run has begun; play it with fairtrial run, then report")
    manifest, headers = read_manifest(folder), conducted.read_headers(folder)
    filed = predictions.standing(folder).predictions is not None
    text, sheets = _notes(folder), [*tables(evidence), *predicted.tables(folder, evidence)]
    unproved = claims.unproved(text, sheets, claims.known_names(plan, manifest))
    first = [
        results.result(evidence, plan),
        Section("In pictures", "Observed", pictures(evidence)),
    ]
    rest = [
        stories.section(folder, evidence),
        results.infrastructure(evidence),
        results.noticed(evidence),
        results.looked_for(evidence, headers.not_looked_for),
        *_head_to_head(folder, headers, sibling, anyway=anyway),
        Section("What was predicted", "Observed", predicted.exhibits(folder)),
        *_leaderboard(folder, others),
        results.cost(evidence),
        conducted.section(headers, manifest, _planned(plan)),
        results.every_run(evidence, plan),
        unknown.section(evidence, manifest, headers, predicted=filed, unproved=len(unproved)),
    ]
    written = notes.parse(claims.prose(text, sheets, "notes.md"))
    return Document(
        campaign=plan.campaign,
        title=written.title or _title(plan, headers),
        lede=results.lede(evidence),
        glance=_glance(plan, manifest),
        opening=written.opening,
        sections=notes.woven(first, rest, written),
        unproved=len(unproved),
    )


def _head_to_head(
    folder: CampaignFolder, headers: Headers, sibling: CampaignFolder | None, *, anyway: bool
) -> Iterator[Section]:
    """The models of this campaign against each other, whatever they were played with, and
    against those of its sibling. A model that both campaigns played is held against itself only.
    """
    models = sorted(name for name, kind in headers.kinds.items() if kind != "scripted")
    pairs = [(folder, a, b) for a, b in combinations(models, 2)]
    only_scripts = ""
    if sibling is not None:
        evidence = read(sibling)
        runs = evidence.runs
        theirs = sorted(runs[runs["kind"] != "scripted"]["model"].unique())
        every = [(sibling, a, b) for a in models for b in theirs]
        pairs += [(other, a, b) for other, a, b in every if a == b] or every
        if not every and evidence.plan is not None:
            only_scripts = f"{evidence.plan.campaign} has nothing but scripts to be held against."
    blocks: list[Block] = [
        exhibit
        for other, a, b in pairs[:MOST_MATCHES]
        for exhibit in compare(
            folder, other, model_a=a, model_b=b, anyway=anyway or other is folder
        ).exhibits()
    ]
    left = len(pairs) - MOST_MATCHES
    if left > 0:
        blocks.append(Paragraph(f"'fairtrial compare' holds {left} more pairs against each other."))
    if only_scripts:
        blocks.append(Paragraph(only_scripts))
    if blocks:
        yield Section("Head to head", "Observed", blocks)


def _leaderboard(folder: CampaignFolder, others: Sequence[CampaignFolder]) -> Iterator[Section]:
    """Where the models stand among those of other campaigns, where there are any."""
    if others:
        boards = [board for board in leaderboards([folder, *others]) if board.rows]
        yield Section("Where it stands", "Observed", boards)


def _planned(plan: Plan) -> dict[str, str]:
    runs = len(plan.models) * len(plan.tasks) * plan.runs_per_task
    return {
        "campaign": plan.campaign,
        "suite": plan.suite,
        "planned runs": f"{runs}: models {len(plan.models)}, tasks {len(plan.tasks)}, "
        f"runs of each {plan.runs_per_task}",
        "seed": UNKNOWN if plan.seed is None else str(plan.seed),
    }


def _glance(plan: Plan, manifest: Manifest | None) -> list[tuple[str, str]]:
    hardware = manifest.hardware if manifest else {}
    processor = hardware.get("processor") or UNKNOWN
    cores = hardware.get("physical_cores")
    return [
        ("suite", plan.suite),
        ("runs", f"{len(plan.tasks)} tasks \N{MULTIPLICATION SIGN} {plan.runs_per_task} a model"),
        ("began", f"{manifest.started_at:%Y-%m-%d}" if manifest else UNKNOWN),
        ("hardware", f"{processor}, {cores} cores" if cores else str(processor)),
    ]


def _title(plan: Plan, headers: Headers) -> str:
    """The models, without the scripts among them if there are others, on the suite."""
    models = [name for name in plan.models if headers.kinds.get(name) != "scripted"]
    names = models or list(plan.models)
    listed = f"{', '.join(names[:-1])} and {names[-1]}" if len(names) > 1 else names[0]
    return f"{listed} on {plan.suite}"


def _notes(folder: CampaignFolder) -> str:
    """The author's words as they stand; empty where there is no notes.md."""
    path = folder.path / "notes.md"
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return ""
    except (OSError, UnicodeDecodeError) as error:
        raise BadInput(f"{path}: cannot be read: {error}; save it as UTF-8") from None
