"""Certifying: every script of every task played in the real sandbox, and what became of each.

What is proved of a task, for the published variant and for those that seeds draw:

    oracle       solution.jsonl passes, on the published variant five times with one verdict
    alternatives the other right solutions pass
    near misses  the plausible wrong solutions and the cheats do not
    attacks      what knows nothing of the task does not (``attackers``), nor crashes the checker
    checks       each named check is needed: with it left out, something wrong would pass

On the published variant every verdict is asked for twice and must be the same.
"""

from __future__ import annotations

import asyncio
import os
import re
import uuid
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal, get_args

from harness import machine
from harness.attempt import Stage, directly, play_attempt
from harness.certificate import (
    LEAST_SEEDS,
    Certificate,
    CertifiedTask,
    certificate_file,
    read_certificate,
)
from harness.certificate.attackers import attacks
from harness.errors import InfrastructureFault
from harness.models.scripted import Model, Script, Settings, read_script
from harness.records import (
    Event,
    Fault,
    Graded,
    ModelRecord,
    Outcome,
    Plan,
    Reply,
    Sampling,
    Started,
    ToolResult,
    Verdict,
)
from harness.sandbox import Limits, Sandbox
from harness.sandbox import make as make_sandbox
from harness.store import write_whole
from harness.task import FinishedRun, Suite, Task, grade
from harness.toolbox import schemas
from harness.variant import Variant, can_be_drawn
from harness.workspace import WorkspaceError, list_files

ORACLE_RUNS = 5

Aspect = Literal["oracle", "alternatives", "near misses", "attacks", "checks"]
ASPECTS: tuple[Aspect, ...] = get_args(Aspect)
_FOLDERS: dict[Aspect, str] = {"alternatives": "alternatives", "near misses": "near_misses"}
_MUST_PASS = ("oracle", "alternatives")

_EDIT = "assert text.count(old) == 1"
"""What a script says that edits a file; where it does not hold, the script is out of date."""

_FOUND_NOTHING = re.compile(r'File "<stdin>", line \d+, in <module>\n(?: .*\n)*AssertionError\b')
"""What Python then says, of a program that it was given on stdin."""


@dataclass(frozen=True)
class Trial:
    """One script to be played on one variant of a task."""

    task: Task
    seed: int | None
    aspect: Aspect
    name: str
    script: Script = field(compare=False, repr=False)
    repetition: int = 1

    def __str__(self) -> str:
        where = "published" if self.seed is None else f"seed {self.seed}"
        return f"{self.task.id}, {self.aspect}, {self.name} ({where})"


@dataclass
class Proof:
    """What was found of one task so far."""

    task: Task
    seeds: Sequence[int]
    held: dict[Aspect, int] = field(default_factory=lambda: defaultdict(int))
    failed: list[tuple[Aspect, str]] = field(default_factory=list)
    """What did not do as it must, in a sentence each."""
    checks: set[str] = field(default_factory=set)
    needed: set[str] = field(default_factory=set)
    places: set[str] = field(default_factory=set)
    verdicts: dict[int | None, Verdict] = field(default_factory=dict)
    """The oracle's, by seed."""

    @property
    def seeds_needed(self) -> int:
        """How many variants, beside the published one, a certificate asks for."""
        return LEAST_SEEDS if can_be_drawn(self.task.folder) else 0

    def failures(self, aspect: Aspect) -> int:
        """How many did not do as they must in one aspect."""
        return sum(found == aspect for found, _ in self.failed)


Notice = Callable[[Trial], None]
"""Told of each trial as it ends."""


async def certify(
    suite: Suite,
    tasks: Sequence[Task],
    seeds: Sequence[int],
    *,
    at_once: int | None = None,
    plans: Callable[[int], None] = lambda count: None,
    notice: Notice = lambda trial: None,
) -> list[Proof]:
    """Play everything that must pass and everything that must not; nothing is written.

    ``plans`` is told how many trials are added to what is to be played. Raises BadInput and
    a fault of the sandbox, and never of the checker: that is a failure of the task.
    """
    jobs = at_once or os.cpu_count() or 1
    asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(jobs + 4))
    gate = asyncio.Semaphore(jobs)
    proofs = [Proof(task, seeds if can_be_drawn(task.folder) else ()) for task in tasks]
    sandbox = make_sandbox("bubblewrap")

    async def play(proof: Proof, trial: Trial) -> None:
        async with gate:
            await _try(suite, proof, trial, sandbox)
            notice(trial)

    try:
        await asyncio.to_thread(sandbox.open, (suite.folder,))
        # Attacks come after the rest, which shows them the places that are worth attacking.
        for trials_of in (_own_trials, _attacks):
            todo = [(proof, trial) for proof in proofs for trial in trials_of(proof)]
            plans(len(todo))
            async with asyncio.TaskGroup() as group:
                for proof, trial in todo:
                    group.create_task(play(proof, trial))
    finally:
        await asyncio.to_thread(sandbox.close)
    for proof in proofs:
        _judge_checks(proof)
    return proofs


