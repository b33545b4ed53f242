"""Commands that take a campaign to other programs, and bring one in."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from harness.cli.app import EVIDENCE, CampaignArgument, app, short


@app.command(rich_help_panel=EVIDENCE)
def export(
    campaign: CampaignArgument,
    to: Annotated[
        Literal["inspect", "atif", "parquet"],
        typer.Option(
            help="inspect: logs for 'inspect view', one a model. atif: trajectories (ATIF v1.8), "
            "a JSON file a run. parquet: runs, turns, tool_calls and findings as tables."
        ),
    ],
    out: Annotated[
        Path | None,
        typer.Option(
            metavar="FOLDER",
            help="Where to; new, empty, or an earlier export, which is replaced. "
            "[default: export/FORMAT in the campaign's folder]",
        ),
    ] = None,
) -> None:
    """Write a campaign in another program's format.

    Every run goes out as its latest attempt. A run that infrastructure spoiled is an error there
    and has no score; what is unknown is left out, never 0. inspect and parquet need
    pip install 'fairtrial[export]'.
    """
    from harness.store import CampaignFolder
    from verification.export import export as write_export

    folder = CampaignFolder.find(campaign)
    target = out or folder.path / "export" / to
    count = write_export(folder, to, target)
    typer.echo(f"{short(target.resolve())}: {count} runs written for {to}")


@app.command("import", rich_help_panel=EVIDENCE)
def import_(
    log: Annotated[
        Path, typer.Argument(metavar="LOG", help="A log of Inspect: an .eval or .json file.")
    ],
    folder: Annotated[
        Path, typer.Argument(metavar="FOLDER", help="The campaign's folder; it must be new.")
    ],
    scorer: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="Whose score decides, where the log has several."),
    ] = None,
    pass_at: Annotated[
        float | None,
        typer.Option(
            help="The least value that passes, where values are more than right or wrong."
        ),
    ] = None,
) -> None:
    """Bring in a log of Inspect as a campaign, with its evidence.

    Samples become tasks and epochs repetitions. A sample's error is an infrastructure_error, a
    limit that it hit is gave_up, and the score decides between pass and wrong_answer. The
    campaign can be verified, compared and reported; nothing in it can be run. What the log does
    not say stays unknown.
    """
    from rich.console import Console

    from harness.store import CampaignFolder
    from verification.imports import bring_in
    from verification.summary import print_summary

    imported = bring_in(log, folder, scorer=scorer, pass_at=pass_at)
    print_summary(CampaignFolder.find(folder), Console())
    typer.echo(
        f"\n{short(folder.resolve())}: imported from {imported.program}, scored by "
        f"{imported.scored_by}; what it does not say is unknown"
    )
