"""Whose fault was it? Known faults and known failures, against what the harness records of them.

Half of the runs meet a fault of the world, drawn from every kind that ``tests.chaos_faults``
knows, in a turn that is drawn too, for as long as the request is repeated or for good. The model
plays as it should, or goes round in circles; whichever it is, no outcome of its own may be
recorded. In the other half the model fails as models do, and every second time a fault strikes
as well, but passes: the failure must be recorded all the same, and nothing else.

All of it goes through the real client, proxy, loop, sandbox and checkers; what was recorded is
read from the transcripts. Exits 1 if a single run is off the matrix's diagonal.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import sys
import tempfile
import time
from collections import Counter, deque
from collections.abc import AsyncIterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from rich.box import HORIZONTALS
from rich.console import Console
from rich.progress import Progress, TaskID
from rich.table import Table

from harness import line as line_module
from harness.attempt import Record, Stage, play_attempt
from harness.attribution import RULES
from harness.line import Line
from harness.models import Request
from harness.models.openai import Model, Settings
from harness.records import Completion, ModelRecord, Outcome, Plan, Sampling, Started
from harness.sandbox import Limits, Sandbox
from harness.sandbox import make as make_sandbox
from harness.store import JsonLines, last_outcome
from harness.task import Suite, Task, load_suite
from harness.toolbox import schemas
from tests import model_server as models
from tests.chaos_faults import ANSWERS, BETWEEN_TURNS, CUTS, DOWN, LIMITS, STOPS, Truth
from tests.chaos_proxy import ChaosProxy, chaos_proxy, in_turn, since
from tests.model_server import ModelServer, Play, model_server

SUITE = "first-steps-v1"
ORACLE = models.oracle(SUITE)
LANES = 16
"""Runs side by side, each with a proxy of its own, so that no fault strikes another run."""

PATIENT, IMPATIENT = 60.0, 1.5
"""Seconds of silence that are borne; the second where silence is the fault."""

CLASSES = {
    "unreachable": "unreach-\nable",
    "timeout": "time-\nout",
    "rate_limited": "rate\nlimit",
    "server_error": "server\nerror",
    "bad_response": "bad\nresp.",
    "harness_bug": "harn.\nbug",
    "wrong_answer": "wrong\nansw.",
    "gave_up: turns": "gave up\nturns",
    "gave_up: context": "gave up\ncontext",
}
"""What the runs of this benchmark truly are, and how a narrow column is headed. Of a refused
request (400), we are the cause."""

TURNS = {"task_04_two_hops": 3}
"""Replies of the oracle; 2 where nothing is said."""


@dataclass(frozen=True)
class Trial:
    """A run, what befalls it, and what it truly is."""

    number: int
    task: Task
    truth: str
    story: str
    play: Play
    fault: Truth | None = None
    turn: int = 1
    for_good: bool = False
    retries: int = 0

    @property
    def passes(self) -> bool:
        """Whether a fault strikes and is over before it has cost the run anything."""
        return self.fault is not None and self.truth != self.fault.cause


@dataclass
class Lane:
    """A way to a model that is all one run's own."""

    server: ModelServer
    proxy: ChaosProxy
    patient: Model
    impatient: Model


@dataclass
class Findings:
    """What was recorded, by truth, and the stories of those runs where it is something else."""

    matrix: Counter[tuple[str, str]] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)

    def add(self, trial: Trial, outcome: Outcome | None, repeats: int) -> None:
        recorded = _class_of(outcome)
        if recorded == trial.truth and trial.passes and not repeats:
            recorded = "no repeat"
        self.matrix[trial.truth, recorded] += 1
        if recorded != trial.truth:
            self.wrong.append(f"{trial.number}: {trial.story}: {trial.truth}, but {recorded}")


class Silent:
    """Nobody watches a line of this benchmark."""

    def paused(self, model: str, reason: str, patience_seconds: float) -> None: ...
    def resumed(self, model: str, seconds: float) -> None: ...
    def slowed(self, model: str, seconds: float, at_once: int) -> None: ...


def draw(suite: Suite, faults: int, failures: int, seed: int) -> list[Trial]:
    """So many trials of each sort, shuffled. Every kind comes about as often as any other."""
    random_ = random.Random(seed)
    trials = [_fault(number, suite, random_) for number in range(faults)]
    trials += [_failure(faults + number, suite, random_) for number in range(failures)]
    random_.shuffle(trials)
    return trials


FAULTS = CUTS | ANSWERS | LIMITS | STOPS | DOWN | {"between turns": BETWEEN_TURNS}


