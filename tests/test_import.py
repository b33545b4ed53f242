"""A log of the real Inspect becomes a campaign that says the same, and no more than it says."""

from __future__ import annotations

import json
import random
import re
import zipfile
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from inspect_ai.log import EvalLog, read_eval_log, write_eval_log
from inspect_ai.scorer import Score

from harness.config import load_campaign
from harness.errors import BadInput
from harness.records import Fault, Graded, Prompt, Reply, Started
from harness.store import CampaignFolder, read_manifest, read_transcript
from tests.conftest import fairtrial
from tests.inspect_eval import IDS, make_log
from tests.transcripts import ending, plan_of, play, started, turn, write
from verification import verify
from verification.compare import compare
from verification.export import export
from verification.imports import bring_in, names_of
from verification.leaderboard import leaderboards
from verification.report import render

HOSTILE = "etc-passwd-31m-b"
"""What the last of ``IDS`` is called here."""


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A log that Inspect itself wrote."""
    return make_log(tmp_path_factory.mktemp("inspect"))


@pytest.fixture(scope="module")
def imported(log: Path, tmp_path_factory: pytest.TempPathFactory) -> CampaignFolder:
    """That log as a campaign."""
    path = tmp_path_factory.mktemp("campaigns") / "sums"
    bring_in(log, path, scorer="includes")
    return CampaignFolder.find(path)


def changed(log: Path, to: Path, change: Any) -> Path:
    """The log with something changed in it, written by Inspect's own writer."""
    whole = read_eval_log(log, resolve_attachments="full")
    change(whole)
    write_eval_log(whole, to)
    return to


def runs(folder: CampaignFolder) -> pd.DataFrame:
    return pd.read_csv(folder.verification / "runs.csv")


def events(folder: CampaignFolder, task: str) -> list[Any]:
    """The transcript of a task's first repetition."""
    table = runs(folder)
    run = table[(table["task"] == task) & (table["repetition"] == 1)]["run"].item()
    return list(read_transcript(folder.transcript(run)))


def test_every_sample_has_the_outcome_that_inspect_saw(imported: CampaignFolder) -> None:
    table = runs(imported)
    cells = table[["task", "repetition", "outcome", "budget"]].fillna("")
    assert set(cells.itertuples(index=False, name=None)) == {
        (task, repetition, outcome, budget)
        for repetition in (1, 2)
        for task, outcome, budget in (
            ("right", "pass", ""),
            ("errs", "pass", ""),
            ("wrong", "wrong_answer", ""),
            (HOSTILE, "wrong_answer", ""),
            ("endless", "gave_up", "turns"),
            ("raises", "infrastructure_error", ""),
        )
    }
    assert table["cause"].isna().all()  # Inspect does not say whose an error was


def test_tokens_calls_and_times_are_those_of_the_log(imported: CampaignFolder, log: Path) -> None:
    table = runs(imported)
    rows = {(row["task"], row["repetition"]): row for row in table.to_dict("records")}
    samples = read_eval_log(log).samples or []
    assert len(samples) == len(rows)
    for sample in samples:
        task = HOSTILE if sample.id == IDS[-1] else sample.id
        row, usage = rows[task, sample.epoch], sample.model_usage["mockllm/model"]
        cached = usage.input_tokens_cache_read or 0
        assert row["tokens_input"] == usage.input_tokens + cached
        assert (row["tokens_cached"], row["tokens_output"]) == (cached, usage.output_tokens)
        assert row["turns"] == sample.turn_count
        assert row["seconds"] == sample.working_time
        assert row["tool_calls"] == row["turns"] - (task not in ("endless", "raises"))
    assert list(table["task"][table["tool_errors"] > 0]) == ["errs", "errs"]


def test_what_the_log_does_not_say_is_unknown(imported: CampaignFolder) -> None:
    header = events(imported, "right")[0]
    assert isinstance(header, Started)
    assert (header.seed, header.budgets, header.model.sampling) == (None, None, None)
    assert header.model.settings["limits"] == {"message_limit": 8}
    assert header.model.settings["generate_config"] == {"temperature": 0.5}
    table = runs(imported)
    assert table[["seed", "usd", "first_token_seconds"]].isna().all(axis=None)


def test_a_transcript_reads_as_the_sample_did(imported: CampaignFolder) -> None:
    prompts = [e.content for e in events(imported, "right") if isinstance(e, Prompt)]
    replies = [e for e in events(imported, "right") if isinstance(e, Reply)]
    assert prompts == ["You add.", "right"]
    assert [json.loads(call.arguments) for call in replies[0].tool_calls] == [{"x": 1, "y": 1}]
    assert (replies[1].text, replies[1].finish_reason) == ("It is 1.", "stop")
    faults = [e for e in events(imported, "raises") if isinstance(e, Fault)]
    assert [fault.detail for fault in faults] == ["RuntimeError('the tool is broken')"]
    assert not [e for e in events(imported, "raises") if isinstance(e, Graded)]


