"""Prompt and generation tokens per second: bare llama.cpp, the engine alone, and the whole road.

Each round has a prompt that nobody has read: its first words are the round's own. It is read
whole, for a reply of one token; then a longer reply is drawn, which reads the prompt's last
segment again. Both are timed as seen from outside: for the loop that takes in rendering, the pipe
to the worker and back, JSON, parsing and the loop itself. The rivals take turns, another one
first each round, and must draw the same tokens.
"""

from __future__ import annotations

import asyncio
import statistics
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from benchmarks.local.bare import Bare
from benchmarks.local.subject import TEXTS, InProcess, Subject, digest, opened, play_once
from benchmarks.local.watch import Spent, relative, spent
from harness.records import Prompt

BARE = "bare llama.cpp"
STORY = "Repeat every word of this, then go on: " + " ".join(TEXTS[0].split()[:90])
COMMAND = (
    "Run the command grep -c -e north -e south -e east -e west -e centre report_2026_01.csv "
    "report_2026_02.csv report_2026_03.csv. What is the highest count?"
)
QUESTIONS = {"hermes": STORY, "fewshot": COMMAND}


@dataclass(frozen=True)
class Asked:
    """A prompt, its tokens by segment, and the grammar of its reply."""

    prompt: Sequence[Prompt]
    segments: list[list[int]]
    grammar: str | None

    @property
    def tokens(self) -> list[int]:
        """The whole prompt."""
        return [token for segment in self.segments for token in segment]


class Drawn(NamedTuple):
    """A reply's tokens: their number, and the digest that tells whether they are the same."""

    tokens: int
    sha256: str


@dataclass
class Rival:
    """A way to get a reply of at most so many tokens."""

    reply: Callable[[Asked, int], Awaitable[Drawn]]
    reading: list[Spent] = field(default_factory=list)
    writing: list[Spent] = field(default_factory=list)

    async def take_turn(self, asked: Asked, most: int) -> Drawn:
        """Read the prompt, then write the reply."""
        with spent() as reading:
            await self.reply(asked, 1)
        with spent() as writing:
            drawn = await self.reply(asked, most)
        self.reading.append(reading)
        self.writing.append(writing)
        return drawn


def main(subject: Subject, rounds: int, tokens: int) -> None:
    """Print the table of one model."""
    print(f"speed of {subject.title}: greedy, 1 thread, {rounds} rounds")
    columns = ("read/s", "of bare", "by CPU", "drawn/s", "of bare", "by CPU")
    print(f"{'':30}" + "".join(f"{column:>9}" for column in columns))
    for dialect in QUESTIONS:
        asyncio.run(_compare(subject, dialect, rounds, tokens))


async def _compare(subject: Subject, dialect: str, rounds: int, tokens: int) -> None:
    settings = subject.settings(dialect, n_ctx=2048)
    engine = InProcess(settings)
    async with opened(settings) as model:
        with Bare(settings) as bare:

            async def from_engine(asked: Asked, most: int) -> Drawn:
                generated = engine.reply(asked.prompt, most)
                return Drawn(generated.output, generated.compute.reply_sha256)

            async def from_bare(asked: Asked, most: int) -> Drawn:
                return _from_bare(bare, asked, most)

            async def from_loop(asked: Asked, most: int) -> Drawn:
                reply = await play_once(model, asked.prompt, most)
                assert reply.compute is not None
                return Drawn(reply.usage.output or 0, reply.compute.reply_sha256)

            rivals = {
                "harness, its engine alone": Rival(from_engine),
                BARE: Rival(from_bare),
                "harness, through the loop": Rival(from_loop),
            }
            asked = [_asked(engine, dialect, number) for number in range(rounds + 1)]
            counts = [await _round(asked[0], rivals.values(), tokens)]
            for rival in rivals.values():
                rival.reading.clear()  # the first round is not counted
                rival.writing.clear()
            counts = [
                # Bare llama.cpp stays in the middle, so that what drifts is no gain of anybody's.
                await _round(each, list(rivals.values())[:: -1 if number % 2 else 1], tokens)
                for number, each in enumerate(asked[1:])
            ]
    _print(asked[1:], counts, rivals)


async def _round(asked: Asked, rivals: Iterable[Rival], most: int) -> int:
    """A turn of each rival; returns how many tokens they drew, all the same ones."""
    drawn = Drawn(most, "")
    seen = {drawn := await rival.take_turn(asked, drawn.tokens) for rival in rivals}
    assert len(seen) == 1, "the rivals drew different tokens"
    return drawn.tokens


def _from_bare(bare: Bare, asked: Asked, count: int) -> Drawn:
    """As the engine does: of a prompt that was just read it keeps all but the last segment."""
    kept = len(asked.tokens) - len(asked.segments[-1]) if count > 1 else 0
    bare.forget(kept)
    bare.read(asked.tokens[kept:])
    return Drawn(count, digest(bare.draw(count, asked.grammar)))


def _asked(engine: InProcess, dialect: str, number: int) -> Asked:
    prompt = (
        Prompt(role="system", content=f"Run {number}. You may use tools."),
        Prompt(role="user", content=QUESTIONS[dialect]),
    )
    return Asked(prompt, engine.segments(prompt), engine.question(prompt, 1).grammar)


def _print(asked: Sequence[Asked], counts: Sequence[int], rivals: Mapping[str, Rival]) -> None:
    read, drawn = statistics.mean(len(each.tokens) for each in asked), statistics.mean(counts)
    bound = ", under a grammar" if asked[0].grammar else ""
    print(f"{read:.0f} tokens read, {drawn:.0f} drawn{bound}")
    floor = rivals[BARE]
    for name in sorted(rivals):
        rival = rivals[name]
        reading = read / statistics.median(each.wall for each in rival.reading)
        writing = drawn / statistics.median(each.wall for each in rival.writing)
        print(
            f"  {name:28}{reading:9.0f}{_shares(rival.reading, floor.reading)}"
            f"{writing:9.1f}{_shares(rival.writing, floor.writing)}"
        )


def _shares(rival: Sequence[Spent], floor: Sequence[Spent]) -> str:
    wall, cpu = relative(rival, floor)
    return f"{wall:9.1%}{cpu:9.1%}"
