"""Tokens evaluated, over tokens that had to be evaluated once.

Runs of two tasks, each with its own head: the system's message, the tools and the question, the
same in every run of a task; no two tasks begin alike. In each turn the model draws a call, under
the grammar that makes it one, and a file of some hundred tokens is the answer; so for some turns,
in one worker.

    needed = for each task, its first prompt once
           + for each run, all that came after that in its last turn: the prompt and the tokens
             drawn, but for the last one, after which nothing comes

The last prompt of a run holds all of its earlier replies, so each distinct token counts once. The
runs come task by task, and then again by turns; a fresh worker for each, so that nothing is left.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain, pairwise
from statistics import mean
from typing import Literal

from benchmarks.local.subject import TEXTS, Subject, opened, request
from harness.models import Model
from harness.records import Message, Prompt, Reply, Sampling, ToolCall, ToolResult
from harness.toolbox import schemas
from tests.llama_server import CHATML

TASKS = {
    "fs_read": "Read the files of the report one after another. What does it cost in all?",
    "shell": "Run commands such as cat report_2026_01.csv | grep -e north | sort -n | head -20, "
    "on one file after another, until you know what the report costs in all.",
}
SYSTEM = "You work on a task in a workspace. " + " ".join(TEXTS[0].split()[:150])
LONGEST_REPLY = 200
"""Tokens; the grammar ends a call's arguments sooner."""

CHARACTERS = (600, 1600)
"""Of what a tool answers: some hundred tokens."""

Reuse = Literal["exact", "fast"]
Where = tuple[str, int]
"""A run: its task, and its number."""

Turns = tuple[int, int]
"""The fewest and the most of a run."""


@dataclass(frozen=True)
class Counted:
    """The tokens of a run: of its first prompt, of its last turn's prompt and reply together, and
    all that were evaluated; of its replies, and of what came between two prompts."""

    task: str
    first_prompt: int
    last_turn: int
    evaluated: int
    replies: tuple[int, ...]
    added: tuple[int, ...]


def main(subject: Subject, runs: int, turns: Turns) -> None:
    """Print a row for each policy and order."""
    asyncio.run(_compare(subject, runs, turns))


async def _compare(subject: Subject, runs: int, turns: Turns) -> None:
    in_turns = [(task, number) for number in range(runs) for task in TASKS]
    rows: list[tuple[Reuse, str, list[Where]]] = [
        ("exact", "task by task", sorted(in_turns)),
        ("exact", "by turns", in_turns),
        ("fast", "task by task", sorted(in_turns)),
        ("fast", "by turns", in_turns),
    ]
    # Side by side: what is counted does not depend on how long it takes.
    found = await asyncio.gather(*(_play_all(subject, row[0], row[2], turns) for row in rows))
    print(f"tokens evaluated by {subject.title}: {runs} runs of each of {len(TASKS)} tasks")
    print(f"{'':24}{'needed':>9}{'evaluated':>11}{'ratio':>8}")
    for (reuse, order, _), counted in zip(rows, found, strict=True):
        evaluated, needed = sum(run.evaluated for run in counted), _needed(counted)
        print(f"  {reuse + ', ' + order:22}{needed:9}{evaluated:11}{evaluated / needed:8.3f}")
    runs_played = list(chain.from_iterable(found))
    replies = list(chain.from_iterable(run.replies for run in runs_played))
    added = list(chain.from_iterable(run.added for run in runs_played))
    print(
        f"  {len(replies) / len(runs_played):.1f} turns a run, {mean(replies):.0f} tokens a reply, "
        f"{mean(added) - mean(replies):.0f} an answer"
    )


def _needed(counted: Sequence[Counted]) -> int:
    heads = {run.task: run.first_prompt for run in counted}
    return sum(heads.values()) + sum(run.last_turn - 1 - run.first_prompt for run in counted)


async def _play_all(
    subject: Subject, reuse: Reuse, order: Sequence[Where], turns: Turns
) -> list[Counted]:
    template = subject.folder / "plain.jinja"
    template.write_text(CHATML, encoding="utf-8")
    settings = subject.settings(
        "hermes", template=str(template), reuse=reuse, n_ctx=8192, sampling=Sampling()
    )
    async with opened(settings) as model:
        return [await _play(model, task, number, turns) for task, number in order]


async def _play(model: Model, task: str, number: int, turns: Turns) -> Counted:
    chance = random.Random(f"{task} {number}")
    conversation: list[Message] = [
        Prompt(role="system", content=f"This is about {task}. {SYSTEM}"),
        Prompt(role="user", content=TASKS[task]),
    ]
    said: list[Reply] = []
    for turn in range(1, chance.randint(*turns) + 1):
        asked = request(
            f"{task} {number}",
            turn,
            conversation,
            LONGEST_REPLY,
            schemas((task,)),
            seed=chance.randrange(1 << 31),
            force_call=True,
        )
        said.append(Reply(turn=turn, **dict(await model.reply(asked))))
        conversation += [said[-1], *(_answer(chance, turn, call) for call in said[-1].tool_calls)]
    return _counted(task, said)


def _answer(chance: random.Random, turn: int, call: ToolCall) -> ToolResult:
    text = chance.choice(TEXTS)
    length = chance.randint(*CHARACTERS)
    start = chance.randrange(max(1, len(text) - length))
    return ToolResult(
        turn=turn,
        call_id=call.id,
        name=call.name,
        content=text[start : start + length],
        ok=True,
        seconds=None,
    )


def _counted(task: str, said: Sequence[Reply]) -> Counted:
    prompts = [reply.usage.input or 0 for reply in said]
    replies = [reply.usage.output or 0 for reply in said]
    return Counted(
        task=task,
        first_prompt=prompts[0],
        last_turn=prompts[-1] + replies[-1],
        evaluated=sum(reply.compute.evaluated for reply in said if reply.compute),
        replies=tuple(replies),
        added=tuple(after - before for before, after in pairwise(prompts)),
    )
