"""The command line: parse, call, print. What a command needs is imported when it is called, so
that ``fairtrial --help`` answers at once."""

from __future__ import annotations

import asyncio
import io
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from harness.errors import BadInput, EvidenceDiffers, FairtrialError
from harness.terminal import safe

if TYPE_CHECKING:
    from harness.sitting import Standing
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


def main() -> None:
    """Run the command line; what a person can mend is one sentence on stderr."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")  # a terminal may not know every character
    try:
        app()
    except FairtrialError as error:
        print(f"fairtrial: {safe(str(error))}", file=sys.stderr)
        sys.exit(_exit_code(error))


def _exit_code(error: FairtrialError) -> int:
    match error:
        case EvidenceDiffers():
            return 1
        case BadInput():
            return 2
        case _:
            return 3


@app.command()
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
        _say_interrupted(folder)
        raise typer.Exit(130) from None
    _conclude(folder, standing)


@app.command()
def status(campaign: CampaignArgument) -> None:
    """Say how a campaign stands: what is done, what is owed. Runs nothing, writes nothing."""
    from rich.console import Console

    from harness.campaign import survey
    from harness.store import CampaignFolder
    from verification.summary import print_summary

    folder = CampaignFolder.find(campaign)
    work = survey(folder)
    console = Console()
    console.print(f"{folder.id}: {work.total - len(work.owed)} of {work.total} runs are finished")
    if work.total > len(work.owed):
        print_summary(folder, console)
    if work.owed:
        console.print(f"{len(work.owed)} runs are owed: fairtrial run {campaign}")


@app.command()
def show(
    run: RunArgument,
    full: Annotated[bool, typer.Option("--full", help="Do not shorten long texts.")] = False,
) -> None:
    """Print a transcript as a person would want to read it."""
    from rich.console import Console

    from verification.show import show as show_transcript

    show_transcript(_transcript(run), Console(), full=full)


@app.command()
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


@app.command()
def histogram(campaign: CampaignArgument) -> None:
    """Draw the failure modes in the terminal, and write them as PNG and SVG."""
    from rich.console import Console

    from harness.store import CampaignFolder
    from verification.histogram import draw

    folder = CampaignFolder.find(campaign)
    folder.prepare()
    for path in draw(folder, Console()):
        typer.echo(path)


@app.command()
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

    result = asyncio.run(replay_transcript(_transcript(run), suite))
    count = f"{result.identical} of {result.results} results identical"
    if not result.same:
        typer.echo(safe(result.first_difference or ""))
        raise EvidenceDiffers(f"the replay differs: {count}")
    graded = "same verdict" if result.recorded_verdict is not None else "no verdict was recorded"
    typer.echo(f"{graded}, {count}")


@app.command()
def certify(
    suite: Annotated[str, typer.Argument(metavar="SUITE", help="A built-in suite, or a folder.")],
    task: Annotated[
        list[str] | None,
        typer.Option(help="Only tasks whose name begins so (again for more)."),
    ] = None,
    seeds: Annotated[
        int, typer.Option(min=0, help="Variants drawn of each task; a certificate takes 20.")
    ] = 20,
    jobs: Annotated[
        int | None, typer.Option(min=1, help="Scripts at once. [default: cores]")
    ] = None,
) -> None:
    """Prove that a suite's checkers accept what is right and nothing else.

    Plays every task's solutions, near misses and a set of attackers in the real sandbox, on the
    published variant and on those that seeds draw, and enters what is proved into the suite's
    certificate.json. What fails is listed and taken out of it, and the exit code is 1.
    """
    from rich.console import Console

    from harness.certificate import LEAST_SEEDS, certificate_file, shortcoming
    from harness.certificate.certify import certify as prove
    from harness.certificate.certify import write_certificate
    from harness.certificate.table import Bar, print_table
    from harness.task import load_suite

    loaded = load_suite(suite)
    tasks = [t for t in loaded.tasks if not task or any(t.id.startswith(name) for name in task)]
    if not tasks:
        raise BadInput(f"no task of {loaded.name} begins with {' or '.join(task or [])}")
    console = Console()
    with Bar(console) as bar:
        wanted = range(1, seeds + 1)
        proofs = asyncio.run(
            prove(loaded, tasks, wanted, at_once=jobs, plans=bar.plans, notice=bar.ended)
        )
    print_table(proofs, console)
    certificate = write_certificate(loaded, proofs)
    if any(proof.failed for proof in proofs):
        raise EvidenceDiffers(f"{loaded.name}: not certified")
    missing = shortcoming(loaded)
    if missing:
        console.print(
            f"All do as they must; {missing}. A certificate takes every task, on {LEAST_SEEDS} "
            "variants each."
        )
    else:
        console.print(f"certified: {certificate or certificate_file(loaded)}", soft_wrap=True)


@app.command()
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
    for finding in examine(config):
        sick |= finding.needed and not finding.works
        mark, style = (
            ("ok     ", "green")
            if finding.works
            else (("MISSING", "bold red") if finding.needed else ("absent ", "yellow"))
        )
        console.print(Text(mark, style), Text(f"{finding.subject}: {one_line(finding.detail)}"))
    if sick:
        raise typer.Exit(3)


@app.command("new-campaign")
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


@app.command("new-task")
def new_task(
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="SUITE-FOLDER/task_NN_name.")],
) -> None:
    """Write a task that works and is certified as it stands, to be changed into your own.

    Where the folder around it is no suite yet, it becomes one. docs/tasks.md is the guide.
    """
    from harness.new import write_task

    suite, listed = write_task(folder)
    first = "" if listed else f'add "{folder.name}" to tasks in {suite}, '
    typer.echo(f"{folder}: written; {first}change it, and prove it:")
    typer.echo(f"  fairtrial certify {suite.parent} --task {folder.name} --seeds 3")


@app.command()
def draw(
    suite: Annotated[str, typer.Argument(metavar="SUITE", help="A built-in suite, or a folder.")],
    task: Annotated[str, typer.Argument(metavar="TASK", help="The beginning of a task's name.")],
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="A new folder to write to.")],
    seed: Annotated[
        int | None, typer.Option(min=0, help="Draw from this seed. [default: as published]")
    ] = None,
) -> None:
    """Write a variant of a task as a model sees it: instruction, workspace, database."""
    from harness.new import write_variant
    from harness.task import load_suite

    loaded = load_suite(suite)
    found = [each for each in loaded.tasks if each.id.startswith(task)]
    if len(found) != 1:
        raise BadInput(
            f"{loaded.name}: {len(found)} tasks begin with {task!r}; "
            f"its tasks are {', '.join(each.id for each in loaded.tasks)}"
        )
    write_variant(found[0].variant(seed), folder)
    typer.echo(f"{folder}: {found[0].id}, {'published' if seed is None else f'seed {seed}'}")


@app.command()
def schema(
    name: Annotated[Literal["transcript", "campaign", "task"], typer.Argument(help="Which one.")],
) -> None:
    """Print the JSON Schema of a transcript's line, of campaign.toml, or of task.toml."""
    import json

    from harness.schemas import schema as schema_of

    typer.echo(json.dumps(schema_of(name), indent=2))


