"""Ways in: what another program played, as a campaign. One file a source.

A source reads its log into an ``Imported``; here that becomes a campaign's folder, with
transcripts in our own records, so that whatever reads a campaign reads it too. Nothing in a log
is executed, and no name in it becomes a path.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from harness.errors import BadInput
from harness.records import Event, ModelRecord, Plan, Started
from harness.store import CampaignFolder, JsonLines, Manifest, whole_folder, write_whole
from harness.terminal import one_line
from verification import verify

LONGEST_NAME = 80


@dataclass(frozen=True)
class Imported:
    """A log as it was read. ``runs`` is read on as it is asked for, a run at a time.

    ``program`` played it, with its version; ``log`` is the file's name and ``sha256`` its
    digest. ``renamed`` holds what tasks were called there, where they are called otherwise here.
    """

    program: str
    log: str
    sha256: str
    scored_by: str
    plan: Plan
    model: ModelRecord
    versions: Mapping[str, str]
    started_at: datetime
    renamed: Mapping[str, str]
    runs: Iterator[tuple[Started, Sequence[Event]]]


def bring_in(
    log: Path, path: Path, *, scorer: str | None = None, pass_at: float | None = None
) -> Imported:
    """Read a log of Inspect and write it as the campaign ``path``; returns what was read.

    ``scorer`` and ``pass_at`` are what ``inspect.read`` takes. Raises BadInput where the log
    cannot be read, something is at ``path`` already, or the package is missing.
    """
    try:
        from verification.imports import inspect
    except ImportError as error:
        raise BadInput(
            f"a log of Inspect needs a package ({error}); pip install -U 'fairtrial[export]'"
        ) from None
    imported = inspect.read(log, path.resolve().name, scorer=scorer, pass_at=pass_at)
    write(imported, path)
    return imported


def write(imported: Imported, path: Path) -> int:
    """Write a campaign, with its evidence, and return how many runs it holds.

    The folder appears whole or not at all. Raises BadInput where it is there already, or where
    the log holds a run twice.
    """
    digests: dict[str, str] = {}
    count = 0
    with whole_folder(path) as new:
        folder = CampaignFolder(new)
        folder.prepare()
        for started, events in imported.runs:
            if folder.transcript(started.run).exists():
                raise BadInput(
                    f"{imported.log}: holds repetition {started.repetition} of {started.task} twice"
                )
            with JsonLines(folder.transcript(started.run)) as transcript:
                for event in (started, *events):
                    transcript.append(event)
            digests[started.task] = started.task_digest
            count += 1
        write_whole(folder.config, _campaign(imported))
        manifest = _manifest(imported, digests)
        write_whole(folder.manifest, manifest.model_dump_json(indent=2) + "\n")
        verify.write(folder)
    return count


def names_of(words: Iterable[str]) -> dict[str, str]:
    """A name for each word from outside, no two alike: letters, digits, dots, dashes, underscores.

    Words that only differ in what a name may not hold get a piece of their digest.
    """
    plain = {word: _plain(word) for word in words}
    taken = Counter(plain.values())
    return {
        word: name if taken[name] == 1 and name else f"{name or 'x'}-{_digest(word)[:8]}"
        for word, name in plain.items()
    }


def _plain(word: str) -> str:
    return re.sub(r"[^A-Za-z0-9._-]+", "-", word).strip("-._")[:LONGEST_NAME]


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def _note(imported: Imported) -> str:
    return (
        f"Played elsewhere, by {imported.program}, and scored by {imported.scored_by}; "
        f"imported from {imported.log}."
    )


_CAMPAIGN = """\
# Written by "fairtrial import". These runs were played elsewhere: nothing here can be run, and
# what reads campaigns (verify, histogram, compare, report, export, ...) reads this one too.
suite = {suite}
note = {note}
runs_per_task = {runs_per_task}

[[models]]
name = {name}
kind = "imported"
program = {program}
log = {log}
log_sha256 = {sha256}
"""


def _campaign(imported: Imported) -> str:
    words = {
        "suite": imported.plan.suite,
        "note": _note(imported),
        "name": imported.model.name,
        "program": imported.program,
        "log": imported.log,
        "sha256": imported.sha256,
    }
    # With nothing in them that steers a terminal, JSON's strings are TOML's too.
    quoted = {key: json.dumps(one_line(word), ensure_ascii=False) for key, word in words.items()}
    return _CAMPAIGN.format(**quoted, runs_per_task=imported.plan.runs_per_task)


def _manifest(imported: Imported, digests: Mapping[str, str]) -> Manifest:
    together = json.dumps(digests, sort_keys=True)
    return Manifest(
        campaign=imported.plan.campaign,
        note=_note(imported),
        started_at=imported.started_at,
        plan=imported.plan,
        config={"suite": imported.plan.suite, "called_there": dict(imported.renamed)},
        infrastructure={},
        suite_digest=_digest(together),
        suite_shortcoming=f"played elsewhere, by {imported.program}",
        task_digests=dict(digests),
        models=(imported.model,),
        sandbox={},
        versions=dict(imported.versions),
        hardware={},
        preflight=None,
    )
