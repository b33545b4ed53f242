"""A campaign as logs of Inspect (https://inspect.aisi.org.uk), one ``.eval`` file a model.

A suite is what Inspect calls a task, a task is its sample, a repetition its epoch. Inspect's own
writer puts a log together in memory: what is held is one model's runs.
"""

from __future__ import annotations

import re
import uuid
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
from inspect_ai.log import (
    EvalConfig,
    EvalDataset,
    EvalLog,
    EvalMetric,
    EvalPlan,
    EvalPlanStep,
    EvalResults,
    EvalScore,
    EvalSpec,
    EvalStats,
    write_eval_log,
)

from harness.records import Started
from harness.store import CampaignFolder
from verification import tables
from verification.episode import Episode, read_episode, total
from verification.evidence import Evidence
from verification.export.inspect.sample import config_of, sample_of, usage_of
from verification.inspect_terms import CHECKER

RATES = (
    "effective_rate",
    "raw_rate",
    "coverage",
    "effective_low",
    "effective_high",
    "raw_low",
    "raw_high",
)
"""Columns of pass_rate_by_task.csv, the headline first."""


def write(folder: CampaignFolder, evidence: Evidence, out: Path) -> None:
    """Write a log for each model that has a run."""
    rates = tables.pass_rates(evidence)
    overall = rates[rates["task"] == tables.ALL_TASKS].set_index("model").to_dict("index")
    earlier = _earlier_attempts(evidence)
    for model, runs in evidence.runs.groupby("model"):
        episodes = [read_episode(folder, run) for run in runs["run"]]
        log = _log(episodes, earlier, overall[model])
        write_eval_log(log, out / _file_name(log.eval))


def _earlier_attempts(evidence: Evidence) -> dict[str, list[str]]:
    """By run, what ended its attempts before the latest."""
    earlier: dict[str, list[str]] = {}
    attempts = evidence.attempts[~evidence.attempts["latest"]]
    for run, cause, fault in attempts[["run", "cause", "fault"]].itertuples(index=False):
        words = [word for word in (cause, fault) if isinstance(word, str)]
        earlier.setdefault(run, []).append(": ".join(words))
    return earlier


def _log(
    episodes: Sequence[Episode], earlier: dict[str, list[str]], rates: Mapping[Any, Any]
) -> EvalLog:
    headers = [episode.started for episode in episodes]
    first = min(headers, key=lambda header: header.started_at)
    usage = total(reply.usage for episode in episodes for reply in episode.replies)
    spent = usage_of(usage, first.model.price)
    samples = [sample_of(episode, earlier.get(episode.started.run, [])) for episode in episodes]
    return EvalLog(
        status="cancelled" if rates["owed"] else "success",
        eval=_spec(first),
        plan=EvalPlan(steps=[EvalPlanStep(solver="fairtrial")], config=config_of(first)),
        results=EvalResults(
            total_samples=int(rates["planned"]),
            completed_samples=int(rates["runs"] - rates["infrastructure_error"]),
            scores=[_results(rates)],
        ),
        stats=EvalStats(
            started_at=first.started_at.isoformat(),
            completed_at=max((s.completed_at for s in samples if s.completed_at), default=""),
            model_usage={first.model.name: spent} if spent else {},
        ),
        samples=samples,
    )


def _spec(first: Started) -> EvalSpec:
    plan, model, budgets = first.plan, first.model, first.budgets
    # Named for what they are of, so that an export made again has the same ids.
    name = str(uuid.uuid5(uuid.NAMESPACE_URL, f"{plan.campaign}\n{plan.suite}\n{model.name}"))
    return EvalSpec(
        eval_id=name,
        run_id=name,
        task_id=name,
        created=first.started_at.isoformat(),
        task=plan.suite,
        dataset=EvalDataset(
            name=plan.suite, samples=len(plan.tasks), sample_ids=list(plan.tasks), shuffled=False
        ),
        model=model.name,
        model_generate_config=config_of(first),
        model_base_url=model.settings.get("base_url"),
        model_args=model.settings,
        config=EvalConfig(
            epochs=plan.runs_per_task,
            fail_on_error=False,
            turn_limit=budgets.turns if budgets else None,
        ),
        packages=first.versions,
        metadata={
            "campaign": plan.campaign,
            "seed": plan.seed,
            "model": model.model_dump(mode="json"),
            "budgets": budgets and budgets.model_dump(mode="json"),
            "sandbox": first.sandbox,
            "exported_by": "fairtrial",
        },
    )


def _results(rates: Mapping[Any, Any]) -> EvalScore:
    """The ``(all)`` row of pass_rate_by_task.csv as metrics. What is unknown is left out."""
    known = [name for name in RATES if pd.notna(rates[name])]
    spoiled = int(rates["infrastructure_error"])
    return EvalScore(
        name=CHECKER,
        scorer=CHECKER,
        scored_samples=int(rates["runs"]) - spoiled,
        unscored_samples=spoiled,
        metrics={name: EvalMetric(name=name, value=float(rates[name])) for name in known},
    )


def _file_name(spec: EvalSpec) -> str:
    """As Inspect names its logs: time, task, model, id. Nothing of it leaves the folder."""
    words = (spec.created, spec.task, spec.model, spec.task_id)
    return "_".join(re.sub(r"[^A-Za-z0-9.]+", "-", word) for word in words) + ".eval"
