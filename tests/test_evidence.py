"""From transcripts to CSVs: counts that add up, rates that hold, and a disk that is checked."""

from __future__ import annotations

import csv
import io
import shutil
import tempfile
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.console import Console

from harness.errors import BadInput
from harness.records import (
    OUTCOMES,
    Compute,
    OutcomeName,
    Plan,
    Price,
    Reply,
    Signal,
    ToolCall,
    Usage,
)
from harness.store import CampaignFolder
from tests.published import gemma_12b
from tests.transcripts import ending, plan_of, play, started, turn, write
from verification import verify
from verification.evidence import read
from verification.summary import DASH, percent, print_summary

Row = dict[str, str]


def derived(path: Path, name: str) -> list[Row]:
    """Derive the CSVs of a campaign, and read one of them."""
    verify.write(CampaignFolder(path))
    return table(path, name)


def table(path: Path, name: str) -> list[Row]:
    with (path / "verification" / name).open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def play_mixture(path: Path) -> Path:
    """Two models, two tasks: each outcome, an owed run, a cut one, an attempt set aside."""
    plan = plan_of(models=("m", "script"), tasks=("task_01", "task_02"))
    play(path, plan, "pass", price=Price(input=1.0, cached=0.1, output=4.0))
    play(path, plan, "wrong_answer", repetition=2, price=Price(input=1.0, cached=0.1, output=4.0))
    set_aside(path, play(path, plan, "infrastructure_error", repetition=3))
    play(path, plan, "gave_up", repetition=3, attempt=2, calls=15)
    play(path, plan, "infrastructure_error", task="task_02")
    write(path, started(plan, task="task_02", repetition=2), turn(1, "shell"))
    detail = "=cmd|' /C calc'!A0\n\x1b[31m" + "x" * 1000
    garbled = Signal(turn=1, name="malformed_tool_call", detail=detail)
    header = started(plan, model="script", kind="scripted")
    write(path, header, [*turn(1, text="call"), garbled, *ending("wrong_answer")])
    return path


def test_runs_that_agree_are_counted_as_one_would_count_them_one_by_one(tmp_path: Path) -> None:
    evidence = read(CampaignFolder(play_mixture(tmp_path)))
    columns = ["model", "cause", "calls"]

    counted: Counter[str] = Counter()
    for part in evidence.counts(columns):
        for *row, runs in part.itertuples(index=False, name=None):
            assert str(row) not in counted
            counted[str(row)] = runs
    one_by_one = evidence.runs[columns].itertuples(index=False, name=None)
    assert counted == Counter(str(list(row)) for row in one_by_one)
    assert counted.total() > len(counted) > 1


def test_an_outcome_that_its_own_checks_deny_is_refused(tmp_path: Path) -> None:
    file = play(tmp_path, plan_of(), "wrong_answer")
    text = file.read_text(encoding="utf-8")
    file.write_text(text.replace('"outcome":"wrong_answer"', '"outcome":"pass"'), encoding="utf-8")
    with pytest.raises(BadInput, match=r"says 'pass', but what stands before it amounts to 'wro"):
        verify.derive(CampaignFolder(tmp_path))


def set_aside(path: Path, transcript: Path) -> None:
    CampaignFolder(path).next_attempt(transcript.stem)


def test_the_suite_interval_stands_in_the_row_of_all_tasks_alone(tmp_path: Path) -> None:
    plan = plan_of(tasks=("task_01", "task_02", "task_03"))
    for repetition in (1, 2, 3):
        play(tmp_path, plan, "pass", task="task_01", repetition=repetition)
        play(tmp_path, plan, "wrong_answer", task="task_02", repetition=repetition)
    rows = derived(tmp_path, "pass_rate_by_task.csv")
    assert [bool(row["suite_low"]) for row in rows] == [False, False, False, True]
    # Two tasks, one always passed and one never: nearly nothing is known of tasks like these.
    assert float(rows[-1]["suite_low"]) < 0.01
    assert float(rows[-1]["suite_high"]) > 0.99


