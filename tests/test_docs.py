"""The documents say what the program does."""

from __future__ import annotations

import subprocess
from pathlib import Path

import typer

from harness.attribution import RULES
from harness.cli import app
from harness.config import load_campaign
from tests.conftest import command

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")


def commands() -> set[str]:
    group = typer.main.get_command(app)
    return set(getattr(group, "commands", {}))


def test_every_command_is_in_the_readme() -> None:
    documented = {
        line.split()[2] for line in README.splitlines() if line.startswith("| `fairtrial")
    }
    assert {word.strip("`") for word in documented} == commands()


def test_every_command_says_what_it_is_for() -> None:
    for name in commands():
        done = subprocess.run(command(name, "--help"), capture_output=True, text=True, check=True)
        assert len(done.stdout.split()) > 10


def test_the_campaign_in_the_readme_is_a_valid_one(tmp_path: Path) -> None:
    text = README.split("```toml\n")[1].split("```")[0]
    (tmp_path / "campaign.toml").write_text(text, encoding="utf-8")
    campaign = load_campaign(tmp_path / "campaign.toml")
    assert [model.kind for model in campaign.models] == ["llama_cpp", "openai"]


def test_the_two_commands_come_first() -> None:
    indented = [line.strip() for line in README.splitlines() if line.startswith("    ")]
    assert [line.split("#")[0].strip() for line in indented[:2]] == ["make quickstart", "make test"]


def test_the_table_of_attribution_in_the_docs_is_the_one_in_the_code() -> None:
    text = (ROOT / "docs" / "attribution.md").read_text(encoding="utf-8")
    rows = [
        f"| `{kind}` | {what} | `{cause}` | {remedy} |"
        for kind, (what, cause, remedy) in RULES.items()
    ]
    assert [line for line in text.splitlines() if line.startswith("| `")] == rows
