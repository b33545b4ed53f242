"""The models that are measured, and how they are asked: through the loop, or in this process."""

from __future__ import annotations

import hashlib
import importlib.util
import os
import struct
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from benchmarks.local.bare import silence
from harness.loop import play
from harness.models import Request
from harness.models.llama_cpp import Model, Settings
from harness.models.llama_cpp.engine import Engine
from harness.models.llama_cpp.job import Question
from harness.models.llama_cpp.protocol import Generate, Generated, Load
from harness.models.llama_cpp.rendering import Renderer
from harness.records import (
    Budgets,
    Completion,
    Message,
    Prompt,
    Reply,
    Sampling,
    Signal,
    ToolCall,
    ToolResult,
    ToolSchema,
)
from harness.toolbox import schemas
from tests import gemma
from tests.llama_server import CHATML_WITH_TOOLS, smollm2

TOOLS = schemas(("fs_read", "shell", "sql"))
GREEDY = Sampling(temperature=0)
TEXTS = tuple(
    (Path(__file__).parents[2] / "tasks" / "agentic-core-v1" / path).read_text(encoding="utf-8")
    for path in (
        "task_09_know_when_to_stop/workspace/HANDBOOK.md",
        "task_07_multi_step_plan/workspace/CLOSING.md",
        "task_01_fix_failing_test/workspace/tests/test_plan.py",
        "task_07_multi_step_plan/workspace/close.py",
        "task_05_minimal_fix/workspace/src/price.py",
    )
)
"""What tools really answer: files of a suite's workspaces."""


@dataclass(frozen=True)
class Subject:
    """A model's file, and where to put what goes with it."""

    title: str
    path: Path
    folder: Path

    def settings(self, dialect: str, **more: object) -> Settings:
        """Settings for it; with ``hermes`` it is asked by the template that the server uses."""
        template = self.folder / "chatml.jinja"
        template.write_text(CHATML_WITH_TOOLS, encoding="utf-8")
        fields = {
            "name": "m",
            "path": str(self.path),
            "dialect": dialect,
            "template": str(template) if dialect == "hermes" else None,
            "sampling": GREEDY,
            "workers": 1,
            **more,
        }
        return Settings.model_validate(fields)


def subjects(paths: Sequence[Path], folder: Path) -> Iterator[Subject]:
    """The files that are named; by default SmolLM2, and Gemma where it is installed. Each has a
    folder of its own to work in."""
    found = [(path.stem, path.expanduser().resolve()) for path in paths]
    if not found:
        found.append(("SmolLM2 135M Q4_1", smollm2()))
        if os.environ.get("FAIRTRIAL_TEST_GEMMA") or importlib.util.find_spec(gemma.PACKAGE):
            found.append(("Gemma 3 270M Q4_K_M", gemma.gemma(folder)))
    for number, (title, path) in enumerate(found):
        own = folder / str(number)
        own.mkdir()
        yield Subject(title, path, own)


class InProcess:
    """The harness's engine and renderer in this process, one reply at a time."""

    def __init__(self, settings: Settings) -> None:
        silence()
        load = _load(settings)
        self.engine = Engine(load)
        self._renderer = Renderer(load, self.engine.vocabulary)

    def question(
        self,
        conversation: Sequence[Message],
        max_tokens: int,
        tools: Sequence[ToolSchema] = TOOLS,
    ) -> Question:
        """The conversation as the engine is asked to continue it."""
        asked = Generate(
            id=1,
            slot=0,
            run="run",
            conversation=tuple(conversation),
            tools=tuple(tools),
            sampling=GREEDY,
            seed=1,
            max_tokens=max_tokens,
            force_call=False,
        )
        return self._renderer.question(asked)

    def reply(self, conversation: Sequence[Message], max_tokens: int) -> Generated:
        """The model's reply."""
        self.engine.begin(self.question(conversation, max_tokens))
        while True:
            for generated in self.engine.step():
                return generated

    def segments(
        self, conversation: Sequence[Message], tools: Sequence[ToolSchema] = TOOLS
    ) -> list[list[int]]:
        """The prompt's tokens, segment by segment."""
        return self.engine.vocabulary.prompt(self.question(conversation, 1, tools).segments)


@asynccontextmanager
async def opened(settings: Settings) -> AsyncIterator[Model]:
    """The kind ``llama_cpp`` as a campaign has it: its worker is a process of its own."""
    model = Model(settings)
    await model.open()
    try:
        yield model
    finally:
        await model.close()


async def play_once(model: Model, opening: Sequence[Prompt], max_tokens: int) -> Reply:
    """A run of one turn through THE loop; a tool answers nothing."""

    async def respond(turn: int, conversation: Sequence[Message]) -> Completion:
        return await model.reply(request("run", turn, conversation, max_tokens))

    async def act(turn: int, call: ToolCall) -> tuple[ToolResult, Signal | None]:
        return _nothing(turn, call), None

    budgets = Budgets(turns=1, tokens_per_turn=max_tokens)
    events = [event async for event in play(opening, respond, act, budgets)]
    (reply,) = (event for event in events if isinstance(event, Reply))
    return reply


def _nothing(turn: int, call: ToolCall) -> ToolResult:
    return ToolResult(turn=turn, call_id=call.id, name=call.name, content="", ok=True, seconds=None)


def request(
    run: str,
    turn: int,
    conversation: Sequence[Message],
    max_tokens: int,
    tools: Sequence[ToolSchema] = TOOLS,
    *,
    seed: int = 1,
    force_call: bool = False,
) -> Request:
    """One turn's question to a model."""
    return Request(run, turn, conversation, tools, max_tokens, seed, Path(), force_call=force_call)


def digest(tokens: Sequence[int]) -> str:
    """The SHA-256 of token ids, as ``Compute`` has it."""
    return hashlib.sha256(struct.pack(f"<{len(tokens)}i", *tokens)).hexdigest()


def _load(settings: Settings) -> Load:
    """What a worker is told first, for a path that is there."""
    same = {name: value for name, value in settings if name in Load.model_fields}
    template = Path(settings.template).read_text(encoding="utf-8") if settings.template else None
    resolved = {"template": template, "slots": settings.batch}
    return Load.model_validate({**same, **resolved, "cache_bytes": settings.cache_mib << 20})
