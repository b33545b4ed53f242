"""Commands for transcripts: read one, replay one or all of a campaign's."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from textwrap import indent
from typing import TYPE_CHECKING, Annotated, Literal, get_args

import typer

from harness.cli.app import TRANSCRIPTS, RunArgument, app, find_transcript, short
from harness.errors import BadInput, EvidenceDiffers
from harness.terminal import one_line, safe

if TYPE_CHECKING:
    from rich.console import Console

    from harness.replay import Grade, Replayed
    from harness.replay.fidelity import Row
    from harness.store import CampaignFolder

MOST_LISTED = 10
"""Differences, and reasons why runs could not be replayed, that are told of below the table."""


@app.command(rich_help_panel=TRANSCRIPTS)
def show(
    run: RunArgument,
    full: Annotated[bool, typer.Option("--full", help="Do not shorten long texts.")] = False,
) -> None:
    """Print a transcript as a person would want to read it."""
    from rich.console import Console

    from verification.show import show as show_transcript

    show_transcript(find_transcript(run), Console(), full=full)


@app.command(rich_help_panel=TRANSCRIPTS)
def replay(
    run: Annotated[
        str,
        typer.Argument(
            metavar="RUN",
            help="A transcript's path, or the beginning of a run's UUID (looked for in "
            "./campaigns); with --all a campaign's folder.",
        ),
    ],
    grade: Annotated[
        Literal["regrade", "reexecute", "resample"],
        typer.Option(help="What is done again: the checking, the calls, or the model's replies."),
    ] = "reexecute",
    every: Annotated[
        bool, typer.Option("--all", help="Replay every run of a campaign, and print a table.")
    ] = False,
    suite: Annotated[
        str | None, typer.Option(help="The suite's name or path, if not the campaign's own.")
    ] = None,
) -> None:
    """Play a run again from its transcript, and say whether it comes out as recorded.

    There are three grades.

    regrade: the checker alone looks again at the files that the transcript says the run left. No
    recorded call is executed, and a campaign takes seconds.

    reexecute, the default with and without --all: every recorded call in a fresh sandbox, then the
    checker. Results, files left and verdict are compared.

    resample: the model is asked again, each turn on the recorded conversation before it and at its
    recorded seed. It takes as long as the model takes, and an endpoint may charge for it.

    The first difference is shown, and the exit code is 1. With --all, runs that infrastructure
    spoiled are counted and not replayed. docs/replay.md tells more.
    """
    if every:
        _replay_campaign(Path(run), grade, suite)
    else:
        _replay_run(run, grade, suite)


def _replay_run(run: str, grade: Grade, suite: str | None) -> None:
    from harness.replay import opened
    from harness.replay.recorded import read_recorded, suite_of

    if (Path(run) / "campaign.toml").is_file():
        raise BadInput(f"{run}: a campaign; replay one of its runs, or add --all for every one")
    path = find_transcript(run)
    recorded = read_recorded(path, suite_of(path, suite))

    async def play() -> Replayed:
        async with opened(grade, (recorded.task.folder.parent, path.parent)) as player:
            return await player(recorded)

    result = asyncio.run(play())
    if result.difference is not None:
        typer.echo(safe(result.difference))
        raise EvidenceDiffers(f"the replay differs: {result.summary}")
    typer.echo(result.summary)


def _replay_campaign(campaign: Path, grade: Grade, suite: str | None) -> None:
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

    from harness.replay.fidelity import replay_all, runs_in
    from harness.store import CampaignFolder

    folder = CampaignFolder.find(campaign)
    total = len(runs_in(folder))
    console = Console()
    bar = Progress(
        TextColumn(grade),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("[yellow]{task.fields[differ]} differ"),
        console=console,
        transient=True,
        disable=not console.is_terminal,
    )
    rows: list[Row] = []
    stopped = False
    with bar:
        task = bar.add_task("", total=total, differ=0)

        def done(row: Row) -> None:
            rows.append(row)
            differ = sum(row.fate == "differs" for row in rows)
            bar.update(task, completed=len(rows), differ=differ)

        try:
            asyncio.run(replay_all(folder, grade, suite, done))
        except KeyboardInterrupt:
            stopped = True
    _print_fidelity(rows, total, grade, console)
    if stopped:
        raise typer.Exit(130)
    _conclude(rows, folder)


def _print_fidelity(rows: Sequence[Row], total: int, grade: Grade, console: Console) -> None:
    """The table by model, then which runs differ or could not be played, and why."""
    from harness.replay.fidelity import Fate, tally
    from verification.exhibit import Column, Exhibit

    headings = ("runs", "same", "differ", "not replayable", "infra", "fidelity")
    notes = [
        "Fidelity: of the runs that were replayed, those that came out as recorded. "
        "Infra: spoiled by infrastructure, and not replayed."
    ]
    if len(rows) < total:
        notes.append(f"Stopped: {len(rows)} of {total} runs were looked at.")
    Exhibit(
        title=f"Replay: {grade}",
        columns=[Column("model"), *(Column(heading, figures=True) for heading in headings)],
        rows=[
            [
                each.model,
                str(each.counts.total()),
                *(str(each.counts[fate]) for fate in get_args(Fate)),
                "" if each.fidelity is None else f"{each.fidelity:.1%}",
            ]
            for each in tally(rows)
        ],
        notes=notes,
    ).print(console)
    differing = sorted((r for r in rows if r.fate == "differs"), key=lambda r: (r.model, r.name))
    for row in differing[:MOST_LISTED]:
        heading = f"{row.model}, {row.name} differs ({short(row.path)})"
        _print_words(heading, row.why, console)
    if len(differing) > MOST_LISTED:
        console.print(f"\n... and {len(differing) - MOST_LISTED} more that differ")
    reasons = Counter(row.why for row in rows if row.fate == "not replayable")
    for why, count in reasons.most_common(MOST_LISTED):
        _print_words(f"not replayable: {count} runs", why, console)


def _print_words(heading: str, words: str, console: Console) -> None:
    from rich.text import Text

    from verification.show import shorten

    console.print()
    console.print(Text(one_line(heading), "bold"), soft_wrap=True)
    console.print(Text(indent(shorten(safe(words)), "  ")), soft_wrap=True)


def _conclude(rows: Sequence[Row], folder: CampaignFolder) -> None:
    fates = Counter(row.fate for row in rows)
    if fates["differs"]:
        raise EvidenceDiffers(f"{folder.path}: {fates['differs']} runs differ from their replay")
    if not fates["same"]:
        raise BadInput(f"{folder.path}: none of its {len(rows)} runs could be replayed")
