"""campaign.toml and the names and seeds that follow from it."""

from __future__ import annotations

import json
from typing import get_args

import pytest

from harness.config import load_campaign
from harness.records import Budgets, Event, Plan
from harness.schedule import runs_of, turn_seed
from tests.conftest import ORACLE, MakeCampaign, fairtrial

PLAN = Plan(
    campaign="c", suite="s-v1", models=("a", "b"), tasks=("t1", "t2"), runs_per_task=3, seed=7
)


def test_everything_has_a_default(make_campaign: MakeCampaign) -> None:
    campaign = load_campaign(make_campaign(ORACLE) / "campaign.toml")
    assert campaign.runs_per_task == 3
    assert campaign.sandbox == "bubblewrap"
    assert campaign.infrastructure.attempts == 3
    assert Budgets() == Budgets(turns=15, tokens_per_turn=4096, model_seconds=None)


def test_a_campaigns_budgets_go_over_those_of_the_task(make_campaign: MakeCampaign) -> None:
    folder = make_campaign(ORACLE + "[budgets]\nturns = 4\n")
    overrides = load_campaign(folder / "campaign.toml").budgets
    assert overrides.over(Budgets(turns=9, tokens_per_turn=50)) == Budgets(
        turns=4, tokens_per_turn=50
    )


def test_every_run_has_a_name_and_a_seed_of_its_own() -> None:
    runs = list(runs_of(PLAN))
    assert len(runs) == 12
    assert len({run.id for run in runs}) == 12
    assert len({run.seed for run in runs}) == 12
    assert all(0 <= run.seed < 2**31 for run in runs)


def test_names_and_seeds_do_not_depend_on_order_or_on_what_else_is_planned() -> None:
    more = PLAN.model_copy(
        update={"models": ("c", "b", "a"), "tasks": ("t2", "t1"), "runs_per_task": 5}
    )
    assert set(runs_of(PLAN)) <= set(runs_of(more))


def test_each_turn_has_a_seed_of_its_own() -> None:
    seeds = [turn_seed(7, turn) for turn in range(1, 16)]
    assert len(set(seeds)) == 15
    assert seeds[0] == turn_seed(7, 1)


@pytest.mark.parametrize("name", ["transcript", "campaign", "task"])
def test_the_schemas_are_published(name: str) -> None:
    schema = json.loads(fairtrial("schema", name).stdout)
    assert schema["$schema"].endswith("2020-12/schema")
    assert "properties" in schema or "oneOf" in schema


def test_the_transcripts_schema_knows_every_event() -> None:
    schema = json.loads(fairtrial("schema", "transcript").stdout)
    events = get_args(get_args(Event)[0])
    types = {event.model_fields["type"].default for event in events}
    assert "left" in types
    assert schema["discriminator"]["mapping"].keys() == types


def test_the_campaigns_schema_knows_the_keys_of_every_kind_of_model() -> None:
    schema = fairtrial("schema", "campaign").stdout
    for key in ("api_key_env", "n_gpu_layers", "script"):
        assert f'"{key}"' in schema
