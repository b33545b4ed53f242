"""Certifying: a sound task is certified, and each way to be unsound is named."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from harness import certificate
from harness.certificate import certificate_file, shortcoming
from harness.certificate.certify import write_certificate
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
    assert "near misses, all_of_them and" in printed
    assert "other scripts: must not pass, and does" in printed


def test_a_checker_that_crashes_on_a_hostile_workspace_is_found_out(task: Path) -> None:
    change(
        task / "checker.py",
        "    answer = Check(",
        '    (run.workspace / "readings.csv").lstat()\n    answer = Check(',
    )
    code, printed = certify(task)

    assert code == 1
    assert (
        "attacks, deletes_everything (published): could not be graded: checker_crashed" in printed
    )


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
    assert "checks, polite: nothing wrong would pass without it" in printed


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
    assert "near misses, edits (published, seed 1): its own program fails (does it st" in printed


def refused(task: Path) -> str:
    """What certifying says where the author must act first."""
    done = fairtrial("certify", task.parent, "--seeds", "1")
    assert (done.returncode, done.stderr.count("\n")) == (2, 1), done.stdout + done.stderr
    return done.stderr


def test_a_variant_that_asks_more_than_its_seed_is_found_out(task: Path) -> None:
    change(task / "variants.py", "    limit = random", "    import random\n    limit = random")
    code, printed = certify(task)

    assert code == 1
    assert "drawn, variants.py (published, seed 1): another process draws another" in printed


def test_a_draw_that_does_not_use_its_seed_is_found_out(task: Path) -> None:
    change(task / "variants.py", "    limit = random", "    random = Random(3)\n    limit = random")
    done = fairtrial("certify", task.parent, "--seeds", "2")

    assert done.returncode == 1
    assert "drawn, variants.py (seed 2): the same task as seed 1" in done.stdout


def test_too_few_scripts_are_no_proof(task: Path) -> None:
    (task / "alternatives" / "in_python.jsonl").unlink()
    (task / "near_misses" / "two_numbers.jsonl").unlink()
    code, printed = certify(task)

    assert code == 1
    assert "alternatives: 2 in alternatives/; a certificate takes at least 3" in printed
    assert "near misses: 4 in near_misses/; a certificate takes at least 5" in printed


def test_a_call_that_no_tool_takes_is_found_out_even_where_the_script_fails(task: Path) -> None:
    change(task / "near_misses" / "two_numbers.jsonl", '"name": "fs_read"', '"name": "fs_raed"')
    code, printed = certify(task)

    assert code == 1
    assert "two_numbers (published, seed 1): a call that no tool takes: there is no " in printed


def test_two_checks_of_one_name_are_found_out(task: Path) -> None:
    change(task / "checker.py", "checks=(answer,)", "checks=(answer, answer)")
    code, printed = certify(task)

    assert code == 1
    assert "checker.py: two checks are named 'answer'; give each a name of its own" in printed


def test_a_checker_that_always_crashes_is_named_once_with_its_line(task: Path) -> None:
    change(task / "checker.py", "    expected = sum", "    1 / 0\n    expected = sum")
    code, printed = certify(task)

    assert code == 1
    assert printed.count("checker.py:11: ZeroDivisionError: division by zero") == 1


@pytest.mark.parametrize(
    ("file", "old", "new", "said"),
    [
        ("solution.jsonl", "«above»", "«abve»", "jsonl:3: no fact 'abve'; did you mean 'above'?"),
        ("solution.jsonl", '"text"', '"txt"', "jsonl:3: unknown key 'txt'; did you mean 'text'?"),
        ("solution.jsonl", '"«above»"}', '"«above»"', "jsonl:3: not valid JSON: Expecting"),
        ("checker.py", "readings = map(", "readings = = map(", "checker.py:10: SyntaxError: inv"),
        ("checker.py", "def check(", "def chek(", "checker.py: no function check(run) in it"),
    ],
)
def test_what_cannot_be_played_is_refused_before_anything_is(
    task: Path, file: str, old: str, new: str, said: str
) -> None:
    change(task / file, old, new)

    assert said in refused(task)


def test_marks_that_nothing_would_fill_in_are_refused(task: Path) -> None:
    (task / "variants.py").unlink()

    assert "instruction.md:1: «" in refused(task)


def test_files_that_nothing_would_read_are_refused(task: Path) -> None:
    (task / "near_misses").rename(task / "near-misses")
    assert "near-misses: nothing reads this; did you mean 'near_misses'?" in refused(task)
    (task / "near-misses").rename(task / "near_misses")

    empty = task / "near_misses" / "empty.jsonl"
    empty.touch()
    assert "empty.jsonl: empty; a script has at least one reply" in refused(task)
    empty.rename(empty.with_suffix(".json"))
    assert "empty.json: nothing reads this; a script is a file *.jsonl" in refused(task)


def test_a_task_without_a_solution_is_refused_by_its_path(task: Path) -> None:
    (task / "solution.jsonl").unlink()

    assert refused(task).count("solution.jsonl: no such file; every task has one") == 1


def test_a_database_that_cannot_be_built_is_refused(task: Path) -> None:
    (task / "database.sql").write_text("CREATE TABEL t (x);", encoding="utf-8")

    assert 'cannot be built: near "TABEL": syntax error' in refused(task)


def test_a_task_is_no_suite(task: Path) -> None:
    done = fairtrial("certify", task)

    assert done.returncode == 2
    assert "that is a task; give its suite" in done.stderr


def test_a_task_that_its_suite_does_not_list_is_not_passed_over(task: Path) -> None:
    first = task.parent / "task_02_more"
    done = fairtrial("new-task", first)
    assert f'add "task_02_more" to tasks in {task.parent / "suite.toml"}, change it' in done.stdout
    code, printed = certify(task)

    assert code == 0
    assert "suite.toml does not list task_02_more" in " ".join(printed.split())


def test_a_suite_is_run_without_its_certificate_only_when_told_to(
    task: Path, make_campaign: MakeCampaign
) -> None:
    folder = make_campaign(suite=str(task.parent), runs_per_task=1)
    refused = fairtrial("run", folder)
    assert refused.returncode == 2
    assert "suite 'my-suite-v1' has no certificate; prove it with 'fairtrial" in refused.stderr

    config = folder / "campaign.toml"
    config.write_text("uncertified = true\n" + config.read_text())
    told_to = fairtrial("run", folder)
    assert told_to.returncode == 0
    assert "WARNING: suite 'my-suite-v1' has no certificate." in told_to.stdout
    manifest = json.loads((folder / "data" / "manifest.json").read_text())
    assert manifest["suite_shortcoming"] == "suite 'my-suite-v1' has no certificate"


def test_a_campaign_says_which_task_has_changed_since_it_was_certified(
    task: Path, make_campaign: MakeCampaign
) -> None:
    fairtrial("certify", task.parent)
    folder = make_campaign(suite=str(task.parent), runs_per_task=1)
    change(task / "instruction.md", "Answer with that number.", "Answer with the number.")
    done = fairtrial("run", folder)

    assert done.returncode == 2
    assert f"not certified, or changed since its certificate: {task.name}" in done.stderr


def test_a_new_task_never_overwrites(task: Path) -> None:
    done = fairtrial("new-task", task)

    assert done.returncode == 2
    assert done.stderr == f"fairtrial: {task}: exists already; choose another name\n"


def test_a_certificate_does_not_vouch_for_other_code_that_judges(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    suite = load_suite("first-steps-v1")
    assert shortcoming(suite) is None
    monkeypatch.setattr(certificate, "judges_digest", lambda: "of other code")
    assert "changed since its certificate: task_01_read_a_number" in (shortcoming(suite) or "")


def test_a_certificate_stays_as_it_is_where_nothing_was_proved() -> None:
    suite = load_suite("first-steps-v1")
    before = certificate_file(suite).read_bytes()
    assert write_certificate(suite, []) is None
    assert certificate_file(suite).read_bytes() == before
