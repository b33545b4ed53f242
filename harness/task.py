"""Tasks and suites: what a model is told, what it works on, and how the end is judged.

tasks/<suite>/
  suite.toml             title, order of tasks, system prompt, budgets
  <task>/
    task.toml            title, category, tools, budgets that differ, tags
    instruction.md       what the model is told
    workspace/           copied fresh for every attempt (may be absent: an empty one)
    database.sql         builds the SQLite database that the ``sql`` tool reads (optional)
    variants.py          how the task is drawn anew from a seed (optional; see ``variant``)
    checker.py           def check(run: FinishedRun) -> Verdict
    solution.jsonl       the oracle: one reply a line
    alternatives/*.jsonl other right solutions, which must pass
    near_misses/*.jsonl  wrong solutions and cheats, which must not
"""

from __future__ import annotations

import hashlib
import shutil
import stat
from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from threading import Thread
from typing import Any

from pydantic import Field

from harness.errors import (
    BadInput,
    InfrastructureFault,
    did_you_mean,
    from_os_error,
)
from harness.records import Budgets, Check, Event, Record, Verdict
from harness.sandbox import CommandResult, Limits, Sandbox
from harness.task_code import load_code, located
from harness.toml_file import read_toml, validate
from harness.tools import tool_names
from harness.variant import Variant, load_variant
from harness.workspace import CACHES, WorkspaceError, copy_regular_files, list_files, read_file

_BESIDE = Path(__file__).resolve().parent
BUILT_IN = _BESIDE / "suites" if (_BESIDE / "suites").is_dir() else _BESIDE.parent / "tasks"
"""The built-in suites: inside an installed package, or ``tasks/`` of a checkout."""


NEEDED = ("task.toml", "instruction.md", "checker.py", "solution.jsonl")
KNOWN = (*NEEDED, "workspace", "database.sql", "variants.py", "alternatives", "near_misses")
"""What a task's folder must hold, and what is read in it; the rest is the checker's own."""


class SuiteFile(Record):
    """The keys of ``suite.toml``. The suite's name is its folder's."""

    title: str
    tasks: tuple[str, ...] = Field(min_length=1, description="folders, in the order they are run")
    system_prompt: str
    budgets: Budgets = Budgets()


class TaskFile(Record):
    """The keys of ``task.toml``. The task's id is its folder's name."""

    title: str
    category: str
    tools: tuple[str, ...] = Field(description="tools the model is offered")
    tags: tuple[str, ...] = ()
    budgets: dict[str, Any] = Field(default={}, description="budgets that differ from the suite's")


@dataclass(frozen=True)
class Task:
    """One task of a suite. ``digest`` covers every file of its folder, and what the suite adds:
    the system prompt and the budgets."""

    id: str
    folder: Path
    title: str
    category: str
    system_prompt: str
    tools: tuple[str, ...]
    tags: tuple[str, ...]
    budgets: Budgets
    digest: str

    def variant(self, seed: int | None = None) -> Variant:
        """The published variant, or the one that a seed draws; raises BadInput."""
        return load_variant(self.folder, self.digest, seed)


@dataclass(frozen=True)
class Suite:
    """An ordered set of tasks with a version in its name."""

    name: str
    title: str
    folder: Path
    tasks: tuple[Task, ...]

    @property
    def digest(self) -> str:
        """SHA-256 over the names and digests of the tasks, in order."""
        lines = "".join(f"{task.id} {task.digest}\n" for task in self.tasks)
        return hashlib.sha256(lines.encode()).hexdigest()


@dataclass(frozen=True)
class FinishedRun:
    """What a checker may look at. Nothing here executes or imports what the model wrote in
    this process; ``read`` is safe against links, FIFOs and huge files where ``open`` is not."""

    task: Task
    variant: Variant
    answer: str
    events: Sequence[Event]
    workspace: Path
    sandbox: Sandbox

    def read(self, path: str) -> str | None:
        """A workspace file as text (undecodable bytes replaced); None if it is no plain file."""
        try:
            return read_file(self.workspace, path).decode(errors="replace")
        except WorkspaceError:
            return None

    @property
    def facts(self) -> Mapping[str, Any]:
        """What this variant of the task is about; empty where the task has only one."""
        return self.variant.facts

    def pristine(self, path: str) -> str:
        """The same file as the run began with."""
        return self.variant.files[path].decode()

    def changed_files(self) -> list[str]:
        """Paths that were added, removed or altered, but for Python's caches.

        A workspace too large to list counts as one change, named ``*``.
        """
        try:
            now = set(list_files(self.workspace))
        except WorkspaceError:
            return ["*"]
        before = set(self.variant.files)
        untouched = {path for path in now & before if self._same(path)}
        return sorted(p for p in (now | before) - untouched if CACHES not in p.split("/"))

    def _same(self, path: str) -> bool:
        try:
            return read_file(self.workspace, path) == self.variant.files[path]
        except WorkspaceError:
            return False

    def execute(
        self,
        argv: Sequence[str],
        *,
        put: Mapping[str, str] | None = None,
        stdin: str = "",
        seconds: float = 20.0,
    ) -> CommandResult:
        """Run ``argv`` in a fresh sandbox on a copy of the workspace, with ``put`` written over it.

        Model-written code may run in there and may print or exit as it likes: what must be
        true is decided out here, from values that the sandbox was never given.
        """
        copy = self.sandbox.make_workspace()
        try:
            copy_regular_files(self.workspace, copy)
            for path, text in (put or {}).items():
                _put(copy, path, text)
            self.sandbox.adopt(copy)
            return self.sandbox.run(
                argv, copy, stdin=stdin.encode(), limits=Limits(seconds=seconds)
            )
        finally:
            self.sandbox.remove_workspace(copy)