def test_what_is_imported_can_be_verified_shown_and_not_run(imported: CampaignFolder) -> None:
    assert verify.verify(imported) == []
    shown = fairtrial("show", next(imported.transcripts.glob("*.jsonl")))
    assert (shown.returncode, shown.stderr) == (0, "")
    assert "sampling unknown" in shown.stdout
    ran = fairtrial("run", imported.path)
    assert ran.returncode == 2
    assert "was played elsewhere and imported, so there is nothing to run" in ran.stderr
    stands = fairtrial("status", imported.path)
    assert (stands.returncode, stands.stderr) == (0, "")
    assert "sums: played elsewhere and imported; there is nothing to run" in stands.stdout
    assert "mockllm-model" in stands.stdout
    predicted = fairtrial("predict", imported.path)
    assert predicted.returncode == 2
    assert "imported, so there is nothing to run or to predict" in predicted.stderr
    for again in (["--all", imported.path], [next(imported.transcripts.glob("*.jsonl"))]):
        replayed = fairtrial("replay", *again)
        assert replayed.returncode == 2
        assert "was played by another program, and its tasks are not here" in replayed.stderr


def test_the_report_says_what_could_not_be_looked_for(imported: CampaignFolder) -> None:
    page = str(render(imported)["report.md"])
    text = page.split("What was looked for and not seen")[1].split("\n#")[0].replace("\\", "")
    assert "template_leakage: 0 of 12 runs" in text
    for name in ("empty_reply", "malformed_tool_call", "unknown_tool"):
        assert f"{name}: in 12 of 12 runs; our harness notes it while it plays" in text
    for name in ("early_commit", "long_tail_turn_count"):
        assert f"{name}: in 12 of 12 runs; the header does not say" in text
    assert "test_tampering: in 12 of 12 runs; it reads the commands of our shell" in text
    assert len(re.findall(r"early_commit|long_tail_turn_count|empty_reply|_tampering", text)) == 4


def test_the_campaigns_files_say_where_it_came_from(imported: CampaignFolder, log: Path) -> None:
    campaign, manifest = load_campaign(imported.config), read_manifest(imported)
    assert manifest is not None
    (model,) = campaign.models
    settings = model.model_dump()
    assert (settings["kind"], settings["log"]) == ("imported", log.name)
    assert settings["log_sha256"] == manifest.models[0].settings["log_sha256"]
    assert campaign.note == manifest.note
    assert "scored by includes" in manifest.note
    assert manifest.config["called_there"] == {HOSTILE: IDS[-1]}


def test_json_says_the_same_as_eval(log: Path, imported: CampaignFolder, tmp_path: Path) -> None:
    as_json = changed(log, tmp_path / "log.json", lambda whole: None)
    bring_in(as_json, tmp_path / "sums", scorer="includes")
    other = runs(CampaignFolder(tmp_path / "sums"))
    assert other.drop(columns="run").equals(runs(imported).drop(columns="run"))


def test_two_logs_of_one_dataset_have_the_same_tasks(log: Path, tmp_path: Path) -> None:
    def asked_otherwise(whole: EvalLog) -> None:
        for sample in whole.samples or ():
            if sample.id == "right":
                sample.input = "something else"

    one, other = tmp_path / "one", tmp_path / "other"
    bring_in(log, one, scorer="includes")
    bring_in(changed(log, tmp_path / "x.eval", asked_otherwise), other, scorer="includes")
    digests = [
        runs(CampaignFolder(path)).groupby("task")["task_digest"].unique().str.join("")
        for path in (one, other)
    ]
    differ = digests[0].ne(digests[1])
    assert list(differ[differ].index) == ["right"]


