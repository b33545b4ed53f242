"""A log of Inspect, ``.eval`` or ``.json``, as a campaign: its task is a suite, a sample is a
task, an epoch a repetition.

    an error, a score that is missing, a person's stop     infrastructure_error
    a limit that was hit                                   gave_up, with the budget
    the scorer's value                                     pass or wrong_answer

What was said is taken from a sample's messages; what a reply took and which tools were offered,
from its events. Where a log has no events, that is unknown.
"""

from __future__ import annotations

import hashlib
import struct
import zipfile
import zlib
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

from inspect_ai.log import (
    EvalLog,
    EvalSample,
    EvalSampleSummary,
    read_eval_log,
    read_eval_log_sample_summaries,
    read_eval_log_samples_by_id,
)
from inspect_ai.model import GenerateConfig
from zstandard import ZstdError

from harness.errors import BadInput, did_you_mean
from harness.records import Budgets, Event, ModelRecord, Plan, Sampling, Started
from verification.imports import Imported, names_of
from verification.imports.inspect.sample import Reading, read_sample
from verification.imports.inspect.scores import Rule, values

AT_ONCE = 16
"""Samples that are read from the file together."""


def read(
    log: Path, campaign: str, *, scorer: str | None = None, pass_at: float | None = None
) -> Imported:
    """Read a log, its samples as they are asked for.

    ``scorer`` names the one whose value decides, where a log has several; ``pass_at`` is the
    least value that passes, where values are not just right or wrong. Raises BadInput for a file
    that is no log, or one that does not say what passes.
    """
    if log.suffix not in (".eval", ".json") or not log.is_file():
        raise BadInput(f"{log}: no log of Inspect; give a file whose name ends in .eval or .json")
    header, summaries, samples = _open(log)
    rule = Rule(log.name, _scorer(log, summaries, scorer), pass_at)
    sha256 = _sha256(log)
    ids = [str(id_) for id_ in header.eval.dataset.sample_ids or ()]
    tasks = names_of(dict.fromkeys([*ids, *(str(summary.id) for summary in summaries)]))
    model = _model(header, log, sha256, rule)
    plan = Plan(
        campaign=campaign,
        suite=_name(header.eval.task),
        models=(model.name,),
        tasks=tuple(tasks.values()),
        runs_per_task=max([header.eval.config.epochs or 1, *(s.epoch for s in summaries)]),
        seed=None,
    )
    began = datetime.fromisoformat(header.stats.started_at or header.eval.created)
    reading = Reading(plan, model, _budgets(header), tasks, rule, sha256, began, _versions(header))
    return Imported(
        program=_program(header),
        log=log.name,
        sha256=sha256,
        scored_by=rule.scorer,
        plan=plan,
        model=model,
        versions=reading.versions,
        started_at=began,
        renamed={name: task for task, name in tasks.items() if name != task},
        runs=_runs(log, samples, reading),
    )


@contextmanager
def _understood(log: Path) -> Iterator[None]:
    """Whatever Inspect's reader makes of a file that is no log of it becomes one sentence."""
    try:
        yield
    except (
        *(ValueError, TypeError, LookupError, AttributeError, EOFError, RecursionError, OSError),
        *(zipfile.BadZipFile, zlib.error, struct.error, ZstdError, NotImplementedError),
    ) as error:
        first = (str(error) or type(error).__name__).splitlines()[0]
        raise BadInput(f"{log}: cannot be read as a log of Inspect: {first}") from None


def _open(log: Path) -> tuple[EvalLog, list[EvalSampleSummary], Iterable[EvalSample]]:
    """A log's header, a summary of each sample, and the samples. An ``.eval`` is read on as the
    samples are asked for; a ``.json`` can only be read whole."""
    with _understood(log):
        if log.suffix == ".json":
            whole = read_eval_log(log, resolve_attachments="full")
            samples = whole.samples or []
            return whole, [sample.summary() for sample in samples], samples
        summaries = read_eval_log_sample_summaries(log)
        keys = [(summary.id, summary.epoch) for summary in summaries]
        return read_eval_log(log, header_only=True), summaries, _samples(log, keys)


def _runs(
    log: Path, samples: Iterable[EvalSample], reading: Reading
) -> Iterator[tuple[Started, Sequence[Event]]]:
    for sample in samples:
        with _understood(log):
            run = read_sample(sample, reading)
        yield run


def _samples(log: Path, keys: Sequence[tuple[str | int, int]]) -> Iterator[EvalSample]:
    """The samples of an ``.eval``, a few at a time."""
    for start in range(0, len(keys), AT_ONCE):
        with _understood(log):
            some = read_eval_log_samples_by_id(
                log, keys[start : start + AT_ONCE], resolve_attachments="full"
            )
        yield from some


def _scorer(log: Path, summaries: Sequence[EvalSampleSummary], wanted: str | None) -> str:
    """The scorer that decides; raises BadInput where that is not clear."""
    known = sorted({name for summary in summaries for name in values(summary.scores)})
    if not known:
        raise BadInput(f"{log}: no sample in it has a score; 'inspect score {log.name}' gives them")
    if wanted is None and len(known) > 1:
        raise BadInput(
            f"{log}: has several scores ({', '.join(known)}); say with --scorer which one decides"
        )
    if wanted is not None and wanted not in known:
        raise BadInput(f"{log}: no score {wanted!r}; {did_you_mean(wanted, known)}")
    return wanted or known[0]


def _model(header: EvalLog, log: Path, sha256: str, rule: Rule) -> ModelRecord:
    spec, config = header.eval, _config(header)
    sampling = None
    if config.temperature is not None and config.top_p is not None:
        sampling = Sampling(
            temperature=config.temperature, top_p=config.top_p, top_k=config.top_k or 0
        )
    return ModelRecord(
        name=_name(spec.model),
        kind="imported",
        settings={
            "model": spec.model,
            "base_url": spec.model_base_url,
            "generate_config": config.model_dump(mode="json", exclude_none=True),
            "limits": {
                name: value
                for name, value in spec.config.model_dump(mode="json", exclude_none=True).items()
                if name.endswith(("_limit", "_limit_type"))
            },
            "log": log.name,
            "log_sha256": sha256,
            "scorer": rule.scorer,
            "pass_at": rule.pass_at,
        },
        sampling=sampling,
    )


def _budgets(header: EvalLog) -> Budgets | None:
    """Inspect's limits where they are the same as our budgets; other ones are in the settings."""
    turns = header.eval.config.turn_limit
    tokens = _config(header).max_tokens
    return Budgets(turns=turns, tokens_per_turn=tokens) if turns and tokens else None


def _config(header: EvalLog) -> GenerateConfig:
    """What was set for the model, under what the task itself set."""
    return header.eval.model_generate_config.merge(header.plan.config)


def _program(header: EvalLog) -> str:
    """Which program played: Inspect, or Fairtrial where the log is an export of its own."""
    packages = header.eval.packages
    for name, package in (("Inspect", "inspect_ai"), ("Fairtrial", "fairtrial")):
        if package in packages:
            return f"{name} {packages[package]}"
    return "Inspect, of unknown version"


def _versions(header: EvalLog) -> dict[str, str]:
    return {**header.eval.packages, "inspect_task": str(header.eval.task_version)}


def _name(word: str) -> str:
    return names_of([word])[word]


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
