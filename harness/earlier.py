"""Earlier turns, made up: what fills a context before the task begins.

A person asks for something, the assistant calls tools, they answer, the assistant answers: about
birds, tides and shelves, so that nothing in it helps or harms a task, and nothing asks for
anything that is still to be done. Every answer follows from what the tools gave. All of it is
drawn from the run's seed, so the same run has the same turns, and no two runs have the same.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from itertools import count
from random import Random

from harness.records import Earlier, Message, Prompt, Reply, ToolCall, ToolResult

LETTERS_A_TOKEN = 4
"""Letters and blanks to a token; every figure and sign is a token of its own. So it is, within a
tenth, in the vocabularies of SmolLM2 and Gemma 3; those that join figures need fewer. What a model
really had in its context is in the usage of its replies."""

_BIRDS = (
    "heron",
    "crane",
    "dunlin",
    "curlew",
    "teal",
    "osprey",
    "plover",
    "gannet",
    "knot",
    "rail",
)
_HARBOURS = ("Aldmouth", "Brackwater", "Corran", "Dunmore", "Eastholm", "Fenwick", "Garvellan")
_GOODS = (
    "rope",
    "canvas",
    "lamp oil",
    "twine",
    "tar",
    "paint",
    "brass hooks",
    "sailcloth",
    "nails",
)
_PEOPLE = ("Ines", "Tomas", "Maret", "Olu", "Priya", "Henrik", "Yuki", "Bram", "Sela")
_WEATHER = ("a light wind from the west", "fog until noon", "clear and cold", "rain in the evening")

_LINES = 12, 60
"""The fewest and the most lines of a made-up file, table or listing."""

Exchange = tuple[str, str, dict[str, str], str, str]
"""One exchange: what is asked, the tool and its arguments, what it answers, what is said of it."""

Make = Callable[[Random, int, float], Exchange]
"""Makes up an exchange from what is drawn, its number, by which no two are of the same file, and
the tokens that there is still room for."""


def turns(seed: int, tokens: int, tools: Sequence[str]) -> Earlier | None:
    """About ``tokens`` tokens of earlier turns with those of ``tools`` that are known here; None
    for no tokens. ``seed`` is the run's."""
    if not tokens:
        return None
    draw = Random(f"earlier {seed}")
    kinds = [make for tool, make in _EXCHANGES if tool in tools]
    room = float(tokens)
    messages: list[Message] = []
    for turn in count(1):
        if room <= 0:
            break
        added = _messages(turn, draw.choice(kinds or [_talk])(draw, turn, room))
        messages += added
        room -= sum(map(_tokens, added))
    return Earlier(tokens=tokens, messages=tuple(messages))


def _messages(turn: int, exchange: Exchange) -> list[Message]:
    asked, tool, arguments, result, answer = exchange
    messages: list[Message] = [Prompt(role="user", content=asked)]
    if tool:
        # Nine letters and figures, which is what Mistral's templates insist on.
        call = ToolCall(id=f"e{turn:08d}", name=tool, arguments=json.dumps(arguments))
        messages += [
            Reply(turn=turn, tool_calls=(call,), finish_reason="tool_calls"),
            ToolResult(
                turn=turn, call_id=call.id, name=tool, content=result, ok=True, seconds=None
            ),
        ]
    return [*messages, Reply(turn=turn, text=answer, finish_reason="stop")]


def _tokens(message: Message) -> float:
    if not isinstance(message, Reply):
        return tokens_in(message.content)
    spelled = "".join(call.name + call.arguments for call in message.tool_calls)
    return tokens_in(message.text + spelled)


def tokens_in(text: str) -> float:
    """About how many tokens a text has, by the rule of ``LETTERS_A_TOKEN``."""
    words = sum(character.isalpha() or character == " " for character in text)
    return words / LETTERS_A_TOKEN + len(text) - words


def _lines(draw: Random, room: float, tokens: int) -> int:
    """How many lines of so many tokens to make up, where no more room is left than this."""
    fewest, most = _LINES
    return max(fewest, min(draw.randint(fewest, most), int(room / tokens)))


def _counts(draw: Random, number: int, room: float) -> Exchange:
    """A file of figures, read."""
    path = f"archive/{draw.choice(_HARBOURS).lower()}/counts-{1000 + number}.csv"
    rows = [
        (week, draw.choice(_BIRDS), draw.randint(2, 480))
        for week in range(1, _lines(draw, room, 9) + 1)
    ]
    week, bird, most = max(rows, key=lambda row: row[2])
    lines = ["week,bird,count", *(f"{row[0]},{row[1]},{row[2]}" for row in rows)]
    return (
        f"In which week of {path} was the highest count made, and of which bird?",
        "fs_read",
        {"path": path},
        "\n".join(lines) + "\n",
        f"In week {week}: {most} of {bird}.",
    )