def test_pass_at_k_is_of_the_tasks_that_have_k_runs_of_the_models_own(tmp_path: Path) -> None:
    plan = plan_of(tasks=("task_01", "task_02"))
    play(tmp_path, plan, "pass")
    play(tmp_path, plan, "pass", repetition=2)
    play(tmp_path, plan, "wrong_answer", repetition=3)
    play(tmp_path, plan, "pass", task="task_02")
    play(tmp_path, plan, "infrastructure_error", task="task_02", repetition=2)
    rows = derived(tmp_path, "pass_at_k.csv")
    figures = [(row["k"], row["tasks"], row["pass_at_k"], row["pass_hat_k"]) for row in rows]
    assert figures == [
        ("1", "2", "0.833333", "0.833333"),
        ("2", "1", "1.000000", "0.333333"),
        ("3", "1", "1.000000", "0.000000"),
    ]
    assert [bool(row["pass_hat_k_low"]) for row in rows] == [True, False, False]


def test_failure_modes_are_counted_by_cause_and_budget(tmp_path: Path) -> None:
    rows = derived(play_mixture(tmp_path), "failure_mode_histogram.csv")
    assert [tuple(row.values())[1:5] for row in rows if row["model"] == "m"] == [
        ("pass", "", "", "1"),
        ("wrong_answer", "", "", "1"),
        ("gave_up", "", "turns", "1"),
        ("infrastructure_error", "interrupted", "", "1"),
        ("infrastructure_error", "timeout", "", "1"),
        ("(owed)", "", "", "1"),
    ]
    assert sum(float(row["share"]) for row in rows) == pytest.approx(2, abs=1e-5)


def test_a_run_without_an_outcome_counts_as_interrupted(tmp_path: Path) -> None:
    write(tmp_path, started(plan_of()), [*turn(1, "shell"), *ending("pass")[:-1]])
    (row,) = derived(tmp_path, "runs.csv")
    assert (row["outcome"], row["cause"]) == ("infrastructure_error", "interrupted")
    assert (row["tool_calls"], row["seconds"]) == ("1", "")


def test_a_transcript_without_its_first_line_leaves_its_run_owed(tmp_path: Path) -> None:
    path = play(tmp_path, plan_of(), "pass")
    (path.parent / "3135.jsonl").write_bytes(path.read_bytes()[:100])
    assert len(derived(tmp_path, "runs.csv")) == 1


def test_of_several_attempts_the_latest_is_the_run_and_all_are_listed(tmp_path: Path) -> None:
    for number in (1, 2):
        cause: Any = "timeout" if number == 1 else "unreachable"
        header = {"attempt": number, "cause": cause}
        set_aside(tmp_path, play(tmp_path, plan_of(), "infrastructure_error", **header))
    play(tmp_path, plan_of(), "pass", attempt=3)
    (run,) = derived(tmp_path, "runs.csv")
    assert run["outcome"] == "pass"
    attempts = table(tmp_path, "attempts.csv")
    assert [(row["attempt"], row["latest"], row["cause"]) for row in attempts] == [
        ("1", "False", "timeout"),
        ("2", "False", "unreachable"),
        ("3", "True", ""),
    ]
    assert attempts[0]["transcript"] == f"data/transcripts/{run['run']}.attempt-1.jsonl"


def test_infrastructure_runs_are_left_out_of_averages_and_counted_beside_them(
    tmp_path: Path,
) -> None:
    plan = plan_of()
    play(tmp_path, plan, "pass", calls=2, seconds=10.0)
    play(tmp_path, plan, "gave_up", repetition=2, calls=5, seconds=30.0)
    play(tmp_path, plan, "infrastructure_error", repetition=3, seconds=900.0)
    (latency,) = derived(tmp_path, "latency_distribution.csv")
    (calls,) = table(tmp_path, "tool_calls_by_task.csv")
    assert (latency["runs"], latency["infrastructure_runs"]) == ("2", "1")
    assert (latency["run_seconds_mean"], latency["run_seconds_max"]) == ("20.000000", "30.000000")
    assert latency["run_seconds_p90"] == "28.000000"  # linear between the two
    assert latency["tokens_per_second"] == "5.000000"  # 90 tokens in 18 seconds
    assert (calls["mean"], calls["min"], calls["max"]) == ("3.500000", "2", "5")
    assert (calls["mean_fs_read"], calls["mean_shell"]) == ("3.500000", "0.000000")


