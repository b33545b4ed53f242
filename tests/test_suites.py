"""Every suite on disk proves itself: what must pass does, what must not does not.

All scripts of all tasks are played once, by the real attempt in the real sandbox, on the published
variant and on one that a seed draws; ``fairtrial certify`` does the same with twenty.
"""

from __future__ import annotations

import asyncio
import re
import shutil
from pathlib import Path

import pytest

from harness.certificate import shortcoming
from harness.certificate.certify import Aspect, Failure, Proof, certify
from harness.models.scripted import ScriptLine, read_script
from harness.task import Suite, Task, built_in_suites, digest_folder, load_suite
from harness.variant import Variant, can_be_drawn, render

SEEDS = (1,)
SUITES = [load_suite(name) for name in built_in_suites()]
TASKS = [(suite, task) for suite in SUITES for task in suite.tasks]

every_suite = pytest.mark.parametrize("suite", SUITES, ids=lambda suite: suite.name)
every_task = pytest.mark.parametrize(
    ("suite", "task"), TASKS, ids=[f"{suite.name}/{task.id}" for suite, task in TASKS]
)


@pytest.fixture(scope="module")
def proofs() -> dict[Path, Proof]:
    """What certifying finds, by the task's folder."""
    found = [
        proof
        for suite in SUITES
        for proof in asyncio.run(certify(suite, suite.tasks, SEEDS, at_once=4))
    ]
    return {proof.task.folder: proof for proof in found}


def failures(proof: Proof, aspect: Aspect) -> list[Failure]:
    return [failure for failure in proof.failed if failure.aspect == aspect]


@every_task
def test_a_seed_draws_one_variant_and_no_other_seed_draws_it(
    suite: Suite, task: Task, proofs: dict[Path, Proof]
) -> None:
    assert failures(proofs[task.folder], "drawn") == []
    assert proofs[task.folder].held["drawn"] == (1 + len(SEEDS) if can_be_drawn(task.folder) else 0)


@every_task
def test_the_oracle_passes_every_time_with_one_verdict(
    suite: Suite, task: Task, proofs: dict[Path, Proof]
) -> None:
    assert failures(proofs[task.folder], "oracle") == []
    assert proofs[task.folder].held["oracle"] >= 5


@every_task
def test_every_other_right_solution_passes(
    suite: Suite, task: Task, proofs: dict[Path, Proof]
) -> None:
    assert failures(proofs[task.folder], "alternatives") == []


@every_task
def test_no_near_miss_passes(suite: Suite, task: Task, proofs: dict[Path, Proof]) -> None:
    assert failures(proofs[task.folder], "near misses") == []


@every_task
def test_no_attacker_passes_or_crashes_the_checker(
    suite: Suite, task: Task, proofs: dict[Path, Proof]
) -> None:
    assert failures(proofs[task.folder], "attacks") == []
    assert proofs[task.folder].held["attacks"] >= 6


@every_task
def test_every_check_holds_off_something_wrong(
    suite: Suite, task: Task, proofs: dict[Path, Proof]
) -> None:
    assert failures(proofs[task.folder], "checks") == []
    assert proofs[task.folder].needed


@every_suite
def test_a_suite_is_certified_as_it_stands(suite: Suite) -> None:
    assert shortcoming(suite) is None, "run make certificates"


def scripts(task: Task, *folders: str) -> list[Path]:
    return [path for folder in folders for path in sorted((task.folder / folder).glob("*.jsonl"))]


@every_task
def test_a_script_says_why_it_exists(suite: Suite, task: Task) -> None:
    for path in scripts(task, "near_misses", "alternatives"):
        first = read_script(path)[0]
        assert isinstance(first, ScriptLine)
        assert first.note.endswith("."), path


@every_task
def test_the_digest_changes_with_any_file(suite: Suite, task: Task, tmp_path: Path) -> None:
    copy = tmp_path / task.id
    shutil.copytree(task.folder, copy)
    digests = {digest_folder(copy)}
    files = [path for path in copy.rglob("*") if path.is_file() and "__pycache__" not in path.parts]
    for path in files:
        content = path.read_bytes()
        path.write_bytes(content + b"\n")
        digests.add(digest_folder(copy))
        path.write_bytes(content)

    assert len(digests) == len(files) + 1
    assert digest_folder(copy) == digest_folder(task.folder)


def variants(task: Task) -> list[Variant]:
    return [task.variant(seed) for seed in (None, *(SEEDS if can_be_drawn(task.folder) else ()))]


def visible_texts(variant: Variant) -> dict[str, str]:
    """What a model can come to see, by file name."""
    texts = {path: content.decode(errors="replace") for path, content in variant.files.items()}
    return texts | ({"database": variant.sql} if variant.sql else {})


@every_task
def test_the_oracles_answer_stands_in_one_place_at_most(suite: Suite, task: Task) -> None:
    last = read_script(task.folder / "solution.jsonl")[-1]
    for variant in variants(task):
        words = render(last.text, variant.facts)
        answer = re.compile(rf"\b{re.escape(words)}\b")
        texts = visible_texts(variant)

        assert not answer.search(variant.instruction + task.system_prompt)
        assert [name for name in texts if answer.search(name)] == []
        assert len([name for name, text in texts.items() if answer.search(text)]) <= 1


@every_task
def test_a_workspace_holds_no_history_and_nothing_hidden_or_compiled(
    suite: Suite, task: Task
) -> None:
    for variant in variants(task):
        parts = [part for path in variant.files for part in path.split("/")]
        assert [part for part in parts if part.startswith((".", "__pyc"))] == []
        assert [
            name
            for name, text in visible_texts(variant).items()
            if re.search("BUG|FIXME|XXX", text)
        ] == []


@every_task
def test_no_mark_is_left_unfilled(suite: Suite, task: Task) -> None:
    for variant in variants(task):
        texts = [variant.instruction, *visible_texts(variant).values()]
        assert not can_be_drawn(task.folder) or not any("«" in text for text in texts)


@every_suite
def test_a_suite_lists_every_task_in_its_folder(suite: Suite) -> None:
    on_disk = sorted(path.parent.name for path in suite.folder.glob("*/task.toml"))

    assert sorted(task.id for task in suite.tasks) == on_disk


def test_every_task_of_the_published_suite_can_be_drawn_from_a_seed() -> None:
    tasks = load_suite("agentic-core-v1").tasks

    assert [task.id for task in tasks if not can_be_drawn(task.folder)] == []