def _fault(number: int, suite: Suite, random_: random.Random) -> Trial:
    name = random_.choice(list(FAULTS))
    truth = FAULTS[name]
    task = random_.choice(suite.tasks)
    player = random_.choice(("oracle", "the_same_call"))
    last = TURNS.get(task.id, 2) if player == "oracle" else task.budgets.turns
    if truth is BETWEEN_TURNS:
        last -= 1
    turn = random_.randint(1, last)
    for_good = name in LIMITS or random_.random() < 0.5
    return Trial(
        number,
        task,
        truth.cause,
        f"{task.id} by {player}; {name} in turn {turn}" + " for good" * for_good,
        ORACLE if player == "oracle" else models.the_same_call,
        truth,
        turn,
        for_good,
        retries=random_.randint(0, 1),
    )


FAILURES: dict[str, tuple[Play, str]] = {
    "wrong answer": (models.wrong, "wrong_answer"),
    "empty reply": (models.says_nothing, "wrong_answer"),
    "template leak": (models.leaks, "wrong_answer"),
    "leak behind the answer": (models.leaks_at_the_end, "wrong_answer"),
    "endless repetition": (models.repeats_itself, "wrong_answer"),
    "filtered": (models.is_filtered, "wrong_answer"),
    "full context": (models.fills_the_context, "gave_up: context"),
    "garbage arguments": (models.garbage_arguments, "gave_up: turns"),
    "arguments that are no object": (models.no_object, "gave_up: turns"),
    "unknown tool": (models.unknown_tool, "gave_up: turns"),
    "the same call": (models.the_same_call, "gave_up: turns"),
}


def _failure(number: int, suite: Suite, random_: random.Random) -> Trial:
    name = random_.choice(list(FAILURES))
    fails, truth = FAILURES[name]
    task = random_.choice(suite.tasks)
    begins = random_.randint(1, TURNS.get(task.id, 2))
    story = f"{task.id}; {name} from turn {begins}"
    play = models.from_turn(begins, ORACLE, fails)
    if random_.random() < 0.5:
        return Trial(number, task, truth, story, play)
    fault = random_.choice([name for name in FAULTS if _is_mended(name)])
    turn = random_.randint(1, begins)
    story += f"; {fault} in turn {turn} passes"
    return Trial(number, task, truth, story, play, FAULTS[fault], turn, retries=1)


def _is_mended(name: str) -> bool:
    """Whether asking again mends a fault, once it is over."""
    truth = FAULTS[name]
    return RULES[truth.kind].remedy in ("repeat", "slow") and truth.fault.then != "down"


async def attempt(trial: Trial, lane: Lane, suite: Suite, sandbox: Sandbox, folder: Path) -> Path:
    """Play a trial on a lane. Returns the transcript."""
    model = lane.impatient if trial.truth == "timeout" else lane.patient
    one_at_a_time = asyncio.Semaphore(1)
    way = Line("m", model, Silent(), retries=trial.retries, patience_seconds=0, at_once=1)

    async def ask(request: Request, note: Record) -> Completion:
        async with one_at_a_time:
            return await way.ask(request, one_at_a_time, note)

    _arm(trial, lane)
    stage = Stage(trial.task, trial.task.variant(), ask, sandbox, Limits())
    path = folder / f"{trial.number}.jsonl"
    with JsonLines(path) as transcript:
        await play_attempt(_header(trial, stage, suite), stage, transcript.append)
    if trial.fault is not None and trial.fault.fault.then == "down":
        await lane.proxy.mend()
    return path


def _arm(trial: Trial, lane: Lane) -> None:
    lane.server.players["m"] = trial.play
    lane.proxy.heal()
    if trial.fault is None:
        return
    where = in_turn(trial.turn)
    times = 1 if trial.passes or trial.fault.fault.then == "down" else 1 + trial.retries
    if trial.for_good and trial.fault.fault.then != "down":
        lane.proxy.inject(trial.fault.fault, where=since(where))
    else:
        lane.proxy.inject(trial.fault.fault, where=where, times=times)


def _header(trial: Trial, stage: Stage, suite: Suite) -> Started:
    tasks = tuple(task.id for task in suite.tasks)
    plan = Plan(campaign="c", suite=suite.name, models=("m",), tasks=tasks, runs_per_task=1, seed=0)
    return Started(
        run=str(trial.number),
        attempt=1,
        plan=plan,
        task=trial.task.id,
        task_digest=trial.task.digest,
        variant_seed=stage.variant.seed,
        variant_digest=stage.variant.digest,
        repetition=1,
        model=ModelRecord(name="m", kind="openai", settings={}, sampling=Sampling()),
        seed=trial.number,
        budgets=trial.task.budgets,
        tools=schemas(trial.task.tools),
        sandbox={},
        versions={},
        started_at=datetime.now(UTC),
    )