def test_a_tool_that_was_not_offered_is_counted_without_its_name(tmp_path: Path) -> None:
    plan = plan_of(tasks=("task_01", "task_02"))
    invented = ToolCall(id="1", name="=HYPERLINK()", arguments="{}")
    reply = Reply(turn=1, tool_calls=(invented, invented), finish_reason="tool_calls")
    write(tmp_path, started(plan, tools=["shell"]), [reply, *ending("wrong_answer")])
    play(tmp_path, plan, "pass", task="task_02", tools=["fs_read"])
    first, second = derived(tmp_path, "tool_calls_by_task.csv")
    assert (first["mean_shell"], first["mean_not_offered"]) == ("0.000000", "2.000000")
    assert (first["mean_fs_read"], second["mean_shell"]) == ("", "")
    naming = [f for f in (tmp_path / "verification").glob("*.csv") if b"HYPER" in f.read_bytes()]
    assert [file.name for file in naming] == ["findings.csv"]


def test_runs_of_a_task_that_offered_other_tools_have_a_column_for_each(tmp_path: Path) -> None:
    plan = plan_of(runs_per_task=2)
    for repetition, tools in ((1, ["sql"]), (2, ["shell", "fs_read"])):
        header = started(plan, repetition=repetition, tools=tools)
        write(tmp_path, header, [*turn(1, *tools), *turn(2, text="done"), *ending("pass")])
    (row,) = derived(tmp_path, "tool_calls_by_task.csv")
    means = {name: float(mean) for name, mean in row.items() if name.startswith("mean_")}
    assert means == {
        "mean_fs_read": 0.5,
        "mean_shell": 0.5,
        "mean_sql": 0.5,
        "mean_not_offered": 0,
    }


def test_cost_is_the_price_of_all_attempts_cached_tokens_at_their_own(tmp_path: Path) -> None:
    price = Price(input=1.0, cached=0.1, output=4.0)
    set_aside(tmp_path, play(tmp_path, plan_of(), "pass", price=price))
    play(tmp_path, plan_of(), "pass", price=price, attempt=2)
    (cost,) = derived(tmp_path, "cost_breakdown.csv")
    assert [cost[f"tokens_{kind}"] for kind in ("input", "cached", "output")] == [
        "400",
        "160",
        "40",
    ]
    assert cost["usd"] == "0.000416"  # (240 x 1 + 160 x 0.1 + 40 x 4) / 1e6
    assert (cost["attempts"], cost["wall_seconds"]) == ("2", "20.000000")


@pytest.mark.parametrize(
    ("usage", "price", "usd"),
    [
        (Usage(input=100, cached=40, output=10), None, ""),
        (Usage(input=100, cached=40, output=10), Price(input=0, output=0), "0.000000"),
        (Usage(input=100, cached=None, output=10), Price(input=10, output=10), "0.001100"),
        (Usage(input=100, cached=None, output=10), Price(input=10, cached=1, output=10), ""),
        (Usage(), Price(input=10, output=10), ""),
    ],
)
def test_a_cost_that_does_not_follow_is_empty_and_not_0(
    tmp_path: Path, usage: Usage, price: Price | None, usd: str
) -> None:
    header = started(plan_of(), price=price)
    write(tmp_path, header, [*turn(1, text="done", usage=usage), *ending("pass")])
    assert derived(tmp_path, "cost_breakdown.csv")[0]["usd"] == usd
    assert table(tmp_path, "runs.csv")[0]["usd"] == usd


def test_one_reply_of_unknown_usage_makes_the_sum_unknown(tmp_path: Path) -> None:
    events = [*turn(1, "shell"), *turn(2, text="done", usage=Usage()), *ending("pass")]
    write(tmp_path, started(plan_of()), events)
    (cost,) = derived(tmp_path, "cost_breakdown.csv")
    assert (cost["replies"], cost["replies_without_usage"]) == ("2", "1")
    assert (cost["tokens_input"], cost["tokens_output"]) == ("", "")


def computed(evaluated: int, memory: int, watts: float | None) -> Compute:
    return Compute(
        evaluated=evaluated,
        prompt_sha256="a" * 64,
        reply_sha256="b" * 64,
        peak_memory_bytes=memory,
        vram_bytes=memory // 2,
        watts=watts,
    )


