"""Commands for what is published: the author's words, held against the evidence."""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer

from harness.cli.app import EVIDENCE, CampaignArgument, app
from harness.errors import BadInput, EvidenceDiffers
from harness.terminal import safe

if TYPE_CHECKING:
    from harness.store import CampaignFolder


@app.command("check-claims", rich_help_panel=EVIDENCE)
def check_claims(campaign: CampaignArgument) -> None:
    r"""Find every number in the author's notes.md that no cell of the evidence proves.

    A number is cited as {{ pass_rate_by_task\[task_05].effective }}, and is then always the
    cell's; a fact that is in no CSV, as {{ source("7.5 GB", "its origin") }}. Every other number
    is listed with its line and, where a cell says the same, with the citation to write.
    The exit code is 1 where there is one, or where the CSVs differ from the transcripts.
    docs/claims.md is the guide.
    """
    from harness.store import CampaignFolder

    folder = CampaignFolder.find(campaign)
    problems = _problems(folder)
    for problem in problems:
        typer.echo(safe(problem))
    if problems:
        raise EvidenceDiffers(f"{folder.path}: {len(problems)} claims are not proved")
    typer.echo(f"{folder.path}: every number is proved by a cell or has its source")


def _problems(folder: CampaignFolder) -> list[str]:
    """What is claimed and not proved, a sentence each, with file and line."""
    from harness.store import read_manifest
    from verification import claims, verify

    notes = folder.path / "notes.md"
    manifest = read_manifest(folder)
    if manifest is None:
        raise BadInput(f"{folder.path}: nothing has run yet; fairtrial run {folder.path}")
    try:
        text = notes.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise BadInput(f"{notes}: no such file; it holds the author's words, if any") from None
    except (OSError, UnicodeDecodeError) as error:
        raise BadInput(f"{notes}: cannot be read: {error}") from None
    tables = verify.derive(folder)
    claims.prose(text, tables, "notes.md")  # refuses what cites nothing
    known = claims.known_names(manifest)
    bare = [f"notes.md:{one.line}: {one}" for one in claims.unproved(text, tables, known)]
    return [*verify.verify(folder), *bare]
