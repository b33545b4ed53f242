"""Commands for who writes tasks."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Annotated, Literal

import typer

from harness.cli.app import SUITES, app
from harness.errors import BadInput, EvidenceDiffers


@app.command(rich_help_panel=SUITES)
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


@app.command("new-task", rich_help_panel=SUITES)
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


@app.command(rich_help_panel=SUITES)
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


@app.command(rich_help_panel=SUITES)
def schema(
    name: Annotated[Literal["transcript", "campaign", "task"], typer.Argument(help="Which one.")],
) -> None:
    """Print the JSON Schema of a transcript's line, of campaign.toml, or of task.toml."""
    import json

    from harness.schemas import schema as schema_of

    typer.echo(json.dumps(schema_of(name), indent=2))
