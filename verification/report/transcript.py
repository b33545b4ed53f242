"""A transcript -> the page on which a person reads it.

Its turns can be linked to as they are cited: ``<run>.html#turn=4``. What is very long is folded,
what is longer still loses its middle, and a page says where the whole stands.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import pandas as pd

from harness.records import (
    Change,
    Earlier,
    Ended,
    Event,
    Fault,
    Graded,
    Left,
    Outcome,
    Prompt,
    Recovered,
    Repeat,
    Reply,
    Signal,
    Started,
    ToolCall,
    ToolResult,
)
from harness.store import CampaignFolder, read_transcript
from verification.evidence import Evidence
from verification.report.html import environment
from verification.report.results import ending
from verification.show import (
    arguments,
    budget_words,
    diff_of,
    earlier_text,
    earlier_words,
    in_short,
    recovered_words,
    sampling_words,
    second_words,
    spent,
)
from verification.tables import findings

MOST_LINES, MOST_CHARACTERS = 30, 3_000
"""Of a text that is shown unfolded."""

LONGEST = 20_000
"""Characters of one text; beyond them, its middle is left out."""

MOST_OF_A_PAGE = 1_000_000
"""Characters of all texts on a page; beyond them, only turns are named."""

MOST_CHANGES, MOST_DIFF = 100, 400
"""Changed files on a page, and lines of the difference of one."""

PREVIEW = 3
"""Lines of a folded text that are seen."""


class Excerpt(NamedTuple):
    """A text on a page: ``preview`` is empty where it is not folded; ``left_out`` characters are
    missing between ``head`` and ``tail``."""

    head: str
    tail: str
    left_out: int
    preview: str
    size: str


class Item(NamedTuple):
    """One thing on a page: what it is (``kind``), under which words, and its text."""

    kind: str
    label: str
    text: Excerpt | None = None
    call: str | None = None


class Changed(NamedTuple):
    """A path of the workspace that the run left changed: what became of it, and each line of the
    difference with the class it is coloured by."""

    path: str
    what: str
    diff: list[tuple[str, str]]
    left_out: int


@dataclass
class Turn:
    """What stands under one heading; turn 0 is what came before the first reply."""

    number: int
    spent: str = ""
    items: list[Item] = field(default_factory=list)


@dataclass
class Page:
    """A transcript, ready for its template."""

    started: Started
    turns: list[Turn] = field(default_factory=list)
    ended: str = ""
    fault: Fault | None = None
    left: Left | None = None
    changed: list[Changed] = field(default_factory=list)
    graded: Graded | None = None
    outcome: Outcome | None = None
    omitted: int = 0
    _room: int = MOST_OF_A_PAGE

    @property
    def ending(self) -> str:
        """How it ended, in words."""
        if self.outcome is None:
            return "cut short: it counts as interrupted"
        words = ending(self.outcome.outcome, self.outcome.cause or self.outcome.budget)
        rescued = self.outcome.rescued
        return f"{words}; rescued, {ending(rescued, None)}" if rescued else words

    def add(self, event: Event) -> None:
        """Take in the next event."""
        match event:
            case Prompt():
                nudge = "" if event.nudge_after is None else ": a nudge, for it had leaked"
                self._item(event.nudge_after or 0, "prompt", event.role + nudge, event.content)
            case Earlier():
                self._item(0, "prompt", earlier_words(event), earlier_text(event))
            case Recovered():
                self._item(event.turn, "signal", "recovered", recovered_words(event))
                self._calls(event.turn, event.tool_calls)
            case Repeat():
                waited = f"asked again after {event.waited_seconds:.1f} s: {event.kind}"
                self._item(event.turn, "repeat", waited, event.detail)
            case Reply():
                self._reply(event)
            case ToolResult():
                label = f"{event.name} answered{'' if event.ok else ' with an error'}"
                kind = "result" if event.ok else "error"
                label += f" ({second_words(event.seconds, 2)})"
                self._item(event.turn, kind, label, event.content)
                self._put_below_its_call(event.call_id)
            case Signal():
                self._item(event.turn, "signal", event.name, event.detail)
            case Ended():
                why = f"the budget of {event.budget} ran out" if event.budget else "it answered"
                self.ended = f"Ended in turn {event.turn}: {why}."
            case Fault():
                self.fault = event
            case Left():
                self.left = event
                self.changed = [_changed(change) for change in event.changes[:MOST_CHANGES]]
            case Graded():
                self.graded = event
            case Outcome():
                self.outcome = event

    def _reply(self, reply: Reply) -> None:
        self._turn(reply.turn).spent = spent(reply).removeprefix(": ")
        parts = (
            ("thinks", reply.reasoning),
            ("says", reply.text),
            ("as it came", reply.raw if reply.malformed else None),
        )
        for label, text in parts:
            if text:
                self._item(reply.turn, "reasoning" if label == "thinks" else "reply", label, text)
        self._calls(reply.turn, reply.tool_calls)

    def _calls(self, turn: int, calls: Sequence[ToolCall]) -> None:
        for call in calls:
            self._item(turn, "call", f"calls {call.name}", arguments(call), call.id)

    def _put_below_its_call(self, call: str) -> None:
        """Move the last item, a result: calls of one reply are all answered after it."""
        items = self._turn(self.turns[-1].number).items
        places = [place for place, item in enumerate(items) if item.call == call]
        if places:
            items.insert(places[0] + 1, items.pop())
            # A model may give two calls of a turn the same id: the next result is the next one's.
            items[places[0]] = items[places[0]]._replace(call=None)

    def _item(self, turn: int, kind: str, label: str, text: str, call: str | None = None) -> None:
        if self._room <= 0:
            self.omitted += 1
            return
        shown = excerpt(text)
        self._room -= len(shown.head) + len(shown.tail)
        self._turn(turn).items.append(Item(kind, label, shown if text else None, call))

    def _turn(self, number: int) -> Turn:
        if not self.turns or self.turns[-1].number != number:
            self.turns.append(Turn(number))
        return self.turns[-1]


def _changed(change: Change) -> Changed:
    diff = diff_of(change)
    classes = {"+": "add", "-": "del", "@": "at"}
    lines = [(classes.get(line[:1], "same"), line[:LONGEST]) for line in diff[:MOST_DIFF]]
    return Changed(change.path, in_short(change, diff), lines, max(0, len(diff) - MOST_DIFF))


def excerpt(text: str) -> Excerpt:
    """``text`` as a page can bear it."""
    text = text.rstrip("\n")
    left_out = max(0, len(text) - LONGEST)
    head, tail = (text[: LONGEST // 2], text[-LONGEST // 2 :]) if left_out else (text, "")
    lines = text.count("\n") + 1
    long = lines > MOST_LINES or len(text) > MOST_CHARACTERS
    preview = "\n".join(text[:MOST_CHARACTERS].split("\n")[:PREVIEW])[:300] if long else ""
    return Excerpt(head, tail, left_out, preview, f"{lines:,} lines, {len(text):,} characters")


def pages(folder: CampaignFolder, evidence: Evidence) -> Iterator[tuple[str, str]]:
    """The name and the page of every transcript, one by one: never are two of them in memory."""
    runs = list(evidence.runs[["run", "task", "repetition", "model"]].itertuples(index=False))
    neighbours = {
        run.run: (before, after)
        for before, run, after in zip([None, *runs], runs, [*runs[1:], None], strict=False)
    }
    tries = evidence.attempts.groupby("run")["transcript"].agg(list)
    found = {str(run): rows for run, rows in findings(evidence).groupby("run")}
    for _, attempt in evidence.attempts.iterrows():
        run, name = str(attempt["run"]), str(attempt["transcript"]).removesuffix(".jsonl")
        page = _read(folder, str(attempt["transcript"]))
        previous, following = neighbours[run]
        html = (
            environment()
            .get_template("run.html")
            .render(
                page=page,
                name=name,
                facts=_facts(page),
                campaign=page.started.plan.campaign,
                latest=bool(attempt["latest"]),
                attempts=[str(one).removesuffix(".jsonl") for one in tries[run]],
                previous=previous,
                following=following,
                findings=_findings(found.get(run), latest=bool(attempt["latest"])),
            )
        )
        yield f"{name}.html", html


def _read(folder: CampaignFolder, name: str) -> Page:
    events = read_transcript(folder.transcripts / name)
    started = next(events)
    assert isinstance(started, Started)
    page = Page(started)
    for event in events:
        page.add(event)
    return page


def _facts(page: Page) -> dict[str, str]:
    """What the header says of the run; ``unknown`` where another program did not say."""
    started = page.started
    took = second_words(page.outcome.seconds, 1) if page.outcome else "unknown"
    return {
        "suite": started.plan.suite,
        "model": f"{started.model.name} ({started.model.kind}), {sampling_words(started)}",
        "budgets": budget_words(started.budgets),
        "tools": ", ".join(tool.name for tool in started.tools) or "none",
        "began": f"{started.started_at:%Y-%m-%d %H:%M:%S %Z}",
        "took": took,
        "task's SHA-256": started.task_digest,
    }


def _findings(rows: pd.DataFrame | None, *, latest: bool) -> list[tuple[str, int, str]]:
    """Pattern, turn and what was seen; they are of a run's latest attempt."""
    if rows is None or not latest:
        return []
    return [(str(r["name"]), int(r["turn"]), str(r["detail"])) for _, r in rows.iterrows()]
