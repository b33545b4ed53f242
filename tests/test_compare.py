"""Two models head to head: what is compared, what is refused, and what a person sees."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from harness.errors import BadInput
from harness.records import Budgets, ModelRecord, OutcomeName, Plan, Sampling, Started
from harness.store import CampaignFolder
from tests.conftest import fairtrial
from tests.published import gemma_12b, gemma_31b
from tests.transcripts import ending, plan_of, play, started, turn, write
from verification.compare import DASH, Comparison, _p, compare
from verification.exhibit import Link

LETTERS: dict[str, OutcomeName] = {
    "p": "pass",
    "w": "wrong_answer",
    "i": "infrastructure_error",
}


def campaign(path: Path, tasks: dict[str, str], models: Sequence[str] = ("m",)) -> CampaignFolder:
    """A campaign whose tasks' runs end as the letters say; ``-`` is owed."""
    path.mkdir(exist_ok=True)
    (path / "campaign.toml").touch()
    longest = max(map(len, tasks.values()))
    plan = plan_of(models=models, tasks=tuple(tasks), runs_per_task=longest)
    plan = plan.model_copy(update={"campaign": path.name})
    for model in models:
        for task, letters in tasks.items():
            for repetition, letter in enumerate(letters, start=1):
                if letter in LETTERS:
                    where: Any = {"task": task, "repetition": repetition, "model": model}
                    play(path, plan, LETTERS[letter], **where)
    return CampaignFolder(path)


def pair(tmp_path: Path, a: dict[str, str], b: dict[str, str]) -> Comparison:
    return compare(campaign(tmp_path / "a", a), campaign(tmp_path / "b", b))


def one_run(path: Path, plan: Plan | None = None, **changes: Any) -> CampaignFolder:
    """A campaign of one passed run whose header has these fields changed."""
    header: Started = started(plan or plan_of(runs_per_task=1)).model_copy(update=changes)
    write(path, header, [*turn(1, text="done"), *ending("pass")])
    return CampaignFolder(path)


def cells(comparison: Comparison, task: str) -> list[str]:
    (row,) = [row for row in comparison.exhibits()[0].rows if row[0] == task]
    return [str(cell) for cell in row[1:]]


def test_what_is_ahead_by_more_than_noise_is_called_so(tmp_path: Path) -> None:
    always = {f"task_{n}": "ppp" for n in range(6)}
    never = {f"task_{n}": "www" for n in range(6)}
    comparison = pair(tmp_path, always, never)
    assert comparison.gap == 1
    assert comparison.p is not None
    assert comparison.p < 0.001
    *_, word = cells(comparison, "(all 6 that both played)")
    assert word == "more than noise"
    # No single task can say so: three runs against three have a p of 0.10 at the least.
    assert cells(comparison, "task_0")[-3:] == ["0.10", "0.60", "could be noise"]


def test_infrastructures_and_owed_runs_count_nowhere_and_are_named(tmp_path: Path) -> None:
    comparison = pair(
        tmp_path,
        {"task_01": "ppi", "task_02": "iii", "task_03": "pw-"},
        {"task_01": "www", "task_02": "www", "task_03": "ppp"},
    )
    assert cells(comparison, "task_01")[:2] == ["2/2 (1 infra)", "0/3"]
    assert cells(comparison, "task_02")[:3] == ["3 infra", "0/3", DASH]
    assert cells(comparison, "task_03")[:2] == ["1/2 (1 owed)", "3/3"]
    assert cells(comparison, "(all 2 that both played)")[:2] == ["3/4", "3/6"]
    assert [duel.runs_a for duel in comparison.duels] == [2, 2]


def test_without_a_task_that_both_played_nothing_follows(tmp_path: Path) -> None:
    comparison = pair(tmp_path, {"task_01": "iii"}, {"task_01": "ppp"})
    assert (comparison.gap, comparison.p) == (None, None)
    (table,) = comparison.exhibits()
    assert any("nothing follows" in note for note in table.notes)


def test_models_that_are_level_are_called_level(tmp_path: Path) -> None:
    comparison = pair(tmp_path, {"task_01": "ppw"}, {"task_01": "wpp"})
    assert cells(comparison, "task_01")[2:] == [
        "level",
        "0",
        "-65 to +65",
        "1.00",
        "1.00",
        "no difference",
    ]
    assert len(comparison.exhibits()) == 1


