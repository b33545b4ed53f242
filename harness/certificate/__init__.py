"""Certificates: proof that a suite's checkers accept what is right and nothing else.

<suite>/certificate.json holds the digests of the tasks that were proved, and how. A task that has
changed since is not the one that was proved; nor is one that other code of ours would judge.
"""

from __future__ import annotations

import hashlib
from functools import cache
from pathlib import Path

from pydantic import AwareDatetime, ValidationError

from harness.errors import BadInput
from harness.records import Record
from harness.task import Suite

LEAST_SEEDS = 20
"""Variants, beside the published one, that a task which can be drawn is proved on."""


FOLDERS = {"alternatives": "alternatives", "near misses": "near_misses"}
"""Where a task's scripts are, beside its solution.jsonl."""

LEAST_SCRIPTS = {"alternatives": 3, "near misses": 5}
"""Fewer do not show that a checker accepts what is right, and nothing else."""


_JUDGES = ("answers", "calls", "_call_driver", "task", "task_code", "variant", "workspace")
"""The modules of ours that decide with a checker what passes."""


class CertifiedTask(Record):
    """What was proved of one task, when, and by which code.

    ``variant_digest`` is the published variant's, ``judges_digest`` that of our own code that
    checkers call; the counts are of scripts that did as they must, by aspect.
    """

    digest: str
    variant_digest: str
    judges_digest: str
    certified_at: AwareDatetime
    versions: dict[str, str]
    seeds: int
    proved: dict[str, int]


class Certificate(Record):
    """The file certificate.json."""

    suite: str
    tasks: dict[str, CertifiedTask]


@cache
def judges_digest() -> str:
    """SHA-256 over our own code that checkers call: a change there can change every verdict."""
    here = Path(__file__).parent.parent
    digest = hashlib.sha256()
    for name in _JUDGES:
        digest.update((here / f"{name}.py").read_bytes())
    return digest.hexdigest()


def certificate_file(suite: Suite) -> Path:
    """Where a suite's certificate lies."""
    return suite.folder / "certificate.json"


def read_certificate(suite: Suite) -> Certificate | None:
    """A suite's certificate, None where it has none; raises BadInput where it cannot be read."""
    file = certificate_file(suite)
    try:
        return Certificate.model_validate_json(file.read_bytes())
    except FileNotFoundError:
        return None
    except (OSError, ValidationError) as error:
        raise BadInput(f"{file}: no certificate can be read here; remove it") from error


def shortcoming(suite: Suite) -> str | None:
    """Why a suite is not certified as it stands, as a sentence; None where it is."""
    beside = {path.parent.name for path in suite.folder.glob("*/task.toml")}
    unlisted = sorted(beside - {task.id for task in suite.tasks})
    if unlisted:
        return f"suite {suite.name!r}: suite.toml does not list {', '.join(unlisted)}"
    certificate = read_certificate(suite)
    if certificate is None:
        return f"suite {suite.name!r} has no certificate"
    changed = [
        task.id
        for task in suite.tasks
        if task.id not in certificate.tasks
        or certificate.tasks[task.id].digest != task.digest
        or certificate.tasks[task.id].judges_digest != judges_digest()
        or certificate.tasks[task.id].variant_digest != task.variant().digest
    ]
    if changed:
        return (
            f"suite {suite.name!r}: not certified, or changed since its certificate: "
            f"{', '.join(changed)}"
        )
    return None