def write_certificate(suite: Suite, proofs: Sequence[Proof]) -> Path | None:
    """Write into the suite's certificate what was proved, and take out what failed.

    A task is proved by as many variants as it takes. What the certificate says of other tasks
    stays, where they are as they were. Returns None where there is nothing to write; raises
    BadInput where it cannot be written.
    """
    file = certificate_file(suite)
    failed = {proof.task.id for proof in proofs if proof.failed}
    earlier = read_certificate(suite)
    tasks = dict(earlier.tasks) if earlier else {}
    tasks |= {
        proof.task.id: CertifiedTask(
            digest=proof.task.digest,
            variant_digest=proof.task.variant().digest,
            seeds=len(proof.seeds),
            proved={aspect: proof.held[aspect] for aspect in ASPECTS},
        )
        for proof in proofs
        if len(proof.seeds) >= proof.seeds_needed
    }
    # In the suite's order, so that it does not matter in which order tasks were proved.
    order = [task.id for task in suite.tasks if task.id in tasks and task.id not in failed]
    if not order and earlier is None:
        return None
    versions = machine.versions()
    certificate = Certificate(
        suite=suite.name,
        certified_at=datetime.now(UTC),
        versions={name: versions[name] for name in ("fairtrial", "python")},
        tasks={task: tasks[task] for task in order},
    )
    write_whole(file, certificate.model_dump_json(indent=2) + "\n")
    return file


def _variants(proof: Proof) -> Iterator[Variant]:
    for seed in (None, *proof.seeds):
        yield proof.task.variant(seed)


def _own_trials(proof: Proof) -> Iterator[Trial]:
    """The task's own scripts, on every variant."""
    folder = proof.task.folder
    oracle = read_script(folder / "solution.jsonl")
    for variant in _variants(proof):
        for repetition in range(1, (ORACLE_RUNS if variant.seed is None else 1) + 1):
            yield Trial(proof.task, variant.seed, "oracle", "solution", oracle, repetition)
        for aspect, where in _FOLDERS.items():
            for path in sorted((folder / where).glob("*.jsonl")):
                yield Trial(proof.task, variant.seed, aspect, path.stem, read_script(path))


def _attacks(proof: Proof) -> Iterator[Trial]:
    for variant in _variants(proof):
        places = sorted(proof.places | set(variant.files))
        for name, script in attacks(proof.task, variant, places):
            yield Trial(proof.task, variant.seed, "attacks", name, script)
        yield Trial(proof.task, variant.seed, "attacks", _VANISHED, ())


_VANISHED = "the_workspace_vanishes"


async def _try(suite: Suite, proof: Proof, trial: Trial, sandbox: Sandbox) -> None:
    """Play one trial and enter into the proof what became of it."""
    model = Model(Settings(name="script", script="nothing"), trial.script)
    variant = trial.task.variant(trial.seed)
    judge = _Judge(proof, trial)
    stage = Stage(trial.task, variant, directly(model), sandbox, Limits(), judge)
    events: list[Event] = []
    await play_attempt(_header(suite, trial, variant), stage, events.append)
    wrong = _what_is_wrong(trial, events)
    if wrong is None and trial.aspect == "oracle":
        wrong = _changed_verdict(proof, trial, events)
    if wrong:
        proof.failed.append((trial.aspect, f"{trial}: {wrong}"))
    else:
        proof.held[trial.aspect] += 1


