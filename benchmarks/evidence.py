"""From transcripts to evidence, beside the least that reading the same files can cost.

Makes campaigns of 10-turn runs whose transcripts are as long as real ones, and measures, each in
a process of its own: reading every file and parsing its lines with ``json.loads`` (the floor);
deriving and writing the evidence from nothing; the same after the campaign grew by 1%; and with
nothing new. Time is per run and as a ratio to the floor, in seconds on the wall and of the
processor; memory is the most that the process and its own children held at once. With ``--leaks``
every wrong answer, a run in four, is a tool call that the model spelled as text.
"""

from __future__ import annotations

import argparse
import json
import random
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from resource import RUSAGE_CHILDREN, RUSAGE_SELF, getrusage

import psutil

from harness.records import (
    BudgetName,
    Budgets,
    Check,
    Ended,
    Event,
    Fault,
    Graded,
    ModelRecord,
    Outcome,
    OutcomeName,
    Plan,
    Price,
    Prompt,
    Reply,
    Sampling,
    Signal,
    SignalName,
    Started,
    ToolCall,
    ToolResult,
    ToolSchema,
    Usage,
)
from harness.schedule import Run, runs_of
from harness.store import CampaignFolder

TURNS = 10
MODELS = ("gemma-4-12b-it-q4_k_m", "gemma-4-31b-it-q4_k_m")
TASKS = tuple(f"task_{number:02}_of_ten" for number in range(1, 11))
OUTCOMES: tuple[OutcomeName, ...] = (
    *("pass",) * 12,
    *("wrong_answer",) * 5,
    *("gave_up",) * 2,
    "infrastructure_error",
)
"""What a model and task's templates end in, one after another."""

SAYINGS = (
    "The total is off by one; I look at where it is added up. ",
    "The bug is in `src/part_3.py`, where the last line of the file is left out of the sum. ",
    "Let me read the tests before I change anything, and then run them once more. ",
    "It turns out that the rounding is done twice: that is the real cause of the difference. ",
    "The file has 214 lines, of which I have seen the first 80. ",
    "First I list what is there. ",
    "The function reads the amounts as text and adds them up one after another. ",
    "Now the tests pass, and `src/part_5.py` adds up every line exactly once. ",
)
"""What a model says beside its calls."""

LEAK = '<tool_call>\n{"name": "fs_read", "arguments": {"path": "src/part_3.py"}}\n</tool_call>'
"""What it says where markup leaks."""

REPETITION, SEED, SECONDS, UUID = 987_654_321, 123_456_789, 8888.5, "@run@"
"""Stand in a template for what differs between its runs."""


