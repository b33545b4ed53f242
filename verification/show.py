"""A transcript as a person wants to read it.

Nothing in it is obeyed, neither escape sequences nor rich's markup, and what comes from outside
is indented on every line, so that no text can pass for a heading or an outcome.
"""

from __future__ import annotations

import difflib
import json
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.rule import Rule
from rich.text import Text

from harness.records import (
    Budgets,
    Change,
    Earlier,
    Ended,
    Entry,
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
from harness.store import read_header, read_transcript
from harness.terminal import one_line, safe

MOST_LINES, LONGEST_LINE = 30, 500
"""Lines of a text, and characters of a line, that are shown before the middle is left out."""

MOST_COMPARED = 4_000_000
"""Lines before a change times lines after it, up to which the two are compared."""

BLOCK = 5
"""Columns by which texts from outside are indented; lines of ours begin before that."""

COLOURS = {
    "pass": "bold green",
    "wrong_answer": "bold red",
    "gave_up": "bold yellow",
    "infrastructure_error": "bold magenta",
}


def show(path: Path, console: Console, *, full: bool = False) -> None:
    """Print a transcript; long texts lose their middle unless ``full``.

    Raises BadInput where ``path`` is no transcript or has a bad record.
    """
    read_header(path)
    printer = _Printer(console, full=full)
    finished = False
    for event in read_transcript(path):
        printer.event(event)
        finished = isinstance(event, Outcome)
    if not finished:
        console.print()
        printer.line("cut short: it has no outcome, and counts as interrupted", "bold magenta")


class _Printer:
    """Prints one event after another."""

    def __init__(self, console: Console, *, full: bool) -> None:
        self._console = console
        self._full = full

    def event(self, event: Event) -> None:
        match event:
            case Started():
                self._started(event)
            case Prompt():
                nudge = event.nudge_after is not None
                self._heading(f"{event.role}{': a nudge, for it had leaked' if nudge else ''}")
                self._block(event.content)
            case Earlier():
                self._heading(earlier_words(event))
                self._block(earlier_text(event))
            case Recovered():
                self.line(f"  + {recovered_words(event)}", "yellow")
                for call in event.tool_calls:
                    self.line(f"  -> {call.name}", "cyan")
                    self._block(arguments(call))
            case Repeat():
                waited = f"asked again after {event.waited_seconds:.1f} s"
                self.line(f"  ~ {waited}: {event.kind}: {event.detail}", "yellow")
            case Reply():
                self._reply(event)
            case ToolResult():
                how = "" if event.ok else ", an error"
                self.line(f"  <- {event.name}{how} ({second_words(event.seconds, 2)})", "cyan")
                self._block(event.content)
            case Signal():
                self.line(f"  ! {event.name}: {event.detail}", "yellow")
            case Ended():
                why = f"the budget of {event.budget} ran out" if event.budget else "it answered"
                self._heading(f"ended in turn {event.turn}: {why}")
            case Fault():
                self._heading(f"fault: {event.cause or 'of unknown cause'}")
                self._block(event.detail)
            case Left():
                self._left(event)
            case Graded():
                self._graded(event)
            case Outcome():
                self._outcome(event)

    def line(self, text: str, style: str = "") -> None:
        """One line of ours, which may hold a word from outside; its continuation is indented."""
        words = one_line(text.strip())
        self._print(Text(words, style), len(text) - len(text.lstrip()))

    def _heading(self, text: str) -> None:
        self._console.print()
        self._console.print(Rule(Text(one_line(text), "bold"), align="left", style="dim"))

    def _block(self, text: str, style: str = "") -> None:
        """A text from outside, deeper than any line of ours."""
        body = safe(text).rstrip("\n")
        self._print(Text(body if self._full else shorten(body), style), BLOCK)

    def _print(self, text: Text, indent: int) -> None:
        width = max(20, self._console.width - BLOCK)
        for number, row in enumerate(text.wrap(self._console, width, overflow="fold")):
            margin = " " * (BLOCK if number else indent)
            self._console.print(Text(margin).append_text(row), soft_wrap=True)

    def _started(self, started: Started) -> None:
        model = started.model
        self.line(
            f"{model.name}, {started.task}, repetition {started.repetition}"
            f" of {started.plan.runs_per_task}, attempt {started.attempt}",
            "bold",
        )
        facts = {
            "run": started.run,
            "campaign": f"{started.plan.campaign}, suite {started.plan.suite}",
            "model": f"{model.kind}, {sampling_words(started)}",
            "budgets": budget_words(started.budgets),
            "tools": ", ".join(tool.name for tool in started.tools) or "none",
            "sandbox": str(started.sandbox.get("kind", "unknown")),
            "started": f"{started.started_at:%Y-%m-%d %H:%M:%S %Z}",
        }
        for name, fact in facts.items():
            self.line(f"  {name:<9} {fact}")

    def _reply(self, reply: Reply) -> None:
        self._heading(f"turn {reply.turn}{spent(reply)}")
        parts = (
            ("thinks", reply.reasoning),
            ("says", reply.text),
            ("as it came", reply.raw if reply.malformed else None),
        )
        for name, text in parts:
            if text:
                self.line(f"  {name}:", "bold cyan")
                self._block(text, "dim" if name == "thinks" else "")
        for call in reply.tool_calls:
            self.line(f"  -> {call.name}", "bold cyan")
            self._block(arguments(call))

    def _left(self, left: Left) -> None:
        self._heading(f"left in its workspace: {_count(len(left.changes), 'change')}")
        for change in left.changes if self._full else left.changes[:MOST_LINES]:
            diff = diff_of(change)
            self.line(f"  {change.path}: {in_short(change, diff)}", "bold cyan")
            if diff:
                self._block("\n".join(diff))
        unseen = 0 if self._full else len(left.changes) - MOST_LINES
        if unseen > 0:
            self.line(f"  and {_count(unseen, 'more change')}; --full shows them")
        if left.left_out:
            self.line(f"  ! not in the transcript: {left.left_out}", "yellow")

    def _graded(self, graded: Graded) -> None:
        self._heading(f"the checker {'accepts' if graded.passed else 'rejects'}")
        for check in graded.checks:
            mark, style = ("✓", "green") if check.passed else ("✗", "bold red")
            self.line(f"  {mark} {check.name}", style)
            if check.detail:
                self._block(check.detail)

    def _outcome(self, outcome: Outcome) -> None:
        self._console.print()
        why = outcome.cause or outcome.budget
        signals = f", signals: {', '.join(outcome.signals)}" if outcome.signals else ""
        signals += f"; rescued, it would be {outcome.rescued}" if outcome.rescued else ""
        after = second_words(outcome.seconds, 1)
        self.line(
            f"{outcome.outcome}{f' ({why})' if why else ''} after {after}{signals}",
            COLOURS[outcome.outcome],
        )


def earlier_words(earlier: Earlier) -> str:
    """What stands before the task, in a line."""
    return (
        f"earlier turns, made up: about {earlier.tokens} tokens, {len(earlier.messages)} messages"
    )


def earlier_text(earlier: Earlier) -> str:
    """The earlier turns, a paragraph each."""
    lines = []
    for message in earlier.messages:
        match message:
            case Prompt():
                lines.append(f"{message.role}: {message.content}")
            case Reply():
                calls = [f"calls {call.name} {call.arguments}" for call in message.tool_calls]
                lines.append(f"assistant: {' '.join(filter(None, [message.text, *calls]))}")
            case ToolResult():
                lines.append(f"{message.name}: {message.content}")
    return "\n\n".join(lines)


def recovered_words(recovered: Recovered) -> str:
    """What was recovered of a reply, in a line."""
    calls = _count(len(recovered.tool_calls), "call")
    return (
        f"{calls} recovered from its text, by the dialect {recovered.dialect} {recovered.version}"
        "; the model made none"
    )


def diff_of(change: Change) -> list[str]:
    """The lines that a change removed and added, with three of context, as ``diff -u`` has them.

    None where one side is no text, nor where both are so long that comparing them takes minutes.
    """
    before, after = _lines(change.before), _lines(change.after)
    if before is None or after is None or len(before) * len(after) > MOST_COMPARED:
        return []
    return list(difflib.unified_diff(before, after, lineterm=""))[2:]


def _lines(entry: Entry | None) -> list[str] | None:
    """The lines of a text; none where there is no file, None where it is something else."""
    if entry is None:
        return []
    if entry.kind != "text":
        return None
    *lines, rest = entry.content.split("\n")
    return [*lines, f"{rest} (no newline at its end)"] if rest else lines


def in_short(change: Change, diff: Sequence[str]) -> str:
    """What became of a path: ``changed, +3 -1``."""
    if change.after is None:
        what = "removed"
    elif change.after.kind in ("text", "base64"):
        what = "changed" if change.before else "added"
    else:
        what = f"now {change.after.kind} ({change.after.content})"
    if change.before and change.after and change.before.executable != change.after.executable:
        what += ", can be run" if change.after.executable else ", cannot be run"
    counts = [sum(line.startswith(sign) for line in diff) for sign in "+-"]
    return f"{what}, +{counts[0]} -{counts[1]}" if diff else what


def _count(number: int, word: str) -> str:
    return f"{number} {word}{'' if number == 1 else 's'}"


def shorten(text: str) -> str:
    """``text`` without its middle, where it has too many lines or a line too many characters."""
    lines = text.split("\n")
    left_out = len(lines) - MOST_LINES
    if left_out > 0:
        head, tail = lines[: MOST_LINES * 2 // 3], lines[-MOST_LINES // 3 :]
        lines = [*head, f"[... {left_out} lines left out; --full shows them ...]", *tail]
    return "\n".join(map(_shorten_line, lines))


def _shorten_line(line: str) -> str:
    left_out = len(line) - LONGEST_LINE
    if left_out <= 0:
        return line
    half = LONGEST_LINE // 2
    return f"{line[:half]}[... {left_out} characters left out ...]{line[-half:]}"


def spent(reply: Reply) -> str:
    """What is known of a reply's cost, as the end of a heading."""
    usage = reply.usage
    known = [
        f"{count} tokens {what}"
        for what, count in (("in", usage.input), ("cached", usage.cached), ("out", usage.output))
        if count is not None
    ]
    if reply.model_seconds is not None:
        known.append(f"{reply.model_seconds:.1f} s")
    return f": {', '.join(known)}" if known else ""


def sampling_words(started: Started) -> str:
    sampling = started.model.sampling
    if sampling is None:
        return "sampling unknown"
    return f"temperature {sampling.temperature:g}, top_p {sampling.top_p:g}, seed {started.seed}"


def budget_words(budgets: Budgets | None) -> str:
    if budgets is None:
        return "unknown"
    limit = f", {budgets.model_seconds:g} s of its own" if budgets.model_seconds else ""
    return f"{budgets.turns} turns, {budgets.tokens_per_turn} tokens a turn{limit}"


def second_words(seconds: float | None, digits: int) -> str:
    return "an unknown time" if seconds is None else f"{seconds:.{digits}f} s"


def arguments(call: ToolCall) -> str:
    """A call's arguments a line each, long texts as they are; else the raw text."""
    try:
        arguments = json.loads(call.arguments)
    except (ValueError, RecursionError):
        arguments = None
    if not isinstance(arguments, dict):
        return f"(no JSON object)\n{call.arguments}"
    return "\n".join(f"{name}:{_value(value)}" for name, value in arguments.items())


def _value(value: object) -> str:
    if not isinstance(value, str):
        return f" {json.dumps(value, ensure_ascii=False)}"
    if "\n" not in value:
        return f" {value}"
    return "".join(f"\n  {line}" for line in value.split("\n"))
