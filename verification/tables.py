"""Evidence -> the verification CSVs. What each column means, and its unit, is in
docs/evidence.md.

The same transcripts give the same bytes, in whatever order the runs were played or resumed:
rows are sorted, floats have six decimals, lines end in a line feed. What is unknown is an empty
cell.
"""

from __future__ import annotations

import csv
import io
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import pandas as pd
from pandas.api.types import is_float_dtype, is_numeric_dtype

from harness.records import OUTCOMES, Plan, Price
from harness.terminal import one_line
from verification.evidence import TIMES, Evidence
from verification.leak_counts import RESCUES, tally
from verification.statistics import over_tasks, pass_at_k, pass_hat_k, suite, wilson
from verification.totals import NOT_OFFERED, UNKNOWN

ALL_TASKS = "(all)"
"""In place of a task: the row of all of a model's tasks together."""

OWED = "(owed)"
"""In place of an outcome: planned runs that have no transcript yet."""

PERCENTILES = (50, 90, 95, 99)
LONGEST_DETAIL = 200
COUNTS = ["planned", "runs", "owed", *OUTCOMES]
RATES = ["leaked", "strict", *RESCUES.values()]
TOKENS = ["tokens_input", "tokens_cached", "tokens_output"]

_COMPUTE = [
    "model_seconds",
    "cold_start_seconds",
    "tokens_read",
    "reading_seconds",
    "tokens_written",
    "writing_seconds",
    "tokens_evaluated",
    "peak_memory_bytes",
    "vram_bytes",
    "joules",
]

# fmt: off
_RUN = [
    "model", "kind", "task", "repetition", "run", "seed", "task_digest", "variant_seed", "outcome",
    "cause", "budget", "signals", "turns", "tool_calls", "tool_errors", *TOKENS, "usd", *TIMES,
    "context_load", "context_tokens", "on_leak", "rescued", "nudges", "recovered_calls",
]
_ATTEMPT = [
    "model", "task", "repetition", "run", "attempt", "latest", "outcome", "cause", "budget",
    "fault", "seconds", "repeats", "waited_seconds", "started_at", "ended_at", "transcript",
]
# fmt: on


@dataclass(frozen=True)
class Table:
    """A CSV: ``keys`` are the columns that tell its rows apart.

    ``content`` is the whole table or, where that may be too long to be held, what begins to
    yield it in parts.
    """

    name: str
    keys: tuple[str, ...]
    content: pd.DataFrame | Callable[[], Iterator[pd.DataFrame]]

    @property
    def frame(self) -> pd.DataFrame:
        """The whole table in memory."""
        return pd.concat(self._parts(), ignore_index=True)

    @property
    def csv(self) -> str:
        """The whole file, as text."""
        return "".join(self.lines())

    def lines(self) -> Iterator[str]:
        """The same, some thousand lines at a time."""
        for number, part in enumerate(self._parts()):
            yield _csv(part, header=number == 0)

    def _parts(self) -> Iterable[pd.DataFrame]:
        return [self.content] if isinstance(self.content, pd.DataFrame) else self.content()


def tables(evidence: Evidence) -> list[Table]:
    """Every verification CSV."""
    return [
        Table("runs.csv", ("run",), lambda: map(_run_rows, evidence.run_parts(_RUN))),
        Table("pass_rate_by_task.csv", ("model", "task"), pass_rates(evidence)),
        Table("pass_at_k.csv", ("model", "k"), passes_at_k(evidence)),
        Table(
            "failure_mode_histogram.csv",
            ("model", "outcome", "cause", "budget"),
            failure_modes(evidence),
        ),
        Table("leakage.csv", ("model", "by", "value"), leaks(evidence)),
        Table("latency_distribution.csv", ("model", "task"), latencies(evidence)),
        Table("tool_calls_by_task.csv", ("model", "task"), tool_calls(evidence)),
        Table("cost_breakdown.csv", ("model", "role"), costs(evidence)),
        Table("inference.csv", ("model",), inference(evidence)),
        Table(
            "attempts.csv",
            ("run", "attempt"),
            lambda: map(_attempt_rows, evidence.attempt_parts(_ATTEMPT)),
        ),
        Table(
            "findings.csv",
            ("run", "line", "name"),
            lambda: map(_finding_rows, evidence.finding_parts()),
        ),
    ]


