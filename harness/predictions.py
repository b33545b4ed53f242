"""predictions.toml: what somebody expects of a campaign, written down before its first run.

    author = "..."                                     # both optional
    note = "..."

    [models."gemma-4-12b-it"]
    task_01_fix_failing_test = { passes = 3, confidence = 0.9 }
    task_09_know_when_to_stop = { passes = 0, confidence = 0.6, failure_mode = "gave_up" }

``passes`` is how many of the task's runs are expected to pass, ``confidence`` how much that is
worth. Together they say how likely each run is to pass:

    probability = confidence * passes / runs_per_task + (1 - confidence) / 2

With confidence 0 that is a coin, which is also the baseline that scores are held against. It is
the linear pool (M. Stone, "The opinion pool", Annals of Mathematical Statistics 32, 1961,
1339-1342) of the author's expectation and the coin. A probability for each run, rather than one
for "exactly three of three", can still be scored where the world spoiled some of the runs. The
confidence stays below 1, so that no probability is 0 or 1 and no log score is infinite.

The file is filed when the campaign's first run begins: its digest and that time enter the
manifest. What comes later is no prediction, and a later change shows.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Literal

from pydantic import Field

from harness.errors import BadInput, did_you_mean
from harness.records import Plan, Record
from harness.store import CampaignFolder, Filed, Manifest, read_manifest
from harness.terminal import one_line
from harness.toml_file import read_toml, validate

FailureMode = Literal["wrong_answer", "gave_up"]
"""How a run can fail that is the model's own. Infrastructure is nothing to predict of a model."""


class Prediction(Record):
    """What is expected of one model's runs of one task."""

    passes: float = Field(ge=0, description="runs of the task that pass; fractions are allowed")
    confidence: float = Field(ge=0, le=0.99, description="0: no idea; 0.99: certain")
    failure_mode: FailureMode | None = Field(default=None, description="of the runs that fail")

    def probability(self, runs_per_task: int) -> float:
        """How likely each run is to pass: between 0.005 and 0.995."""
        rate = self.passes / runs_per_task
        return self.confidence * rate + (1 - self.confidence) / 2


class Predictions(Record):
    """A predictions file. ``models`` holds predictions by model and task."""

    author: str = ""
    note: str = ""
    models: dict[str, dict[str, Prediction]] = Field(default={})


@dataclass(frozen=True)
class Scope:
    """What a campaign's predictions can be about. Scripts are no models: what they do is known."""

    campaign: str
    models: tuple[str, ...]
    scripted: tuple[str, ...]
    tasks: tuple[str, ...]
    runs_per_task: int

    @classmethod
    def of(cls, plan: Plan, kinds: Mapping[str, str]) -> Scope:
        """The scope of a plan; ``kinds`` gives each of its models' kind."""
        scripted = tuple(name for name in plan.models if kinds[name] == "scripted")
        models = tuple(name for name in plan.models if name not in scripted)
        return cls(plan.campaign, models, scripted, plan.tasks, plan.runs_per_task)


State = Literal["none", "open", "filed", "changed", "late"]


@dataclass(frozen=True)
class Standing:
    """Whether a campaign has predictions that count, in a word and in a sentence for people.

    ``none``: none was filed. ``open``: the first run will file the file that is there.
    ``filed``: in time and unchanged since; only then are there ``predictions``. ``changed``:
    the file is not the one that was filed, or is gone. ``late``: it came after the first run.
    """

    state: State
    sentence: str
    predictions: Predictions | None = None


def read(path: Path, scope: Scope) -> Predictions:
    """Read and validate a predictions.toml; raises BadInput naming file and key."""
    return _parsed(read_toml(path), path, scope)


def file(folder: CampaignFolder, scope: Scope, at: datetime) -> Filed | None:
    """File a campaign's predictions as its first run begins; None where there are none, or where
    there are runs already. Raises BadInput for a file that cannot be used."""
    if not folder.predictions.exists() or folder.begun:
        return None
    before = digest(folder.predictions)
    read(folder.predictions, scope)
    return Filed(digest=before, filed_at=at)


def standing(folder: CampaignFolder) -> Standing:
    """How a campaign's predictions stand. Raises BadInput where they cannot be read."""
    manifest = read_manifest(folder)
    there = folder.predictions.exists()
    if manifest is None:
        return _before(folder, there=there)
    filed = manifest.predictions
    if filed is None:
        if not there:
            return Standing("none", "No predictions were filed before this campaign's first run.")
        return Standing(
            "late",
            "None filed: predictions.toml was not there when the first run began. "
            "What was written after the fact is not scored.",
        )
    when = f"{filed.filed_at:%Y-%m-%d %H:%M} UTC"
    if not there or (now := digest(folder.predictions)) != filed.digest:
        what = f"now has the SHA-256 {now}" if there else "is gone"
        return Standing(
            "changed",
            f"predictions.toml was filed on {when} with the SHA-256 {filed.digest}, and {what}. "
            "It is not scored until what was filed is put back.",
        )
    return Standing(
        "filed",
        f"Filed before the first run, on {when}, SHA-256 {filed.digest}, by data/manifest.json; "
        "unchanged since.",
        read(folder.predictions, scope_of(manifest)),
    )


