"""Commands that derive evidence from transcripts, and hold it against what is on disk."""

from __future__ import annotations

from pathlib import Path
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


@app.command(rich_help_panel=EVIDENCE)
def leaderboard(
    campaigns: Annotated[
        list[Path],
        typer.Argument(metavar="CAMPAIGN", help="Campaigns' folders; campaigns/* for all of them."),
    ],
    floor: Annotated[
        float,
        typer.Option(
            min=0, max=1, help="The least coverage, as a share, with which a model is ranked."
        ),
    ] = 0.9,
    markdown: Annotated[
        bool, typer.Option("--markdown", help="Print Markdown, to be put into a page.")
    ] = False,
) -> None:
    """Rank the models of campaigns, as far as their runs tell them apart.

    A rank is a range, such as 2 to 5, where intervals overlap. Campaigns on another suite, or on
    other versions of its tasks or other budgets, get a table of their own. Folders without runs
    are passed over with a word.
    """
    from rich.console import Console

    from verification.leaderboard import leaderboards

    folders = [folder for path in campaigns if (folder := _begun(path))]
    console = Console()
    for board in leaderboards(folders, floor=floor):
        if markdown:
            typer.echo(f"## {board.title}\n\n{board.markdown()}")
        else:
            board.print(console)


def _begun(path: Path) -> CampaignFolder | None:
    """The campaign at ``path`` if it has runs; else None, and a sentence on stderr: where a shell
    wrote out campaigns/*, a stray file or a campaign yet to be run is no mistake."""
    from harness.store import CampaignFolder

    try:
        folder = CampaignFolder.find(path)
    except BadInput as error:
        typer.echo(f"fairtrial: passed over: {error}", err=True)
        return None
    if not folder.transcript_paths():
        typer.echo(f"fairtrial: passed over: {path}: nothing has run yet", err=True)
        return None
    return folder


def _count(folder: CampaignFolder) -> int:
    return len(folder.transcript_paths())
