"""Transcripts as printed: complete, bounded, and with nothing in them obeyed."""

from __future__ import annotations

import io
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from harness.errors import BadInput
from harness.records import (
    Change,
    Entry,
    Event,
    Left,
    Reply,
    Signal,
    ToolCall,
    ToolResult,
    Usage,
)
from harness.terminal import one_line, safe
from tests.transcripts import ending, plan_of, started, turn, write
from verification.show import BLOCK, LONGEST_LINE, MOST_COMPARED, MOST_LINES, diff_of, shorten, show

HOSTILE = "\x1b]0;owned\x07\x1b[2J\r\x9b31m \u202etxt.exe\u2066 [bold red]markup[/] \u200b"


def shown(path: Path, *, full: bool = False, colour: bool = False) -> str:
    console = Console(file=io.StringIO(), width=80, force_terminal=colour)
    show(path, console, full=full)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def call(name: str = "shell", arguments: str = '{"command": "ls"}') -> list[Event]:
    """A reply with one call, without an answer to it."""
    calls = (ToolCall(id="1", name=name, arguments=arguments),)
    return [Reply(turn=1, tool_calls=calls, finish_reason="tool_calls", reasoning="Hmm.")]


def result(content: str, *, ok: bool = True) -> ToolResult:
    return ToolResult(turn=1, call_id="1", name="shell", content=content, ok=ok, seconds=0.25)


def test_a_run_is_told_from_its_header_to_its_outcome(tmp_path: Path) -> None:
    events = [
        *call(),
        result("a.txt"),
        Signal(turn=1, name="unknown_tool", detail="no such tool"),
        *turn(2, text="It is 42.", usage=Usage(input=7, cached=None, output=3)),
        *ending("wrong_answer", turns=2),
    ]
    text = shown(write(tmp_path, started(plan_of()), events))
    told = [
        "m, task_01, repetition 1 of 3, attempt 1",
        "trial, suite suite-v1",
        "seed 7",
        "15 turns, 4096 tokens a turn",
        "Do it.",
        "Hmm.",
        "-> shell",
        "command: ls",
        "<- shell (0.25 s)",
        "a.txt",
        "! unknown_tool: no such tool",
        "turn 2: 7 tokens in, 3 tokens out, 2.0 s",
        "It is 42.",
        "ended in turn 2: it answered",
        "the checker rejects",
        "✗ answer",
        "wrong_answer after 10.0 s",
    ]
    places = [text.find(words) for words in told]
    assert -1 not in places, told[places.index(-1)]
    assert places == sorted(places)


def file(content: str, *, executable: bool = False) -> Entry:
    return Entry(kind="text", content=content, executable=executable)


def changed(path: str, before: Entry | None, after: Entry | None) -> Left:
    return Left(changes=(Change(path=path, before=before, after=after),))


@pytest.mark.parametrize(
    ("before", "after", "told"),
    [
        (file("a\nb\n"), file("a\nc\nd\n"), "changed, +2 -1"),
        (file("a\nb\n"), file("a\nb"), "changed, +1 -1"),
        (None, file("a\nb"), "added, +2 -0"),
        (file("a\n"), None, "removed, +0 -1"),
        (file("a"), file("a", executable=True), "changed, can be run"),
        (file("a"), Entry(kind="base64", content="/w=="), "changed"),
        (file("a"), Entry(kind="link", content="/etc/passwd"), "now link (/etc/passwd)"),
        (None, Entry(kind="omitted", content="300000 bytes"), "now omitted (300000 bytes)"),
    ],
)
def test_what_a_run_left_is_told_file_by_file(
    tmp_path: Path, before: Entry | None, after: Entry | None, told: str
) -> None:
    events = [changed("src/a.py", before, after), *ending("pass")]
    text = shown(write(tmp_path, started(plan_of()), events))
    assert "left in its workspace: 1 change " in text
    assert f"  src/a.py: {told}\n" in text


def test_the_lines_a_run_changed_are_shown_with_those_around_them(tmp_path: Path) -> None:
    left = changed("a", file("1\n2\n3\n4\n5\n6\n"), file("1\n2\n3\n4\nfive\n6\n"))
    text = shown(write(tmp_path, started(plan_of()), [left, *ending("pass")]))
    lines = ["@@ -2,5 +2,5 @@", " 2", " 3", " 4", "-5", "+five", " 6"]
    assert "\n".join(" " * BLOCK + line for line in lines) in text


def test_what_is_missing_of_a_workspace_is_said(tmp_path: Path) -> None:
    left = Left(changes=(), left_out="all of it: the workspace is gone")
    text = shown(write(tmp_path, started(plan_of()), [left, *ending("wrong_answer")]))
    assert "! not in the transcript: all of it: the workspace is gone" in text


def test_many_changes_lose_their_end_unless_all_is_asked_for(tmp_path: Path) -> None:
    changes = tuple(Change(path=f"file-{n}", before=None, after=file("x")) for n in range(100))
    path = write(tmp_path, started(plan_of()), [Left(changes=changes), *ending("pass")])
    assert f"and {100 - MOST_LINES} more changes; --full shows them" in shown(path)
    assert "file-99: added" not in shown(path)
    assert "file-99: added" in shown(path, full=True)


def test_texts_that_take_long_to_compare_are_not_compared() -> None:
    lines = "\n" * int(MOST_COMPARED**0.5 + 1)
    assert diff_of(Change(path="a", before=file(lines), after=file("a" + lines))) == []


def test_a_fault_is_told_with_its_cause(tmp_path: Path) -> None:
    text = shown(write(tmp_path, started(plan_of()), ending("infrastructure_error")))
    assert "fault: timeout" in text
    assert "the world failed" in text
    assert "infrastructure_error (timeout)" in text


