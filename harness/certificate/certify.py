"""Certifying: every script of every task played in the real sandbox, and what became of each.

What is proved of a task, for the published variant and for those that seeds draw:

    drawn        a seed draws the same in another process, and no two seeds draw the same
    oracle       solution.jsonl passes, on the published variant five times with one verdict
    alternatives the other right solutions pass
    near misses  the plausible wrong solutions and the cheats do not
                 (``accidents`` says which scripts go wrong by accident instead)
    attacks      what knows nothing of the task does not (``attackers``), nor crashes the checker
    checks       each named check is needed: with it left out, something wrong would pass

On the published variant every verdict is asked for twice and must be the same.
"""

from __future__ import annotations

import asyncio
import os
import uuid
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal, NamedTuple, get_args

from harness import machine
from harness.attempt import Stage, directly, play_attempt
from harness.certificate import (
    FOLDERS,
    LEAST_SCRIPTS,
    LEAST_SEEDS,
    Certificate,
    CertifiedTask,
    certificate_file,
    judges_digest,
    read_certificate,
)
from harness.certificate.accidents import bad_call, failing_program
from harness.certificate.attackers import attacks
from harness.certificate.beforehand import refuse_unplayable
from harness.certificate.redraw import drawn_elsewhere, fingerprints
from harness.errors import InfrastructureFault
from harness.models.scripted import Model, Script, Settings, read_script
from harness.records import (
    Event,
    Fault,
    Graded,
    ModelRecord,
    Outcome,
    Plan,
    Sampling,
    Started,
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

Aspect = Literal["drawn", "oracle", "alternatives", "near misses", "attacks", "checks"]
ASPECTS: tuple[Aspect, ...] = get_args(Aspect)
_MUST_PASS = ("oracle", "alternatives")
_SCRIPTED: tuple[Aspect, ...] = ("alternatives", "near misses")


class Failure(NamedTuple):
    """What did not do as it must: a script or a check by its name, on which variant, and how."""

    aspect: Aspect
    name: str
    where: str
    wrong: str


@dataclass(frozen=True)
class Trial:
    """One script to be played on one variant of a task."""

    task: Task
    seed: int | None
    aspect: Aspect
    name: str
    script: Script = field(compare=False, repr=False)
    repetition: int = 1

    def failure(self, wrong: str) -> Failure:
        """That it did not do as it must."""
        return Failure(self.aspect, self.name, _named(self.seed), wrong)


@dataclass
class Proof:
    """What was found of one task so far."""

    task: Task
    seeds: Sequence[int]
    held: dict[Aspect, int] = field(default_factory=lambda: defaultdict(int))
    failed: list[Failure] = field(default_factory=list)
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
        return sum(failure.aspect == aspect for failure in self.failed)

    def variants(self) -> Iterator[Variant]:
        """The published one, and those that seeds draw."""
        for seed in (None, *self.seeds):
            yield self.task.variant(seed)


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
    for proof in proofs:
        refuse_unplayable(proof.task, list(proof.variants()))
        _judge_scripts(proof)
    await asyncio.to_thread(_judge_variants, suite, proofs)
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
        proof.task.id: _certified(proof)
        for proof in proofs
        if len(proof.seeds) >= proof.seeds_needed
    }
    # In the suite's order, so that it does not matter in which order tasks were proved.
    order = [task.id for task in suite.tasks if task.id in tasks and task.id not in failed]
    certificate = Certificate(suite=suite.name, tasks={task: tasks[task] for task in order})
    if certificate == earlier or not (order or earlier):
        return None
    write_whole(file, certificate.model_dump_json(indent=2) + "\n")
    return file


def _certified(proof: Proof) -> CertifiedTask:
    versions = machine.versions()
    return CertifiedTask(
        digest=proof.task.digest,
        variant_digest=proof.task.variant().digest,
        judges_digest=judges_digest(),
        certified_at=datetime.now(UTC),
        versions={name: versions[name] for name in ("fairtrial", "python")},
        seeds=len(proof.seeds),
        proved={aspect: proof.held[aspect] for aspect in ASPECTS},
    )


def _named(seed: int | None) -> str:
    return "published" if seed is None else f"seed {seed}"


def _judge_scripts(proof: Proof) -> None:
    for aspect in _SCRIPTED:
        found = len(list((proof.task.folder / FOLDERS[aspect]).glob("*.jsonl")))
        if found < (least := LEAST_SCRIPTS[aspect]):
            wrong = f"{found} in {FOLDERS[aspect]}/; a certificate takes at least {least}"
            proof.failed.append(Failure(aspect, "", "", wrong))


def _judge_variants(suite: Suite, proofs: Sequence[Proof]) -> None:
    """Whether variants depend on their seed, and on nothing else."""
    wanted = {proof.task.id: (None, *proof.seeds) for proof in proofs if proof.seeds}
    elsewhere = drawn_elsewhere(suite, wanted) if wanted else {}
    for proof in proofs:
        seeds = wanted.get(proof.task.id, ())
        here, there = fingerprints(proof.task, seeds), elsewhere.get(proof.task.id, [])
        first: dict[str, int | None] = {}
        for variant, one, other in zip(proof.variants(), here, there, strict=False):
            twin = first.setdefault(variant.digest, variant.seed)
            if one != other:
                wrong = "another process draws another task; let draw() ask its argument alone"
            elif twin != variant.seed:
                wrong = f"the same task as {_named(twin)}; let draw() use its argument"
            else:
                proof.held["drawn"] += 1
                continue
            proof.failed.append(Failure("drawn", "variants.py", _named(variant.seed), wrong))


def _own_trials(proof: Proof) -> Iterator[Trial]:
    """The task's own scripts, on every variant."""
    folder = proof.task.folder
    oracle = read_script(folder / "solution.jsonl")
    for variant in proof.variants():
        for repetition in range(1, (ORACLE_RUNS if variant.seed is None else 1) + 1):
            yield Trial(proof.task, variant.seed, "oracle", "solution", oracle, repetition)
        for aspect in _SCRIPTED:
            for path in sorted((folder / FOLDERS[aspect]).glob("*.jsonl")):
                yield Trial(proof.task, variant.seed, aspect, path.stem, read_script(path))


def _attacks(proof: Proof) -> Iterator[Trial]:
    for variant in proof.variants():
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
        proof.failed.append(trial.failure(wrong))
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
    if trial.aspect != "attacks" and (wrong := bad_call(events)):
        return wrong
    if trial.aspect in _MUST_PASS and outcome.outcome != "pass":
        failed = "; ".join(f"{c.name}: {c.detail}" for c in graded.checks if not c.passed)
        return f"must pass, and is {outcome.outcome}: {failed or ', '.join(outcome.signals)}"
    if trial.aspect not in _MUST_PASS and graded.passed:
        return "must not pass, and does"
    return failing_program(events) if trial.aspect == "near misses" else None


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
        wrong = (
            "nothing wrong would pass without it; add a near miss that only this check holds off, "
            "or leave it out"
        )
        proof.failed.append(Failure("checks", name, "", wrong))


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
