"""The one typer application, its groups of commands, and the arguments that several share."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from harness.errors import BadInput, EvidenceDiffers

if TYPE_CHECKING:
    from harness.store import CampaignFolder

EXIT_CODES = """\
Exit codes: 0 all ran and the evidence holds; 1 evidence or a replay differs; 2 bad input;
3 infrastructure left runs undone; 130 stopped by Ctrl-C."""

app = typer.Typer(
    name="fairtrial",
    help="Run agents through small, hard-to-fool tasks, and report numbers that hold up.",
    epilog=EXIT_CODES,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

CAMPAIGNS, EVIDENCE, TRANSCRIPTS, SUITES = (
    "Campaigns",
    "Evidence",
    "Transcripts",
    "Suites and tasks",
)
"""The groups of commands in ``fairtrial --help``."""

CampaignArgument = Annotated[
    Path, typer.Argument(metavar="CAMPAIGN", help="The campaign's folder, or its campaign.toml.")
]
RunArgument = Annotated[
    str,
    typer.Argument(
        metavar="RUN",
        help="A transcript's path, or the beginning of a run's UUID (looked for in ./campaigns).",
    ),
]


def find_transcript(run: str) -> Path:
    """A transcript by its path, or by the beginning of its run's UUID."""
    if not run:
        raise BadInput("RUN is empty; give a transcript's path, or the beginning of a run's UUID")
    if Path(run).is_file():
        return Path(run)
    places = ("campaigns/*/data/transcripts", "data/transcripts")
    found = [path for place in places for path in sorted(Path().glob(f"{place}/*.jsonl"))]
    latest = [p for p in found if p.name.startswith(run) and ".attempt-" not in p.name]
    if len(latest) != 1:
        several = ", ".join(path.stem for path in latest[:4])
        raise BadInput(
            f"{run}: several runs begin so: {several}; give more of the UUID"
            if latest
            else f"{run}: no transcript here, and no run in ./campaigns begins so; give its path"
        )
    return latest[0]


def short(path: Path) -> Path:
    """A path as seen from here, where that is shorter."""
    here = Path.cwd()
    return path.relative_to(here) if path.is_relative_to(here) else path


def refuse_underived(folder: CampaignFolder, campaign: Path) -> None:
    """Raises EvidenceDiffers where there is none: a campaign's end writes it."""
    if not folder.derived:
        raise EvidenceDiffers(
            f"{folder.verification}: no evidence yet; written when 'fairtrial run {campaign}' "
            f"comes to its end, or by 'fairtrial verify --write {campaign}'"
        )
