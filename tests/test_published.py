"""The published campaign, derived again: every figure that it printed, and what it got wrong."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

from harness.store import CampaignFolder
from tests.published import gemma_12b, gemma_31b
from verification import verify
from verification.compare import Match, compare

PUBLISHED = {  # passes of 3, mean seconds, mean tool calls
    "task_01": ("3", 14.6, 5.0),
    "task_02": ("3", 19.3, 4.3),
    "task_03": ("2", 10.5, 2.3),
    "task_04": ("3", 27.0, 6.0),
    "task_05": ("2", 76.5, 6.0),
    "task_06": ("3", 23.6, 4.0),
    "task_07": ("3", 11.9, 4.0),
    "task_08": ("3", 6.7, 2.0),
}


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    folder = tmp_path_factory.mktemp("published")
    campaigns = gemma_12b(folder), gemma_31b(folder)
    for campaign in campaigns:
        verify.write(CampaignFolder(campaign))
    return campaigns


def table(campaign: Path, name: str) -> list[dict[str, str]]:
    with (campaign / "verification" / name).open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def by_task(campaign: Path, name: str) -> dict[str, dict[str, str]]:
    return {row["task"][:7]: row for row in table(campaign, name)}


def test_the_scores_are_22_of_30_raw_and_22_of_24_effective(both: tuple[Path, Path]) -> None:
    row = table(both[0], "pass_rate_by_task.csv")[-1]
    assert row == {
        "model": "gemma-4-12b-it-q4_k_m",
        "task": "(all)",
        "planned": "30",
        "runs": "30",
        "owed": "0",
        "pass": "22",
        "wrong_answer": "2",
        "gave_up": "0",
        "infrastructure_error": "6",
        "raw_rate": "0.733333",
        "effective_rate": "0.916667",
        "coverage": "0.800000",
        "raw_low": "0.733333",
        "raw_high": "0.933333",
        "effective_low": "0.741512",
        "effective_high": "0.976841",
        "suite_low": "0.702252",
        "suite_high": "0.992774",
    }


def test_the_sibling_scores_23_of_30(both: tuple[Path, Path]) -> None:
    row = table(both[1], "pass_rate_by_task.csv")[-1]
    assert (row["pass"], row["raw_rate"], row["coverage"]) == ("23", "0.766667", "1.000000")


def test_the_failures_are_6_of_infrastructure_2_wrong_answers_and_none_given_up(
    both: tuple[Path, Path],
) -> None:
    rows = table(both[0], "failure_mode_histogram.csv")
    assert {row["outcome"] + row["cause"]: row["runs"] for row in rows} == {
        "pass": "22",
        "wrong_answer": "2",
        "gave_up": "0",
        "infrastructure_errorunreachable": "6",
        "(owed)": "0",
    }


def test_each_task_has_its_published_passes_latency_and_tool_calls(
    both: tuple[Path, Path],
) -> None:
    rates = by_task(both[0], "pass_rate_by_task.csv")
    latencies = by_task(both[0], "latency_distribution.csv")
    calls = by_task(both[0], "tool_calls_by_task.csv")
    assert {
        task: (
            rates[task]["pass"],
            round(float(latencies[task]["run_seconds_mean"]), 1),
            round(float(calls[task]["mean"]), 1),
        )
        for task in PUBLISHED
    } == PUBLISHED


def test_the_tasks_that_never_ran_have_no_latency_and_no_calls_but_their_attempts_do(
    both: tuple[Path, Path],
) -> None:
    for task in ("task_09", "task_10"):
        assert by_task(both[0], "latency_distribution.csv")[task]["run_seconds_mean"] == ""
        assert by_task(both[0], "tool_calls_by_task.csv")[task]["mean"] == ""
    lost = [row for row in table(both[0], "attempts.csv") if row["cause"] == "unreachable"]
    assert {(row["task"][:7], float(row["seconds"])) for row in lost} == {
        ("task_09", 0.9),
        ("task_10", 0.0),
    }
    assert max(row["ended_at"] for row in lost) == "2026-06-11T10:10:02+00:00"


def test_the_detectors_find_what_was_published_and_nothing_else(both: tuple[Path, Path]) -> None:
    found = table(both[0], "findings.csv")
    citation = "data/transcripts/e71740e9-6664-419a-9eae-85fa72ff825d.jsonl#turn=1"
    again = "data/transcripts/31a6df12-5ec7-4e82-a1a4-d9cc59a53b9e.jsonl#turn=4"
    assert {(row["name"], row["citation"]) for row in found} == {
        ("template_leakage", citation),
        ("token_ceiling", citation),
        ("tool_call_redundancy", again),
    }
    (run,) = [
        row for row in table(both[0], "runs.csv") if citation.split("/")[2][:36] == row["run"]
    ]
    assert (run["repetition"], run["seconds"]) == ("3", "146.800000")
    assert (run["tokens_output"], run["tool_calls"]) == ("4096", "0")


def test_it_cost_nothing(both: tuple[Path, Path]) -> None:
    (row,) = table(both[0], "cost_breakdown.csv")
    assert row["usd"] == "0.000000"


def match(both: tuple[Path, Path], task: str) -> Match:
    comparison = compare(CampaignFolder(both[0]), CampaignFolder(both[1]))
    (found,) = [match for match in comparison.matches if match.task.startswith(task)]
    return found


def test_3_of_3_against_1_of_3_was_called_no_noise_and_could_be(both: tuple[Path, Path]) -> None:
    refactoring = match(both, "task_02")
    assert (refactoring.a.passes, refactoring.b.passes) == (3, 1)
    assert refactoring.p == pytest.approx(0.40)
    assert refactoring.adjusted == 1
    table, _ = compare(CampaignFolder(both[0]), CampaignFolder(both[1])).exhibits()
    (row,) = [row for row in table.rows if str(row[0]).startswith("task_02")]
    assert row[1:4] == ["3/3", "1/3", "A"]
    assert row[-3:] == ["0.40", "1.00", "could be noise"]


def test_the_two_are_compared_on_the_eight_tasks_that_both_played(both: tuple[Path, Path]) -> None:
    comparison = compare(CampaignFolder(both[0]), CampaignFolder(both[1]))
    assert comparison.gap == pytest.approx(2 / 24)
    assert comparison.p == pytest.approx(0.63, abs=0.005)
    table, _ = comparison.exhibits()
    assert table.rows[-1][:4] == ["(all 8 that both played)", "22/24", "20/24", "A"]
    lost = match(both, "task_10")
    assert (lost.a.runs, lost.a.spoiled, lost.b.passes, lost.p) == (0, 3, 3, None)
