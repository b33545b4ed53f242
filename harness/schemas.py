"""The JSON Schemas that Fairtrial publishes, made from the records themselves."""

from __future__ import annotations

from functools import reduce
from operator import or_
from typing import Annotated, Any, Literal

from pydantic import Field, TypeAdapter, create_model

from harness.config import Campaign
from harness.models import kinds, load_kind
from harness.records import EVENT
from harness.task import TaskFile

SchemaName = Literal["transcript", "campaign", "task"]


def schema(name: SchemaName) -> dict[str, Any]:
    """The JSON Schema of one line of a transcript, of campaign.toml, or of task.toml."""
    adapters: dict[SchemaName, TypeAdapter[Any]] = {
        "transcript": EVENT,
        "campaign": TypeAdapter(_campaign_with_every_kind()),
        "task": TypeAdapter(TaskFile),
    }
    dialect = {"$schema": "https://json-schema.org/draft/2020-12/schema"}
    return dialect | adapters[name].json_schema()


def _campaign_with_every_kind() -> type[Campaign]:
    """Campaign, with ``models`` as the tagged union of all kinds found."""
    any_kind: Any = reduce(or_, (load_kind(kind, "schema").Settings for kind in kinds()))
    table: Any = Annotated[any_kind, Field(discriminator="kind")]
    return create_model(
        "Campaign", __base__=Campaign, models=(tuple[table, ...], Field(min_length=1))
    )