def test_what_a_local_engine_did_is_summed_over_its_replies(tmp_path: Path) -> None:
    header = started(plan_of(), kind="llama_cpp", observed={"load_seconds": 1.5})
    events = [
        *turn(1, "shell", seconds=2.0, compute=computed(70, 4000, 100.0)),
        *turn(2, text="done", seconds=6.0, compute=computed(71, 5000, 200.0)),
    ]
    write(tmp_path, header, [*events, *ending("pass")])
    (row,) = derived(tmp_path, "inference.csv")
    assert row == {
        "model": "m",
        "replies": "2",
        "cold_start_seconds": "1.500000",
        "tokens_evaluated": "141",
        "cached_share": "0.400000",
        "prompt_tokens_per_second": "60.000000",  # 120 in 2 seconds
        "generation_tokens_per_second": "3.000000",  # 18 after the first of each, in 6 seconds
        "peak_memory_bytes": "5000",
        "peak_vram_bytes": "2500",
        "mean_watts": "175.000000",  # 2 s of 100 W and 6 s of 200 W
    }


def test_what_cannot_be_seen_of_an_endpoint_is_empty_and_a_script_has_no_row(
    tmp_path: Path,
) -> None:
    plan = plan_of(models=("m", "script"))
    play(tmp_path, plan, "pass")
    play(tmp_path, plan, "pass", model="script", kind="scripted")
    (row,) = derived(tmp_path, "inference.csv")
    assert (row["model"], row["cached_share"]) == ("m", "0.400000")
    assert row["prompt_tokens_per_second"] == "120.000000"
    unknown = ("cold_start_seconds", "tokens_evaluated", "peak_memory_bytes", "mean_watts")
    assert {row[name] for name in unknown} == {""}


def test_a_script_has_no_times_and_no_cost(tmp_path: Path) -> None:
    play(tmp_path, plan_of(), "pass", kind="scripted", price=Price(input=1, output=1))
    (run,) = derived(tmp_path, "runs.csv")
    (latency,) = table(tmp_path, "latency_distribution.csv")
    (cost,) = table(tmp_path, "cost_breakdown.csv")
    assert {value for name, value in run.items() if "seconds" in name} == {""}
    assert {value for name, value in latency.items() if "seconds" in name} == {""}
    assert set(cost.values()) == {"m", "agent", ""}


def of_signals(findings: list[Row]) -> list[Row]:
    return [row for row in findings if row["source"] == "signal"]


def test_what_harness_and_detector_both_noted_of_a_turn_is_one_finding(tmp_path: Path) -> None:
    leak = Signal(turn=1, name="template_leakage", detail="as the harness saw it")
    quoted = Signal(turn=2, name="template_leakage", detail="which no detector takes for one")
    first, second = turn(1, "shell", text="so <|im_end|>"), turn(2, text="it ends in '<|im_end|>'.")
    write(tmp_path, started(plan_of()), [first[0], leak, first[1], *second, quoted])
    rows = derived(tmp_path, "findings.csv")
    assert [(r["turn"], r["line"], r["name"], r["source"]) for r in rows] == [
        ("1", "3", "template_leakage", "both"),
        ("2", "7", "template_leakage", "signal"),
    ]
    assert "ChatML" in rows[0]["detail"]


def test_a_finding_cites_its_turn_and_is_harmless_to_spreadsheet_and_terminal(
    tmp_path: Path,
) -> None:
    (finding,) = of_signals(derived(play_mixture(tmp_path), "findings.csv"))
    assert (finding["name"], finding["turn"], finding["line"]) == ("malformed_tool_call", "1", "4")
    path, _, place = finding["citation"].partition("#")
    assert place == "turn=1"
    cited = (tmp_path / path).read_text(encoding="utf-8").splitlines()[int(finding["line"]) - 1]
    assert '"type":"signal"' in cited
    assert finding["detail"].startswith(r"'=cmd|' /C calc'!A0\n\x1b[31mxxx")
    assert len(finding["detail"]) == 201


@pytest.mark.parametrize("first", "=+-@")
def test_no_cell_begins_like_a_formula(tmp_path: Path, first: str) -> None:
    model = f"{first}1+1"
    play(tmp_path, plan_of(models=[model]), "pass", model=model)
    assert derived(tmp_path, "runs.csv")[0]["model"] == f"'{model}"


