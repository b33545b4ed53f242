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
def compare(
    a: Annotated[Path, typer.Argument(metavar="A", help="A campaign's folder.")],
    b: Annotated[
        Path,
        typer.Argument(metavar="B", help="Another's, or A again to compare two of its models."),
    ],
    model_a: Annotated[
        str | None,
        typer.Option(help="A's model; needed where A has several that are not scripted."),
    ] = None,
    model_b: Annotated[str | None, typer.Option(help="B's model, likewise.")] = None,
    anyway: Annotated[
        bool,
        typer.Option(
            "--anyway", help="Compare although the conditions differ; the output then says so."
        ),
    ] = False,
) -> None:
    """Hold two models against each other: who is ahead, by how much, and whether it is noise.

    Task by task Fisher's exact test with Holm's correction; over all tasks the exact permutation
    test stratified by task. Infrastructure's runs never count. Models that played different
    suites, tasks, variants, budgets or sampling are refused, with the reason.
    """
    from rich.console import Console

    from harness.store import CampaignFolder
    from verification.compare import compare as held

    folders = CampaignFolder.find(a), CampaignFolder.find(b)
    comparison = held(*folders, model_a=model_a, model_b=model_b, anyway=anyway)
    for exhibit in comparison.exhibits():
        exhibit.print(Console())


def _count(folder: CampaignFolder) -> int:
    return len(folder.transcript_paths())