def main() -> None:
    """Measure campaigns of every size asked for, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, nargs="+", default=[1_000, 10_000, 100_000])
    parser.add_argument("--leaks", action="store_true", help="let every wrong answer be a leak")
    parser.add_argument("--measure", nargs=2, metavar=("WHAT", "FOLDER"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.measure:
        what, folder = options.measure
        print(json.dumps(measured(what, Path(folder))))
        return
    print(f"{'runs':>8} {'MB':>6}  {'':34}{'ms a run':>9}{'x wall':>8}{'x CPU':>8}{'peak MB':>9}")
    for count in options.runs:
        with tempfile.TemporaryDirectory() as folder:
            compare(Path(folder), count, leaks=options.leaks)


def compare(path: Path, count: int, *, leaks: bool) -> None:
    """Make a campaign of ``count`` runs and print a row for each way to read it."""
    folder = CampaignFolder(path)
    folder.prepare()
    make(folder, count, first=0, last=count, leaks=leaks)
    size = sum(file.stat().st_size for file in folder.transcript_paths()) / 1e6
    floor = in_a_process("floor", path)
    rows = {"read and json.loads (the floor)": floor, "evidence": in_a_process("evidence", path)}
    for derived in folder.verification.glob("*.csv"):
        derived.unlink()
    rows["evidence again, nothing new"] = in_a_process("evidence", path)
    rows["verify, which trusts nothing"] = in_a_process("verify", path)
    make(folder, count, first=count, last=count + count // 100, leaks=leaks)
    rows["evidence, 1% more runs"] = in_a_process("evidence", path)
    for name, row in rows.items():
        wall, cpu = row["wall"] / floor["wall"], row["cpu"] / floor["cpu"]
        each = 1000 * row["wall"] / count
        print(f"{count:8} {size:6.0f}  {name:34}{each:9.3f}{wall:8.2f}{cpu:8.2f}{row['peak']:9.0f}")


def make(folder: CampaignFolder, count: int, *, first: int, last: int, leaks: bool) -> None:
    """Write the runs numbered from ``first`` up to ``last`` of a campaign a little larger than
    ``count``."""
    plan = Plan(
        campaign="scale",
        suite="suite-v1",
        models=MODELS,
        tasks=TASKS,
        runs_per_task=count // (len(MODELS) * len(TASKS)) * 2 + 1,
        seed=1,
    )
    templates = {
        (model, task): [template(plan, model, task, outcome, leaks=leaks) for outcome in OUTCOMES]
        for model in MODELS
        for task in TASKS
    }
    for number, run in enumerate(runs_of(plan)):
        if number == last:
            return
        if number >= first:
            several = templates[run.model, run.task]
            content = filled(several[run.repetition % len(several)], run)
            folder.transcript(run.id).write_bytes(content)


def filled(text: bytes, run: Run) -> bytes:
    """A template as the transcript of ``run``."""
    seconds = 20 + run.seed % 1_000_000 / 10_000
    for mark, value in ((UUID, run.id), (REPETITION, run.repetition), (SEED, run.seed)):
        text = text.replace(str(mark).encode(), str(value).encode())
    return text.replace(str(SECONDS).encode(), str(seconds).encode())


def template(plan: Plan, model: str, task: str, outcome: OutcomeName, *, leaks: bool) -> bytes:
    """The transcript of a run of 10 turns, its tools' answers as long as real ones."""
    draw = random.Random(f"{model}/{task}/{outcome}")
    leak = leaks and outcome == "wrong_answer"
    events = [*opening(plan, model, task), *conversation(draw, outcome, leak=leak)]
    return b"".join(event.model_dump_json().encode() + b"\n" for event in events)


def opening(plan: Plan, model: str, task: str) -> Iterator[Event]:
    """The header and the prompts."""
    path = {"path": {"type": "string", "description": "file inside the workspace"}}
    schema = {"type": "object", "properties": path, "required": ["path"]}
    yield Started(
        run=UUID,
        attempt=1,
        plan=plan,
        task=task,
        task_digest="d" * 64,
        variant_seed=SEED,
        variant_digest="e" * 64,
        repetition=REPETITION,
        model=ModelRecord(
            name=model,
            kind="llama_cpp",
            settings={"path": f"~/models/{model}.gguf", "n_ctx": 32768, "n_gpu_layers": -1},
            observed={"sha256": "f" * 64, "system": "CPU : AVX2 = 1 | FMA = 1 | " * 15},
            sampling=Sampling(),
            price=Price(input=0.1, cached=0.01, output=0.4),
        ),
        seed=SEED,
        budgets=Budgets(turns=TURNS + 5),
        oracle_calls=5,
        tools=tuple(
            ToolSchema(name=name, description="Read a text file (UTF-8).", parameters=schema)
            for name in ("fs_read", "shell", "sql")
        ),
        sandbox={"kind": "bubblewrap", "bwrap": "0.8.0", "python": "3.11.2"},
        versions=dict.fromkeys(("fairtrial", "python", "openai", "pydantic"), "1.2.3"),
        started_at=datetime(2026, 6, 10, 12, tzinfo=UTC),
    )
    yield Prompt(role="system", content="You work on a task in a workspace. " * 6)
    yield Prompt(role="user", content="Find out why the total is wrong, and mend it. " * 12)


def conversation(draw: random.Random, outcome: OutcomeName, *, leak: bool) -> Iterator[Event]:
    """The turns and what became of them."""
    ended_at = datetime(2026, 6, 10, 12, 5, tzinfo=UTC)
    last = TURNS // 2 if outcome == "infrastructure_error" else TURNS
    for number in range(1, last + 1):
        calls = number < last or outcome in ("gave_up", "infrastructure_error")
        yield from turn(draw, number, calls=calls, leak=leak and number == last)
    if outcome == "infrastructure_error":
        yield Fault(kind="timed_out", cause="timeout", detail="no reply came within 600 s")
        yield Outcome(outcome=outcome, cause="timeout", seconds=SECONDS, ended_at=ended_at)
        return
    budget: BudgetName | None = "turns" if outcome == "gave_up" else None
    yield Ended(turn=last, budget=budget)
    passed = outcome == "pass"
    checks = tuple(Check(name=f"check {n}", passed=passed, detail="as asked") for n in range(3))
    yield Graded(checks=checks, seconds=0.01)
    signals: tuple[SignalName, ...] = ("template_leakage",) if leak else ()
    yield Outcome(
        outcome=outcome, budget=budget, signals=signals, seconds=SECONDS, ended_at=ended_at
    )