@asynccontextmanager
async def open_lane() -> AsyncIterator[Lane]:
    """Server, proxy and two clients."""
    async with model_server({"m": models.wrong}) as server, chaos_proxy(server.port) as proxy:
        patient, impatient = (
            Model(
                Settings(
                    name="m",
                    model="m",
                    base_url=proxy.base_url,
                    first_token_seconds=seconds,
                    stall_seconds=seconds,
                )
            )
            for seconds in (PATIENT, IMPATIENT)
        )
        try:
            await patient.open()
            await impatient.open()
            yield Lane(server, proxy, patient, impatient)
        finally:
            await patient.close()
            await impatient.close()


async def play_all(trials: Sequence[Trial], suite: Suite, progress: Progress) -> Findings:
    """Play every trial and read what was recorded of it."""
    asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(LANES + 4))
    bar = progress.add_task("playing", total=len(trials))
    queue = deque(trials)
    findings = Findings()
    sandbox = make_sandbox("bubblewrap")
    try:
        await asyncio.to_thread(sandbox.open, ())
        with tempfile.TemporaryDirectory() as name:
            async with asyncio.TaskGroup() as group:
                for _ in range(LANES):
                    group.create_task(
                        _work_through(queue, suite, sandbox, Path(name), findings, (progress, bar))
                    )
    finally:
        sandbox.close()
    return findings


async def _work_through(
    queue: deque[Trial],
    suite: Suite,
    sandbox: Sandbox,
    folder: Path,
    findings: Findings,
    bar: tuple[Progress, TaskID],
) -> None:
    async with open_lane() as lane:
        while queue:
            trial = queue.popleft()
            path = await attempt(trial, lane, suite, sandbox, folder)
            repeats = path.read_bytes().count(b'{"type":"repeat"')
            findings.add(trial, last_outcome(path), repeats)
            path.unlink()
            bar[0].advance(bar[1])


def _class_of(outcome: Outcome | None) -> str:
    if outcome is None:
        return "nothing"
    if outcome.budget is not None:
        return f"{outcome.outcome}: {outcome.budget}"
    return outcome.cause or outcome.outcome


def table_of(findings: Findings) -> Table:
    """The confusion matrix: a row for each truth, a column for all that was recorded."""
    recorded = {column for _, column in findings.matrix}
    columns = [*CLASSES, *sorted(recorded.difference(CLASSES))]
    table = Table(box=HORIZONTALS, padding=0, show_edge=False)
    table.add_column("truth \\ recorded", no_wrap=True, vertical="bottom")
    for column in columns:
        heading = CLASSES.get(column, column)
        table.add_column(heading, justify="right", no_wrap=True, vertical="bottom")
    for row in CLASSES:
        counts = [(column, findings.matrix[row, column]) for column in columns]
        table.add_row(row, *(_cell(count, right=column == row) for column, count in counts))
    return table


def _cell(count: int, *, right: bool) -> str:
    if not count:
        return "[dim]0[/]" if right else "[dim]\N{MIDDLE DOT}[/]"
    return f"[bold green]{count}[/]" if right else f"[bold red]{count}[/]"


def main() -> None:
    """Draw the trials, play them, print the matrix."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--faults", type=int, default=1_000)
    parser.add_argument("--failures", type=int, default=1_000)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    # Waiting is not what is measured.
    line_module.LONGEST_BACKOFF = line_module.LONGEST_LIMIT = 0.1
    console = Console()
    suite = load_suite(SUITE)
    trials = draw(suite, options.faults, options.failures, options.seed)
    began = time.monotonic()
    with Progress(console=console) as progress:
        findings = asyncio.run(play_all(trials, suite, progress))
    console.print(table_of(findings))
    disturbed = sum(trial.passes for trial in trials)
    console.print(
        f"{options.faults} faults and {options.failures} failures of the model's own ({disturbed} "
        f"of them beside a fault that passed), in {time.monotonic() - began:.0f} s: "
        f"{len(findings.wrong)} off the diagonal"
    )
    for story in findings.wrong:
        console.print(story, style="red", highlight=False)
    sys.exit(1 if findings.wrong else 0)


if __name__ == "__main__":
    main()
