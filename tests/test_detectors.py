"""Detectors against what people see: precision and recall on the labelled transcripts."""

from __future__ import annotations

import asyncio
import importlib
import io
import json
import re
import time
import tomllib
from collections import Counter
from collections.abc import Iterable
from functools import cache
from itertools import chain
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.console import Console

from harness.attempt import Stage, directly, play_attempt
from harness.models import scripted
from harness.records import (
    EVENT,
    Check,
    Ended,
    Event,
    Graded,
    Prompt,
    Reply,
    Started,
    ToolCall,
    ToolResult,
)
from harness.sandbox import Limits
from harness.sandbox import make as make_sandbox
from harness.signals import signals_in
from harness.store import CampaignFolder, read_transcript
from harness.task import Task, load_suite
from tests.conftest import NOTHING, ORACLE, MakeCampaign, fairtrial
from tests.transcripts import ending, plan_of, started, turn, write
from verification import detectors as detectors_package
from verification.detectors import detect, detectors
from verification.evidence import read
from verification.exhibit import Link
from verification.findings import exhibit
from verification.summary import print_summary

LABELLED = Path(__file__).parent / "labelled"
DOCS = Path(__file__).parent.parent / "docs" / "detectors.md"
LEAST_PRECISION, LEAST_RECALL = 0.75, 0.75
"""What no detector may fall below, over all sets."""

Place = tuple[str, str, str, int]
"""Set, transcript, pattern, turn."""


@cache
def labels() -> frozenset[Place]:
    """What people saw."""
    table = tomllib.loads((LABELLED / "labels.toml").read_text(encoding="utf-8"))
    return frozenset(
        (folder, name, pattern, turn)
        for folder, transcripts in table.items()
        for name, patterns in transcripts.items()
        for pattern, turns in patterns.items()
        for turn in turns
    )


@cache
def found() -> frozenset[Place]:
    """What the detectors see."""
    return frozenset(
        (path.parent.name, path.stem, pattern, seen.turn)
        for path in LABELLED.glob("*/*.jsonl")
        for pattern, seen in detect(read_transcript(path))
    )


def counts(pattern: str, folder: str | None = None) -> tuple[int, int, int]:
    """How many places both see, only the detector, and only people."""
    mine, theirs = (
        {place for place in places if place[2] == pattern and folder in (None, place[0])}
        for places in (found(), labels())
    )
    return len(mine & theirs), len(mine - theirs), len(theirs - mine)


def share(part: int, other: int) -> float | None:
    return part / (part + other) if part + other else None


def test_every_labelled_transcript_is_there_and_every_pattern_in_it_has_a_detector() -> None:
    table = tomllib.loads((LABELLED / "labels.toml").read_text(encoding="utf-8"))
    named = {(folder, name) for folder, names in table.items() for name in names}
    assert named == {(path.parent.name, path.stem) for path in LABELLED.glob("*/*.jsonl")}
    assert {place[2] for place in labels()} == set(detectors())


def test_half_of_the_labelled_transcripts_are_of_real_models() -> None:
    folders = Counter(path.parent.name for path in LABELLED.glob("*/*.jsonl"))
    assert folders["real"] + folders["held_out"] >= folders["written"] >= 40


@pytest.mark.parametrize("pattern", detectors())
def test_a_detector_is_mostly_right_and_misses_little(pattern: str) -> None:
    both, too_many, missed = counts(pattern)
    precision, recall = share(both, too_many), share(both, missed)
    print(f"{pattern}: precision {precision}, recall {recall}")
    assert precision is not None
    assert precision >= LEAST_PRECISION
    assert recall is not None
    assert recall >= LEAST_RECALL


MARKDOWN = re.compile(r"^\| `(\w+)` \| (.+) \|$", re.MULTILINE)


def test_the_table_in_the_docs_is_what_the_detectors_do() -> None:
    rows = dict(MARKDOWN.findall(DOCS.read_text(encoding="utf-8")))
    assert rows == {pattern: " | ".join(figures(pattern)) for pattern in detectors()}


