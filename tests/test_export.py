"""What leaves a campaign is what its transcripts say, as the formats' own readers read it."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow.parquet as pq
import pytest
from atif import Trajectory
from inspect_ai.log import EvalLog, EvalSample, read_eval_log
from inspect_ai.model import ChatMessageAssistant

from harness.errors import BadInput
from harness.records import Event, Price, Reply, ToolCall, ToolResult, Usage
from harness.store import CampaignFolder
from tests.conftest import fairtrial
from tests.transcripts import ending, plan_of, play, started, turn, write
from verification import verify
from verification.export import export, formats, parquet

TASKS = ("task_01", "task_02")
PRICE = Price(input=1.0, cached=0.1, output=4.0)


@pytest.fixture
def campaign(tmp_path: Path) -> CampaignFolder:
    """Two models, two tasks, two repetitions: every outcome, an earlier attempt, a torn run."""
    path = tmp_path / "trial"
    plan = plan_of(models=("a", "b"), tasks=TASKS, runs_per_task=2)
    play(path, plan, "pass", model="a", calls=2, price=PRICE)
    play(path, plan, "wrong_answer", model="a", repetition=2)
    play(path, plan, "gave_up", model="a", task="task_02")
    first = play(path, plan, "infrastructure_error", cause="timeout", model="b")
    first.rename(first.with_suffix(".attempt-1.jsonl"))
    play(path, plan, "infrastructure_error", cause="unreachable", model="b", attempt=2)
    torn = started(plan, model="b", task="task_02")
    write(path, torn, turn(1, "shell"))
    (path / "campaign.toml").touch()
    folder = CampaignFolder(path)
    verify.write(folder)
    return folder


def exported(folder: CampaignFolder, name: str) -> Path:
    out = folder.path.parent / name
    export(folder, name, out)
    return out


def logs(out: Path) -> dict[str, EvalLog]:
    """The logs of an export, as Inspect reads them, by model."""
    read = [read_eval_log(path, resolve_attachments="full") for path in out.glob("*.eval")]
    return {log.eval.model: log for log in read}


def samples(log: EvalLog) -> dict[tuple[str | int, int], EvalSample]:
    return {(sample.id, sample.epoch): sample for sample in log.samples or ()}


def trajectories(out: Path) -> Iterator[dict[str, Any]]:
    """The trajectories of an export, each accepted by the format's own models."""
    for path in sorted(out.glob("*.json")):
        Trajectory.model_validate_json(path.read_bytes())
        yield json.loads(path.read_text(encoding="utf-8"))


def test_the_formats_are_those_that_the_command_offers() -> None:
    done = fairtrial("export", "--help")
    assert formats() == ["atif", "inspect", "parquet"]
    assert all(name in done.stdout for name in formats())


def test_inspect_reads_a_log_a_model_and_a_sample_a_run(campaign: CampaignFolder) -> None:
    by_model = logs(exported(campaign, "inspect"))
    assert {model: sorted(samples(log)) for model, log in by_model.items()} == {
        "a": [("task_01", 1), ("task_01", 2), ("task_02", 1)],
        "b": [("task_01", 1), ("task_02", 1)],
    }
    log = by_model["a"]
    assert (log.eval.task, log.eval.dataset.sample_ids) == ("suite-v1", list(TASKS))
    assert log.eval.config.epochs == 2
    assert log.status == "cancelled"  # one of its runs is owed


def test_inspect_sees_a_strict_score_and_what_it_comes_from(campaign: CampaignFolder) -> None:
    runs = samples(logs(exported(campaign, "inspect"))["a"])
    scores = {key: (sample.scores or {})["checker"] for key, sample in runs.items()}
    assert {key: score.value for key, score in scores.items()} == {
        ("task_01", 1): "C",
        ("task_01", 2): "I",
        ("task_02", 1): "I",
    }
    assert "answer: as asked" in (scores["task_01", 1].explanation or "")
    limit = runs["task_02", 1].limit
    assert limit is not None
    assert (limit.type, limit.limit) == ("turn", 15)


def test_inspect_sees_an_error_and_no_score_where_the_world_failed(
    campaign: CampaignFolder,
) -> None:
    runs = samples(logs(exported(campaign, "inspect"))["b"])
    spoiled, torn = runs["task_01", 1], runs["task_02", 1]
    assert (spoiled.scores, torn.scores) == (None, None)
    assert spoiled.error is not None
    assert torn.error is not None
    assert spoiled.error.message == "unreachable: the world failed"
    assert torn.error.message.startswith("interrupted")
    assert spoiled.error.traceback_ansi == spoiled.error.message  # what the viewer shows
    assert [retry.message for retry in spoiled.error_retries or ()] == ["timeout: the world failed"]


