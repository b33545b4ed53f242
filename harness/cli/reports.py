"""Commands that make of evidence what a person publishes."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from harness.cli.app import EVIDENCE, CampaignArgument, app, short
from harness.errors import BadInput, EvidenceDiffers


@app.command(rich_help_panel=EVIDENCE)
def report(
    campaign: CampaignArgument,
    sibling: Annotated[
        Path | None,
        typer.Option(metavar="CAMPAIGN", help="Another campaign, to be held against this one."),
    ] = None,
    beside: Annotated[
        list[Path] | None,
        typer.Option(
            metavar="CAMPAIGN",
            help="A campaign to stand beside this one on the leaderboard; may be repeated.",
        ),
    ] = None,
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
    if not folder.transcript_paths():
        raise BadInput(f"{folder.path}: nothing has run yet; fairtrial run {campaign}")
    if verify(folder):
        raise EvidenceDiffers(
            f"{folder.verification}: the report would cite CSVs that do not follow from the "
            f"transcripts; 'fairtrial verify --write {campaign}' derives them anew"
        )
    others = [CampaignFolder.find(path) for path in beside or ()]
    pages = write(folder, sibling=CampaignFolder.find(sibling) if sibling else None, others=others)
    typer.echo(short(folder.path / "report.md"))
    typer.echo(f"{short(folder.path / 'report' / 'index.html')}, {pages} pages of transcripts")