def leaks(evidence: Evidence) -> pd.DataFrame:
    """A row per model, and per model and family, depth and load: how often markup leaked, and
    what the runs came to, strictly and rescued (``verification.leak_counts``)."""
    rows = []
    for (model, by, value), cell in tally(evidence).items():
        row: dict[str, object] = {"model": model, "by": by, "value": value}
        row |= {"replies": cell.replies, "leaked_replies": cell.leaked_replies}
        row |= {"runs": cell.runs, "leaked_runs": cell.leaked_runs}
        row |= _rate("leaked", cell.leaked_runs, cell.runs)
        if by in ("all", "load"):
            row |= _rate("strict", cell.passes, cell.runs)
            if cell.rescue:
                row |= _rate(cell.rescue, cell.rescued_passes, cell.runs)
        rows.append(row)
    columns = ["model", "by", "value", "replies", "leaked_replies", "runs", "leaked_runs"]
    columns += [f"{of}_{what}" for of in RATES for what in ("rate", "low", "high")]
    return pd.DataFrame(rows, columns=columns)


def _rate(of: str, part: int, whole: int) -> dict[str, object]:
    """A share and its interval, as cells."""
    low, high = wilson(part, whole) or (UNKNOWN, UNKNOWN)
    share = part / whole if whole else UNKNOWN
    return {f"{of}_rate": share, f"{of}_low": low, f"{of}_high": high}


def runs(evidence: Evidence) -> pd.DataFrame:
    """A row per run: its latest attempt. No clock time, no count of attempts: how often a
    campaign was interrupted is no property of its runs."""
    return _run_rows(evidence.runs)


def _run_rows(runs: pd.DataFrame) -> pd.DataFrame:
    return runs[_RUN].astype(dict.fromkeys([*TOKENS, "context_tokens"], "Int64"))


def pass_rates(evidence: Evidence) -> pd.DataFrame:
    """A row per planned model and task, and one per model with task ``(all)`` after them.

    An ``(all)`` row has two intervals: ``effective_low`` and ``_high`` for these same tasks run
    again (``statistics.wilson``), ``suite_low`` and ``_high`` for tasks like these
    (``statistics.suite``).
    """
    by_task = _outcomes(evidence).reset_index()
    by_task["planned"] = _plan(evidence).runs_per_task
    pooled = by_task.groupby("model", as_index=False).sum(numeric_only=True)
    rates = pd.concat([by_task, pooled.assign(task=ALL_TASKS)], ignore_index=True)
    # Stable, so that a model's (all) comes after its tasks.
    rates = _with_rates(rates.sort_values("model", kind="stable", ignore_index=True))
    suites = {model: _suite(rows) for model, rows in rates.groupby("model")}
    limits = [
        suites[model] if task == ALL_TASKS else (UNKNOWN, UNKNOWN)
        for model, task in zip(rates["model"], rates["task"], strict=True)
    ]
    return rates.assign(
        suite_low=[low for low, _ in limits], suite_high=[high for _, high in limits]
    )


def _outcomes(evidence: Evidence) -> pd.DataFrame:
    """The count of each outcome, a row per planned model and task."""
    plan = _plan(evidence)
    cells = pd.MultiIndex.from_product([plan.models, plan.tasks], names=["model", "task"])
    counts = evidence.outcomes.groupby(["model", "task", "outcome"])["runs"].sum()
    return counts.unstack(fill_value=0).reindex(index=cells, columns=list(OUTCOMES), fill_value=0)


def _suite(rates: pd.DataFrame) -> tuple[float, float]:
    tasks = rates[rates["task"] != ALL_TASKS]
    own = tasks["runs"] - tasks["infrastructure_error"]
    return suite(tasks["pass"].tolist(), own.tolist()) or (UNKNOWN, UNKNOWN)


def _with_rates(counts: pd.DataFrame) -> pd.DataFrame:
    planned, passed = counts["planned"], counts["pass"]
    runs = counts[list(OUTCOMES)].sum(axis="columns")
    scored = runs - counts["infrastructure_error"]
    intervals = [wilson(int(k), int(n)) for k, n in zip(passed, scored, strict=True)]
    rates = counts.assign(
        runs=runs,
        owed=planned - runs,
        # With no run of its own, a model has no score yet: what is unknown is never 0.
        raw_rate=passed.where(scored > 0) / planned,
        effective_rate=passed / scored.where(scored > 0),
        coverage=scored / planned,
        raw_low=passed / planned,
        raw_high=(passed + planned - scored) / planned,
        effective_low=[UNKNOWN if one is None else one.low for one in intervals],
        effective_high=[UNKNOWN if one is None else one.high for one in intervals],
    )
    columns = ["model", "task", *COUNTS, "raw_rate", "effective_rate", "coverage"]
    return rates[[*columns, "raw_low", "raw_high", "effective_low", "effective_high"]]


