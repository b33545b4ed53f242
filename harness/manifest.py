"""What a campaign is, filed when it begins, and held against what it is when it goes on."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import AwareDatetime, ValidationError

from harness.config import Campaign
from harness.errors import BadInput
from harness.records import ModelRecord, Plan, Record
from harness.store import CampaignFolder
from harness.task import Suite


class Manifest(Record):
    """What was resolved and observed when a campaign began.

    ``preflight`` is by model, and null where it was skipped.
    """

    campaign: str
    note: str
    started_at: AwareDatetime
    plan: Plan
    config: dict[str, Any]
    infrastructure: dict[str, Any]
    suite_digest: str
    suite_shortcoming: str | None
    task_digests: dict[str, str]
    models: tuple[ModelRecord, ...]
    sandbox: dict[str, Any]
    versions: dict[str, str]
    hardware: dict[str, Any]
    preflight: dict[str, dict[str, Any]] | None


def read_manifest(folder: CampaignFolder) -> Manifest | None:
    """The manifest of a campaign that has begun; None before that."""
    try:
        return Manifest.model_validate_json(folder.manifest.read_bytes())
    except FileNotFoundError:
        return None
    except ValidationError as error:
        raise BadInput(
            f"{folder.manifest}: no manifest ({error.error_count()} errors); "
            "restore it, or move data/ away to begin anew"
        ) from None


def refuse_changes(
    manifest: Manifest, folder: CampaignFolder, campaign: Campaign, suite: Suite
) -> None:
    """A campaign's runs must all be of one kind; raises BadInput naming what has changed."""
    now = campaign.resolved()
    for key, then in manifest.config.items():
        if now.get(key) != then:
            raise BadInput(
                f"{folder.config}: {key!r} has changed since the campaign began (it was "
                f"{then!r}); put it back, or start a new campaign"
            )
    digests = {task.id: task.digest for task in suite.tasks}
    for task, then in manifest.task_digests.items():
        if digests.pop(task, None) != then:
            raise BadInput(
                f"{suite.folder / task}: the task has changed since the campaign began "
                "(another digest); put it back, or start a new campaign"
            )
    if digests:
        raise BadInput(
            f"{suite.folder}: has new tasks since the campaign began "
            f"({', '.join(digests)}); take them out, or start a new campaign"
        )


def refuse_other_files(manifest: Manifest, models: Mapping[str, ModelRecord]) -> None:
    """Raises BadInput where a model's file is not the one that the campaign began with."""
    for then in manifest.models:
        digest, now = then.observed.get("sha256"), models[then.name].observed.get("sha256")
        if digest != now:
            raise BadInput(
                f"{then.name}: the model's file has changed since the campaign began (SHA-256 "
                f"{digest} then, {now} now); put it back, or start a new campaign"
            )