def test_other_sampling_or_limits_are_no_fair_comparison_although_not_all_is_known(
    log: Path, tmp_path: Path
) -> None:
    def freer(whole: EvalLog) -> None:
        whole.plan.config.temperature = 1.5
        whole.eval.config.message_limit = 500
        whole.eval.config.token_limit = 9_999_999

    def warmer(whole: EvalLog) -> None:
        whole.plan.config.temperature = 1.5
        whole.plan.config.max_retries = 7

    def alike(whole: EvalLog) -> None:
        whole.plan.config.max_retries = 7

    folders: list[CampaignFolder] = []
    for change in (alike, freer, warmer, lambda whole: None):
        path = tmp_path / f"sums-{len(folders)}"
        bring_in(changed(log, tmp_path / f"{path.name}.eval", change), path, scorer="includes")
        folders.append(CampaignFolder(path))
    same, free, warm, first = folders
    with pytest.raises(BadInput) as refused:
        compare(first, free)
    assert (
        "different limits in an imported log (message_limit 8 against 500, token_limit not set "
        "against 9999999; throughout); different settings in an imported log (temperature 0.5 "
        "against 1.5; throughout)"
    ) in str(refused.value)
    boards = leaderboards([first, same, free, warm], floor=0.5)
    assert [[row[2] for row in board.rows] for board in boards] == [
        ["sums-0", "sums-2", "sums-3"],  # how tokens are drawn is a model's own affair
        ["sums-1"],
    ]
    notes = " ".join(boards[0].notes)
    assert "that they were the same is not known" in notes
    assert "they have other budgets" in notes
    # How often a request is repeated is nothing.
    assert (
        compare(first, same)
        .exhibits()[0]
        .notes[0]
        .startswith("Unknown of both: variants of a task, budgets, sampling. ")
    )


def test_where_several_scored_one_must_be_named(log: Path, tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"several scores \(closeness, includes\)"):
        bring_in(log, tmp_path / "sums")
    with pytest.raises(BadInput, match="did you mean 'includes'"):
        bring_in(log, tmp_path / "sums", scorer="include")
    assert list(tmp_path.iterdir()) == []


def test_a_fraction_passes_only_from_where_it_is_told_to(log: Path, tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="neither right nor wrong; say with --pass-at"):
        bring_in(log, tmp_path / "sums", scorer="closeness")
    assert list(tmp_path.iterdir()) == []
    for pass_at, passed in ((0.75, 4), (0.76, 0), (0.25, 8)):
        path = tmp_path / str(pass_at)
        bring_in(log, path, scorer="closeness", pass_at=pass_at)
        assert (runs(CampaignFolder(path))["outcome"] == "pass").sum() == passed


@pytest.mark.parametrize(
    ("value", "outcome", "cause"),
    [
        ("C", "pass", None),
        ("N", "wrong_answer", None),
        (True, "pass", None),
        ("no", "wrong_answer", None),
        ("1.0", "pass", None),
        (float("nan"), "infrastructure_error", "checker_crashed"),
        (None, "infrastructure_error", "checker_crashed"),
    ],
)
def test_each_spelling_of_a_score_is_understood(
    log: Path, tmp_path: Path, value: Any, outcome: str, cause: str | None
) -> None:
    def scored(whole: EvalLog) -> None:
        for sample in whole.samples or ():
            if sample.id == "right":
                sample.scores = {} if value is None else {"includes": Score(value=value)}

    bring_in(changed(log, tmp_path / "x.eval", scored), tmp_path / "sums", scorer="includes")
    table = runs(CampaignFolder(tmp_path / "sums"))
    found = table[table["task"] == "right"]
    assert list(found["outcome"]) == [outcome] * 2
    assert list(found["cause"].dropna()) == [cause] * 2 * (cause is not None)


@pytest.mark.parametrize("value", ["P", 0.5, "2", "maybe", [1, 0]])
def test_a_score_that_is_neither_right_nor_wrong_is_refused(
    log: Path, tmp_path: Path, value: Any
) -> None:
    def scored(whole: EvalLog) -> None:
        for sample in whole.samples or ():
            sample.scores = {"judge": Score(value=value)}

    with pytest.raises(BadInput, match=r"judge gave"):
        bring_in(changed(log, tmp_path / "x.eval", scored), tmp_path / "sums")
    assert not (tmp_path / "sums").exists()


def test_one_key_of_a_score_with_several_can_decide(log: Path, tmp_path: Path) -> None:
    def scored(whole: EvalLog) -> None:
        for sample in whole.samples or ():
            if sample.scores:
                sample.scores = {"judge": Score(value={"style": 0, "truth": 1})}

    new = changed(log, tmp_path / "x.eval", scored)
    with pytest.raises(BadInput, match=r"judge\.style, judge\.truth"):
        bring_in(new, tmp_path / "sums")
    bring_in(new, tmp_path / "sums", scorer="judge.truth")
    assert (runs(CampaignFolder(tmp_path / "sums"))["outcome"] == "pass").sum() == 8


