"""Every failure as a story: what the run was asked, what it did, and what was wrong with it.

All of it is cut out of the transcript, none of it judged: the same transcript gives the same
story.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import groupby
from pathlib import Path

import pandas as pd

from harness.records import Graded, Prompt, Reply, ToolCall, ToolResult
from harness.store import CampaignFolder, read_transcript
from harness.terminal import one_line
from verification.evidence import Evidence
from verification.report.document import Failed, Paragraph, Section, Stories, Story
from verification.report.results import ending
from verification.tables import findings

MOST_STORIES = 300
"""Of one model; beyond it, the rest is counted and has its transcript pages."""

LONGEST_WORDS, LONGEST_CALL, MOST_CALLS = 600, 160, 12
"""Characters of what was asked and answered, characters of a call, and calls that are told."""


def section(folder: CampaignFolder, evidence: Evidence) -> Section:
    """The failures of every model, in the order of tasks. Infrastructure's are told apart."""
    runs = evidence.runs
    failed = runs[runs["outcome"].isin(["wrong_answer", "gave_up"])]
    if failed.empty:
        words = f"None of {len(runs)} runs was failed by its model."
        return Section("Every failure, and its story", "Observed", [Paragraph(words)])
    notable = _notable(evidence)
    blocks: list[Paragraph | Stories] = []
    for model, rows in failed.groupby("model"):
        told = [_story(folder, row, notable) for _, row in rows.head(MOST_STORIES).iterrows()]
        blocks.append(Stories(str(model), told))
        if len(rows) > MOST_STORIES:
            left = len(rows) - MOST_STORIES
            blocks.append(
                Paragraph(f"{left} more failures of {model} are in verification/runs.csv.")
            )
    return Section("Every failure, and its story", "Observed", blocks)


def _notable(evidence: Evidence) -> dict[str, list[str]]:
    """By run, its findings in words."""
    notable: dict[str, list[str]] = {}
    for _, row in findings(evidence).iterrows():
        words = f"{row['name']} in turn {row['turn']}: {row['detail']}"
        notable.setdefault(str(row["run"]), []).append(words)
    return notable


@dataclass
class _Told:
    """What has been read of a transcript so far."""

    asked: str = ""
    calls: list[tuple[int, ToolCall]] = field(default_factory=list)
    errors: set[tuple[int, str]] = field(default_factory=set)
    answer: str = ""
    checks: list[Failed] = field(default_factory=list)


def _story(folder: CampaignFolder, run: pd.Series, notable: dict[str, list[str]]) -> Story:
    path = folder.transcript(str(run["run"]))
    told = _read(path)
    why = run["budget"] if isinstance(run["budget"], str) else None
    return Story(
        model=str(run["model"]),
        task=str(run["task"]),
        repetition=int(run["repetition"]),
        ending=ending(str(run["outcome"]), why),
        asked=told.asked,
        calls=list(_in_brief(told)),
        answer=told.answer,
        failed=told.checks,
        notable=notable.get(str(run["run"]), []),
        citation=f"data/transcripts/{path.name}",
    )


def _read(path: Path) -> _Told:
    told = _Told()
    for event in read_transcript(path):
        match event:
            case Prompt(role="user") if not told.asked:
                told.asked = _cut(event.content)
            case Reply():
                told.calls += [(event.turn, call) for call in event.tool_calls]
                told.answer = "" if event.tool_calls else _cut(event.text)
            case ToolResult(ok=False):
                told.errors.add((event.turn, event.call_id))
            case Graded():
                bad = [check for check in event.checks if not check.passed]
                told.checks = [Failed(check.name, _cut(check.detail)) for check in bad]
    return told


def _in_brief(told: _Told) -> Iterator[str]:
    """The first calls, those that repeat the one before counted instead of repeated."""
    calls = (
        one_line(f"{call.name} {call.arguments}", LONGEST_CALL)
        + (" (an error)" if (turn, call.id) in told.errors else "")
        for turn, call in told.calls
    )
    runs = [(call, len(list(same))) for call, same in groupby(calls)]
    for call, count in runs[:MOST_CALLS]:
        yield call if count == 1 else f"{call} \N{MULTIPLICATION SIGN} {count}"
    if len(runs) > MOST_CALLS:
        left = sum(count for _, count in runs[MOST_CALLS:])
        yield f"... and {left} more"


def _cut(text: str) -> str:
    """The beginning of a long text."""
    text = text.strip()
    return text if len(text) <= LONGEST_WORDS else f"{text[:LONGEST_WORDS].rstrip()} \u2026"
