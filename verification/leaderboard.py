"""Campaigns side by side: who is ahead, as far as the runs can tell.

Only what was played under the same conditions is ranked together: the same suite, the same
tasks by their digests, the same budgets and limits, the tasks as published or as variants. A
person who names all campaigns (``campaigns/*``) wants what can be ranked, so other conditions are
no mistake: each gets a table of its own. How tokens are drawn is a model's own affair, and no rule.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

import pandas as pd

from harness.errors import BadInput
from harness.records import Budgets, ModelRecord, Plan
from harness.store import CampaignFolder, Manifest, read_header, read_manifest
from harness.terminal import one_line
from verification.conditions import other_limits
from verification.evidence import Evidence, read
from verification.exhibit import Column, Exhibit
from verification.statistics import Interval
from verification.summary import DASH, percent, span
from verification.tables import ALL_TASKS, costs, pass_rates, tokens_per_second

COLUMNS = (
    Column("rank", figures=True),
    Column("model"),
    Column("campaign"),
    Column("passes", figures=True),
    Column("score", figures=True),
    Column("95% int.", figures=True),
    Column("coverage", figures=True),
    Column("US$", figures=True),
    Column("US$/pass", figures=True),
    Column("tokens/s", figures=True),
    Column("tier"),
    Column("hardware"),
)
NOTES = (
    "passes: of all planned runs. score: passes of the model's own runs, those that no "
    "infrastructure spoiled, with its 95% interval. coverage: the model's own runs of all "
    "planned ones. The interval (Wilson's) is for these same tasks again.",
    "rank: the best and the worst that the intervals allow; where they overlap, the order of two "
    "models is not known.",
    "US$: of all attempts; a dash is unknown, not free. tokens/s: written, in all of the model's "
    "own time, reading included. hardware: as Fairtrial saw it where it ran; a local endpoint may "
    "be a tunnel to another machine.",
)


@dataclass(frozen=True)
class Rules:
    """What a task was played under. ``budgets`` are None where an imported log does not tell all
    of them; ``limits`` are what it tells beside them; ``loads`` are those of the context."""

    task_digest: str
    budgets: Budgets | None
    limits: Mapping[str, Any]
    variants: bool
    loads: frozenset[int]


@dataclass(frozen=True)
class Entry:
    """A model in a campaign. ``score`` is its row for all tasks in ``pass_rate_by_task.csv``;
    ``unplayed`` are tasks of which no run is its own. NaN is unknown, as is None."""

    model: str
    campaign: str
    score: pd.Series
    usd: float
    unplayed: tuple[str, ...]
    tokens_per_second: float
    tier: str
    hardware: str

    @property
    def interval(self) -> Interval:
        """Of the score; NaN at both ends where there is none."""
        return Interval(self.score["effective_low"], self.score["effective_high"])


@dataclass
class Group:
    """What is ranked together. ``rules`` are by task, as far as the runs tell them; ``scripts``
    names what was played beside the models."""

    suite: str
    tasks: tuple[str, ...]
    rules: dict[str, Rules] = field(default_factory=dict)
    entries: list[Entry] = field(default_factory=list)
    scripts: list[str] = field(default_factory=list)

    def fits(self, suite: str, tasks: tuple[str, ...], rules: Mapping[str, Rules]) -> bool:
        """Whether a campaign was played under these rules, as far as both are known."""
        same = all(self.rules.get(task, rule) == rule for task, rule in rules.items())
        return (self.suite, self.tasks) == (suite, tasks) and same

    def apart(self, other: Group) -> str:
        """What ``other`` has that keeps the two apart."""
        if other.suite != self.suite:
            return f"another suite ({one_line(other.suite)})"
        if other.tasks != self.tasks:
            return "other tasks"
        pairs = [
            (self.rules[task], other.rules[task]) for task in self.rules if task in other.rules
        ]
        differ = {
            "other task files": any(a.task_digest != b.task_digest for a, b in pairs),
            "other budgets": any((a.budgets, a.limits) != (b.budgets, b.limits) for a, b in pairs),
            "tasks as variants or as published": any(a.variants != b.variants for a, b in pairs),
            "other loads of the context": any(a.loads != b.loads for a, b in pairs),
        }
        return ", ".join(words for words, true in differ.items() if true)


def leaderboard(folders: Sequence[CampaignFolder], *, floor: float = 0.9) -> Exhibit:
    """The campaigns' models, ranked: for campaigns that were played under the same rules.

    Raises BadInput where they were not, and as ``leaderboards`` does.
    """
    boards = leaderboards(folders, floor=floor)
    if len(boards) > 1:
        raise BadInput(
            f"{len(boards)} different suites, task files or budgets cannot be in one ranking; "
            "'fairtrial leaderboard' gives each a table of its own"
        )
    return boards[0]


def leaderboards(folders: Sequence[CampaignFolder], *, floor: float = 0.9) -> list[Exhibit]:
    """A leaderboard for each suite, set of task digests and budgets, in the campaigns' order.

    Models whose coverage is below ``floor``, a share between 0 and 1, are listed and not ranked.
    Raises BadInput where no campaign has a run, and for files that cannot be read.
    """
    groups: list[Group] = []
    for folder in dict.fromkeys(folders):
        evidence = read(folder)
        if evidence.plan is not None:
            _enter(groups, folder, evidence.plan, evidence)
    if not groups:
        raise BadInput("no campaign with a run; 'fairtrial run <campaign>' plays one")
    return [_board(group, groups, floor) for group in groups]


def ranks(intervals: Sequence[Interval]) -> list[tuple[int, int]]:
    """The best and the worst rank of each that the intervals allow, 1 being the highest.

    Whoever's interval lies wholly above mine is ahead of me, whoever's lies wholly below is
    behind; with all others the order is open. If the intervals hold the true rates, these ranges
    hold the true ranks (M. Klein, T. Wright and J. Wieczorek, "A joint confidence region for an
    overall ranking of populations", *Applied Statistics* 69, 2020, 589-606, theorem 1).

    For all ranges at once that is as sure as all intervals at once. Each interval has its own
    95%, so of many models some range will err; two intervals that do not overlap, though, are
    a stricter sign than a test of the difference at 5% (N. Schenker and J. F. Gentleman, "On
    judging the significance of differences by examining the overlap between confidence
    intervals", *The American Statistician* 55, 2001, 182-186).
    """
    return [
        (
            1 + sum(other.low > mine.high for other in intervals),
            len(intervals) - sum(other.high < mine.low for other in intervals),
        )
        for mine in intervals
    ]


def _enter(groups: list[Group], folder: CampaignFolder, plan: Plan, evidence: Evidence) -> None:
    """Put a campaign's models into the group of its rules, which is made if it is new."""
    models, rules = _headers(folder, evidence)
    for group in groups:
        if group.fits(plan.suite, plan.tasks, rules):
            break
    else:
        group = Group(plan.suite, plan.tasks)
        groups.append(group)
    group.rules |= rules
    manifest = read_manifest(folder)
    rates = pass_rates(evidence)
    scores = {row["model"]: row for _, row in rates[rates["task"] == ALL_TASKS].iterrows()}
    usd = costs(evidence).set_index("model")["usd"]
    own = evidence.runs[evidence.runs["outcome"] != "infrastructure_error"]
    for name in plan.models:
        model = models.get(name)
        if model is not None and model.kind == "scripted":
            group.scripts.append(name)
            continue
        entry = Entry(
            model=name,
            campaign=plan.campaign,
            score=scores[name],
            usd=float(usd[name]),
            unplayed=tuple(
                rates["task"][(rates["model"] == name) & rates["effective_rate"].isna()]
            ),
            tokens_per_second=tokens_per_second(own[own["model"] == name]),
            tier=tier(model) if model else DASH,
            hardware=_hardware(manifest, model),
        )
        group.entries.append(entry)


def _headers(
    folder: CampaignFolder, evidence: Evidence
) -> tuple[dict[str, ModelRecord], dict[str, Rules]]:
    """Each model as it was used, and each task's rules: from one transcript of each pair."""
    models, rules = {}, {}
    loads = frozenset(evidence.runs["context_load"].tolist())
    for name in evidence.runs.drop_duplicates(["model", "task"])["transcript"]:
        header = read_header(folder.transcripts / name)
        models[header.model.name] = header.model
        rules[header.task] = Rules(
            task_digest=header.task_digest,
            budgets=header.budgets,
            limits=other_limits(header),
            variants=header.variant_seed is not None,
            loads=loads,
        )
    return models, rules


def tier(model: ModelRecord) -> str:
    """Where a model runs: ``API`` with the endpoint's host, or ``local``, which is an endpoint
    on this machine's loopback and a model file that Fairtrial itself ran. Else a dash."""
    address = model.settings.get("base_url")
    if address is None:
        return "local" if "sha256" in model.observed else DASH
    try:
        host = urlsplit(str(address)).hostname or ""
    except ValueError:
        host = ""
    return "local" if _loopback(host) else f"API ({host or 'host unknown'})"


def _loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:  # a name, not a number
        return host == "localhost" or host.endswith(".localhost")


def _hardware(manifest: Manifest | None, model: ModelRecord | None) -> str:
    """The machine a local model ran on, as it saw itself; a dash where it was not seen."""
    if manifest is None or model is None or tier(model) != "local":
        return DASH
    seen = manifest.hardware
    parts = [seen.get("processor")]
    if cores := seen.get("usable_cores") or seen.get("logical_cores"):
        parts.append(f"{cores} cores")
    if memory := seen.get("memory_bytes"):
        parts.append(f"{memory / 2**30:.0f} GiB")
    return ", ".join(str(part) for part in parts if part) or DASH


def _board(group: Group, groups: Sequence[Group], floor: float) -> Exhibit:
    reasons = {id(entry): _unranked(entry, floor) for entry in group.entries}
    ranked = [entry for entry in group.entries if not reasons[id(entry)]]
    below = [entry for entry in group.entries if reasons[id(entry)]]
    ranges = ranks([entry.interval for entry in ranked])
    order = sorted(zip(ranges, ranked, strict=True), key=lambda pair: _order(pair[1]))
    rows = [_row(_range(*span), entry) for span, entry in order]
    rows += [_row(DASH, entry) for entry in sorted(below, key=_order)]
    notes = [
        f"Not ranked: {one_line(entry.model)} ({one_line(entry.campaign)}): {reasons[id(entry)]}."
        for entry in sorted(below, key=_order)
    ]
    if group.scripts:
        names = ", ".join(one_line(name) for name in sorted(set(group.scripts)))
        notes.append(f"Left out: {names} (scripts, no models).")
    if any(rules.budgets is None for rules in group.rules.values()):
        notes.append(
            "Played by another program, whose log does not tell all budgets: that they were the "
            "same is not known."
        )
    apart = dict.fromkeys(group.apart(other) for other in groups if other is not group)
    if apart:
        notes.append(f"Not in one ranking with the other tables: they have {'; '.join(apart)}.")
    title = f"Leaderboard: {group.suite}, {len(group.tasks)} tasks"
    return Exhibit(title, COLUMNS, rows, [*notes, *NOTES])


def _order(entry: Entry) -> tuple[float, str, str]:
    """From the highest score down; unknown last; equals by name."""
    rate = entry.score["effective_rate"]
    return (float("inf") if pd.isna(rate) else -rate, entry.model, entry.campaign)


def _range(best: int, worst: int) -> str:
    return str(best) if best == worst else f"{best}{DASH}{worst}"


def _row(rank: str, entry: Entry) -> list[str]:
    score = entry.score
    passes = int(score["pass"])
    return [
        rank,
        entry.model,
        entry.campaign,
        f"{passes}/{score['planned']}",
        percent(score["effective_rate"]),
        span(*entry.interval),
        percent(score["coverage"]),
        _dollars(entry.usd),
        _dollars(entry.usd / passes if passes else float("nan")),
        DASH if pd.isna(entry.tokens_per_second) else f"{entry.tokens_per_second:.3g}",
        entry.tier,
        entry.hardware,
    ]


def _dollars(usd: float) -> str:
    """To the cent; what is less than ten cents in two digits, so that it is not nothing."""
    if pd.isna(usd):
        return DASH
    return f"{usd:.2f}" if usd == 0 or usd >= 0.1 else f"{usd:.2g}"


def _unranked(entry: Entry, floor: float) -> str | None:
    """Why a model is not ranked, if it is not. A score over fewer tasks is another score: the
    task that a model was spared may be the one that the others failed."""
    if entry.score["coverage"] < floor:
        return (
            f"its coverage of {percent(entry.score['coverage'])} is below the floor of "
            f"{percent(floor)}"
        )
    if entry.unplayed:
        return f"it has no run of its own of {one_line(', '.join(entry.unplayed), 200)}"
    return None
