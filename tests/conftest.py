"""What several tests share: the command as a person runs it, and campaigns to run it on."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

ORACLE = """
[[models]]
name = "oracle"
kind = "scripted"
script = "oracle"
"""
NOTHING = """
[[models]]
name = "nothing"
kind = "scripted"
script = "nothing"
"""

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # started in the background, as by nohup
    # Children would inherit it, and be deaf to the Ctrl-C that tests send them.
    signal.signal(signal.SIGINT, signal.default_int_handler)

# How long an example takes says nothing of the code where others keep the machine busy.
settings.register_profile(
    "any machine",
    parent=settings.default,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile("any machine")

MakeCampaign = Callable[..., Path]


def pytest_unconfigure() -> None:
    """Close what llama-cpp-python opens when it is imported, and leaves open: /dev/null, twice."""
    if utils := sys.modules.get("llama_cpp._utils"):
        utils.outnull_file.close()
        utils.errnull_file.close()


def command(*arguments: str | Path) -> list[str]:
    """``fairtrial`` with these arguments, as this Python runs it."""
    return [sys.executable, "-m", "harness", *map(str, arguments)]


def fairtrial(
    *arguments: str | Path, cwd: Path | None = None, env: dict[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """Run ``fairtrial`` to its end, with nobody at the terminal."""
    return subprocess.run(
        command(*arguments),
        cwd=cwd,
        env={**os.environ, **(env or {}), "COLUMNS": "120"},
        capture_output=True,
        text=True,
        timeout=1800,
        check=False,
    )


@pytest.fixture
def make_campaign(tmp_path: Path) -> MakeCampaign:
    """A maker of campaign folders: ``make_campaign(models, runs_per_task=2, ...)``."""

    def make(
        models: str = ORACLE, *, name: str = "trial", suite: str = "first-steps-v1", **keys: object
    ) -> Path:
        folder = tmp_path / name
        folder.mkdir(parents=True)
        top = "".join(f"{key} = {json.dumps(value)}\n" for key, value in keys.items())
        text = f'suite = "{suite}"\n{top}{models}'
        (folder / "campaign.toml").write_text(text, encoding="utf-8")
        return folder

    return make


def evidence(folder: Path) -> dict[str, bytes]:
    """The CSVs of a campaign, but for the list of attempts, which tells of interruptions."""
    paths = sorted((folder / "verification").glob("*.csv"))
    return {path.name: path.read_bytes() for path in paths if path.name != "attempts.csv"}