def test_a_run_that_was_cut_off_is_said_to_be(tmp_path: Path) -> None:
    path = write(tmp_path, started(plan_of()), turn(1, "shell"))
    with path.open("ab") as file:
        file.write(b'{"type":"rep')
    assert "cut short: it has no outcome" in shown(path)


@pytest.mark.parametrize("colour", [False, True])
def test_what_a_model_or_tool_writes_never_reaches_the_terminal_as_a_command(
    tmp_path: Path, colour: bool
) -> None:
    events = [
        *call(name=HOSTILE, arguments=HOSTILE),
        result(HOSTILE),
        Signal(turn=1, name="unknown_tool", detail=HOSTILE),
        Reply(
            turn=2,
            text=HOSTILE,
            reasoning=HOSTILE,
            raw=HOSTILE,
            malformed="cut short",
            finish_reason="stop",
        ),
        changed(HOSTILE, None, file(HOSTILE)),
        *ending("wrong_answer", turns=2),
    ]
    text = shown(write(tmp_path, started(plan_of()), events), colour=colour)
    for command in ("\x1b]", "\x1b[2J", "\x07", "\r", "\x9b", "\u202e", "\u2066", "\u200b"):
        assert command not in text
    assert text.count(r"\x1b]0;owned\x07") == 9
    assert text.count("red]markup[/]") == 9


def test_no_text_from_outside_can_pass_for_a_line_of_ours(tmp_path: Path) -> None:
    forged = "wrong_answer after 1 s\n  -> shell\n" + "x" * 68 + "pass after 10.0 s"
    events = [
        *call(name=forged, arguments=forged),
        result(forged),
        Signal(turn=1, name="unknown_tool", detail=forged),
        *turn(2, text=forged),
        *ending("pass", turns=2),
    ]
    lines = shown(write(tmp_path, started(plan_of()), events)).splitlines()
    assert [line for line in lines if line.startswith(("pass", "wrong_answer"))] == [
        "pass after 10.0 s"
    ]
    calls = [line for line in lines if line.startswith("  -> ")]
    assert len(calls) == 1
    assert any(line.startswith(" " * BLOCK + "  -> shell") for line in lines)


def test_long_results_lose_their_middle_unless_all_is_asked_for(tmp_path: Path) -> None:
    content = "\n".join(f"line {number}" for number in range(1000)) + "\n"
    events = [*call(), result(content), *ending("pass")]
    path = write(tmp_path, started(plan_of()), events)
    short, full = shown(path), shown(path, full=True)
    assert "line 0\n" in short
    assert "line 999\n" in short
    assert "line 500\n" not in short
    assert f"[... {1000 - MOST_LINES} lines left out; --full shows them ...]" in short
    assert all(f"line {number}\n" in full for number in range(1000))


def test_a_long_line_loses_its_middle() -> None:
    line = "a" * LONGEST_LINE + "b" * 100
    half = "a" * (LONGEST_LINE // 2)
    assert shorten(line).startswith(half + "[... 100 characters left out ...]a")
    assert shorten(line).endswith("b" * 100)
    assert shorten("a" * LONGEST_LINE) == "a" * LONGEST_LINE


@pytest.mark.parametrize("arguments", ["{bad", "[1]", "", "[" * 100_000, "1" * 5000])
def test_arguments_that_are_no_object_are_shown_as_they_came(
    tmp_path: Path, arguments: str
) -> None:
    events = [*call(arguments=arguments), *ending("wrong_answer")]
    text = shown(write(tmp_path, started(plan_of()), events))
    assert f"(no JSON object)\n{' ' * BLOCK if arguments else ''}{arguments[:40]}" in text


def test_an_argument_of_several_lines_is_shown_as_lines(tmp_path: Path) -> None:
    arguments = '{"command": "cat <<E\\nhello\\nE", "retries": 3, "quiet": true}'
    events = [*call(arguments=arguments), *ending("wrong_answer")]
    text = shown(write(tmp_path, started(plan_of()), events))
    lines = ["command:", "  cat <<E", "  hello", "  E", "retries: 3", "quiet: true"]
    assert "\n".join(" " * BLOCK + line for line in lines) in text


def test_what_is_no_transcript_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "t.jsonl"
    path.write_text('{"type":"prompt","role":"user","content":"x"}\n')
    with pytest.raises(BadInput, match="no transcript"):
        shown(path)


def test_to_show_a_transcript_no_heavy_package_is_loaded() -> None:
    code = (
        "import sys, verification.show; "
        "sys.exit(sorted({'pandas', 'scipy', 'matplotlib', 'numpy'} & sys.modules.keys()) or 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


@given(st.text(st.characters(codec=None)))
def test_safe_text_holds_nothing_a_terminal_obeys(text: str) -> None:
    cleaned = safe(text)
    cleaned.encode()
    assert all(mark.isprintable() or mark in "\n\t" for mark in cleaned if ord(mark) < 0xA0)
    assert safe(cleaned) == cleaned
    assert "\n" not in one_line(text)
    assert len(one_line(text, 20)) <= 20


def test_ordinary_writing_of_any_language_is_left_alone() -> None:
    text = "Grüße,\n\t漢字\u3000हिन्दी 👍🏽 naïve §5"
    assert safe(text) == text


def test_what_steers_a_terminal_is_written_out() -> None:
    assert safe("\x1b[31m\x00\x9b\u202e\u2028\ud800") == r"\x1b[31m\x00\x9b\u202e\u2028\ud800"
    assert one_line("a\tb\nc", limit=None) == r"a\tb\nc"
    assert one_line("abcdef", limit=4) == "abc…"