def passes_at_k(evidence: Evidence) -> pd.DataFrame:
    """A row per model and round k: pass@k and pass^k, each the mean over the tasks that have k
    runs of the model's own, with its interval for tasks like these."""
    rows: list[dict[str, object]] = []
    for model, outcomes in _outcomes(evidence).groupby("model", sort=False):
        own = outcomes.sum(axis="columns") - outcomes["infrastructure_error"]
        counts = list(zip(outcomes["pass"].tolist(), own.tolist(), strict=True))
        for k in filter(_is_told_of, range(1, _plan(evidence).runs_per_task + 1)):
            played = [(passes, runs) for passes, runs in counts if runs >= k]
            row: dict[str, object] = {"model": model, "k": k, "tasks": len(played)}
            for name, of in (("pass_at_k", pass_at_k), ("pass_hat_k", pass_hat_k)):
                scores = [of(passes, runs, k) for passes, runs in played]
                interval = over_tasks(scores, [1] * len(scores), sum(runs for _, runs in played))
                row[name] = sum(scores) / len(scores) if scores else UNKNOWN
                row[f"{name}_low"], row[f"{name}_high"] = interval or (UNKNOWN, UNKNOWN)
            rows.append(row)
    columns = ["model", "k", "tasks"]
    columns += [
        f"{name}{end}" for name in ("pass_at_k", "pass_hat_k") for end in ("", "_low", "_high")
    ]
    return pd.DataFrame(rows, columns=columns)


def _is_told_of(k: int) -> bool:
    """Every k up to 20, and 50, 100, 200, 500 and so on: nobody reads thousands of rows."""
    return k <= 20 or str(k).rstrip("0") in ("1", "2", "5")


def failure_modes(evidence: Evidence) -> pd.DataFrame:
    """Rows per model: each outcome, split by cause and budget where it has one, and ``(owed)``.

    An outcome that did not occur has a row with 0 runs; shares are of the planned runs.
    """
    plan = _plan(evidence)
    planned = len(plan.tasks) * plan.runs_per_task
    counts: Counter[tuple[str, ...]] = Counter()
    seen_of = evidence.outcomes.fillna("").itertuples(index=False, name=None)
    for model, _, outcome, cause, budget, runs in seen_of:
        counts[model, outcome, cause, budget] += runs
    for model in plan.models:
        begun = sum(count for mode, count in counts.items() if mode[0] == model)
        counts[model, OWED, "", ""] = planned - begun
    rows = []
    for model in plan.models:
        for outcome in (*OUTCOMES, OWED):
            seen = sorted(mode for mode in counts if mode[:2] == (model, outcome))
            for mode in seen or [(model, outcome, "", "")]:
                rows.append((*mode, counts[mode], counts[mode] / planned))
    return pd.DataFrame(rows, columns=["model", "outcome", "cause", "budget", "runs", "share"])


def latencies(evidence: Evidence) -> pd.DataFrame:
    """A row per planned model and task: seconds of the whole run and of the model alone."""
    columns = ["model", "task", "runs", "infrastructure_runs"]
    for clock in ("run", "model"):
        spread = ("mean", *(f"p{percent}" for percent in PERCENTILES), "min", "max")
        columns += [f"{clock}_n", *(f"{clock}_seconds_{name}" for name in spread)]
    rows = [
        {
            **cell,
            **_spread("run", scored["seconds"]),
            **_spread("model", scored["model_seconds"]),
            "tokens_per_second": tokens_per_second(scored),
        }
        for cell, scored in _by_task(evidence, "seconds", "model_seconds", "tokens_output")
    ]
    return pd.DataFrame(rows, columns=[*columns, "tokens_per_second"])