def test_before_the_first_run_the_csvs_have_headers_alone(tmp_path: Path) -> None:
    folder = CampaignFolder(tmp_path)
    folder.prepare()
    verify.write(folder)
    lines = {p.name: p.read_text().count("\n") for p in folder.verification.glob("*.csv")}
    assert len(lines) == 11
    assert set(lines.values()) == {1}
    assert verify.verify(folder) == []


def test_the_same_runs_in_another_order_give_the_same_bytes(tmp_path: Path) -> None:
    plan = plan_of(models=("a", "b"), tasks=("task_01", "task_02"))
    turned = plan.model_copy(update={"models": ("b", "a"), "tasks": ("task_02", "task_01")})
    places = [(m, t, r) for m in plan.models for t in plan.tasks for r in (1, 2, 3)]
    contents = []
    for name, ordered, used in (("x", places, plan), ("y", places[::-1], turned)):
        for number, (model, task, repetition) in enumerate(ordered):
            outcome = OUTCOMES[(len(task) + repetition) % 3]
            header: dict[str, Any] = {
                "model": model,
                "task": task,
                "repetition": repetition,
                "kind": "scripted",
            }
            if name == "y" and number % 2:
                cut = started(used, **header)
                set_aside(tmp_path / name, write(tmp_path / name, cut, turn(1, "shell")))
                header["attempt"] = 2
            (tmp_path / name).mkdir(exist_ok=True)
            play(tmp_path / name, used, outcome, seconds=float(number), **header)
        verify.write(CampaignFolder(tmp_path / name))
        files = sorted((tmp_path / name / "verification").glob("*.csv"))
        contents.append({f.name: f.read_bytes() for f in files if f.name != "attempts.csv"})
    assert contents[0] == contents[1]


def test_a_copy_of_a_transcript_is_refused_by_name(tmp_path: Path) -> None:
    path = play(tmp_path, plan_of(), "pass")
    shutil.copy(path, path.with_name("copy.jsonl"))
    with pytest.raises(BadInput, match=r"copy\.jsonl: holds attempt 1 of run"):
        verify.verify(CampaignFolder(tmp_path))


def test_two_transcripts_of_the_same_attempt_are_refused(tmp_path: Path) -> None:
    path = play(tmp_path, plan_of(), "pass")
    shutil.copy(path, path.with_name(f"{path.stem}.attempt-1.jsonl"))
    with pytest.raises(BadInput, match="holds the same run as"):
        verify.verify(CampaignFolder(tmp_path))


@pytest.mark.parametrize(
    "stray",
    [
        plan_of(tasks=("task_01", "task_02")),
        plan_of(runs_per_task=4),
        plan_of().model_copy(update={"campaign": "another"}),
    ],
)
def test_a_transcript_of_another_plan_is_refused(tmp_path: Path, stray: Plan) -> None:
    play(tmp_path, plan_of(), "pass")
    play(tmp_path, stray, "pass", repetition=2)
    with pytest.raises(BadInput, match="another plan"):
        verify.verify(CampaignFolder(tmp_path))


def test_a_bad_line_is_refused_by_file_and_line(tmp_path: Path) -> None:
    path = play(tmp_path, plan_of(), "pass")
    path.write_bytes(path.read_bytes().replace(b'"type":"ended"', b'"type":"endet"'))
    with pytest.raises(BadInput, match=rf"{path.name}:6: no transcript event"):
        verify.write(CampaignFolder(tmp_path))


Fate = OutcomeName | None
"""What becomes of a planned run; None: it is owed."""


@settings(max_examples=25, deadline=None)
@given(st.lists(st.sampled_from([*OUTCOMES, None]), min_size=12, max_size=12))
def test_whatever_the_outcomes_counts_add_up_and_rates_lie_in_their_bounds(
    fates: list[Fate],
) -> None:
    plan = plan_of(models=("m", "n"), tasks=("task_01", "task_02"))
    places = [(m, t, r) for m in plan.models for t in plan.tasks for r in (1, 2, 3)]
    with tempfile.TemporaryDirectory() as name:
        path = Path(name)
        CampaignFolder(path).prepare()
        for (model, task, repetition), fate in zip(places, fates, strict=True):
            if fate is not None:
                play(path, plan, fate, model=model, task=task, repetition=repetition)
        rows = derived(path, "pass_rate_by_task.csv")
        assert verify.verify(CampaignFolder(path)) == []
    assert len(rows) == (6 if any(fates) else 0)
    for row in rows:
        _assert_consistent(row)
    together = [row for row in rows if row["task"] == "(all)"]
    for outcome in OUTCOMES if rows else ():
        assert sum(int(row[outcome]) for row in together) == Counter(fates)[outcome]


