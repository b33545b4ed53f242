"""What decoding 8 runs at once gains over one: the harness's kind, beside llama.cpp's own batches.

Both read the same short prompts and draw the same numbers of tokens, greedily: one prompt after
the other with one sequence, then all of them with 8. Seconds are those of the whole: for the
harness from the first request to the last reply. What counts is the gain of each, and the
harness's as a share of llama.cpp's own, since how much there is to gain is the machine's.
"""

from __future__ import annotations

import asyncio
import statistics
from dataclasses import dataclass, field
from itertools import chain

from benchmarks.local.bare import Bare
from benchmarks.local.subject import TEXTS, InProcess, Subject, opened, request
from benchmarks.local.watch import Spent, relative, spent
from harness.models import Model
from harness.records import Prompt

AT_ONCE = 8
Conversation = tuple[Prompt, ...]


@dataclass
class Side:
    """What each round took, one after the other and at once, for so many tokens drawn."""

    alone: list[Spent] = field(default_factory=list)
    together: list[Spent] = field(default_factory=list)
    drawn: list[int] = field(default_factory=list)

    def add(self, alone: Spent, together: Spent, drawn: int) -> None:
        """Note a round."""
        self.alone.append(alone)
        self.together.append(together)
        self.drawn.append(drawn)

    def row(self) -> str:
        """Tokens per second of both, and the gain, on the wall and by the processor's clock."""
        rates = (
            statistics.median(
                count / each.wall for count, each in zip(self.drawn, spent, strict=True)
            )
            for spent in (self.alone, self.together)
        )
        wall, cpu = self.gain()
        return "".join(f"{rate:11.1f}" for rate in rates) + f"{wall:9.2f}{cpu:9.2f}"

    def gain(self) -> tuple[float, float]:
        """How much faster it is at once: on the wall, and by the processor's clock."""
        return relative(self.together, self.alone)


def main(subject: Subject, rounds: int, tokens: int) -> None:
    """Print both gains."""
    bare, ours = asyncio.run(_compare(subject, rounds, tokens))
    print(f"batch of {AT_ONCE}, {subject.title}: replies of {tokens} tokens, {rounds} rounds")
    print(f"{'drawn per second':26}{'alone':>11}{'at once':>11}{'gain':>9}{'by CPU':>9}")
    print(f"  {'bare llama.cpp':24}{bare.row()}")
    print(f"  {'harness':24}{ours.row()}")
    wall, cpu = (mine / floor for mine, floor in zip(ours.gain(), bare.gain(), strict=True))
    print(f"  {'of llama.cpp itself':24}{'':22}{wall:9.0%}{cpu:9.0%}")


async def _compare(subject: Subject, rounds: int, tokens: int) -> tuple[Side, Side]:
    one = subject.settings("hermes", n_ctx=512)
    many = subject.settings("hermes", n_ctx=512, batch=AT_ONCE)
    tokenizer, theirs, ours = InProcess(one), Side(), Side()
    async with opened(one) as alone, opened(many) as together:
        with Bare(one) as bare_alone, Bare(many) as bare_together:
            for number in range(rounds + 1):
                asked = [_asked(number, place) for place in range(AT_ONCE)]
                prompts = [list(chain(*tokenizer.segments(each, ()))) for each in asked]
                with spent() as ours_together:
                    counts = await asyncio.gather(*(_reply(together, a, tokens) for a in asked))
                with spent() as theirs_together:
                    bare_together.draw_side_by_side(prompts, counts)
                with spent() as theirs_alone:
                    for prompt, count in zip(prompts, counts, strict=True):
                        bare_alone.draw_side_by_side([prompt], [count])
                with spent() as ours_alone:
                    again = [
                        await _reply(alone, conversation, count)
                        for conversation, count in zip(asked, counts, strict=True)
                    ]
                assert again == counts, f"replies end before {tokens} tokens; ask for fewer"
                if number:  # the first round is not counted
                    ours.add(ours_alone, ours_together, sum(counts))
                    theirs.add(theirs_alone, theirs_together, sum(counts))
    return theirs, ours


async def _reply(model: Model, conversation: Conversation, tokens: int) -> int:
    """How many tokens were drawn."""
    run = f"run {conversation[0].content}"
    reply = await model.reply(request(run, 1, conversation, tokens, tools=()))
    return reply.usage.output or 0


def _asked(number: int, place: int) -> Conversation:
    """A prompt that shares nothing with any other, so that none is kept."""
    words = TEXTS[0].split()[20 * place : 20 * place + 20]
    story = "Write a long story about this: " + " ".join(words)
    return (Prompt(role="user", content=f"{number}.{place}: {story}"),)
