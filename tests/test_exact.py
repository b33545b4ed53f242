"""What a local model says does not depend on what was read before it, by whom, or in which
process: two real models, whose layers differ in how far back they look."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from harness.errors import InfrastructureFault
from harness.models import Request
from harness.models.llama_cpp import Model, Settings
from harness.models.llama_cpp.kept import Tokens, as_spelled
from harness.records import Completion, Message, Prompt, Reply, Sampling, ToolResult, ToolSchema
from harness.toolbox import schemas
from tests.gemma import gemma
from tests.llama_server import CHATML, smollm2
from tests.llama_workers import workers_of
from tests.tiny_mamba import write_mamba

SYSTEM = Prompt(role="system", content="Answer with the help of tools.")
SHELL, SQL = schemas(("shell", "sql"))
QUESTIONS = (
    "Run the command wc -l words.txt. How many lines does it have?",
    "Which file in the folder src is the largest?",
    "Run the command date. What year is it?",
    "How often does the word apple stand in fruit.txt?",
    "What is the last line of log.txt?",
)
LISTING = "\n".join(f"-rw-r--r-- 1 user user {71 * n % 997:>5} file_{n}.txt" for n in range(6))


@pytest.fixture(scope="session")
def gemma_path(request: pytest.FixtureRequest) -> Path:
    assert request.config.cache is not None
    return gemma(Path(request.config.cache.mkdir("gemma")))


@pytest.fixture(params=["smollm2", "gemma"])
def gguf(request: pytest.FixtureRequest) -> Path:
    path = smollm2() if request.param == "smollm2" else request.getfixturevalue("gemma_path")
    assert isinstance(path, Path)
    return path


@pytest.fixture(params=["fewshot", "hermes"])
def spoken(request: pytest.FixtureRequest, tmp_path: Path) -> dict[str, Any]:
    """Settings of a dialect that writes its own prompts, and of one that has a template do it."""
    template = tmp_path / "chatml.jinja"
    template.write_text(CHATML, encoding="utf-8")
    return {"dialect": request.param, "template": str(template)}


@asynccontextmanager
async def opened(path: Path, **changes: Any) -> AsyncIterator[Model]:
    defaults: dict[str, Any] = {
        "name": "model",
        "path": str(path),
        "dialect": "fewshot",
        "n_ctx": 2048,
        "workers": 1,
        # Such that a difference of one bit would soon be another token.
        "sampling": Sampling(temperature=1.5),
    }
    model = Model(Settings(**defaults | changes))
    try:
        await model.open()
        yield model
    finally:
        await model.close()


class Run:
    """A run of so many turns, each with a call that is answered with a listing."""

    def __init__(
        self, name: str, question: int = 0, seed: int = 1, tools: Sequence[ToolSchema] = (SHELL,)
    ) -> None:
        self.name = name
        self.seed = seed
        self.tools = tools
        self.conversation: list[Message] = [
            SYSTEM,
            Prompt(role="user", content=QUESTIONS[question]),
        ]
        self.replies: list[Completion] = []

    async def turn(self, model: Model, max_tokens: int = 16, listing: str = LISTING) -> None:
        """One more turn; where the world fails it, nothing has happened."""
        turn = len(self.replies) + 1
        request = Request(
            run=self.name,
            turn=turn,
            conversation=tuple(self.conversation),
            tools=self.tools,
            max_tokens=max_tokens,
            seed=100 * self.seed + turn,
            task_folder=Path(),
        )
        completion = await model.reply(request)
        self.replies.append(completion)
        result = ToolResult(
            turn=turn, call_id=f"call_{turn}", name="shell", content=listing, ok=True, seconds=0
        )
        self.conversation += [Reply(turn=turn, **dict(completion)), result]

    async def play(self, model: Model, turns: int, **how: Any) -> list[tuple[str, str]]:
        """The turns that are still owed; returns the digests of what it read and said."""
        while len(self.replies) < turns:
            await self.turn(model, **how)
        return self.digests()

    def digests(self) -> list[tuple[str, str]]:
        computes = [reply.compute for reply in self.replies]
        return [(each.prompt_sha256, each.reply_sha256) for each in computes if each]


def evaluated(run: Run) -> int:
    return sum(reply.compute.evaluated for reply in run.replies if reply.compute)


def needed(run: Run) -> int:
    """The tokens of the last turn, each once, but for the last one, which nothing follows."""
    last = run.replies[-1].usage
    assert last.input is not None
    assert last.output is not None
    return last.input + last.output - 1


async def test_a_run_is_the_same_cold_warm_after_others_among_others_and_elsewhere(
    gguf: Path, spoken: dict[str, Any]
) -> None:
    async with opened(gguf, **spoken) as model:
        cold = await Run("cold").play(model, turns=2)
        assert len(set(cold)) == 2
        assert await Run("warm").play(model, turns=2) == cold
        await Run("other question", question=1, seed=9).play(model, turns=1)
        await Run("other tools", seed=9, tools=(SQL,)).play(model, turns=1)
        assert await Run("after others").play(model, turns=2) == cold
        mixed, other = Run("mixed"), Run("other", question=2, seed=5)
        for _ in range(2):
            await mixed.turn(model)
            await other.turn(model)
        assert mixed.digests() == cold
    async with opened(gguf, **spoken, cache_mib=0, n_threads=2) as elsewhere:
        assert await Run("elsewhere").play(elsewhere, turns=2) == cold


async def test_ten_runs_in_ten_orders_killed_and_resumed_say_the_same(gguf: Path) -> None:
    chance = random.Random(6)
    said: dict[int, set[tuple[tuple[str, str], ...]]] = {number: set() for number in range(10)}
    killed = 0
    quickest = 1.0  # seconds of a turn, so that what is done in less falls into most

    async def play(number: int, model: Model, *, kill: bool) -> None:
        nonlocal killed, quickest
        run = Run(f"{number}", question=number % len(QUESTIONS), seed=number)
        while len(run.replies) < 2:
            began = time.monotonic()
            turn = asyncio.ensure_future(run.turn(model, max_tokens=5, listing="58 words.txt"))
            if kill:
                await asyncio.sleep(chance.uniform(0, quickest))
                if living := workers_of(model):
                    chance.choice(living).kill()
                    kill = False
            try:
                await turn
                quickest = min(quickest, time.monotonic() - began)
            except InfrastructureFault:
                killed += 1
        said[number].add(tuple(run.digests()))

    async def queue(numbers: list[int], model: Model, victim: int) -> None:
        while numbers:
            number = numbers.pop()
            await play(number, model, kill=number == victim)

    async with opened(gguf, workers=2, n_ctx=512) as model:
        for orders in range(1, 100):
            numbers = chance.sample(range(10), 10)
            victim = chance.randrange(10)
            await asyncio.gather(*(queue(numbers, model, victim) for _ in range(2)))
            if orders >= 10 and killed >= 3:
                break
    assert [len(each) for each in said.values()] == [1] * 10
    assert len(set.union(*said.values())) == 10
    assert killed >= 3


async def test_within_a_run_only_what_it_said_is_read_twice(
    gguf: Path, spoken: dict[str, Any]
) -> None:
    async with opened(gguf, **spoken) as model:
        run = Run("run")
        await run.play(model, turns=3)
    read = 0
    for reply in run.replies:
        usage, compute = reply.usage, reply.compute
        assert usage.input is not None
        assert usage.output is not None
        assert compute is not None
        assert usage.cached == read
        assert compute.evaluated == usage.input - read + usage.output - 1
        read = usage.input


async def test_the_head_that_runs_share_is_read_once_in_whatever_order_they_come(
    gguf: Path,
) -> None:
    async with opened(gguf) as model:
        first = Run("first")
        await first.play(model, turns=1)
        head = first.replies[0].usage.input
        assert head is not None
        for number in range(2):
            other = Run(f"sql {number}", question=number, tools=(SQL,))
            await other.play(model, turns=1)
            again = Run(f"shell {number}", question=0, seed=number)
            await again.play(model, turns=1)
            read = head - (again.replies[0].usage.cached or 0)
            assert read == 1, "the end of the question's line, whose logits are asked for"
            assert bool(other.replies[0].usage.cached) == bool(number)


async def test_a_model_that_cannot_forget_goes_on_from_a_saved_state(tmp_path: Path) -> None:
    path = write_mamba(tmp_path / "mamba.gguf")
    async with opened(path) as model:
        run = Run("run")
        cold = await run.play(model, turns=3)
        cached = [reply.usage.cached or 0 for reply in run.replies]
        assert 0 == cached[0] < cached[1] < cached[2]
        mixed, other = Run("mixed"), Run("other", seed=5)
        for _ in range(3):
            await mixed.turn(model)
            await other.turn(model)
        assert mixed.digests() == cold
        assert other.replies[0].usage.cached
    async with opened(path, cache_mib=0) as elsewhere:
        assert await Run("elsewhere").play(elsewhere, turns=3) == cold


async def test_states_that_have_no_room_are_not_kept_and_change_nothing() -> None:
    async with opened(smollm2()) as roomy, opened(smollm2(), cache_mib=0) as tight:
        for model in (roomy, tight):
            await Run("a").play(model, turns=1)
            await Run("b", tools=(SQL,)).play(model, turns=1)
        runs = Run("c"), Run("c")
        assert await runs[0].play(roomy, turns=2) == await runs[1].play(tight, turns=2)
        assert runs[0].replies[0].usage.cached
        assert runs[1].replies[0].usage.cached == 0


@pytest.mark.parametrize(("reuse", "most"), [("exact", 1.10), ("fast", 1.02)])
async def test_hardly_more_is_read_than_must_be(gguf: Path, reuse: str, most: float) -> None:
    """Over a run of four turns with results as long as tasks' files are."""
    async with opened(gguf, reuse=reuse, sampling=Sampling(temperature=0.7)) as model:
        run = Run("run")
        await run.play(model, turns=4, max_tokens=256, listing="\n".join([LISTING] * 2))
    assert 1 <= evaluated(run) / needed(run) <= most