def scope_of(manifest: Manifest) -> Scope:
    """What the predictions of a campaign that has begun can be about."""
    return Scope.of(manifest.plan, {model.name: model.kind for model in manifest.models})


def digest(path: Path) -> str:
    """The SHA-256 of a file's bytes, in hex."""
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError as error:
        raise BadInput(f"{path}: cannot be read: {error.strerror}") from None


def template(scope: Scope) -> str:
    """The text of a predictions.toml to be filled in: a line for every model and task, none of
    them in force yet. Raises BadInput where all models are scripted."""
    if not scope.models:
        raise BadInput(
            f"{scope.campaign}: all of its models are scripted, and what a script does is known; "
            "there is nothing to predict"
        )
    tasks = [_key(task) for task in scope.tasks]
    width = max(map(len, tasks))
    values = f'passes = {scope.runs_per_task}, confidence = 0.8, failure_mode = "wrong_answer"'
    lines = [f"# {task:<{width}} = {{ {values} }}" for task in tasks]
    tables = ["\n".join([f"[models.{_key(model)}]", *lines]) for model in scope.models]
    heading = _TEMPLATE.format(campaign=one_line(scope.campaign), runs=scope.runs_per_task)
    return "\n\n".join([heading, *tables]) + "\n"


_TEMPLATE = """\
# What you expect of {campaign}, written down before its first run: that run files this file,
# its SHA-256 enters data/manifest.json, and a later change shows. Afterwards "fairtrial predict"
# scores it. Take the "# " from the lines that you predict, and change them.
#
# passes        how many of the {runs} runs of the task pass; 1.5 and the like are fine
# confidence    what that is worth: 0 is no idea (each run is a coin toss, whatever passes says),
#               0.99 is certain. A run's probability to pass becomes
#               confidence * passes / {runs} + (1 - confidence) / 2
# failure_mode  how the runs that fail will fail: "wrong_answer" or "gave_up"; may be left out
author = ""
note = \"\""""


def _key(name: str) -> str:
    """A name as a key of TOML: in quotes, escaped as JSON does, unless it can stand bare."""
    return name if re.fullmatch(r"[A-Za-z0-9_-]+", name) else json.dumps(name, ensure_ascii=False)


def _before(folder: CampaignFolder, *, there: bool) -> Standing:
    if not there:
        return Standing("none", "None were filed." if folder.begun else "No predictions yet.")
    if folder.begun:
        return Standing("late", "Not scored: no data/manifest.json says that they were filed.")
    return Standing(
        "open",
        f"Not filed yet: 'fairtrial run' files it as it stands, SHA-256 "
        f"{digest(folder.predictions)}, when the first run begins.",
    )


def _parsed(data: dict[str, Any], path: Path, scope: Scope) -> Predictions:
    tables = data.pop("models", {})
    predictions = validate(Predictions, data, str(path))
    models = {
        model: _of_model(model, table, f"{path}: models.{model}", scope)
        for model, table in _table(tables, f"{path}: models").items()
    }
    if not any(models.values()):
        raise BadInput(
            f"{path}: predicts nothing; take the '# ' from a line, or delete the file to run "
            "without predictions"
        )
    return predictions.model_copy(update={"models": models})


def _of_model(model: str, table: Any, where: str, scope: Scope) -> dict[str, Prediction]:
    if model in scope.scripted:
        raise BadInput(f"{where}: is scripted, and what a script does is known; leave it out")
    _refuse_unknown("model", model, where, scope.models)
    predicted = {}
    for task, prediction in _table(table, where).items():
        key = f"{where}.{task}"
        _refuse_unknown("task", task, key, scope.tasks)
        predicted[task] = validate(Prediction, _table(prediction, key), key)
        if predicted[task].passes > scope.runs_per_task:
            raise BadInput(
                f"{key}: passes: {predicted[task].passes:g} of {scope.runs_per_task} runs cannot "
                f"pass; write at most {scope.runs_per_task}"
            )
    return predicted


def _refuse_unknown(what: str, name: str, where: str, known: Collection[str]) -> None:
    if name not in known:
        raise BadInput(f"{where}: no {what} of this campaign; {did_you_mean(name, known)}")


def _table(value: Any, where: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise BadInput(f"{where}: not a table; 'fairtrial predict' writes one to begin with")
    return value
