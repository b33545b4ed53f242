"""Commands that run a campaign, or say how one stands."""

from __future__ import annotations

import asyncio
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from harness.cli.app import CAMPAIGNS, CampaignArgument, app, short
from harness.errors import BadInput, EvidenceDiffers
from harness.terminal import safe

if TYPE_CHECKING:
    from harness.sitting import Standing
    from harness.store import CampaignFolder


@app.command(rich_help_panel=CAMPAIGNS)
def run(
    campaign: CampaignArgument,
    retry_infrastructure: Annotated[
        bool,
        typer.Option(
            "--retry-infrastructure",
            help="Only the runs that were begun and that infrastructure spoiled.",
        ),
    ] = False,
    retry: Annotated[
        list[str] | None,
        typer.Option(metavar="RUN", help="Only the run whose UUID begins so (again for more)."),
    ] = None,
    skip_preflight: Annotated[
        bool,
        typer.Option("--skip-preflight", help="Do not try the models out first; it is recorded."),
    ] = False,
) -> None:
    """Play every run that a campaign owes, then derive its evidence.

    Goes on from wherever the campaign stands: runs that are finished are never played again,
    and runs that infrastructure spoiled are. Ctrl-C, a kill or a power cut loses no finished run.

    Before the first run each model is asked for a tool call, at once and behind half a context
    of text. When a model cannot be reached the campaign pauses, and goes on by itself; past
    patience_minutes it stops, and what is left stays owed. docs/attribution.md tells how each
    fault is met.
    """
    from rich.console import Console

    from harness.campaign import Choice, everything, only_named, only_spoiled, survey
    from harness.log import logging_to
    from harness.progress import Progress
    from harness.sitting import run_campaign
    from harness.store import CampaignFolder

    if retry and retry_infrastructure:
        raise BadInput("--retry and --retry-infrastructure: give one of them, not both")
    choose: Choice = everything
    if retry:
        choose = only_named(retry)
    elif retry_infrastructure:
        choose = only_spoiled
    folder = CampaignFolder.find(campaign)
    survey(folder)  # what is wrong in its files is said before anything is written
    folder.prepare()
    console = Console()
    progress = Progress(console)

    async def play() -> Standing:
        task = asyncio.current_task()
        assert task is not None
        for asked_to_stop in (signal.SIGTERM, signal.SIGHUP):
            if signal.getsignal(asked_to_stop) is not signal.SIG_IGN:  # as under nohup
                asyncio.get_running_loop().add_signal_handler(asked_to_stop, task.cancel)
        return await run_campaign(folder, progress, choose=choose, preflight=not skip_preflight)

    try:
        with logging_to(folder.log), progress.shown():
            standing = asyncio.run(play())
    except (KeyboardInterrupt, asyncio.CancelledError):
        _say_interrupted(folder, " --skip-preflight" if skip_preflight else "")
        raise typer.Exit(130) from None
    _conclude(folder, standing)


@app.command(rich_help_panel=CAMPAIGNS)
def status(campaign: CampaignArgument) -> None:
    """Say how a campaign stands: what is done, what is owed. Runs nothing, writes nothing."""
    from rich.console import Console

    from harness.campaign import played_elsewhere, survey
    from harness.store import CampaignFolder
    from verification.summary import print_summary

    folder = CampaignFolder.find(campaign)
    console = Console()
    if played_elsewhere(folder):
        console.print(f"{folder.id}: played elsewhere and imported; there is nothing to run")
        print_summary(folder, console)
        return
    work = survey(folder)
    console.print(f"{folder.id}: {work.total - len(work.owed)} of {work.total} runs are finished")
    if work.total > len(work.owed):
        print_summary(folder, console)
    if player := folder.player:
        console.print(
            f"Process {player} is playing it: runs that are under way count as infrastructure "
            "errors until they end."
        )
    elif work.owed:
        console.print(f"{len(work.owed)} runs are owed: fairtrial run {campaign}")


