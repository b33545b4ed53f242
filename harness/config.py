"""campaign.toml -> a frozen ``Campaign``: strictly validated, every default filled in."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import Field, SerializeAsAny, model_validator

from harness import sandbox
from harness.errors import BadInput, did_you_mean
from harness.models import ModelSettings, load_kind
from harness.records import Budgets, OnLeak, Record
from harness.task import Task
from harness.toml_file import read_toml, validate


class BudgetOverrides(Record):
    """Budgets that this campaign sets for every task; the rest is the suite's and the task's."""

    turns: int | None = Field(default=None, ge=1)
    tokens_per_turn: int | None = Field(default=None, ge=1)
    model_seconds: float | None = Field(default=None, gt=0)

    def over(self, budgets: Budgets) -> Budgets:
        """``budgets`` with what is set here put in its place."""
        return budgets.model_copy(update=self.model_dump(exclude_none=True))


class Infrastructure(Record):
    """How the campaign deals with the world. Nothing here can change a score."""

    attempts: int = Field(default=3, ge=1, description="tries at a run that the world spoiled")
    retries: int = Field(default=4, ge=0, description="times a request is repeated within a turn")
    patience_minutes: float = Field(
        default=30.0, ge=0, description="to wait for a model that cannot be reached"
    )
    max_cost_usd: float | None = Field(
        default=None, gt=0, description="what the campaign may cost in all; then it pauses"
    )
    max_hours: float | None = Field(
        default=None, gt=0, description="how long one sitting may last; then it pauses"
    )
    concurrency: int = Field(default=8, ge=1, le=1024, description="runs at once")


class Campaign(Record):
    """The keys of campaign.toml, with their defaults."""

    suite: str = Field(description="the name of a built-in suite, or the path of a folder")
    note: str = Field(default="", description="one sentence for readers, printed with the results")
    runs_per_task: int = Field(default=3, ge=1)
    seed: int = Field(default=0, ge=0)
    on_leak: OnLeak = Field(
        default="fail",
        description="a reply that spells a call as text: 'fail'; 'nudge': the model is told, once "
        "a run; 'recover': its calls are read and carried out. The strict score is always 'fail'",
    )
    context_load: tuple[Annotated[int, Field(strict=True, ge=0, le=10_000_000)], ...] = Field(
        default=(0,),
        min_length=1,
        description="tokens, about, of earlier turns before the task; runs_per_task with each",
    )
    variants: Literal["fixed", "seeded"] = Field(
        default="fixed", description="'fixed': tasks as published; 'seeded': each run its own"
    )
    uncertified: bool = Field(
        default=False, description="run a suite although no certificate vouches for it as it is"
    )
    sandbox: str = Field(
        default="bubblewrap", description="a kind; 'none' gives the model this machine"
    )
    budgets: BudgetOverrides = BudgetOverrides()
    infrastructure: Infrastructure = Infrastructure()
    models: tuple[SerializeAsAny[ModelSettings], ...] = Field(min_length=1)

    @model_validator(mode="after")
    def _each_load_once(self) -> Self:
        for load in self.context_load:
            if self.context_load.count(load) > 1:
                raise ValueError(f"context_load names {load} twice; runs_per_task is for each")
        return self

    @property
    def runs_in_all(self) -> int:
        """Runs of a task: as many as asked for with each load of the context."""
        return self.runs_per_task * len(self.context_load)

    def load_of(self, repetition: int) -> int:
        """With how many tokens before it a repetition begins; they take turns."""
        return self.context_load[(repetition - 1) % len(self.context_load)]

    def budgets_for(self, task: Task) -> Budgets:
        """What a model may spend on one run of ``task``."""
        return self.budgets.over(task.budgets)

    def resolved(self) -> dict[str, Any]:
        """Everything that decides what a run is: the campaign without what only deals with the
        world, gives leave, or is only for readers."""
        resolved = self.model_dump(mode="json", exclude={"infrastructure", "note", "uncertified"})
        for settings, table in zip(self.models, resolved["models"], strict=True):
            for key in settings.WORLD:
                del table[key]
        return resolved


def load_campaign(path: Path) -> Campaign:
    """Read and validate a campaign.toml; raises BadInput naming file and key."""
    data = read_toml(path)
    tables = data.get("models")
    if isinstance(tables, list):
        data["models"] = tuple(
            _load_model(table, f"{path}: models[{number}]", path.parent)
            for number, table in enumerate(tables, start=1)
        )
    campaign = validate(Campaign, data, str(path))
    if campaign.sandbox not in sandbox.kinds():
        hint = did_you_mean(campaign.sandbox, sandbox.kinds())
        raise BadInput(f"{path}: no sandbox {campaign.sandbox!r}; {hint}")
    names = [model.name for model in campaign.models]
    for name in names:
        if names.count(name) > 1:
            raise BadInput(f"{path}: two models are named {name!r}; give each a name of its own")
    return campaign


def _load_model(table: Any, where: str, folder: Path) -> ModelSettings:
    if not isinstance(table, dict):
        raise BadInput(f"{where}: not a table; write [[models]]")
    if "kind" not in table:
        raise BadInput(f"{where}: the key 'kind' is missing")
    settings: type[ModelSettings] = load_kind(str(table["kind"]), where).Settings
    return validate(settings, table, where, {"folder": folder})
