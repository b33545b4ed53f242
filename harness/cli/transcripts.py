"""Commands for one transcript: read it, replay it."""

from __future__ import annotations

import asyncio
from typing import Annotated

import typer

from harness.cli.app import TRANSCRIPTS, RunArgument, app, find_transcript
from harness.errors import EvidenceDiffers
from harness.terminal import safe


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
    run: RunArgument,
    suite: Annotated[
        str | None, typer.Option(help="The suite's name or path, if not the campaign's own.")
    ] = None,
) -> None:
    """Play a transcript's calls again in a fresh sandbox, and its checker again.

    Says whether each result and the verdict came out as recorded, or shows the first difference
    (exit code 1).
    """
    from harness.replay import replay as replay_transcript

    result = asyncio.run(replay_transcript(find_transcript(run), suite))
    count = f"{result.identical} of {result.results} results identical"
    if not result.same:
        typer.echo(safe(result.first_difference or ""))
        raise EvidenceDiffers(f"the replay differs: {count}")
    graded = "same verdict" if result.recorded_verdict is not None else "no verdict was recorded"
    typer.echo(f"{graded}, {count}")