def _diary(draw: Random, number: int, room: float) -> Exchange:
    """A file of prose, read."""
    harbour = draw.choice(_HARBOURS)
    path = f"archive/{harbour.lower()}/keeper-{1000 + number}.txt"
    people = [draw.choice(_PEOPLE) for _ in range(_lines(draw, room, 24))]
    lines = [
        f"{1 + number % 28:02d}/{1 + number // 28:02d}. {draw.choice(_WEATHER).capitalize()}. "
        f"{person} trimmed the lamp and brought {draw.randint(2, 40)} of {draw.choice(_GOODS)}."
        for number, person in enumerate(people)
    ]
    name = draw.choice(people)
    return (
        f"How many entries of {path} name {name}?",
        "fs_read",
        {"path": path},
        f"The keeper of {harbour}\n\n" + "\n".join(lines) + "\n",
        f"{people.count(name)} of the {len(people)} entries name {name}.",
    )


def _listing(draw: Random, number: int, room: float) -> Exchange:
    """A folder, listed by a command."""
    folder = f"archive/{draw.choice(_HARBOURS).lower()}/ledgers-{1000 + number}"
    sizes = {
        f"{draw.choice(_GOODS).replace(' ', '-')}-{number:03d}.csv": draw.randint(200, 90_000)
        for number in range(1, _lines(draw, room, 14) + 1)
    }
    largest = max(sizes, key=lambda name: sizes[name])
    lines = "\n".join(f"{size} {name}" for name, size in sizes.items())
    return (
        f"Which file in {folder} is the largest?",
        "shell",
        {"command": f"cd {folder} && stat -c '%s %n' *.csv"},
        f"exit code: 0\nstdout:\n{lines}",
        f"{largest}, with {sizes[largest]} bytes.",
    )


def _sums(draw: Random, number: int, room: float) -> Exchange:
    """A file of figures, added up by a command."""
    path = f"archive/{draw.choice(_HARBOURS).lower()}/stores-{1000 + number}.csv"
    rows = [
        (f"{draw.choice(_GOODS)}, shelf {shelf}", draw.randint(1, 900))
        for shelf in range(1, _lines(draw, room, 12) + 1)
    ]
    total = sum(pieces for _, pieces in rows)
    lines = "\n".join(f"{pieces:>7}  {name}" for name, pieces in rows)
    return (
        f"What do the stores in {path} come to?",
        "shell",
        {"command": f"awk '{{ print; n += $1 }} END {{ print n }}' {path}"},
        f"exit code: 0\nstdout:\n{lines}\n{total}",
        f"They come to {total} pieces on {len(rows)} shelves.",
    )


def _tides(draw: Random, number: int, room: float) -> Exchange:
    """A table, queried."""
    harbour, year = draw.choice(_HARBOURS), 1800 + number
    rows = [
        (f"{year}-{1 + day // 28:02d}-{1 + day % 28:02d}", draw.randint(-900, 4200))
        for day in range(_lines(draw, room, 16))
    ]
    day, level = max(rows, key=lambda row: row[1])
    lines = ["measured_on | level_mm", *(f"{row[0]} | {row[1]}" for row in rows)]
    query = (
        "SELECT measured_on, level_mm FROM tide_gauge_archive "
        f"WHERE harbour = '{harbour}' AND measured_on LIKE '{year}-%' ORDER BY measured_on"
    )
    return (
        f"When did the gauge of {harbour} stand highest in the {year} archive?",
        "sql",
        {"query": query},
        "\n".join([*lines, f"({len(rows)} rows)"]),
        f"On {day}, at {level} mm.",
    )


def _talk(draw: Random, number: int, room: float) -> Exchange:
    """A question that needs no tool, where none is known."""
    miles, harbour = draw.randint(3, 400), draw.choice(_HARBOURS)
    return (
        f"How many kilometres are the {miles} nautical miles from {harbour} to the outer light?",
        "",
        {},
        "",
        f"One nautical mile is 1.852 km, so {miles} of them are {miles * 1.852:.1f} km.",
    )


_EXCHANGES: tuple[tuple[str, Make], ...] = (
    ("fs_read", _counts),
    ("fs_read", _diary),
    ("shell", _listing),
    ("shell", _sums),
    ("sql", _tides),
)
"""What can be made up with which tool."""
