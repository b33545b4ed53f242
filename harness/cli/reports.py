"""Commands for what is published: the report, and the author's words held against the evidence."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypedDict

import typer

from harness.cli.app import EVIDENCE, CampaignArgument, app, refuse_underived, short
from harness.errors import BadInput, EvidenceDiffers
from harness.terminal import safe

if TYPE_CHECKING:
    from harness.store import CampaignFolder


MOST_NAMED = 30
"""Claims that are spelled out; beyond them they are counted."""

SiblingOption = Annotated[
    Path | None,
    typer.Option(metavar="CAMPAIGN", help="Another campaign, to be held against this one."),
]
BesideOption = Annotated[
    list[Path] | None,
    typer.Option(
        metavar="CAMPAIGN",
        help="A campaign to stand beside this one on the leaderboard; may be repeated.",
    ),
]
AnywayOption = Annotated[
    bool,
    typer.Option(
        "--anyway",
        help="Compare although the sibling's conditions differ; the report then says so.",
    ),
]


@app.command(rich_help_panel=EVIDENCE)
def report(
    campaign: CampaignArgument,
    sibling: SiblingOption = None,
    beside: BesideOption = None,
    anyway: AnywayOption = False,
) -> None:
    """Write the campaign's report: report.md for a blog, and report/index.html as one page.

    Each transcript gets a page of its own to click into, under report/runs/. What notes.md in the
    campaign's folder says goes in: a section under each '## Heading [Speculation]'. The pages
    need no server, run no scripts and load nothing; what a model wrote stays text.
    """
    from harness.store import CampaignFolder
    from verification.report import write
    from verification.verify import verify

    folder = CampaignFolder.find(campaign)
    if not folder.begun:
        raise BadInput(f"{folder.path}: nothing has run yet; fairtrial run {campaign}")
    refuse_underived(folder, campaign)
    if verify(folder):
        raise EvidenceDiffers(
            f"{folder.verification}: the report would cite CSVs that do not follow from the "
            f"transcripts; 'fairtrial verify --write {campaign}' derives them anew"
        )
    written = write(folder, **_company(sibling, beside, anyway=anyway))
    typer.echo(short(folder.path / "report.md"))
    typer.echo(
        f"{short(folder.path / 'report' / 'index.html')}, {written.pages} pages of transcripts"
    )
    if written.unproved:
        numbers = "1 number" if written.unproved == 1 else f"{written.unproved} numbers"
        typer.echo(
            f"notes.md: {numbers} that no cell proves; 'fairtrial check-claims {campaign}' "
            "names each with its line",
            err=True,
        )


@app.command("check-claims", rich_help_panel=EVIDENCE)
def check_claims(
    campaign: CampaignArgument,
    sibling: SiblingOption = None,
    beside: BesideOption = None,
    anyway: AnywayOption = False,
) -> None:
    r"""Find every number in the author's notes.md that no cell of the evidence proves.

    A number is cited as {{ pass_rate_by_task\[task_05].effective }}, and is then always the
    cell's; a fact that is in no CSV, as {{ source("7.5 GB", "its origin") }}. Every other number
    is listed with its line and, where a cell says the same, with the citation to write.

    A report.md is derived again and every line that differs is named; give the same --sibling,
    --beside and --anyway as for 'report'. The exit code is 1 where anything is found, or where
    the CSVs differ from the transcripts. docs/claims.md is the guide.
    """
    from harness.store import CampaignFolder
    from verification.verify import verify

    folder = CampaignFolder.find(campaign)
    problems = [*verify(folder), *_unproved(folder)]
    if (folder.path / "report.md").exists():
        problems += _altered(folder, _company(sibling, beside, anyway=anyway))
    for problem in problems[:MOST_NAMED]:
        typer.echo(safe(problem))
    if len(problems) > MOST_NAMED:
        typer.echo(f"and {len(problems) - MOST_NAMED} more")
    if problems:
        raise EvidenceDiffers(f"{folder.path}: {len(problems)} claims are not proved")
    typer.echo(f"{folder.path}: every number is proved by a cell or has its source")


class _Company(TypedDict):
    """The campaigns that a report names beside its own."""

    sibling: CampaignFolder | None
    others: list[CampaignFolder]
    anyway: bool


def _company(sibling: Path | None, beside: list[Path] | None, *, anyway: bool) -> _Company:
    from harness.store import CampaignFolder

    found = None if sibling is None else CampaignFolder.find(sibling)
    others = [CampaignFolder.find(path) for path in beside or ()]
    return {"sibling": found, "others": others, "anyway": anyway}


def _unproved(folder: CampaignFolder) -> list[str]:
    """What notes.md claims and does not prove, a sentence each; no notes claim nothing."""
    from harness.store import read_manifest
    from verification import claims, evidence, verify

    plan = evidence.read(folder).plan
    if plan is None:
        raise BadInput(f"{folder.path}: nothing has run yet; fairtrial run {folder.path}")
    text = _text(folder.path / "notes.md")
    tables = verify.derive(folder)
    claims.prose(text, tables, "notes.md")  # refuses what cites nothing
    known = claims.known_names(plan, read_manifest(folder))
    return [f"notes.md:{one.line}: {one}" for one in claims.unproved(text, tables, known)]


def _altered(folder: CampaignFolder, company: _Company) -> list[str]:
    """Where the report is not what transcripts and notes say, a sentence a line."""
    from verification.claims import differences
    from verification.report import render

    return [
        f"{name}:{one}"
        for name, derived in render(folder, **company).items()
        if isinstance(derived, str)
        for one in differences(_text(folder.path / name), derived)
    ]


def _text(path: Path) -> str:
    """A file's words; none where there is no file."""
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return ""
    except (OSError, UnicodeDecodeError) as error:
        raise BadInput(f"{path}: cannot be read: {error}") from None