def _spread(clock: str, seconds: pd.Series[float]) -> dict[str, float]:
    """Mean, percentiles and extremes of the values that are known. A percentile between two
    values is interpolated linearly (Hyndman and Fan's type 7, what numpy does by default)."""
    known = seconds.dropna()
    quantiles = known.quantile([percent / 100 for percent in PERCENTILES]).tolist()
    return {
        f"{clock}_n": len(known),
        f"{clock}_seconds_mean": known.mean(),
        **{f"{clock}_seconds_p{p}": q for p, q in zip(PERCENTILES, quantiles, strict=True)},
        f"{clock}_seconds_min": known.min(),
        f"{clock}_seconds_max": known.max(),
    }


def tokens_per_second(runs: pd.DataFrame) -> float:
    """All tokens written over all of the model's seconds, of the runs of which both are known;
    NaN where there is none."""
    known = runs[runs["tokens_output"].notna() & (runs["model_seconds"] > 0)]
    seconds = known["model_seconds"].sum()
    return known["tokens_output"].sum() / seconds if seconds else UNKNOWN


def tool_calls(evidence: Evidence) -> pd.DataFrame:
    """A row per planned model and task: calls per run, in all and by tool.

    Tools that the task does not offer have an empty cell; calls of tools that were not offered
    are counted together, since a model may make up any name.
    """
    tools = sorted({tool for offered in evidence.tools.values() for tool in offered})
    columns = ["model", "task", "runs", "infrastructure_runs", "mean", "min", "max"]
    rows = []
    for cell, scored in _by_task(evidence, "tool_calls", "calls"):
        counts = scored["tool_calls"]
        row = {**cell, "mean": counts.mean(), "min": counts.min(), "max": counts.max()}
        for tool in (*evidence.tools.get(str(cell["task"]), ()), NOT_OFFERED):
            row[f"mean_{tool}"] = pd.Series(
                [calls.get(tool, 0) for calls in scored["calls"]]
            ).mean()
        rows.append(row)
    columns += [f"mean_{tool}" for tool in (*tools, NOT_OFFERED)]
    return pd.DataFrame(rows, columns=columns).astype({"min": "Int64", "max": "Int64"})


def costs(evidence: Evidence) -> pd.DataFrame:
    """A row per model: what all of its attempts used up, those that were played again too."""
    rows = []
    for model in _plan(evidence).models:
        columns = ["kind", "turns", "replies_without_usage", *TOKENS, "usd", "seconds"]
        attempts = evidence.attempts_of(model, columns)
        row: dict[str, object] = {"model": model, "role": "agent"}
        if not (attempts["kind"] == "scripted").any():
            row |= _cost(attempts, evidence.prices.get(model))
        rows.append(row)
    counts = ["attempts", "replies", "replies_without_usage", *TOKENS]
    prices = ["price_input", "price_cached", "price_output"]
    columns = ["model", "role", *counts, *prices, "usd", "wall_seconds"]
    return pd.DataFrame(rows, columns=columns).astype(dict.fromkeys(counts, "Int64"))


def _cost(attempts: pd.DataFrame, price: Price | None) -> dict[str, object]:
    replied = attempts[attempts["turns"] > 0]
    return {
        "attempts": len(attempts),
        "replies": attempts["turns"].sum(),
        "replies_without_usage": attempts["replies_without_usage"].sum(),
        **{name: _total(replied[name]) for name in (*TOKENS, "usd")},
        "price_input": price and price.input,
        "price_cached": price and price.cached,
        "price_output": price and price.output,
        # An attempt that was cut off did not live to say how long it took.
        "wall_seconds": attempts["seconds"].sum(min_count=1),
    }


def _total(values: pd.Series[float]) -> float:
    """The sum; unknown where a part of it is, or where there is none."""
    return values.sum(skipna=False) if len(values) else UNKNOWN


def inference(evidence: Evidence) -> pd.DataFrame:
    """A row per model that is no script: how fast it read and wrote, and what it took to run, over
    all of its attempts. What only an engine of our own can count is unknown of others."""
    columns = ["model", "replies", "cold_start_seconds", "tokens_evaluated", "cached_share"]
    columns += ["prompt_tokens_per_second", "generation_tokens_per_second"]
    columns += ["peak_memory_bytes", "peak_vram_bytes", "mean_watts"]
    rows = []
    for model in _plan(evidence).models:
        attempts = evidence.attempts_of(model, ["kind", "turns", *TOKENS, *_COMPUTE])
        replied = attempts[(attempts["turns"] > 0) & (attempts["kind"] != "scripted")]
        if not replied.empty:
            rows.append({"model": model, **_inference(replied)})
    whole = ["replies", "tokens_evaluated", "peak_memory_bytes", "peak_vram_bytes"]
    return pd.DataFrame(rows, columns=columns).astype(dict.fromkeys(whole, "Int64"))