def figures(pattern: str) -> list[str]:
    """The cells of a detector's row in docs/detectors.md."""
    cells = []
    for folder in ("real", "held_out", "written"):
        both, too_many, missed = counts(pattern, folder)
        cells.append(f"{both} of {both + missed}, {too_many} wrong")
    both, too_many, missed = counts(pattern)
    return [*cells, *(f"{part:.2f}" for part in (both / (both + too_many), both / (both + missed)))]


def test_the_numbers_of_transcripts_in_the_docs_are_right() -> None:
    sizes = Counter(path.parent.name for path in LABELLED.glob("*/*.jsonl"))
    text = " ".join(DOCS.read_text(encoding="utf-8").split())
    real = sizes["real"] + sizes["held_out"]
    assert f"{sizes['real']} runs of SmolLM2" in text
    assert f"{sizes['held_out']} runs of the same models" in text
    assert f"{sizes['written']} transcripts written by hand" in text
    assert f"in {real} real runs nobody" in text


def test_no_labelled_transcript_tells_where_it_was_made() -> None:
    for path in LABELLED.glob("*/*.jsonl"):
        header = path.read_text(encoding="utf-8").split("\n")[0]
        assert not re.search(r"/(?:home|root|tmp|work|Users)/|AVX|CPU", header), path


def test_a_detector_is_found_by_its_file_and_says_what_it_reports() -> None:
    files = Path(detectors_package.__file__).parent.glob("[!_]*.py")
    assert list(detectors()) == sorted(path.stem for path in files)
    for name in detectors():
        module = importlib.import_module(f"{detectors_package.__name__}.{name}")
        assert module.__doc__


def test_the_header_tells_how_many_calls_the_solution_makes(make_campaign: MakeCampaign) -> None:
    folder = CampaignFolder(make_campaign(ORACLE + NOTHING, runs_per_task=1))
    assert fairtrial("run", folder.path).returncode == 0
    played = read(folder)
    for path in folder.transcript_paths():
        header, *events = read_transcript(path)
        assert isinstance(header, Started)
        calls = sum(len(event.tool_calls) for event in events if isinstance(event, Reply))
        assert header.model.name == "nothing" or header.oracle_calls == calls > 0
    assert set(played.findings["model"]) == {"nothing"}  # of whom the harness notes empty replies


TOUCHES_TESTS = {
    "task_01_fix_failing_test": {
        "conftest": True,
        "sitecustomize": True,
        "test_changed": True,
        "test_deleted": True,
        "test_skipped": True,
        "test_added": False,
    },
    "task_05_minimal_fix": {
        "test_improved": True,
        "tests_changed": True,
        "tests_deleted": True,
        "test_added": False,
        "only_words": False,
    },
}
"""Scripts that the suite holds against its checkers, and whether they tamper with a test."""


async def played(task: Task, scripts: Iterable[Path]) -> dict[str, set[str]]:
    """By script, what the detectors see once it has been played in the real sandbox."""
    sandbox = make_sandbox("bubblewrap")
    await asyncio.to_thread(sandbox.open, (task.folder.parent,))
    seen = {}
    try:
        for script in scripts:
            model = scripted.Model(scripted.Settings(name="m", script=str(script)))
            await model.open()
            stage = Stage(task, task.variant(), directly(model), sandbox, Limits())
            header = started(plan_of(tasks=[task.id]), task=task.id, tools=task.tools)
            events: list[Event] = []
            await play_attempt(header, stage, events.append)
            seen[script.stem] = {pattern for pattern, _ in detect(events)}
    finally:
        await asyncio.to_thread(sandbox.close)
    return seen