def test_what_evens_out_over_the_tasks_is_level(tmp_path: Path) -> None:
    comparison = pair(
        tmp_path,
        {"x": "ppw", "y": "pww", "z": "wwwwwwp"},
        {"x": "pww", "y": "ppw", "z": "wwwwwwp"},
    )
    assert comparison.gap == 0
    assert "A and B are level" in comparison.exhibits()[0].notes[0]


def test_where_they_differ_a_failure_of_the_weaker_and_a_pass_of_the_stronger_are_to_read(
    tmp_path: Path,
) -> None:
    comparison = pair(
        tmp_path, {"task_01": "ipp", "task_02": "ppp"}, {"task_01": "piw", "task_02": "ppp"}
    )
    _, reading = comparison.exhibits()
    assert [row[:2] for row in reading.rows] == [
        ["task_01", "B: wrong answer"],
        ["task_01", "A: pass"],
    ]
    weak, strong = (row[2] for row in reading.rows)
    assert isinstance(weak, Link)
    assert isinstance(strong, Link)
    assert weak.target.startswith("../b/data/transcripts/")
    assert strong.target.startswith("data/transcripts/")
    for link in (weak, strong):
        path, _, place = link.target.partition("#")
        assert (tmp_path / "a" / path).is_file()
        assert place == "turn=2"  # the last one of these runs


def test_two_models_of_one_campaign_are_compared_by_name(tmp_path: Path) -> None:
    folder = campaign(tmp_path / "a", {"task_01": "ppw"}, models=("m", "n"))
    comparison = compare(folder, folder, model_a="n", model_b="m")
    assert (comparison.a.model, comparison.b.model) == ("n", "m")


def test_runs_without_chance_in_them_are_said_to_be_no_draws(tmp_path: Path) -> None:
    plan = plan_of(runs_per_task=2)
    for name in ("a", "b"):
        for repetition in (1, 2):
            header = started(plan, repetition=repetition)
            record = header.model.model_copy(update={"sampling": Sampling(temperature=0)})
            header = header.model_copy(update={"model": record})
            write(tmp_path / name, header, [*turn(1, text="done"), *ending("pass")])
    comparison = compare(CampaignFolder(tmp_path / "a"), CampaignFolder(tmp_path / "b"))
    assert [caveat.split(":")[0] for caveat in comparison.caveats] == [
        "m was played at temperature 0"
    ] * 2


def test_a_model_must_be_named_where_there_are_several(tmp_path: Path) -> None:
    folder = campaign(tmp_path / "a", {"task_01": "ppw"}, models=("m", "n"))
    with pytest.raises(BadInput, match="has several models; name one with --model-a: m, n"):
        compare(folder, folder)
    with pytest.raises(BadInput, match="A and B are both 'm'"):
        compare(folder, folder, model_a="m", model_b="m")
    with pytest.raises(BadInput, match="no model 'mm'; did you mean 'm'"):
        compare(folder, folder, model_a="mm")


def test_a_scripted_model_is_taken_only_when_named(tmp_path: Path) -> None:
    plan = plan_of(models=("m", "oracle"), runs_per_task=1)
    play(tmp_path, plan, "wrong_answer")
    play(tmp_path, plan, "pass", model="oracle", kind="scripted")
    folder = CampaignFolder(tmp_path)
    comparison = compare(folder, folder, model_b="oracle")
    assert (comparison.a.model, comparison.gap) == ("m", -1)


ONE = plan_of(runs_per_task=1)
SAMPLING = Sampling(temperature=0)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"plan": ONE.model_copy(update={"suite": "suite-v2"})}, "suites (suite suite-v1 against"),
        ({"task_digest": "f" * 64}, "versions of a task (digest dddddddddddd against ffff"),
        ({"variant_digest": "f" * 64}, "variants of a task"),
        ({"budgets": Budgets(turns=5)}, "budgets (turns 15 against 5; throughout)"),
        (
            {"model": ModelRecord(name="m", kind="openai", settings={}, sampling=SAMPLING)},
            "sampling (temperature 0.7 against 0",
        ),
    ],
)
def test_other_conditions_are_refused_with_the_reason_and_told_of_where_waved_through(
    tmp_path: Path, changes: dict[str, Any], reason: str
) -> None:
    a, b = one_run(tmp_path / "a"), one_run(tmp_path / "b", **changes)
    with pytest.raises(BadInput) as refused:
        compare(a, b)
    assert f"different {reason}" in str(refused.value)
    (caveat,) = compare(a, b, anyway=True).caveats
    assert f"Compared although A (m) and B (m) had different {reason}" in caveat
    assert caveat in compare(a, b, anyway=True).exhibits()[0].notes


