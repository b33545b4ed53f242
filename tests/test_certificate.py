"""Certifying: a sound task is certified, and each way to be unsound is named."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from harness.errors import InfrastructureFault
from harness.sandbox import make as make_sandbox
from harness.task import FinishedRun, grade, load_suite
from tests.conftest import MakeCampaign, fairtrial

ACCEPTS_ALL = """
from harness.records import Check, Verdict

def check(run):
    return Verdict(checks=(Check(name="answer", passed=True, detail="fine"),))
"""


@pytest.fixture
def task(tmp_path: Path) -> Path:
    """A task as ``new-task`` writes it, in a suite of its own."""
    folder = tmp_path / "my-suite-v1" / "task_01_high_readings"
    assert fairtrial("new-task", folder).returncode == 0
    return folder


def certify(task: Path, *options: str) -> tuple[int, str]:
    done = fairtrial("certify", task.parent, "--seeds", "1", *options)
    assert "Traceback" not in done.stderr
    return done.returncode, done.stdout


def change(path: Path, old: str, new: str) -> None:
    text = path.read_text(encoding="utf-8")
    assert text.count(old) == 1
    path.write_text(text.replace(old, new), encoding="utf-8")


def test_a_new_task_is_certified_as_it_is_written(task: Path) -> None:
    done = fairtrial("certify", task.parent)

    assert (done.returncode, done.stderr) == (0, "")
    certificate = json.loads((task.parent / "certificate.json").read_text())
    proved = certificate["tasks"][task.name]
    assert proved["seeds"] == 20
    assert proved["proved"]["near misses"] == 21 * 5


def test_fewer_variants_than_needed_write_no_certificate(task: Path) -> None:
    code, printed = certify(task)

    assert code == 0
    assert "A certificate takes every task, on 20 variants" in printed
    assert not (task.parent / "certificate.json").exists()


def test_a_checker_that_accepts_everything_is_found_out(task: Path) -> None:
    (task / "checker.py").write_text(ACCEPTS_ALL, encoding="utf-8")
    code, printed = certify(task)

    assert code == 1
    assert "near misses, all_of_them (published): must not pass, and does" in printed
    assert "attacks, says_nothing (published): must not pass, and does" in printed


def test_a_checker_that_crashes_on_a_hostile_workspace_is_found_out(task: Path) -> None:
    change(
        task / "checker.py",
        "    answer = Check(",
        '    (run.workspace / "readings.csv").lstat()\n    answer = Check(',
    )
    code, printed = certify(task)

    assert code == 1
    assert "attacks, deletes_everything (published): could not be graded: checker_cr" in printed


def test_a_checker_that_hangs_is_the_checkers_fault(
    task: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("harness.task.CHECKER_SECONDS", 0.2)
    change(
        task / "checker.py",
        "    answer = Check(",
        "    __import__('time').sleep(5)\n    answer = Check(",
    )
    (found,) = load_suite(str(task.parent)).tasks
    run = FinishedRun(found, found.variant(), "", (), tmp_path, make_sandbox("bubblewrap"))

    with pytest.raises(InfrastructureFault, match="not done after"):
        grade(run)


def test_a_checker_that_changes_its_mind_is_found_out(task: Path) -> None:
    change(task / "checker.py", 'detail=f"', "detail=f\"{__import__('random').random()} ")
    code, printed = certify(task)

    assert code == 1
    assert "said another thing when it was asked again" in printed


def test_a_check_that_holds_nothing_off_is_found_out(task: Path) -> None:
    change(
        task / "checker.py",
        "checks=(answer,)",
        'checks=(answer, Check(name="polite", passed="fool" not in run.answer, detail="polite"))',
    )
    code, printed = certify(task)

    assert code == 1
    assert "check polite: nothing wrong would pass without it" in printed


def test_an_oracle_that_fails_on_a_drawn_variant_only_is_found_out(task: Path) -> None:
    published = fairtrial("certify", task.parent, "--seeds", "0")
    assert published.returncode == 0
    change(task / "solution.jsonl", '"«above»"', "\"«above if station == 'Harbour Bridge'»\"")
    code, printed = certify(task)

    assert code == 1
    assert "oracle, solution (seed 1): must pass, and is wrong_answer" in printed
    assert "oracle, solution (published)" not in printed


def test_a_script_that_no_longer_fits_its_workspace_is_found_out(task: Path) -> None:
    edit = (
        "python3 - <<'END'\nfrom pathlib import Path\ntext = Path('readings.csv').read_text()\n"
        "old = 'not there'\nassert text.count(old) == 1\nEND"
    )
    call = {"name": "shell", "arguments": {"command": edit}}
    lines = [{"note": "Edits.", "calls": [call]}, {"text": "0"}]
    text = "".join(json.dumps(line) + "\n" for line in lines)
    (task / "near_misses" / "edits.jsonl").write_text(text, encoding="utf-8")
    code, printed = certify(task)

    assert code == 1
    assert "near misses, edits (published): does not find what it edits" in printed


def test_a_suite_is_run_without_its_certificate_only_when_told_to(
    task: Path, make_campaign: MakeCampaign
) -> None:
    folder = make_campaign(suite=str(task.parent), runs_per_task=1)
    refused = fairtrial("run", folder)
    assert refused.returncode == 2
    assert "the suite my-suite-v1 has no certificate; prove it with 'fairtrial" in refused.stderr

    config = folder / "campaign.toml"
    config.write_text("uncertified = true\n" + config.read_text())
    told_to = fairtrial("run", folder)
    assert told_to.returncode == 0
    assert "WARNING: the suite my-suite-v1 has no certificate." in told_to.stdout
    manifest = json.loads((folder / "data" / "manifest.json").read_text())
    assert manifest["suite_shortcoming"] == "the suite my-suite-v1 has no certificate"


def test_a_campaign_says_which_task_has_changed_since_it_was_certified(
    task: Path, make_campaign: MakeCampaign
) -> None:
    fairtrial("certify", task.parent)
    folder = make_campaign(suite=str(task.parent), runs_per_task=1)
    change(task / "instruction.md", "Answer with that number.", "Answer with the number.")
    done = fairtrial("run", folder)

    assert done.returncode == 2
    assert f"not certified, or changed since: {task.name}" in done.stderr


def test_a_new_task_never_overwrites(task: Path) -> None:
    done = fairtrial("new-task", task)

    assert done.returncode == 2
    assert done.stderr == f"fairtrial: {task}: exists already; choose another name\n"
