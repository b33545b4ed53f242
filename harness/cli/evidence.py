"""Commands that derive evidence from transcripts, and hold it against what is on disk."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from harness.cli.app import CAMPAIGNS, EVIDENCE, CampaignArgument, app, refuse_underived
from harness.errors import BadInput, EvidenceDiffers

if TYPE_CHECKING:
    from harness.store import CampaignFolder
    from verification.plan import Seen


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
    if not folder.begun and not folder.derived:
        raise BadInput(f"{folder.path}: nothing has run yet; fairtrial run {campaign}")
    if write:
        folder.prepare()
        evidence.write(folder, anew=True)
        typer.echo(f"{folder.verification}: written from {_count(folder)} transcripts")
        return
    refuse_underived(folder, campaign)
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
def leakage(campaign: CampaignArgument) -> None:
    """Say how often tool calls, or delimiters of chat templates, leaked into a model's text.

    By family of the markup, by how deep in the context the reply was made, and by the campaign's
    context_load, each with its 95% interval; with the strict score and, where the campaign sets
    on_leak = "nudge" or "recover", the one had the rescue counted. A trend with depth or load is
    spoken of only where a test supports it. The same figures are in verification/leakage.csv;
    docs/leakage.md tells what counts as a leak, and how to measure it.
    """
    from rich.console import Console

    from harness.store import CampaignFolder
    from verification.evidence import read
    from verification.leakage import exhibits

    folder = CampaignFolder.find(campaign)
    evidence = read(folder)
    if evidence.plan is None:
        raise BadInput(f"{folder.path}: nothing has run yet; fairtrial run {campaign}")
    for exhibit in exhibits(evidence):
        exhibit.print(Console())


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


@app.command(rich_help_panel=CAMPAIGNS)
def plan(
    campaign: Annotated[
        Path | None,
        typer.Argument(
            metavar="[CAMPAIGN]", help="Its tasks, runs and, once it has run, rates are taken."
        ),
    ] = None,
    detect: Annotated[
        float, typer.Option(metavar="POINTS", help="The difference in pass rates to be seen.")
    ] = 10.0,
    rate: Annotated[
        float | None,
        typer.Option(metavar="PERCENT", help="One model's pass rate; unknown, 50 is supposed."),
    ] = None,
    tasks: Annotated[int | None, typer.Option(min=1, max=1000, help="Tasks; else 10.")] = None,
    runs: Annotated[
        int | None, typer.Option(min=1, max=300, help="Runs per task you think of; else 3.")
    ] = None,
    power: Annotated[
        float, typer.Option(min=0.5, max=0.99, help="How often the difference is to be seen.")
    ] = 0.8,
    alpha: Annotated[
        float,
        typer.Option(min=0.001, max=0.2, help="How often chance may pass for a difference."),
    ] = 0.05,
) -> None:
    """Say how many runs would tell two models apart, before a campaign or after.

    Simulates comparisons with the test that 'compare' uses. Without CAMPAIGN: for ten tasks and
    a pass rate of 50%, which asks for the most runs.
    """
    from rich.console import Console

    from verification import plan as planning

    known = _what_is_known(campaign) if campaign else (10, 3, planning.Seen(None, None))
    its_tasks, its_runs, seen = known
    question = planning.question(
        seen, tasks or its_tasks, detect=detect, rate=rate, power=power, alpha=alpha
    )
    planning.plan(question, runs or its_runs, seen.likeness).print(Console())


def _what_is_known(campaign: Path) -> tuple[int, int, Seen]:
    """A campaign's tasks, its runs per task, and what those that were played tell."""
    from harness.config import load_campaign
    from harness.store import CampaignFolder
    from harness.task import load_suite
    from verification.evidence import read
    from verification.plan import seen

    folder = CampaignFolder.find(campaign)
    evidence = read(folder)
    if evidence.plan is not None:
        return len(evidence.plan.tasks), evidence.plan.runs_per_task, seen(evidence)
    config = load_campaign(folder.config)
    return len(load_suite(config.suite, folder.path).tasks), config.runs_in_all, seen(evidence)


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

    A rank is a range, such as 2 to 5, where intervals overlap. A model with too little coverage,
    or without a run of its own of some task, is listed and not ranked. Campaigns on another
    suite, or on other versions of its tasks or other budgets, get a table of their own. Folders
    without runs are passed over with a word.
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
    if not folder.begun:
        typer.echo(f"fairtrial: passed over: {path}: nothing has run yet", err=True)
        return None
    return folder


def _count(folder: CampaignFolder) -> int:
    return len(folder.transcript_paths())