async def test_what_is_not_exact_says_so() -> None:
    exact = Settings(name="m", path="m.gguf")
    assert exact.inexact is None
    for change in (
        {"batch": 2},
        {"reuse": "fast"},
        {"flash_attention": True},
        {"n_gpu_layers": -1},
    ):
        settings = Settings.model_validate({"name": "m", "path": "m.gguf", **change})
        assert settings.inexact is not None
        assert settings.inexact.startswith(next(iter(change)))
    model = Model(Settings(name="m", path=str(smollm2()), dialect="fewshot", batch=2, n_ctx=256))
    facts = await model.open()
    await model.close()
    assert facts["reproducible"] is False
    assert facts["not_reproducible_because"] == "batch = 2"
    assert model.parallel == 2 * facts["workers"]


def test_a_prompt_is_spelled_as_the_model_wrote_it_wherever_the_bytes_agree() -> None:
    pieces = {1: b"a", 2: b"p", 3: b"ap", 4: b"app", 5: b"le", 6: b"ple", 7: b"!", 8: b"", 9: b""}

    def spelled(held: list[int], prompt: list[int], ends: list[int]) -> tuple[list[int], list[int]]:
        found = as_spelled(Tokens(held, []), Tokens(prompt, ends), pieces.__getitem__)
        return found.ids, found.ends

    assert spelled([7, 3, 6, 7], [7, 4, 5, 7, 1], [3, 5]) == ([7, 3, 6, 7, 1], [3, 5])
    assert spelled([1, 2, 2, 5], [4, 5, 7], [2, 3]) == ([1, 2, 2, 5, 7], [4, 5])
    assert spelled([3, 6], [4, 5, 7], [1, 3]) == ([4, 5, 7], [1, 3])  # inside a token
    assert spelled([7, 8, 3], [7, 9, 3], [3]) == ([7, 9, 3], [3])  # more than characters
    assert spelled([3, 1], [4, 5], [2]) == ([4, 5], [2])
    assert spelled([], [4, 5], [2]) == ([4, 5], [2])
