"""The published campaign and its sibling, as the transcripts they would have left.

The figures are those of two published campaigns on agentic-core-v1: Gemma 4 12B IT, of June 2026,
and Gemma 4 31B IT, of which its sibling's report tells the passes and little else. Stated are the
passes, how the 12B's runs failed, each task's mean latency and tool calls, the leak in task_05's
third run, the six runs that were lost when the connection dropped, and the names of two runs.

What was not stated is filled in so as to add nothing: means fall evenly upon a task's runs, in
whole calls; the 31B's failures are wrong answers, and its calls and latencies, but for task_03's
mean of 1.3 calls, its sibling's. Tokens are invented, so that a price of 0 gives the published
cost of $0.00.

Two published figures contradict each other: task_05's mean of 6.0 calls needs 18 in its first two
runs, since the third dispatched none, and the text gives those two "4 to 8". The table is kept.
Task_09's 0.3 calls and 0.9 seconds are of runs of which the text says that they never ran: here
they dispatched nothing, and the seconds are those of the attempts.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import NamedTuple

from harness.records import (
    Event,
    OutcomeName,
    Plan,
    Price,
    Reply,
    ToolCall,
    ToolResult,
    Usage,
)
from harness.signals import signals_in
from tests.transcripts import ending, started, write

OUTCOME: Mapping[str, OutcomeName] = {
    "p": "pass",
    "r": "pass",  # with the same call at turns 4 and 5
    "w": "wrong_answer",
    "l": "wrong_answer",  # all of it leaked template text
    "i": "infrastructure_error",
}


class Task(NamedTuple):
    """A task's three runs: how each ended, its tool calls, its seconds."""

    outcomes: str
    calls: tuple[int, int, int]
    seconds: tuple[float, float, float]


def _task(outcomes: str, calls: tuple[int, int, int], mean_seconds: float) -> Task:
    return Task(outcomes, calls, (mean_seconds, mean_seconds, mean_seconds))


GEMMA_12B = {
    "task_01_fix_failing_test": _task("ppp", (5, 5, 5), 14.6),
    "task_02_refactor_duplicated_code": _task("ppp", (4, 4, 5), 19.3),
    "task_03_investigate_log": _task("pwp", (3, 1, 3), 10.5),
    "task_04_trace_codebase": _task("ppp", (6, 6, 6), 27.0),
    "task_05_minimal_fix": Task("rpl", (9, 9, 0), (41.35, 41.35, 146.8)),
    "task_06_ambiguous_requirement": _task("ppp", (4, 4, 4), 23.6),
    "task_07_multi_step_plan": _task("ppp", (4, 4, 4), 11.9),
    "task_08_recover_from_tool_error": _task("ppp", (2, 2, 2), 6.7),
    "task_09_know_when_to_stop": _task("iii", (0, 0, 0), 0.9),
    "task_10_sql_investigation": _task("iii", (0, 0, 0), 0.0),
}
GEMMA_31B = GEMMA_12B | {
    "task_02_refactor_duplicated_code": _task("pww", (4, 4, 5), 19.3),
    "task_03_investigate_log": _task("pww", (2, 1, 1), 10.5),
    "task_05_minimal_fix": _task("ppp", (6, 6, 6), 76.5),
    "task_09_know_when_to_stop": _task("www", (3, 3, 3), 10.0),
    "task_10_sql_investigation": _task("ppp", (3, 3, 3), 10.0),
}

NAMED = {
    ("task_05_minimal_fix", 1): "31a6df12-5ec7-4e82-a1a4-d9cc59a53b9e",
    ("task_05_minimal_fix", 3): "e71740e9-6664-419a-9eae-85fa72ff825d",
}
"""Runs of the 12B whose UUIDs were published."""

DROPPED = datetime(2026, 6, 11, 10, 10, 2, tzinfo=UTC)
"""When the connection was lost, and the campaign was over."""


def gemma_12b(folder: Path) -> Path:
    """Write the published campaign into a folder of its name under ``folder``; returns it."""
    path = folder / "2026-06-10-gemma-4-12b-agentic-core-v1"
    return _write(path, "gemma-4-12b-it-q4_k_m", GEMMA_12B, NAMED)


