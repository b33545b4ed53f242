"""A campaign as a person watches it: a live table on a terminal, plain lines anywhere else."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from harness.campaign import Work
from harness.records import OUTCOMES, Event, Fault, Outcome, OutcomeName, Reply
from harness.schedule import Run
from harness.terminal import one_line

HEADINGS: dict[OutcomeName, str] = {
    "pass": "pass",
    "wrong_answer": "wrong",
    "gave_up": "gave up",
    "infrastructure_error": "infra",
}
"""Short enough for a terminal of 80 columns."""


class _Pace:
    """What one model has done in this sitting."""

    def __init__(self, owed: int) -> None:
        self.owed = owed
        self.played = 0
        self.tokens = 0
        self.seconds = 0.0

    @property
    def tokens_per_second(self) -> float | None:
        return self.tokens / self.seconds if self.tokens and self.seconds else None


class Progress:
    """Watches a campaign and shows it on a console."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._live: Live | None = None
        self._began = time.monotonic()
        self._counts: Counter[tuple[str, OutcomeName]] = Counter()
        self._paces: dict[str, _Pace] = {}
        self._now: dict[str, str] = {}
        self._turns: Counter[str] = Counter()
        self._waiting: dict[str, str] = {}
        self._total = 0

    @contextmanager
    def shown(self) -> Iterator[Progress]:
        """Show the campaign until the block ends, however it ends."""
        try:
            yield self
        finally:
            if self._live is not None:
                self._live.stop()

    def began(self, work: Work, sandbox: Mapping[str, Any]) -> None:
        """Say what is about to be run, and start the live view where there is a terminal."""
        self._began = time.monotonic()
        self._counts.update(work.settled)
        self._total = work.total
        for model in work.plan.models:
            self._paces[model] = _Pace(sum(run.model == model for run in work.owed))
        self._introduce(work, sandbox)
        if self._console.is_terminal:
            self._live = Live(
                get_renderable=self._view, console=self._console, refresh_per_second=4
            )
            self._live.start()

    def opens(self, model: str, doing: str) -> None:
        """Say what is waited for, which may be minutes."""
        self._say(f"{model}: {doing}")

    def tries(self, model: str, observed: Mapping[str, Any]) -> None:
        """Say what was opened, and that it is being tried out, which may take a while."""
        if dialect := observed.get("dialect"):
            self._say(f"{model}: its calls are read as those of the dialect {dialect}")
        if why := observed.get("not_reproducible_because"):
            self._say(f"{model}: a run of it may not be the same again to the bit: {why}")
        self._say(f"{model}: preflight: a tool call, and another at half the context ...")

    def tried(self, model: str, facts: Mapping[str, Any]) -> None:
        speeds = (
            f"{what} {facts[key]:.0f} tokens/s"
            for what, key in (
                ("reads", "reads_tokens_per_second"),
                ("writes", "writes_tokens_per_second"),
            )
            if facts[key] is not None
        )
        if facts["deep_tokens"] is None:
            depth = "half its context was not tried: set context_window, which nobody told"
        else:
            depth = f"and behind {facts['deep_tokens']} tokens"
        self._say(
            f"{model}: preflight: starts in {facts['cold_start_seconds']:.1f} s, "
            + ", ".join(("calls a tool when made to", depth, *speeds))
        )

    def paused(self, model: str, reason: str, patience_seconds: float) -> None:
        self._waiting[model] = f"{model} is paused: {reason}"
        self._say(
            f"{model}: paused: {reason}; it is tried again, for up to "
            f"{_clock(patience_seconds)}, and its runs go on where they are"
        )

    def resumed(self, model: str, seconds: float) -> None:
        self._waiting.pop(model, None)
        self._say(f"{model}: answers again after {_clock(seconds)}; going on")

    def slowed(self, model: str, seconds: float, at_once: int) -> None:
        many = f"{_count(at_once, 'request')} at once"
        self._say(f"{model}: rate limited; waiting {seconds:.0f} s, then {many}")

    def stopped(self, model: str | None, reason: str) -> None:
        self._waiting.clear()
        self._say(f"{model or 'the campaign'}: no more runs are begun: {reason}")

    def attempt_began(self, run: Run, attempt: int) -> None:
        again = f", attempt {attempt}" if attempt > 1 else ""
        self._now[run.id] = f"{run.model} {run.task} #{run.repetition}{again}"
        self._turns[run.id] = 0

    def happened(self, run: Run, event: Event) -> None:
        if isinstance(event, Reply):
            self._turns[run.id] = event.turn
            if event.usage.output and event.model_seconds:
                self._paces[run.model].tokens += event.usage.output
                self._paces[run.model].seconds += event.model_seconds
        if isinstance(event, Fault) and event.cause != "interrupted":
            self._say(f"{self._now[run.id]}: {event.cause}: {event.detail}")

    def attempt_ended(self, run: Run, outcome: Outcome, *, final: bool) -> None:
        where = self._now.pop(run.id)
        if not final:
            return
        self._counts[run.model, outcome.outcome] += 1
        self._paces[run.model].played += 1
        if self._live is None:
            why = outcome.cause or outcome.budget or ", ".join(outcome.signals)
            words = outcome.outcome + (f" ({why})" if why else "")
            spent = f"{_count(self._turns[run.id], 'turn')}, {outcome.seconds:.1f} s"
            self._say(f"[{self._counts.total()}/{self._total}] {where}: {words}; {spent}")

    def _introduce(self, work: Work, sandbox: Mapping[str, Any]) -> None:
        plan = work.plan
        done = f"; {work.total - len(work.owed)} are done already" if work.settled else ""
        self._say(
            f"{plan.campaign}: {plan.suite}, {_count(len(plan.tasks), 'task')} "
            f"x {_count(plan.runs_per_task, 'run')} x {_count(len(plan.models), 'model')} "
            f"= {_count(work.total, 'run')}{done}"
        )
        if work.campaign.note:
            self._say(work.campaign.note)
        if work.campaign.variants == "seeded":
            self._say("variants: seeded, each run its own; models meet the same ones")
        if work.shortcoming:
            self._console.print(f"WARNING: {work.shortcoming}.", style="bold yellow")
        if sandbox.get("kind") == "none":
            self._console.print(
                'WARNING: sandbox = "none": models\' commands run on this machine, as you, with '
                "nothing between them and your files. It is recorded in the manifest.",
                style="bold red",
            )
        else:
            facts = (f"{key} {value}" for key, value in sandbox.items() if key != "kind")
            self._say(f"sandbox: {sandbox.get('kind')} ({', '.join(facts)})")

    def _say(self, line: str) -> None:
        self._console.print(Text(one_line(line)), soft_wrap=not self._console.is_terminal)

    def _view(self) -> RenderableType:
        done = self._counts.total()
        elapsed = time.monotonic() - self._began
        clock = f"{done}/{self._total}  {_clock(elapsed)} gone  {self._time_left(elapsed)}"
        bar = Table.grid(padding=(0, 2))
        bar.add_row(ProgressBar(total=self._total, completed=done, width=40), clock)
        now = [
            Text(f"  {where}, turn {self._turns[run] + 1}", style="dim", overflow="ellipsis")
            for run, where in list(self._now.items())[:8]
        ]
        waiting = [Text(one_line(line), style="yellow") for line in self._waiting.values()]
        return Group(self._table(), bar, *waiting, *now)

    def _table(self) -> Table:
        table = Table(box=None, padding=(0, 2, 0, 0))
        table.add_column("model")
        for heading in ("done", *(HEADINGS[name] for name in OUTCOMES), "tokens/s"):
            table.add_column(heading, justify="right")
        for model, pace in self._paces.items():
            counts = [self._counts[model, outcome] for outcome in OUTCOMES]
            owed = pace.owed - pace.played
            speed = pace.tokens_per_second
            table.add_row(
                model,
                f"{sum(counts)}/{sum(counts) + owed}",
                *(str(count) for count in counts),
                "-" if speed is None else f"{speed:.1f}",
            )
        return table

    def _time_left(self, elapsed: float) -> str:
        """By the slowest model: models run side by side."""
        left = [
            elapsed / pace.played * (pace.owed - pace.played) if pace.played else None
            for pace in self._paces.values()
            if pace.owed > pace.played
        ]
        known = [seconds for seconds in left if seconds is not None]
        if len(known) < len(left):
            return "time left: not known yet"
        return f"about {_clock(max(known, default=0.0))} left"


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"


def _clock(seconds: float) -> str:
    return str(timedelta(seconds=round(seconds)))