def _what_is_wrong(trial: Trial, events: Sequence[Event]) -> str | None:
    outcome, graded = events[-1], _graded(events)
    assert isinstance(outcome, Outcome)
    if graded is None:
        (fault,) = (event for event in events if isinstance(event, Fault))
        if trial.name == _VANISHED and fault.cause == "sandbox_failed":
            return None  # only the world can do that
        return f"could not be graded: {fault.cause}: {fault.detail}"
    if trial.aspect in _MUST_PASS and outcome.outcome != "pass":
        failed = "; ".join(f"{c.name}: {c.detail}" for c in graded.checks if not c.passed)
        return f"must pass, and is {outcome.outcome}: {failed or ', '.join(outcome.signals)}"
    if trial.aspect not in _MUST_PASS and graded.passed:
        return "must not pass, and does"
    if trial.aspect != "attacks" and _stale(events):
        return "does not find what it edits: it belongs to another version of the task"
    return None


def _stale(events: Sequence[Event]) -> bool:
    replies = [event for event in events if isinstance(event, Reply)]
    edits = {call.id for reply in replies for call in reply.tool_calls if _EDIT in call.arguments}
    return any(
        isinstance(event, ToolResult)
        and event.call_id in edits
        and _FOUND_NOTHING.search(event.content)
        for event in events
    )


def _changed_verdict(proof: Proof, trial: Trial, events: Sequence[Event]) -> str | None:
    """Whether the oracle, played several times, gets several verdicts."""
    graded = _graded(events)
    assert graded is not None
    verdict = Verdict(checks=graded.checks)
    first = proof.verdicts.setdefault(trial.seed, verdict)
    return None if first == verdict else f"another verdict than before: {verdict} after {first}"


def _graded(events: Sequence[Event]) -> Graded | None:
    return next((event for event in events if isinstance(event, Graded)), None)


class _Judge:
    """The task's checker, asked twice and watched: what it reads, which of its checks decide."""

    def __init__(self, proof: Proof, trial: Trial) -> None:
        self._proof, self._trial = proof, trial

    def __call__(self, run: FinishedRun) -> Verdict:
        """The verdict. Raises InfrastructureFault where two differ."""
        if self._trial.name == _VANISHED:
            run.sandbox.remove_workspace(run.workspace)
        watched = _Watched(
            run.task, run.variant, run.answer, run.events, run.workspace, run.sandbox
        )
        verdict = grade(watched)
        if run.variant.seed is None and grade(run) != verdict:
            raise InfrastructureFault(
                "checker", "the checker said another thing when it was asked again"
            )
        self._proof.checks.update(check.name for check in verdict.checks)
        if self._trial.aspect == "oracle":
            self._proof.places.update(watched.asked_for, _files_in(run.workspace))
        elif self._trial.aspect != "alternatives":
            self._learn_which_decide(run, verdict)
        return verdict

    def _learn_which_decide(self, run: FinishedRun, verdict: Verdict) -> None:
        for check in verdict.checks:
            if check.passed or check.name in self._proof.needed:
                continue
            if grade(run, without=check.name).passed:
                self._proof.needed.add(check.name)


class _Watched(FinishedRun):
    """A finished run that remembers which files its checker read."""

    @property
    def asked_for(self) -> set[str]:
        """Paths that were read."""
        found: set[str] = self.__dict__.setdefault("_asked_for", set())
        return found

    def read(self, path: str) -> str | None:
        self.asked_for.add(path)
        return super().read(path)


def _files_in(workspace: Path) -> list[str]:
    try:
        return list_files(workspace)
    except WorkspaceError:
        return []


def _judge_checks(proof: Proof) -> None:
    proof.held["checks"] = len(proof.needed)
    for name in sorted(proof.checks - proof.needed):
        proof.failed.append(
            (
                "checks",
                f"{proof.task.id}, check {name}: nothing wrong would pass without it; add a near "
                "miss that only this check holds off, or leave it out",
            )
        )


def _header(suite: Suite, trial: Trial, variant: Variant) -> Started:
    return Started(
        run=str(uuid.uuid4()),
        attempt=1,
        plan=Plan(
            campaign="certificate",
            suite=suite.name,
            models=("script",),
            tasks=(trial.task.id,),
            runs_per_task=ORACLE_RUNS,
            seed=0,
        ),
        task=trial.task.id,
        task_digest=trial.task.digest,
        variant_seed=variant.seed,
        variant_digest=variant.digest,
        repetition=trial.repetition,
        model=ModelRecord(name="script", kind="scripted", settings={}, sampling=Sampling()),
        seed=0,
        budgets=trial.task.budgets,
        tools=schemas(trial.task.tools),
        sandbox={"kind": "bubblewrap"},
        versions={},
        started_at=datetime.now(UTC),
    )