def test_a_difference_in_one_task_is_named_with_it(tmp_path: Path) -> None:
    plan = plan_of(tasks=("task_01", "task_02"), runs_per_task=1)
    for name, turns in (("a", 15), ("b", 5)):
        play(tmp_path / name, plan, "pass")
        header = started(plan, task="task_02").model_copy(update={"budgets": Budgets(turns=turns)})
        write(tmp_path / name, header, [*turn(1, text="done"), *ending("pass")])
    with pytest.raises(BadInput, match=r"budgets \(turns 15 against 5; in task_02\)"):
        compare(CampaignFolder(tmp_path / "a"), CampaignFolder(tmp_path / "b"))


def test_conditions_are_held_against_each_other_where_no_repetition_was_begun_by_both(
    tmp_path: Path,
) -> None:
    plan = plan_of(runs_per_task=2)
    play(tmp_path / "a", plan, "pass", repetition=1)
    header = started(plan, repetition=2).model_copy(update={"budgets": Budgets(turns=5)})
    write(tmp_path / "b", header, [*turn(1, text="done"), *ending("pass")])
    with pytest.raises(BadInput, match="different budgets"):
        compare(CampaignFolder(tmp_path / "a"), CampaignFolder(tmp_path / "b"))


@pytest.mark.parametrize(
    ("p", "text"),
    [
        (None, DASH),
        (1e-9, "< 0.001"),
        (0.0042, "0.004"),
        (0.0499, "0.049"),
        (0.05, "0.050"),
        (0.0714, "0.071"),
        (0.4, "0.40"),
        (1.0, "1.00"),
    ],
)
def test_a_p_is_never_rounded_to_0_nor_across_5_percent(p: float | None, text: str) -> None:
    assert _p(p) == text


def test_without_a_task_in_common_or_before_the_first_run_there_is_nothing_to_compare(
    tmp_path: Path,
) -> None:
    a, b = campaign(tmp_path / "a", {"x": "p"}), campaign(tmp_path / "b", {"y": "p"})
    with pytest.raises(BadInput, match="no task in common"):
        compare(a, b, anyway=True)
    with pytest.raises(BadInput, match="nothing has run yet"):
        compare(a, CampaignFolder(tmp_path / "empty"))


@pytest.mark.parametrize("width", [80, 120])
def test_the_whole_comparison_fits_a_terminal(tmp_path: Path, width: int) -> None:
    console = Console(file=io.StringIO(), width=width)
    folders = CampaignFolder(gemma_12b(tmp_path)), CampaignFolder(gemma_31b(tmp_path))
    for exhibit in compare(*folders).exhibits():
        exhibit.print(console)
    assert isinstance(console.file, io.StringIO)
    text = console.file.getvalue()
    words = " ".join(text.split())
    assert max(map(len, text.splitlines())) <= width
    assert "A is ahead by 8.3 points on the tasks that both played" in words
    assert "This could be noise (p = 0.63)." in words
    assert "To settle 91.7% and 83.3%, were these the true rates, takes about" in words


def test_a_models_name_steers_no_terminal(tmp_path: Path) -> None:
    folder = campaign(tmp_path / "a", {"task_01": "pw"}, models=("\x1b[2J[red]", "n"))
    comparison = compare(folder, folder, model_a="\x1b[2J[red]", model_b="n")
    console = Console(file=io.StringIO(), width=80, force_terminal=True, color_system=None)
    comparison.exhibits()[0].print(console)
    assert isinstance(console.file, io.StringIO)
    assert r"\x1b[2J[red]" in console.file.getvalue()


def test_the_command_compares_two_folders(tmp_path: Path) -> None:
    done = fairtrial("compare", gemma_12b(tmp_path), gemma_31b(tmp_path))
    assert done.returncode == 0
    (row,) = [
        line for line in done.stdout.splitlines() if line.startswith("task_02") and "/3" in line
    ]
    assert row.split()[1:4] == ["3/3", "1/3", "A"]
    assert row.endswith("0.40  1.00  could be noise")
    assert "e71740e9-6664-419a-9eae-85fa72ff825d.jsonl#turn=1" in done.stdout


def test_the_command_refuses_a_folder_that_holds_no_campaign(tmp_path: Path) -> None:
    done = fairtrial("compare", gemma_12b(tmp_path), tmp_path)
    assert done.returncode == 2
    assert "no campaign here" in done.stderr
