"""The wheel works on its own: in an empty environment, from an empty folder, with no checkout."""

from __future__ import annotations

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel of this checkout."""
    folder = tmp_path_factory.mktemp("wheel")
    pip("wheel", "--no-deps", "--wheel-dir", folder, ROOT)
    return next(folder.glob("fairtrial-*.whl"))


def pip(*arguments: str | Path, python: str | Path = sys.executable) -> None:
    command = [python, "-m", "pip", "--quiet", "--disable-pip-version-check", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_the_wheel_holds_code_and_suites_and_nothing_else(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    assert {name.split("/")[0].split("-")[0] for name in names} == {
        "fairtrial",
        "harness",
        "verification",
    }
    assert "harness/suites/first-steps-v1/suite.toml" in names
    assert {"base.html", "index.html", "run.html", "style.css"} == {
        name.rpartition("/")[2] for name in names if "verification/report/templates/" in name
    }
    assert not [name for name in names if "__pycache__" in name]


def test_the_wheel_runs_a_built_in_suite_from_an_empty_folder(wheel: Path, tmp_path: Path) -> None:
    environment = tmp_path / "environment"
    subprocess.run([sys.executable, "-m", "venv", environment], check=True)
    python, here = environment / "bin" / "python", tmp_path / "here"
    pip("install", "-c", ROOT / "constraints.txt", wheel, python=python)
    here.mkdir()
    clean = {key: value for key, value in os.environ.items() if not key.startswith("PYTHON")}

    def fairtrial(*arguments: str) -> str:
        command = [str(environment / "bin" / "fairtrial"), *arguments]
        done = subprocess.run(
            command, cwd=here, env=clean, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    fairtrial("new-campaign", "campaigns/mine")
    assert "pass" in fairtrial("run", "campaigns/mine")
    assert "every cell follows" in fairtrial("verify", "campaigns/mine")
    transcripts = sorted(here.glob("campaigns/mine/data/transcripts/*.jsonl"))
    assert len(transcripts) == 12
    assert "same verdict" in fairtrial("replay", transcripts[0].stem[:13])
    assert subprocess.run([python, "-c", "import llama_cpp"], capture_output=True).returncode == 1