def _assert_consistent(row: Row) -> None:
    counts = {outcome: int(row[outcome]) for outcome in OUTCOMES}
    assert sum(counts.values()) == int(row["runs"])
    assert int(row["runs"]) + int(row["owed"]) == int(row["planned"])
    scored = int(row["runs"]) - counts["infrastructure_error"]
    assert float(row["coverage"]) == pytest.approx(scored / int(row["planned"]), abs=1e-6)
    if not scored:
        unknown = ("raw_rate", "effective_rate", "effective_low", "suite_low")
        assert {row[name] for name in unknown} == {""}
        return
    raw, effective = float(row["raw_rate"]), float(row["effective_rate"])
    assert 0 <= float(row["raw_low"]) <= raw <= effective <= 1
    assert raw <= float(row["raw_high"]) <= 1
    assert float(row["effective_low"]) <= effective <= float(row["effective_high"])
    if row["suite_low"]:
        assert row["task"] == "(all)"
        assert float(row["suite_low"]) <= effective + 1e-6
        assert float(row["suite_high"]) >= effective - 1e-6


@pytest.fixture(scope="module")
def verified(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A campaign whose CSVs are on disk."""
    path = play_mixture(tmp_path_factory.mktemp("verified"))
    verify.write(CampaignFolder(path))
    return path


def altered(path: Path, name: str, alter: Callable[[list[list[str]]], object]) -> list[str]:
    """What ``verify`` says of a CSV after ``alter`` has had its rows; the file is put back."""
    file = path / "verification" / name
    before = file.read_bytes()
    rows = list(csv.reader(io.StringIO(before.decode(), newline="")))
    alter(rows)
    with file.open("w", newline="", encoding="utf-8") as out:
        csv.writer(out, quoting=csv.QUOTE_ALL).writerows(rows)
    try:
        return verify.verify(CampaignFolder(path))
    finally:
        file.write_bytes(before)


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_any_altered_cell_is_named(verified: Path, data: st.DataObject) -> None:
    files = sorted(file.name for file in (verified / "verification").glob("*.csv"))
    name = data.draw(st.sampled_from(files))
    columns = list(table(verified, name)[0])
    rows = len(table(verified, name))
    place = data.draw(st.integers(1, rows)), data.draw(st.integers(0, len(columns) - 1))
    value = "altered" + data.draw(st.text(st.characters(codec="utf-8")))

    def alter(cells: list[list[str]]) -> None:
        cells[place[0]][place[1]] = value

    (difference,) = altered(verified, name, alter)
    assert difference.startswith(f"{name}: row ")
    _, _, values = difference.partition(f", column {columns[place[1]]}: ")
    assert values[1:].startswith("altered")
    assert difference.isprintable()


def test_a_difference_names_file_row_column_and_both_values(verified: Path) -> None:
    def alter(cells: list[list[str]]) -> None:
        cells[1][cells[0].index("pass")] = "2"

    assert altered(verified, "pass_rate_by_task.csv", alter) == [
        "pass_rate_by_task.csv: row model='m', task='task_01', column pass: "
        "'2' on disk, '1' derived"
    ]


def test_rows_that_are_missing_or_added_are_named(verified: Path) -> None:
    name = "pass_rate_by_task.csv"
    assert altered(verified, name, lambda cells: cells.pop(2)) == [
        f"{name}: row model='m', task='task_02' is derived and not on disk"
    ]
    assert altered(verified, name, lambda cells: cells.append(["x", "task_01"])) == [
        f"{name}: row model='x', task='task_01' is on disk and not derived"
    ]
    assert altered(verified, name, lambda cells: cells.append(cells[1])) == [
        f"{name}: row model='m', task='task_01' is on disk and not derived"
    ]


def test_rows_in_another_order_and_other_columns_are_named(verified: Path) -> None:
    assert altered(verified, "runs.csv", lambda cells: cells.append(cells.pop(1))) == [
        "runs.csv: the same cells in another order, or with other quotes or line ends"
    ]
    (difference,) = altered(verified, "findings.csv", lambda cells: cells[0].pop())
    assert difference.startswith("findings.csv: the columns are ['model', 'task'")


def test_of_many_differences_the_first_are_named_and_the_others_counted(verified: Path) -> None:
    def alter(cells: list[list[str]]) -> None:
        cells[1:] = [[cells[1][0], cells[1][1], *("?" * 20)] for _ in cells[1:]]

    differences = altered(verified, "latency_distribution.csv", alter)
    assert len(differences) == verify.MOST_NAMED + 1
    assert differences[-1].startswith("and ")
    assert differences[-1].endswith(" more differences")


def test_files_that_are_missing_or_added_are_named(tmp_path: Path) -> None:
    folder = CampaignFolder(play_mixture(tmp_path))
    verify.write(folder)
    (folder.verification / "runs.csv").unlink()
    (folder.verification / "extra.csv").write_text("a\n")
    (folder.verification / "attempts.csv").write_bytes(b'\x00\xff"')
    assert verify.verify(folder)[0] == "runs.csv: cannot be read: No such file or directory"
    assert verify.verify(folder)[1].startswith("attempts.csv: ")
    assert verify.verify(folder)[2:] == ["extra.csv: follows from no transcript"]


def summary(path: Path, width: int = 80, *, terminal: bool = False) -> str:
    console = Console(file=io.StringIO(), width=width, force_terminal=terminal)
    print_summary(CampaignFolder(path), console)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


@pytest.mark.parametrize("width", [80, 120])
def test_the_summary_shows_every_rate_with_coverage_interval_and_bounds(
    tmp_path: Path, width: int
) -> None:
    lines = summary(gemma_12b(tmp_path), width).splitlines()
    rows = {line.split()[0][:7]: line.split()[1:] for line in lines if line}
    assert rows["(all)"] == ["22", "2", "0", "6", "73%", "92%", "80%", f"70{DASH}>99%"]
    assert rows["task_03"] == ["2", "1", "0", "0", "67%", "67%", "100%", f"21{DASH}94%"]
    assert rows["task_09"] == ["0", "0", "0", "3", DASH, DASH, "0%", DASH]
    assert "raw is between 73% and 93%" in "\n".join(lines)
    assert f"were these same tasks run again: 74{DASH}98% (Wilson)" in "\n".join(lines)
    assert max(map(len, lines)) <= width
    assert "\x1b" not in "".join(lines)


def test_runs_that_are_owed_are_shown(tmp_path: Path) -> None:
    play(tmp_path, plan_of(), "pass")
    lines = summary(tmp_path).splitlines()
    (row,) = [line.split() for line in lines if line.startswith("(all)")]
    assert row[:8] == ["(all)", "1", "0", "0", "0", "2", "33%", "100%"]


def test_a_campaign_of_nothing_but_infrastructure_has_no_rates(tmp_path: Path) -> None:
    play(tmp_path, plan_of(runs_per_task=1), "infrastructure_error")
    (row,) = [line for line in summary(tmp_path).splitlines() if line.startswith("(all)")]
    assert row.split() == ["(all)", "0", "0", "0", "1", DASH, DASH, "0%", DASH]


def test_before_the_first_run_the_summary_says_so(tmp_path: Path) -> None:
    CampaignFolder(tmp_path).prepare()
    assert summary(tmp_path) == "No run has begun: there is nothing to show yet.\n"


def test_a_models_name_steers_no_terminal(tmp_path: Path) -> None:
    model = "[red]m\x1b[2J"
    play(tmp_path, plan_of(models=[model]), "pass", model=model)
    assert r"[red]m\x1b[2J" in summary(tmp_path, terminal=True)


@pytest.mark.parametrize(
    ("rate", "text"), [(0, "0%"), (0.001, "<1%"), (0.996, ">99%"), (1, "100%"), (2 / 3, "67%")]
)
def test_a_rate_is_rounded_but_never_to_all_or_nothing(rate: float, text: str) -> None:
    assert percent(rate) == text