def gemma_31b(folder: Path) -> Path:
    """The same of its sibling's campaign."""
    path = folder / "gemma-4-31b-agentic-core-v1"
    return _write(path, "gemma-4-31b-it-q4_k_m", GEMMA_31B, {})


def _write(
    path: Path, model: str, tasks: Mapping[str, Task], named: Mapping[tuple[str, int], str]
) -> Path:
    path.mkdir(parents=True)
    toml = (
        'suite = "agentic-core-v1"\nruns_per_task = 3\n\n[[models]]\nkind = "llama_cpp"\n'
        f'name = "{model}"\npath = "~/models/{model}.gguf"\n'
    )
    (path / "campaign.toml").write_text(toml, encoding="utf-8")
    plan = Plan(
        campaign=path.name,
        suite="agentic-core-v1",
        models=(model,),
        tasks=tuple(tasks),
        runs_per_task=3,
        seed=0,
    )
    clock = DROPPED - timedelta(seconds=sum(sum(task.seconds) for task in tasks.values()))
    for task, repetition in ((task, repetition) for task in tasks for repetition in (1, 2, 3)):
        seconds = tasks[task].seconds[repetition - 1]
        header = started(
            plan,
            task=task,
            repetition=repetition,
            model=model,
            kind="llama_cpp",
            price=Price(input=0, output=0),
            tools=["sql"] if task.startswith("task_10") else ["fs_read", "shell"],
        )
        run = named.get((task, repetition), header.run)
        header = header.model_copy(update={"run": run, "started_at": clock})
        clock += timedelta(seconds=seconds)
        events = _events(tasks[task], repetition, header.tools[0].name)
        end = {"seconds": seconds, "ended_at": clock}
        write(path, header, [*events[:-1], events[-1].model_copy(update=end)])
    return path


def _events(task: Task, repetition: int, tool: str) -> list[Event]:
    how, calls = task.outcomes[repetition - 1], task.calls[repetition - 1]
    if how == "i":
        return ending("infrastructure_error", cause="unreachable")
    if how == "l":
        return _leak()
    events: list[Event] = []
    for number in range(1, calls + 1):
        events += _call(number, tool, how == "r" and number in (4, 5))
    usage = Usage(input=1000 + 200 * calls, cached=1000, output=40)
    events.append(Reply(turn=calls + 1, text="Done.", finish_reason="stop", usage=usage))
    return [*events, *ending(OUTCOME[how], turns=calls + 1)]


def _call(number: int, tool: str, repeated: bool) -> list[Event]:
    """A turn with one call, unlike any other of its run unless it is the repeated one."""
    name, arguments = tool, {"path": f"file_{number}"}
    if repeated:
        name, arguments = "shell", {"command": "python3 -m unittest tests/test_price.py"}
    elif tool == "sql":
        arguments = {"query": f"SELECT {number}"}
    call = ToolCall(id=f"call_{number}", name=name, arguments=json.dumps(arguments))
    usage = Usage(input=1000 + 200 * number, cached=1000, output=40)
    result = ToolResult(
        turn=number, call_id=call.id, name=name, content=f"result {number}", ok=True, seconds=0.1
    )
    return [
        Reply(turn=number, tool_calls=(call,), finish_reason="tool_calls", usage=usage),
        result,
    ]


def _leak() -> list[Event]:
    """One turn up to the ceiling of 4096 tokens: calls spelled as text, none dispatched."""
    spelled = ["fs_read{file: src/price.py}", "fs_read{file: tests/test_price.py}"]
    spelled += ["shell{command: python3 -m unittest tests/test_price.py}"] * 200
    reply = Reply(
        turn=1,
        text="\n".join(f"<|channel>{call}" for call in spelled),
        finish_reason="length",
        usage=Usage(input=1000, cached=0, output=4096),
    )
    signals = list(signals_in(reply))
    *grading, outcome = ending("wrong_answer")
    names = tuple(signal.name for signal in signals)
    return [reply, *signals, *grading, outcome.model_copy(update={"signals": names})]
