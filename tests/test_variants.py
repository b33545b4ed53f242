"""Variants: drawn from a seed, the same for everyone, and told apart in the evidence."""

from __future__ import annotations

import json
import platform
from pathlib import Path

import pytest

from harness.errors import BadInput
from harness.records import Started
from harness.store import CampaignFolder, read_header
from harness.task import load_suite
from harness.variant import render
from tests.conftest import NOTHING, ORACLE, MakeCampaign, fairtrial


@pytest.fixture
def suite(tmp_path: Path) -> Path:
    """A suite of one task, as ``new-task`` writes it."""
    folder = tmp_path / "my-suite-v1"
    assert fairtrial("new-task", folder / "task_01_high_readings").returncode == 0
    return folder


def headers(folder: Path) -> list[Started]:
    return [read_header(path) for path in CampaignFolder(folder).transcript_paths()]


def test_a_seed_draws_one_variant_wherever_it_is_drawn(suite: Path) -> None:
    (task,) = load_suite(str(suite)).tasks
    (again,) = load_suite(str(suite)).tasks

    assert task.variant(7).digest == again.variant(7).digest
    assert len({task.variant(seed).digest for seed in (None, 1, 2, 3)}) == 4


def test_each_repetition_has_a_variant_of_its_own_and_models_share_them(
    suite: Path, make_campaign: MakeCampaign
) -> None:
    folder = make_campaign(
        ORACLE + NOTHING, suite=str(suite), runs_per_task=3, variants="seeded", uncertified=True
    )
    done = fairtrial("run", folder)
    assert done.returncode == 0, done.stderr

    drawn = {
        model: {h.repetition: h.variant_seed for h in headers(folder) if h.model.name == model}
        for model in ("oracle", "nothing")
    }
    assert drawn["oracle"] == drawn["nothing"]
    assert len(set(drawn["oracle"].values())) == 3
    assert None not in drawn["oracle"].values()


def test_the_oracle_of_a_seeded_campaign_passes_and_replays(
    suite: Path, make_campaign: MakeCampaign
) -> None:
    folder = make_campaign(suite=str(suite), runs_per_task=2, variants="seeded", uncertified=True)
    fairtrial("run", folder)
    rows = (folder / "verification" / "runs.csv").read_text().splitlines()
    assert sum(",pass," in row for row in rows) == 2

    for path in CampaignFolder(folder).transcript_paths():
        done = fairtrial("replay", path)
        assert (done.returncode, done.stdout) == (0, "same verdict, 2 of 2 results identical\n")


def test_the_evidence_names_the_variant_of_every_run(
    suite: Path, make_campaign: MakeCampaign
) -> None:
    folder = make_campaign(suite=str(suite), runs_per_task=2, variants="seeded", uncertified=True)
    fairtrial("run", folder)
    heading, *rows = (folder / "verification" / "runs.csv").read_text().splitlines()
    column = heading.split(",").index("variant_seed")

    assert {row.split(",")[column] for row in rows} == {
        str(header.variant_seed) for header in headers(folder)
    }


def test_the_published_variant_is_the_default(make_campaign: MakeCampaign) -> None:
    folder = make_campaign(runs_per_task=1)
    fairtrial("run", folder)

    assert {header.variant_seed for header in headers(folder)} == {None}


def test_a_suite_that_cannot_be_drawn_is_not_run_seeded(make_campaign: MakeCampaign) -> None:
    folder = make_campaign(runs_per_task=1, variants="seeded")
    done = fairtrial("run", folder)

    assert done.returncode == 2
    assert "task_01_read_a_number: no variants.py" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("code", "said"),
    [
        ("draw(", r"variants.py:1: SyntaxError: '\(' was never closed"),
        ("\nFIXED = 1 / 0\n", "variants.py:2: ZeroDivisionError: division by zero"),
        ("def draw(random): ...\n", "variants.py: no FIXED in it"),
        ("FIXED = {}\n", "variants.py: no draw in it"),
        ("FIXED = 7\ndraw = len\n", "facts are a dict, and these are: int"),
        (
            "FIXED = {'station': 'x', 'limits': 3}\ndraw = None\n",
            "instruction.md:3: no fact 'limit'; did you mean 'limits'",
        ),
    ],
)
def test_broken_variants_are_named_in_one_sentence(suite: Path, code: str, said: str) -> None:
    file = suite / "task_01_high_readings" / "variants.py"
    file.write_text(code, encoding="utf-8")
    (task,) = load_suite(str(suite)).tasks

    with pytest.raises(BadInput, match=said):
        task.variant()


