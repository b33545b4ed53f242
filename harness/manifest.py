"""What a campaign was when it began, held against what it is when it goes on."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from harness.config import Campaign
from harness.errors import BadInput
from harness.records import ModelRecord
from harness.store import CampaignFolder, Manifest
from harness.task import Suite

YOUNGER: dict[str, Any] = {"on_leak": "fail", "context_load": [0]}
"""Keys that older manifests do not have, and what held for them."""


def refuse_changes(
    manifest: Manifest, folder: CampaignFolder, campaign: Campaign, suite: Suite
) -> None:
    """A campaign's runs must all be of one kind; raises BadInput naming what has changed."""
    now = campaign.resolved()
    for key, then in (YOUNGER | manifest.config).items():
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
    """Raises BadInput where a model's file, or the chat template that writes its prompts, is not
    the one that the campaign began with."""
    files = {"sha256": "the model's file", "template_sha256": "its chat template"}
    for then in manifest.models:
        for key, what in files.items():
            digest, now = then.observed.get(key), models[then.name].observed.get(key)
            if digest != now:
                raise BadInput(
                    f"{then.name}: {what} has changed since the campaign began (SHA-256 "
                    f"{digest} then, {now} now); put it back, or start a new campaign"
                )
