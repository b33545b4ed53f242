"""Every suite on disk proves itself: what must pass does, what must not does not.

All scripts are played once, several at a time, by the real attempt in the real sandbox; the tests
then look at what became of each.
"""

from __future__ import annotations

import asyncio
import json
import re
import shutil
import uuid
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pytest

from harness.attempt import Stage, play_attempt
from harness.models import scripted
from harness.models.scripted import read_script
from harness.records import Event, Graded, ModelRecord, Outcome, Plan, Sampling, Started, ToolResult
from harness.sandbox import Limits, Sandbox
from harness.sandbox import make as make_sandbox
from harness.task import (
    FinishedRun,
    Suite,
    Task,
    built_in_suites,
    digest_folder,
    grade,
    load_suite,
)
from harness.toolbox import schemas

AT_ONCE = 4
ORACLE_RUNS = 5
SUITES = [load_suite(name) for name in built_in_suites()]
TASKS = [(suite, task) for suite in SUITES for task in suite.tasks]
EDIT = "assert text.count(old) == 1"
"""What every script says that replaces a piece of a file."""

LEAST = {"near_misses": 3, "alternatives": 1}
LEAST_OF_AGENTIC_CORE = {"near_misses": 5, "alternatives": 3}


@dataclass(frozen=True)
class Case:
    """One script to be played on one task."""

    task: Task
    script: str
    repetition: int = 1

    def __str__(self) -> str:
        return f"{self.task.folder.parent.name}/{self.task.id}/{Path(self.script).stem}"


def scripts(task: Task, folder: str) -> list[Case]:
    return [Case(task, str(path)) for path in sorted((task.folder / folder).glob("*.jsonl"))]


def read_text(case: Case) -> str:
    return Path(case.script).read_text(encoding="utf-8")


def oracle_runs(task: Task) -> list[Case]:
    return [Case(task, "oracle", number) for number in range(1, ORACLE_RUNS + 1)]


DOING_NOTHING = [Case(task, "nothing") for _, task in TASKS]
NEAR_MISSES = [case for _, task in TASKS for case in scripts(task, "near_misses")]
ALTERNATIVES = [case for _, task in TASKS for case in scripts(task, "alternatives")]
ORACLES = [case for _, task in TASKS for case in oracle_runs(task)]

Played = dict[Case, list[Event]]


async def play(case: Case, sandbox: Sandbox, database: Path | None) -> list[Event]:
    """The events of a script played on its task."""
    model = scripted.Model(scripted.Settings(name="script", script=case.script))
    await model.open()
    started = Started(
        run=str(uuid.uuid4()),
        attempt=1,
        plan=Plan(
            campaign="certificate",
            suite=case.task.folder.parent.name,
            models=("script",),
            tasks=(case.task.id,),
            runs_per_task=ORACLE_RUNS,
            seed=1,
        ),
        task=case.task.id,
        task_digest=case.task.digest,
        repetition=case.repetition,
        model=ModelRecord(name="script", kind="scripted", settings={}, sampling=Sampling()),
        seed=1,
        budgets=case.task.budgets,
        tools=schemas(case.task.tools),
        sandbox={},
        versions={},
        started_at=datetime.now(UTC),
    )
    events: list[Event] = []
    stage = Stage(case.task, model, sandbox, database, Limits())
    await play_attempt(started, stage, events.append)
    return events


async def play_all(cases: Sequence[Case], sandbox: Sandbox, scratch: Path) -> Played:
    gate = asyncio.Semaphore(AT_ONCE)
    databases = {
        task.folder: task.build_database(scratch / f"{suite.name}.{task.id}.db")
        for suite, task in TASKS
    }

    async def one(case: Case) -> list[Event]:
        async with gate:
            return await play(case, sandbox, databases[case.task.folder])

    results = await asyncio.gather(*map(one, cases))
    return dict(zip(cases, results, strict=True))


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    sandbox = make_sandbox("bubblewrap")
    try:
        sandbox.open()
        yield sandbox
    finally:
        sandbox.close()


@pytest.fixture(scope="module")
def played(sandbox: Sandbox) -> Played:
    # What waits longest goes first, and the rest is played meanwhile.
    cases = [*NEAR_MISSES, *ALTERNATIVES, *DOING_NOTHING, *ORACLES]
    cases.sort(key=lambda case: "endless" not in case.script)
    return asyncio.run(play_all(cases, sandbox, sandbox.make_workspace()))


def outcome(events: Sequence[Event]) -> str:
    assert isinstance(events[-1], Outcome)
    return events[-1].outcome


def graded(events: Sequence[Event]) -> Graded:
    (verdict,) = (event for event in events if isinstance(event, Graded))
    return verdict


