"""Commands that derive evidence from transcripts, and hold it against what is on disk."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from harness.cli.app import EVIDENCE, CampaignArgument, app
from harness.errors import BadInput, EvidenceDiffers

if TYPE_CHECKING:
    from harness.store import CampaignFolder


@app.command(rich_help_panel=EVIDENCE)
def verify(
    campaign: CampaignArgument,
    write: Annotated[
        bool, typer.Option("--write", help="Write the evidence anew instead of comparing it.")
    ] = False,
) -> None:
    """Derive the verification CSVs again from the transcripts, and compare with what is on disk.

    Every cell that differs is named, and the exit code is 1.
    """
    from harness.store import CampaignFolder
    from verification import verify as evidence

    folder = CampaignFolder.find(campaign)
    if not folder.transcript_paths() and not list(folder.verification.glob("*.csv")):
        raise BadInput(f"{folder.path}: nothing has run yet; fairtrial run {campaign}")
    if write:
        folder.prepare()
        evidence.write(folder, anew=True)
        typer.echo(f"{folder.verification}: written from {_count(folder)} transcripts")
        return
    differences = evidence.verify(folder)
    for difference in differences:
        typer.echo(difference)
    if differences:
        raise EvidenceDiffers(
            f"{folder.verification}: differs from the transcripts; "
            f"'fairtrial verify --write {campaign}' derives it anew"
        )
    typer.echo(f"{folder.verification}: every cell follows from {_count(folder)} transcripts")


@app.command(rich_help_panel=EVIDENCE)
def histogram(campaign: CampaignArgument) -> None:
    """Draw the failure modes in the terminal, and write them as PNG and SVG."""
    from rich.console import Console

    from harness.store import CampaignFolder
    from verification.histogram import draw

    folder = CampaignFolder.find(campaign)
    folder.prepare()
    for path in draw(folder, Console()):
        typer.echo(path)


def _count(folder: CampaignFolder) -> int:
    return len(folder.transcript_paths())