def test_what_goes_wrong_in_one_draw_only_names_line_and_seed(suite: Path) -> None:
    file = suite / "task_01_high_readings" / "variants.py"
    text = file.read_text(encoding="utf-8")
    file.write_text(f"{text}\n\ndef draw(random):\n    return [][3]\n", encoding="utf-8")
    (task,) = load_suite(str(suite)).tasks
    line = file.read_text().count("\n")

    with pytest.raises(BadInput, match=rf"variants.py:{line}: IndexError: .* \(in .* seed 4\)"):
        task.variant(4)


def test_a_mark_that_is_no_expression_is_named_with_its_line(suite: Path) -> None:
    file = suite / "task_01_high_readings" / "instruction.md"
    file.write_text("Here is\n«limit +»\n", encoding="utf-8")
    (task,) = load_suite(str(suite)).tasks

    with pytest.raises(BadInput, match=r"instruction\.md:2: not well formed: unexpected"):
        task.variant()


def test_a_replay_says_whether_python_or_the_task_draws_another_variant(
    suite: Path, make_campaign: MakeCampaign
) -> None:
    file = suite / "task_01_high_readings" / "variants.py"
    text = file.read_text(encoding="utf-8").replace(
        '"limit": limit,', '"limit": limit + __import__("os").getpid() / 2**40,'
    )
    file.write_text(text, encoding="utf-8")
    folder = make_campaign(suite=str(suite), runs_per_task=1, variants="seeded", uncertified=True)
    fairtrial("run", folder)
    (transcript,) = CampaignFolder(folder).transcript_paths()
    same = fairtrial("replay", transcript)
    transcript.write_text(
        transcript.read_text().replace(f'"python":"{platform.python_version()}"', '"python":"3.99"')
    )
    other = fairtrial("replay", transcript)

    assert "variants.py: does not draw the same from the same seed" in same.stderr
    assert "this Python draws another variant" in other.stderr
    assert "replay with Python 3.99" in other.stderr


def test_what_a_model_would_see_can_be_written_to_a_folder(suite: Path, tmp_path: Path) -> None:
    look = tmp_path / "look"
    done = fairtrial("draw", suite, "task_01", look, "--seed", "3")
    (task,) = load_suite(str(suite)).tasks
    variant = task.variant(3)

    assert done.returncode == 0
    assert (look / "instruction.md").read_text() == variant.instruction + "\n"
    assert (look / "workspace" / "readings.csv").read_bytes() == variant.files["readings.csv"]


def test_braces_and_percent_signs_of_code_are_no_marks() -> None:
    code = "f'{{x}} {% if y %}' {# z #} «name»"

    assert render(code, {"name": "n"}) == "f'{{x}} {% if y %}' {# z #} n"


def test_texts_of_a_task_without_facts_keep_their_marks() -> None:
    assert render("«quoted»", {}) == "«quoted»"


def test_a_workspace_with_a_binary_file_is_filled_as_it_is(suite: Path, tmp_path: Path) -> None:
    binary = bytes(range(256))
    (suite / "task_01_high_readings" / "workspace" / "x.bin").write_bytes(binary)
    (task,) = load_suite(str(suite)).tasks
    task.variant().fill(tmp_path)

    assert (tmp_path / "x.bin").read_bytes() == binary
    assert json.dumps(sorted(task.variant().files)) == '["readings.csv", "x.bin"]'