@app.command(rich_help_panel=CAMPAIGNS)
def predict(campaign: CampaignArgument) -> None:
    """Predict a campaign before its first run; score the predictions after.

    Where there is no predictions.toml yet, writes one to be filled in, with a line for every
    model and task. Where there is one, checks it and shows how likely it makes each pass. The
    first 'fairtrial run' files it: its SHA-256 and the time enter data/manifest.json. From then
    on this command scores it beside a coin, and says so where it came too late, or was changed
    (exit code 1).
    """
    from rich.console import Console

    from harness import predictions
    from harness.campaign import survey
    from harness.store import CampaignFolder, write_whole
    from verification.predictions import exhibits, expected

    folder = CampaignFolder.find(campaign)
    work = survey(folder)
    console = Console()
    if work.manifest is not None:
        for exhibit in exhibits(folder):
            exhibit.print(console)
        if predictions.standing(folder).state == "changed":
            raise EvidenceDiffers(f"{folder.predictions}: not what was filed before the first run")
        return
    if not folder.predictions.exists():
        write_whole(folder.predictions, predictions.template(work.scope))
        typer.echo(
            f"{short(folder.predictions)}: written; fill it in, then: fairtrial predict {campaign}"
        )
        return
    for exhibit in expected(folder, work.scope):
        exhibit.print(console)


@app.command("new-campaign", rich_help_panel=CAMPAIGNS)
def new_campaign(
    folder: Annotated[Path, typer.Argument(help="Where to write it, e.g. campaigns/my-first.")],
    suite: Annotated[
        str, typer.Option(help="A built-in suite's name, or a folder.")
    ] = "first-steps-v1",
) -> None:
    """Write a campaign.toml that runs as it is, with comments on what to change."""
    from harness.new import write_campaign

    config = write_campaign(folder, suite)
    typer.echo(f"{config}: written; edit its models, then: fairtrial run {folder}")


@app.command(rich_help_panel=CAMPAIGNS)
def doctor(
    campaign: Annotated[
        Path | None,
        typer.Argument(metavar="[CAMPAIGN]", help="Also try the models of this campaign."),
    ] = None,
) -> None:
    """Look at what works on this machine, and say what to do about what does not."""
    from rich.console import Console
    from rich.text import Text

    from harness.doctor import examine
    from harness.store import CampaignFolder
    from harness.terminal import one_line

    console = Console()
    config = CampaignFolder.find(campaign).config if campaign else None
    sick = False

    def say(doing: str) -> None:
        console.print(Text(f"        {one_line(doing)}", "dim"))

    for finding in examine(config, say):
        sick |= finding.needed and not finding.works
        mark, style = (
            ("ok     ", "green")
            if finding.works
            else (("MISSING", "bold red") if finding.needed else ("absent ", "yellow"))
        )
        console.print(Text(mark, style), Text(f"{finding.subject}: {one_line(finding.detail)}"))
    if sick:
        raise typer.Exit(3)


@app.command(rich_help_panel=CAMPAIGNS)
def dialects() -> None:
    """List the dialects: how each family of models spells its tool calls.

    A model of kind 'llama_cpp' speaks the one that its chat template is written for; 'doctor' says
    which. 'dialect' in campaign.toml chooses another.
    """
    from harness.dialects import every

    for name, dialect in every().items():
        typer.echo(f"{name:15} {dialect.family}")


def _conclude(folder: CampaignFolder, standing: Standing) -> None:
    """Derive the evidence, show it, and leave with the code that says how the campaign stands."""
    from rich.console import Console

    from harness.config import load_campaign
    from verification import verify as evidence
    from verification.plots import draw
    from verification.summary import print_summary

    console = Console()
    if not standing.began:
        console.print(
            f"{folder.id}: all {standing.total} runs are finished; there is nothing to run."
        )
        if not evidence.verify(folder):
            return
        console.print("Its evidence was missing or differed, and is derived again.")
    evidence.write(folder)
    print_summary(folder, console)
    if note := load_campaign(folder.config).note:
        console.print(f"\n{note}", style="bold", markup=False, highlight=False)
    plots = draw(folder, console)
    console.print("\nThe evidence, derived from the transcripts:", highlight=False)
    for path in sorted({*folder.verification.glob("*.csv"), *plots}):
        console.print(f"  {short(path)}", highlight=False, soft_wrap=True)
    console.print(f"Transcripts: {short(folder.transcripts)}", highlight=False, soft_wrap=True)
    for model, reason in standing.stopped_by.items():
        print(f"fairtrial: {model or 'the campaign'}: stopped: {safe(reason)}", file=sys.stderr)
    if standing.owed:
        print(
            f"fairtrial: infrastructure left {standing.owed} of {standing.total} runs undone; "
            f"'fairtrial run {short(folder.path)}' goes on with exactly those",
            file=sys.stderr,
        )
        raise typer.Exit(3)


def _say_interrupted(folder: CampaignFolder, options: str) -> None:
    from harness.campaign import survey

    work = survey(folder)
    print(
        f"fairtrial: interrupted; {work.total - len(work.owed)} of {work.total} runs are finished "
        f"and kept; 'fairtrial run {short(folder.path)}{options}' goes on from there",
        file=sys.stderr,
    )