def test_inspect_shows_the_rates_of_the_csv(campaign: CampaignFolder) -> None:
    csv = pd.read_csv(campaign.verification / "pass_rate_by_task.csv")
    rows = csv[csv["task"] == "(all)"].set_index("model")
    for model, log in logs(exported(campaign, "inspect")).items():
        assert log.results is not None
        (score,) = log.results.scores
        shown = {name: round(metric.value, 6) for name, metric in score.metrics.items()}
        known = rows.loc[model].dropna()
        assert shown == {name: known[name] for name in shown}
        assert ("effective_rate" in shown) == (model == "a")  # b has no run of its own
        assert score.scored_samples == {"a": 3, "b": 0}[model]


def test_inspect_gets_the_conversation_and_its_tokens(campaign: CampaignFolder) -> None:
    sample = samples(logs(exported(campaign, "inspect"))["a"])["task_01", 1]
    assert [message.role for message in sample.messages] == [
        "user",
        *["assistant", "tool"] * 2,
        "assistant",
    ]
    usage = sample.model_usage["a"]
    # Three replies of 100 tokens in, 40 of them cached, and 10 out.
    assert (usage.input_tokens, usage.input_tokens_cache_read, usage.output_tokens) == (
        180,
        120,
        30,
    )
    assert usage.total_cost == pytest.approx((180 * 1.0 + 120 * 0.1 + 30 * 4.0) / 1e6)
    events = [event.event for event in sample.events]
    assert events == ["model", "tool", "model", "tool", "model", "score"]
    assert [event.working_start for event in sample.events] == [0, 2, 2.5, 4.5, 5, 7]


def test_tokens_that_are_unknown_are_left_out_and_never_0(tmp_path: Path) -> None:
    plan = plan_of(runs_per_task=1)
    silent = [*turn(1, "shell"), *turn(2, text="done", usage=Usage()), *ending("pass")]
    write(tmp_path / "trial", started(plan, price=PRICE), silent)
    folder = CampaignFolder(tmp_path / "trial")
    (log,) = logs(exported(folder, "inspect")).values()
    (sample,) = samples(log).values()
    assert (log.stats.model_usage, sample.model_usage) == ({}, {})
    (trajectory,) = trajectories(exported(folder, "atif"))
    assert trajectory["final_metrics"] == {"total_steps": 3}
    assert trajectory["steps"][2]["metrics"] == {
        "extra": {"model_seconds": 2.0, "first_token_seconds": 0.5, "waited_seconds": 0.0}
    }


HOSTILE = (
    "{not JSON",
    "[1, 2]",
    '{"x": NaN}',
    r'{"x": "\ud800"}',
    '{"x": ' + "[" * 300 + "]" * 300 + "}",
    "[" * 100_000,
    '{"x":   1}',
    '{"x": ' + "9" * 5000 + "}",
)


def test_calls_that_spell_no_arguments_are_kept_as_they_were_sent(tmp_path: Path) -> None:
    calls = tuple(ToolCall(id="same", name="shell", arguments=text) for text in HOSTILE)
    reply = Reply(turn=1, text="\x1b]0;", tool_calls=calls, finish_reason="tool_calls")
    answers = [
        ToolResult(turn=1, call_id="same", name="shell", content=str(n), ok=False, seconds=0.0)
        for n in range(len(calls))
    ]
    events: list[Event] = [reply, *answers, *ending("wrong_answer")]
    write(tmp_path / "trial", started(plan_of(runs_per_task=1)), events)
    folder = CampaignFolder(tmp_path / "trial")

    (trajectory,) = trajectories(exported(folder, "atif"))
    step = trajectory["steps"][1]
    raw = [call.get("extra", {}).get("raw_arguments") for call in step["tool_calls"]]
    assert raw == [text if text != '{"x":   1}' else None for text in HOSTILE]
    table = pq.read_table(exported(folder, "parquet") / "tool_calls.parquet").to_pylist()
    assert [(row["arguments"], row["content"]) for row in table] == [
        (text, str(number)) for number, text in enumerate(HOSTILE)
    ]
    (log,) = logs(exported(folder, "inspect")).values()
    (sample,) = samples(log).values()
    said = sample.messages[1]
    assert isinstance(said, ChatMessageAssistant)
    assert [bool(call.parse_error) for call in said.tool_calls or ()] == [
        text != '{"x":   1}' for text in HOSTILE
    ]


def test_every_trajectory_is_valid_and_says_what_became_of_the_run(
    campaign: CampaignFolder,
) -> None:
    every = list(trajectories(exported(campaign, "atif")))
    runs = pd.read_csv(campaign.verification / "runs.csv").set_index("run")
    assert {t["session_id"]: t["extra"]["outcome"]["outcome"] for t in every} == dict(
        runs["outcome"]
    )
    assert {t["schema_version"] for t in every} == {"ATIF-v1.8"}
    for trajectory in every:
        row, metrics = runs.loc[trajectory["session_id"]], trajectory["final_metrics"]
        assert metrics.get("total_prompt_tokens") == (
            None if pd.isna(row["tokens_input"]) else row["tokens_input"]
        )
        calls = sum(len(step.get("tool_calls", ())) for step in trajectory["steps"])
        assert calls == row["tool_calls"]
        spoiled = trajectory["steps"][-1]["message"].startswith("infrastructure_error: ")
        assert spoiled == (row["outcome"] == "infrastructure_error")


