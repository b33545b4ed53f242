"""Ways out: a campaign in other programs' formats. One file a format, found by its name.

A format ``x`` is the module ``verification.export.x`` with one function:

    write(folder, evidence, out)    write the campaign's runs into ``out``, a folder that is
                                    there and empty; files only, no folders

Every run goes out as its latest attempt. What is unknown is left out or null, never 0.
"""

from __future__ import annotations

import importlib
import json
import pkgutil
from pathlib import Path

from harness.errors import BadInput, did_you_mean
from harness.store import CampaignFolder, whole_folder, write_whole
from verification.evidence import read

MARKER = ".fairtrial-export"
"""Lies in every export and lists its files, so that it can be told from what is not ours."""


def formats() -> list[str]:
    """The names of all formats, by looking at this folder."""
    return sorted(module.name for module in pkgutil.iter_modules(__path__))


def export(folder: CampaignFolder, name: str, out: Path) -> int:
    """Write a campaign in the format of that name, and return how many runs it holds.

    ``out`` is new, empty, or an earlier export, which is replaced as a whole. Raises BadInput
    for anything else there, for an unknown format, for a campaign without a run, and where the
    package that the format needs is missing.
    """
    if name not in formats():
        raise BadInput(f"no format {name!r}; {did_you_mean(name, formats())}")
    try:
        format_ = importlib.import_module(f"{__name__}.{name}")
    except ImportError as error:
        raise BadInput(
            f"the format {name} needs a package ({error}); pip install -U 'fairtrial[export]'"
        ) from None
    ours = _is_ours(out)
    evidence = read(folder)
    if evidence.runs.empty:
        raise BadInput(f"{folder.path}: nothing has run yet, so there is nothing to export")
    with whole_folder(out, replace=ours) as new:
        format_.write(folder, evidence, new)
        files = sorted(path.name for path in new.iterdir())
        marker = {"format": name, "campaign": folder.id, "files": files}
        write_whole(new / MARKER, json.dumps(marker, indent=1))
    return len(evidence.runs)


def _is_ours(out: Path) -> bool:
    """Whether an earlier export, and nothing else, is there."""
    try:
        written = json.loads((out / MARKER).read_text(encoding="utf-8"))["files"]
        strays = {path.name for path in out.iterdir()} - {MARKER, *written}
    except (OSError, ValueError, KeyError, TypeError):
        return False
    if strays:
        raise BadInput(
            f"{out}: holds {min(strays)!r} beside an earlier export; move it away, "
            "or choose another folder"
        )
    return True
