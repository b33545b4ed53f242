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
        evidence.write(folder)
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
def histogram(
    campaign: CampaignArgument,
    of: Annotated[
        str,
        typer.Option(
            "--of",
            metavar="WHAT",
            help="What the terminal shows: failures (how the runs ended), tasks (the same by "
            "task), latency, calls (of tools), turns (to the outcome) or tokens.",
        ),
    ] = "failures",
) -> None:
    """Draw how runs ended, how long they took, and what they took, run by run.

    One picture is shown in the terminal. All of them are written as PNG and SVG into the
    campaign's verification/, for reports: drawn narrow, so that a phone can show them.
    """
    from rich.console import Console

    from harness.store import CampaignFolder
    from verification.plots import draw

    folder = CampaignFolder.find(campaign)
    folder.prepare()
    for path in draw(folder, Console(), of):
        typer.echo(path)


def _count(folder: CampaignFolder) -> int:
    return len(folder.transcript_paths())