def each(cases: Sequence[Case]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("case", cases, ids=str)


every_task = pytest.mark.parametrize(
    ("suite", "task"), TASKS, ids=[f"{suite.name}/{task.id}" for suite, task in TASKS]
)


@every_task
def test_the_oracle_passes_five_of_five_with_one_verdict(
    suite: Suite, task: Task, played: Played
) -> None:
    runs = [played[case] for case in oracle_runs(task)]

    assert [outcome(events) for events in runs] == ["pass"] * ORACLE_RUNS
    assert len({graded(events).checks for events in runs}) == 1


@each(DOING_NOTHING)
def test_doing_nothing_fails(case: Case, played: Played) -> None:
    assert outcome(played[case]) == "wrong_answer"


@each(NEAR_MISSES)
def test_a_near_miss_fails_by_the_checkers_verdict(case: Case, played: Played) -> None:
    assert outcome(played[case]) == "wrong_answer"
    assert not graded(played[case]).passed


@each(ALTERNATIVES)
def test_another_right_solution_passes(case: Case, played: Played) -> None:
    assert outcome(played[case]) == "pass", graded(played[case]).checks


@each([case for case in [*NEAR_MISSES, *ALTERNATIVES] if EDIT in read_text(case)])
def test_an_edit_of_a_script_found_what_it_edits(case: Case, played: Played) -> None:
    """Else a near miss would fail for no reason of its own once the workspace changes."""
    calls = [call for reply in read_script(Path(case.script)) for call in reply.tool_calls]
    results = [event for event in played[case] if isinstance(event, ToolResult)]
    edits = [
        result.content
        for call, result in zip(calls, results, strict=True)
        if EDIT in call.arguments
    ]

    assert edits
    assert [content for content in edits if "AssertionError" in content] == []


@each([*NEAR_MISSES, *ALTERNATIVES])
def test_a_script_says_why_it_exists(case: Case) -> None:
    first = json.loads(read_text(case).splitlines()[0])
    assert first["note"].endswith(".")


@every_task
def test_a_task_has_enough_near_misses_and_other_solutions(suite: Suite, task: Task) -> None:
    least = LEAST_OF_AGENTIC_CORE if suite.name.startswith("agentic-core") else LEAST
    found = {folder: len(scripts(task, folder)) for folder in least}

    assert {folder for folder, count in found.items() if count < least[folder]} == set()


@every_task
def test_answering_with_everything_fails(suite: Suite, task: Task, sandbox: Sandbox) -> None:
    numbers = " ".join(map(str, range(1000)))
    texts = "\n".join(visible_texts(task).values())
    answers = [numbers[:1500], f"{numbers[:1000]}\n{texts}"]
    workspace = laid_out(task, sandbox)
    verdicts = [
        grade(FinishedRun(task, answer, (), workspace, sandbox)).passed for answer in answers
    ]
    sandbox.remove_workspace(workspace)

    assert not any(verdicts)


@every_task
def test_the_checker_says_the_same_twice(suite: Suite, task: Task, sandbox: Sandbox) -> None:
    workspace = laid_out(task, sandbox)
    run = FinishedRun(task, "I do not know.", (), workspace, sandbox)
    verdicts = [grade(run), grade(run)]
    sandbox.remove_workspace(workspace)

    assert verdicts[0] == verdicts[1]
    assert not verdicts[0].passed


def laid_out(task: Task, sandbox: Sandbox) -> Path:
    workspace = sandbox.make_workspace()
    task.fill(workspace)
    sandbox.adopt(workspace)
    return workspace


@every_task
def test_what_a_checker_says_is_short_and_prints_on_one_line(
    suite: Suite, task: Task, played: Played
) -> None:
    cases = [case for case in played if case.task == task]
    details = [check.detail for case in cases for check in graded(played[case]).checks]

    assert max(map(len, details)) <= 1000
    assert [detail for detail in details if not detail or not detail.isprintable()] == []


@every_task
def test_the_digest_changes_with_any_file(suite: Suite, task: Task, tmp_path: Path) -> None:
    copy = tmp_path / task.id
    shutil.copytree(task.folder, copy)
    digests = {digest_folder(copy)}
    files = [path for path in copy.rglob("*") if path.is_file()]
    for path in files:
        content = path.read_bytes()
        path.write_bytes(content + b"\n")
        digests.add(digest_folder(copy))
        path.write_bytes(content)

    assert len(digests) == len(files) + 1
    assert digest_folder(copy) == task.digest


def visible_texts(task: Task) -> dict[str, str]:
    """What a model can come to see, by file name."""
    workspace = task.folder / "workspace"
    files = [path for path in workspace.rglob("*") if path.is_file()]
    database = task.folder / "database.sql"
    return {
        path.name: path.read_text(encoding="utf-8") for path in [*files, database] if path.exists()
    }


@every_task
def test_nothing_but_the_answers_source_holds_the_answer(suite: Suite, task: Task) -> None:
    answer = re.compile(rf"\b{re.escape(read_script(task.folder / 'solution.jsonl')[-1].text)}\b")
    texts = visible_texts(task)

    assert not answer.search(task.instruction + task.system_prompt)
    assert [name for name in texts if answer.search(name)] == []
    assert len([name for name, text in texts.items() if answer.search(text)]) <= 1


@every_task
def test_a_workspace_holds_no_history_and_nothing_hidden_or_compiled(
    suite: Suite, task: Task
) -> None:
    paths = (task.folder / "workspace").rglob("*")

    assert [path for path in paths if path.name.startswith((".", "__pyc"))] == []
    assert [
        name for name, text in visible_texts(task).items() if re.search("BUG|FIXME|XXX", text)
    ] == []


@pytest.mark.parametrize("suite", SUITES, ids=lambda suite: suite.name)
def test_a_suite_lists_every_task_in_its_folder(suite: Suite) -> None:
    on_disk = sorted(path.parent.name for path in suite.folder.glob("*/task.toml"))

    assert sorted(task.id for task in suite.tasks) == on_disk
