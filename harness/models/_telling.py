"""What is waited for, told to a person, so that minutes of loading are not minutes of silence."""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

Say = Callable[[str], None]
"""Shows a person a few words, in a line of their own."""

FIRST_SECONDS = 2.0
"""What takes no longer is not worth a word."""

_NEXT_SECONDS = (15.0, 30.0, 60.0)
"""Between the words after the first; the last one again and again."""


def silent(words: str) -> None:
    """A ``Say`` where nobody is there."""


@asynccontextmanager
async def told(say: Say, doing: str) -> AsyncIterator[None]:
    """While the block takes its time, say what is being done, and now and then for how long."""
    telling = asyncio.create_task(_tell(say, doing))
    try:
        yield
    finally:
        telling.cancel()


async def _tell(say: Say, doing: str) -> None:
    began = time.monotonic()
    await asyncio.sleep(FIRST_SECONDS)
    say(f"{doing} ...")
    for pause in itertools.chain(_NEXT_SECONDS, itertools.repeat(_NEXT_SECONDS[-1])):
        await asyncio.sleep(pause)
        say(f"{doing} ... {time.monotonic() - began:.0f} s")