def _put(folder: Path, path: str, text: str) -> None:
    """Write a file, in place of whatever stands at its path or where its folders belong."""
    target = folder / path
    if target.is_dir():
        shutil.rmtree(target)
    for place in target.relative_to(folder).parents:
        if (folder / place).is_file():
            (folder / place).unlink()
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(text, encoding="utf-8")


CHECKER_SECONDS = 120.0
"""How long a checker may take; what it runs in the sandbox is bounded by itself."""


def grade(run: FinishedRun, *, without: str | None = None) -> Verdict:
    """Let the task's own checker judge the run; raises InfrastructureFault if it cannot.

    ``without`` names a check that is to pass whatever it finds: what does it hold off?
    """
    done: Future[Verdict] = Future()

    def judge() -> None:
        try:
            done.set_result(_verdict(run, without))
        except BaseException as error:  # noqa: BLE001 - raised again by result()
            done.set_exception(error)

    # A thread that hangs cannot be stopped; as a daemon it does not outlive us.
    Thread(target=judge, daemon=True).start()
    try:
        return done.result(CHECKER_SECONDS)
    except TimeoutError:
        where = run.task.folder / "checker.py"
        raise InfrastructureFault(
            "checker", f"{where}: not done after {CHECKER_SECONDS:g} seconds"
        ) from None


def _verdict(run: FinishedRun, without: str | None) -> Verdict:
    path = run.task.folder / "checker.py"
    try:
        module = load_code(path)
        if without is not None:
            module.__dict__["Check"] = partial(_check, without)
        verdict = module.check(run)
    except InfrastructureFault:
        raise
    except (Exception, SystemExit) as error:
        kind = from_os_error(error, "checker").kind if isinstance(error, OSError) else "checker"
        raise InfrastructureFault(kind, located(error, path)) from error
    if not isinstance(verdict, Verdict):
        raise InfrastructureFault(
            "checker", f"{path}: check() returned {type(verdict).__name__}, not a Verdict"
        )
    names = [check.name for check in verdict.checks]
    for name in names:
        if names.count(name) > 1:
            raise InfrastructureFault(
                "checker", f"{path}: two checks are named {name!r}; give each a name of its own"
            )
    return verdict


def _check(without: str, *, name: str, passed: bool, detail: str) -> Check:
    return Check(name=name, passed=passed or name == without, detail=detail)


def digest_folder(folder: Path) -> str:
    """SHA-256 over the path, the executable bit and the bytes of every file below ``folder``."""
    total = hashlib.sha256()
    for path in sorted(folder.rglob("*")):
        if not path.is_file() or CACHES in path.parts:
            continue
        executable = "x" if path.stat().st_mode & stat.S_IXUSR else "-"
        content = hashlib.sha256(path.read_bytes()).hexdigest()
        total.update(f"{path.relative_to(folder).as_posix()} {executable} {content}\n".encode())
    return total.hexdigest()


def load_suite(name: str, relative_to: Path | None = None) -> Suite:
    """A suite by the name of a built-in one, or by the path of its folder.

    A path is taken from ``relative_to`` (default: the current folder). Raises BadInput.
    """
    folder = (relative_to or Path()) / Path(name).expanduser()
    if "/" not in name and not folder.is_dir():
        folder = BUILT_IN / name
        if not folder.is_dir():
            raise BadInput(f"no suite {name!r}; {did_you_mean(name, built_in_suites())}")
    file = folder / "suite.toml"
    if not file.exists() and (folder / "task.toml").exists():
        raise BadInput(
            f"{folder}: that is a task; give its suite, {folder.parent}, and name the task "
            f"({folder.name}) beside it"
        )
    suite = validate(SuiteFile, read_toml(file), str(file))
    for task in suite.tasks:
        if suite.tasks.count(task) > 1:
            raise BadInput(f"{file}: the task {task!r} is named twice; leave one out")
    tasks = tuple(_load_task(folder / task, suite) for task in suite.tasks)
    return Suite(folder.resolve().name, suite.title, folder, tasks)


def built_in_suites() -> list[str]:
    """The names of the suites that ship with Fairtrial."""
    return sorted(path.parent.name for path in BUILT_IN.glob("*/suite.toml"))


def _load_task(folder: Path, suite: SuiteFile) -> Task:
    file = folder / "task.toml"
    for needed in NEEDED:
        if not (folder / needed).is_file():
            raise BadInput(f"{folder / needed}: no such file; every task has one")
    task = validate(TaskFile, read_toml(file), str(file))
    for tool in task.tools:
        if tool not in tool_names():
            raise BadInput(f"{file}: no tool {tool!r}; {did_you_mean(tool, tool_names())}")
    budgets = validate(Budgets, {**suite.budgets.model_dump(), **task.budgets}, f"{file}: budgets")
    told = f"{digest_folder(folder)}\n{suite.system_prompt.strip()}\n{budgets.model_dump_json()}"
    return Task(
        id=folder.name,
        folder=folder,
        title=task.title,
        category=task.category,
        system_prompt=suite.system_prompt.strip(),
        tools=task.tools,
        tags=task.tags,
        budgets=budgets,
        digest=hashlib.sha256(told.encode()).hexdigest(),
    )