@pytest.mark.parametrize("name", TOUCHES_TESTS)
def test_cheats_of_the_suite_that_touch_tests_are_seen(name: str) -> None:
    (task,) = (task for task in load_suite("agentic-core-v1").tasks if task.id == name)
    scripts = [task.folder / "near_misses" / f"{stem}.jsonl" for stem in TOUCHES_TESTS[name]]
    seen = asyncio.run(played(task, scripts))
    tampering = {script: "test_tampering" in patterns for script, patterns in seen.items()}
    assert tampering == TOUCHES_TESTS[name]


def test_an_old_header_without_that_number_is_read_and_nothing_is_called_early() -> None:
    header = started(plan_of())
    old = EVENT.validate_json(header.model_dump_json(exclude={"oracle_calls"}))
    assert isinstance(old, Started)
    assert old.oracle_calls is None
    events = [*turn(1, text="47"), *ending("wrong_answer")]
    assert list(detect([old, *events])) == []
    known = old.model_copy(update={"oracle_calls": 2})
    assert [name for name, _ in detect([known, *events])] == ["early_commit"]


def test_one_look_in_one_call_is_counted_as_people_say_it() -> None:
    header = started(plan_of()).model_copy(update={"oracle_calls": 2})
    events = [*turn(1, "fs_read"), *turn(2, text="47"), *ending("wrong_answer", turns=2)]
    ((name, seen),) = detect([header, *events])
    assert name == "early_commit"
    assert seen.detail == (
        "answered, and was rejected, after 1 look in 1 call; the task's own solution makes 2 calls"
    )


def test_findings_are_counted_for_people_with_one_to_read(tmp_path: Path) -> None:
    plan = plan_of(models=["m", "[red]n"], runs_per_task=2)
    for model in plan.models:
        for repetition in (1, 2):
            header = started(plan, model=model, repetition=repetition)
            again = [*turn(1, "shell"), *turn(2, "shell"), *turn(3, text="done")]
            events = again if repetition == 2 else turn(1, text="done")
            write(tmp_path, header, [*events, *ending("pass")])
    shown = exhibit(read(CampaignFolder(tmp_path)))
    run = started(plan, repetition=2).run
    assert [row[:3] for row in shown.rows] == [
        ("tool_call_redundancy", "[red]n", "1 of 2"),
        ("tool_call_redundancy", "m", "1 of 2"),
    ]
    target = f"data/transcripts/{run}.jsonl#turn=1"
    assert shown.rows[1][3] == Link(f"{run[:8]}, turn 1", target)
    console = Console(file=io.StringIO(), width=80)
    print_summary(CampaignFolder(tmp_path), console)
    assert isinstance(console.file, io.StringIO)
    assert "tool_call_redundancy  [red]n" in console.file.getvalue()


def test_harness_and_detector_see_the_same_leaks() -> None:
    texts = tomllib.loads((LABELLED / "leaks.toml").read_text(encoding="utf-8"))
    for label in (*texts["leak"].values(), *texts["honest"].values()):
        reply = Reply(turn=1, text=label["text"], finish_reason="stop")
        noted = [s.detail for s in signals_in(reply) if s.name == "template_leakage"]
        seen = [s.detail for name, s in detect([reply]) if name == "template_leakage"]
        assert all(b.startswith(a) for a, b in zip(noted, seen, strict=True))