def turn(draw: random.Random, number: int, *, calls: bool, leak: bool) -> Iterator[Event]:
    """A reply, what was notable in it, and its tool's answer: a piece of some source."""
    tool = draw.choice(("fs_read", "shell", "sql"))
    path = f"src/part_{draw.randrange(8)}.py"
    argument = {"fs_read": {"path": path}, "shell": {"command": f"grep -n total {path} | head"}}
    arguments = argument.get(tool, {"query": f"SELECT sum(total) FROM {path[4:10]}"})
    call = ToolCall(id=f"call_{number}", name=tool, arguments=json.dumps(arguments))
    yield Reply(
        turn=number,
        text="".join(draw.choices(SAYINGS, k=draw.randint(0, 5))) + (LEAK if leak else ""),
        tool_calls=(call,) if calls else (),
        finish_reason="tool_calls" if calls else "stop",
        usage=Usage(input=400 * number, cached=300 * number, output=draw.randint(10, 200)),
        first_token_seconds=draw.random(),
        model_seconds=1 + draw.random() * 5,
    )
    if leak:
        yield Signal(turn=number, name="template_leakage", detail="'<tool_call>'")
    if draw.random() < 0.03 and calls:  # in an answer it would be no answer
        yield Signal(turn=number, name="malformed_tool_call", detail="no JSON: line 1 column 7")
    if calls:
        source = Path(__file__).read_text(encoding="utf-8")
        start, length = draw.randrange(4000), int(draw.lognormvariate(6.5, 0.9))
        ok, seconds = draw.random() < 0.9, draw.random() / 10
        content = source[start : start + min(length, 8000)]
        yield ToolResult(
            turn=number, call_id=call.id, name=tool, content=content, ok=ok, seconds=seconds
        )


def in_a_process(what: str, folder: Path) -> dict[str, float]:
    """Measure one way to read a campaign, in a fresh process."""
    command = [sys.executable, __file__, "--measure", what, str(folder)]
    result: dict[str, float] = json.loads(subprocess.check_output(command))
    return result


def measured(what: str, path: Path) -> dict[str, float]:
    """Seconds on the wall and of the processor, and megabytes at the peak, of this process and
    its children."""
    act = {"floor": floor, "evidence": evidence, "verify": verify}[what]
    peak = Peak()
    began = time.monotonic()
    act(CampaignFolder(path))
    wall = time.monotonic() - began
    return {"wall": wall, "cpu": cpu_seconds(), "peak": peak.megabytes()}


def floor(folder: CampaignFolder) -> None:
    """Read every line of every transcript as JSON, and forget it."""
    for path in folder.transcript_paths():
        with path.open("rb") as file:
            for line in file:
                json.loads(line)


def evidence(folder: CampaignFolder) -> None:
    """Derive every CSV and write it."""
    from verification.verify import write

    write(folder)


def verify(folder: CampaignFolder) -> None:
    """Derive every CSV from the transcripts alone, and compare."""
    from verification.verify import verify

    assert verify(folder) == []


def cpu_seconds() -> float:
    """Processor seconds of this process so far and of its children that ended."""
    usages = (getrusage(RUSAGE_SELF), getrusage(RUSAGE_CHILDREN))
    return sum(usage.ru_utime + usage.ru_stime for usage in usages)


class Peak:
    """Watches what this process and its children hold together (their resident memory, pages
    that they share counted once for each), 4 times a second: to look takes some milliseconds."""

    def __init__(self) -> None:
        self._most = 0
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()

    def megabytes(self) -> float:
        """The most so far, at least what the system itself says of this process."""
        self._ended.set()
        self._thread.join()
        return max(self._most / 1e6, getrusage(RUSAGE_SELF).ru_maxrss / 1e3)

    def _watch(self) -> None:
        this = psutil.Process()
        while not self._ended.wait(0.25):
            held = this.memory_info().rss
            for child in this.children(recursive=True):
                try:
                    held += child.memory_info().rss
                except psutil.NoSuchProcess:
                    continue
            self._most = max(self._most, held)


if __name__ == "__main__":
    main()