def _conclude(folder: CampaignFolder, standing: Standing) -> None:
    """Derive the evidence, show it, and leave with the code that says how the campaign stands."""
    from rich.console import Console

    from harness.config import load_campaign
    from verification import verify as evidence
    from verification.histogram import draw
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
        console.print(f"  {_short(path)}", highlight=False, soft_wrap=True)
    console.print(f"Transcripts: {_short(folder.transcripts)}", highlight=False, soft_wrap=True)
    for model, reason in standing.stopped_by.items():
        print(f"fairtrial: {model or 'the campaign'}: stopped: {safe(reason)}", file=sys.stderr)
    if standing.owed:
        print(
            f"fairtrial: infrastructure left {standing.owed} of {standing.total} runs undone; "
            f"'fairtrial run {_short(folder.path)}' goes on with exactly those",
            file=sys.stderr,
        )
        raise typer.Exit(3)


def _say_interrupted(folder: CampaignFolder) -> None:
    from harness.campaign import survey

    work = survey(folder)
    print(
        f"fairtrial: interrupted; {work.total - len(work.owed)} of {work.total} runs are finished "
        f"and kept; 'fairtrial run {_short(folder.path)}' goes on from there",
        file=sys.stderr,
    )


def _transcript(run: str) -> Path:
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


def _count(folder: CampaignFolder) -> int:
    return len(folder.transcript_paths())


def _short(path: Path) -> Path:
    """A path as seen from here, where that is shorter."""
    here = Path.cwd()
    return path.relative_to(here) if path.is_relative_to(here) else path