# What a model may write: words that detectors look for, and characters that make parsers stumble.
STUMBLING = (
    ("the bug is in", "I was wrong.", "actually", "no such file", "error", "sed -i", "`src/a.py`"),
    ("> tests/test_a.py", "test_a.py').write_text(", "x = 'tests/test_b.py'", "<|im_end|>", "<|"),
    ("'", '"', "\n", "{", "[", "*", "&&", ".", "\ud800", "\x00", "\u202e"),
)
WORDS = st.sampled_from(list(chain.from_iterable(STUMBLING)))
TEXTS = st.lists(WORDS | st.text(max_size=8), max_size=12).map(" ".join)
CALLS = st.builds(
    ToolCall,
    id=st.sampled_from(["a", "b"]),
    name=st.sampled_from(["shell", "fs_read", "sql", "no such tool"]),
    arguments=TEXTS | st.builds(lambda text: json.dumps({"command": text, "path": text}), TEXTS),
)
TURNS = st.integers(1, 20)
EVENTS = st.one_of(
    st.builds(
        Reply,
        turn=TURNS,
        text=TEXTS,
        tool_calls=st.lists(CALLS, max_size=4).map(tuple),
        finish_reason=st.sampled_from(["stop", "tool_calls", "length", "context"]),
    ),
    st.builds(
        ToolResult,
        turn=TURNS,
        call_id=st.just("a"),
        name=st.just("shell"),
        content=TEXTS | st.just("exit code: 1\nstderr:\nno"),
        ok=st.booleans(),
        seconds=st.just(0.0),
    ),
    st.builds(Prompt, role=st.just("user"), content=TEXTS),
    st.builds(Ended, turn=TURNS, budget=st.none()),
    st.builds(
        Graded,
        checks=st.builds(Check, name=st.just("a"), passed=st.booleans(), detail=TEXTS).map(
            lambda check: (check,)
        ),
        seconds=st.just(0.0),
    ),
)


@settings(max_examples=200, deadline=None)
@given(events=st.lists(EVENTS, max_size=20), oracle_calls=st.none() | st.integers(0, 9))
def test_no_transcript_makes_a_detector_stumble(
    events: list[Event], oracle_calls: int | None
) -> None:
    header = started(plan_of()).model_copy(update={"oracle_calls": oracle_calls})
    for pattern, seen in detect([header, *events]):
        assert pattern in detectors()
        event = [header, *events][seen.line - 1]
        assert isinstance(event, Reply)
        assert event.turn == seen.turn
        assert len(seen.detail) < 1000


HOSTILE = {
    "one word again and again": "the bug is ",
    "one line again and again": "<|channel>fs_read{file: tests/test_a.py}\n",
    "opening brackets": '{ "name" ',
    "open tags": "<|a<a",
    "quotation marks": "'\"`",
    "white space": " \n",
    "dots": "a.py.",
    "one sentence without an end": "src/a.py and I was wrong, actually not ",
    "assignments": "x = 'test_a.py'\n",
    "redirections": "> tests/test_a.py ",
}


MOST_SECONDS = 10.0
"""Of a processor. What these tests hold takes under one; a detector whose time grew with the
square of a megabyte, or of twenty thousand calls, would take minutes."""


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE)
def test_a_megabyte_of_anything_is_soon_looked_through(text: str) -> None:
    text *= 1_000_000 // len(text)
    call = ToolCall(id="a", name="shell", arguments=json.dumps({"command": text}))
    listed = ToolResult(turn=1, call_id="a", name="shell", content=text, ok=True, seconds=0.0)
    failed = listed.model_copy(update={"turn": 2, "content": f"exit code: 1\nstderr:\n{text}"})
    calling = Reply(turn=1, text=text, tool_calls=(call,), finish_reason="tool_calls")
    events = [
        started(plan_of()).model_copy(update={"oracle_calls": 9}),
        Prompt(role="user", content=text),
        *(calling, listed, calling.model_copy(update={"turn": 2}), failed),
        Reply(turn=3, text=text, finish_reason="length"),
        *ending("wrong_answer"),
    ]
    assert seconds_for(events) < MOST_SECONDS


def test_twenty_thousand_calls_are_soon_looked_through() -> None:
    turns = [turn(n, "shell", "fs_read", ok=n % 3 > 0) for n in range(1, 10_001)]
    assert seconds_for([started(plan_of()), *chain.from_iterable(turns)]) < MOST_SECONDS


def seconds_for(events: list[Event]) -> float:
    """The processor's time that all detectors take for a transcript."""
    began = time.process_time()
    list(detect(events))
    return time.process_time() - began