def test_a_scripts_steps_are_no_inferences(tmp_path: Path) -> None:
    play(tmp_path / "trial", plan_of(runs_per_task=1), "pass", kind="scripted")
    (trajectory,) = trajectories(exported(CampaignFolder(tmp_path / "trial"), "atif"))
    agent = [step for step in trajectory["steps"] if step["source"] == "agent"]
    assert {step["llm_call_count"] for step in agent} == {0}
    assert not any("metrics" in step for step in agent)


def test_parquet_holds_the_csvs_and_every_turn_and_call(campaign: CampaignFolder) -> None:
    out = exported(campaign, "parquet")
    runs = pd.read_csv(campaign.verification / "runs.csv")
    table = pq.read_table(out / "runs.parquet")
    assert table.column_names == list(runs.columns)
    assert table.column("tokens_output").to_pylist() == [
        None if pd.isna(value) else value for value in runs["tokens_output"]
    ]
    turns = pq.read_table(out / "turns.parquet").to_pandas()
    calls = pq.read_table(out / "tool_calls.parquet").to_pandas()
    by_run = runs.set_index("run")
    assert dict(turns.groupby("run").size()) == dict(by_run["turns"][by_run["turns"] > 0])
    assert dict(calls.groupby("run").size()) == dict(by_run["tool_calls"][by_run["turns"] > 0])


def test_parquets_types_do_not_depend_on_what_is_known(
    campaign: CampaignFolder, tmp_path: Path
) -> None:
    play(tmp_path / "other", plan_of(runs_per_task=1), "infrastructure_error", model="m")
    little = exported(CampaignFolder(tmp_path / "other"), "parquet")
    much = tmp_path / "much"
    export(campaign, "parquet", much)
    for name in ("runs", "findings", "turns", "tool_calls"):
        schemas = [pq.read_schema(out / f"{name}.parquet") for out in (little, much)]
        assert schemas[0].equals(schemas[1]), name


def test_parquet_is_written_a_batch_at_a_time(
    campaign: CampaignFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(parquet, "ROWS_AT_ONCE", 2)
    turns = pq.ParquetFile(exported(campaign, "parquet") / "turns.parquet")
    sizes = [turns.metadata.row_group(n).num_rows for n in range(turns.num_row_groups)]
    assert sizes == [2, 2, 2, 2]


def test_an_export_made_again_replaces_the_one_before(campaign: CampaignFolder) -> None:
    out = exported(campaign, "atif")
    export(campaign, "parquet", out)
    assert sorted(path.name for path in out.glob("[a-z]*")) == [
        "findings.parquet",
        "runs.parquet",
        "tool_calls.parquet",
        "turns.parquet",
    ]


def test_nothing_that_is_not_ours_is_replaced(campaign: CampaignFolder) -> None:
    out = exported(campaign, "atif")
    (out / "notes.txt").write_text("mine")
    with pytest.raises(BadInput, match=r"holds 'notes\.txt' beside an earlier export"):
        export(campaign, "atif", out)
    with pytest.raises(BadInput, match="exists already"):
        export(campaign, "atif", campaign.path)
    assert (out / "notes.txt").read_text() == "mine"


def test_an_export_that_fails_leaves_nothing(
    campaign: CampaignFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = sorted(campaign.path.parent.iterdir())
    monkeypatch.delitem(sys.modules, "verification.export.parquet")
    monkeypatch.setitem(sys.modules, "pyarrow", None)  # as where it is not installed
    with pytest.raises(BadInput, match=r"pip install -U 'fairtrial\[export\]'"):
        exported(campaign, "parquet")
    assert sorted(campaign.path.parent.iterdir()) == before


def test_a_campaign_without_a_run_is_refused(tmp_path: Path) -> None:
    (tmp_path / "campaign.toml").touch()
    done = fairtrial("export", tmp_path, "--to", "atif")
    assert done.returncode == 2
    assert "nothing has run yet" in done.stderr
    assert not (tmp_path / "export").exists()


def test_the_command_writes_into_the_campaigns_folder_by_default(
    campaign: CampaignFolder,
) -> None:
    done = fairtrial("export", campaign.path, "--to", "inspect", cwd=campaign.path)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == "export/inspect: 5 runs written for inspect\n"
    assert len(list((campaign.path / "export" / "inspect").glob("*.eval"))) == 2