def test_a_log_without_events_leaves_tokens_unknown(log: Path, tmp_path: Path) -> None:
    def stripped(whole: EvalLog) -> None:
        for sample in whole.samples or ():
            sample.events = []

    bring_in(changed(log, tmp_path / "x.eval", stripped), tmp_path / "sums", scorer="includes")
    table = runs(CampaignFolder(tmp_path / "sums"))
    assert table[["tokens_input", "tokens_output", "model_seconds"]].isna().all(axis=None)
    assert (table["tool_calls"] > 0).all()
    calls = pd.read_csv(tmp_path / "sums" / "verification" / "tool_calls_by_task.csv")
    assert calls.set_index("task")["mean_add"]["right"] == 1


def test_a_campaign_that_went_out_and_came_in_says_the_same(tmp_path: Path) -> None:
    path, plan = tmp_path / "trial", plan_of(tasks=("task_01", "task_02"), runs_per_task=2)
    play(path, plan, "pass", calls=3)
    play(path, plan, "gave_up", repetition=2)
    play(path, plan, "infrastructure_error", cause="sandbox_failed", task="task_02")
    header = started(plan, task="task_02", repetition=2)
    sent = [*turn(1, "shell", ok=False), *turn(2, "fs_read", text="so"), *turn(3, text="end")]
    write(path, header, [*sent, *ending("wrong_answer")])
    verify.write(CampaignFolder(path))
    export(CampaignFolder(path), "inspect", tmp_path / "out")
    (log,) = (tmp_path / "out").glob("*.eval")
    bring_in(log, tmp_path / "back")
    before, after = runs(CampaignFolder(path)), runs(CampaignFolder(tmp_path / "back"))
    # Another kind, other UUIDs, and no time of a first token, for which Inspect has no word.
    other = ["kind", "run", "first_token_seconds"]
    pd.testing.assert_frame_equal(before.drop(columns=other), after.drop(columns=other))


def test_no_name_in_a_log_can_do_harm() -> None:
    words = ["a b", "a/b", "", "..", "ok_1.x", "\x1b[2J", "-rf", "é" * 300]
    names = names_of(words)
    assert len(set(names.values())) == len(words)
    assert names["ok_1.x"] == "ok_1.x"
    assert names["-rf"] == "rf"
    for name in names.values():
        assert name.isascii()
        assert name.replace("-", "").replace("_", "").replace(".", "").isalnum()
        assert 0 < len(name) < 100
        assert not name.startswith((".", "-"))


def test_a_folder_that_is_there_is_never_written_into(log: Path, tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("mine")
    done = fairtrial("import", log, tmp_path, "--scorer", "includes")
    assert done.returncode == 2
    assert "exists already" in done.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]


def test_what_is_no_log_is_refused_in_a_sentence(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "zip.eval", "w") as file:
        file.writestr("header.json", '{"a": 1}')
    (tmp_path / "text.eval").write_text("no log")
    (tmp_path / "list.json").write_text("[]")
    (tmp_path / "deep.json").write_text("[" * 100_000)
    (tmp_path / "empty.json").touch()
    (tmp_path / "x.txt").touch()
    (tmp_path / "folder.eval").mkdir()
    for path in [*tmp_path.iterdir(), tmp_path / "missing.eval"]:
        with pytest.raises(BadInput, match=path.name):
            bring_in(path, tmp_path / "sums")
    assert not (tmp_path / "sums").exists()


def test_a_log_whose_contents_point_past_its_end_is_refused(log: Path, tmp_path: Path) -> None:
    broken = bytearray(log.read_bytes())
    for entry in re.finditer(rb"PK\x01\x02", log.read_bytes()):  # of the zip's list of its files
        offset = entry.start() + 42
        broken[offset : offset + 4] = len(broken).to_bytes(4, "little")
    path = tmp_path / "past.eval"
    path.write_bytes(broken)
    with pytest.raises(BadInput, match="cannot be read as a log of Inspect"):
        bring_in(path, tmp_path / "sums", scorer="includes")


def test_a_log_that_was_damaged_is_read_or_refused(log: Path, tmp_path: Path) -> None:
    whole = log.read_bytes()
    draw = random.Random(5)
    for number in range(30):
        broken = bytearray(whole)
        for _ in range(draw.randint(1, 40)):
            broken[draw.randrange(len(broken))] = draw.randrange(256)
        cut = draw.choice((len(broken), draw.randrange(len(broken))))
        path = tmp_path / f"{number}.eval"
        path.write_bytes(broken[:cut])
        try:
            bring_in(path, tmp_path / f"sums-{number}", scorer="includes")
        except BadInput:
            assert not (tmp_path / f"sums-{number}").exists()
        else:
            assert verify.verify(CampaignFolder(tmp_path / f"sums-{number}")) == []