def _inference(replied: pd.DataFrame) -> dict[str, object]:
    total = {name: _total(replied[name]) for name in ("turns", *TOKENS, *_COMPUTE)}
    return {
        "replies": total["turns"],
        "cold_start_seconds": replied["cold_start_seconds"].max(),
        "tokens_evaluated": total["tokens_evaluated"],
        "cached_share": _ratio(total["tokens_cached"], total["tokens_input"]),
        "prompt_tokens_per_second": _ratio(total["tokens_read"], total["reading_seconds"]),
        "generation_tokens_per_second": _ratio(total["tokens_written"], total["writing_seconds"]),
        "peak_memory_bytes": replied["peak_memory_bytes"].max(),
        "peak_vram_bytes": replied["vram_bytes"].max(),
        "mean_watts": _ratio(total["joules"], total["model_seconds"]),
    }


def _ratio(part: float, whole: float) -> float:
    """``part / whole``; unknown where either is, or there is nothing to divide by."""
    return part / whole if whole > 0 else UNKNOWN


def attempts(evidence: Evidence) -> pd.DataFrame:
    """A row per attempt, with its cause. The only CSV that tells of interruptions and dates."""
    return _attempt_rows(evidence.attempts)


def _attempt_rows(attempts: pd.DataFrame) -> pd.DataFrame:
    frame = attempts.assign(
        transcript="data/transcripts/" + attempts["transcript"].astype(str),
        fault=_bounded(attempts["fault"]),
    )
    return frame[_ATTEMPT]


def findings(evidence: Evidence) -> pd.DataFrame:
    """A row per signal or detector's finding of a run's latest attempt. The only CSV with words of
    a model's."""
    return _finding_rows(evidence.findings)


def _finding_rows(found: pd.DataFrame) -> pd.DataFrame:
    turns = found["turn"].astype(str)
    return found.assign(
        citation="data/transcripts/" + found["run"].astype(str) + ".jsonl#turn=" + turns,
        detail=_bounded(found["detail"]),
    )


def _by_task(evidence: Evidence, *columns: str) -> Iterator[tuple[dict[str, object], pd.DataFrame]]:
    """For each planned model and task: the first cells of its row, and some columns of the
    model's own runs."""
    plan = _plan(evidence)
    for model in plan.models:
        for task in plan.tasks:
            runs = evidence.runs_of(model, task, ["outcome", *columns])
            scored = runs[runs["outcome"] != "infrastructure_error"]
            infrastructure = len(runs) - len(scored)
            cell = {"model": model, "task": task, "runs": len(scored)}
            yield {**cell, "infrastructure_runs": infrastructure}, scored


def _plan(evidence: Evidence) -> Plan:
    """The plan; before the first run, one that owes nothing."""
    return evidence.plan or Plan(
        campaign="", suite="", models=(), tasks=(), runs_per_task=0, seed=0
    )


def _bounded(texts: pd.Series[str]) -> pd.Series[str]:
    return texts.map(lambda text: one_line(text, LONGEST_DETAIL), na_action="ignore")


def _csv(part: pd.DataFrame, *, header: bool) -> str:
    """Rows as lines of a CSV. pandas' own writer takes twice the time."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    if header:
        writer.writerow(part.columns)
    writer.writerows(zip(*(_cells(part[name]) for name in part.columns), strict=True))
    return text.getvalue()


def _cells(column: pd.Series[Any]) -> list[str]:
    """A column as text; what is unknown is empty."""
    if is_numeric_dtype(column):
        spelled = "{:.6f}".format if is_float_dtype(column) else str
        known = zip(column.tolist(), column.notna(), strict=True)
        return [spelled(value) if is_known else "" for value, is_known in known]
    # Each different text is looked at once: most columns hold few.
    inert = {text: _inert(text) for text in set(column.dropna().tolist())}
    return [inert.get(text, "") for text in column.tolist()]


def _inert(text: object) -> str:
    """A cell that no spreadsheet takes for a formula and no terminal for a command."""
    line = one_line(str(text))
    return f"'{line}" if line.startswith(("=", "+", "-", "@")) else line
