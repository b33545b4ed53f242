"""Predictions: filed before the first run or not at all, and scored beside a coin."""

from __future__ import annotations

import asyncio
import math
from datetime import timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from rich.console import Console
from scipy import stats

from harness.errors import BadInput
from harness.predictions import Prediction, Scope, digest, file, read, standing, template
from harness.records import Plan
from harness.store import CampaignFolder, Manifest, read_manifest, write_whole
from tests.conftest import ORACLE, MakeCampaign, command, fairtrial
from tests.openai_server import delta, endpoint, finish, stream
from tests.transcripts import NOON, plan_of, play
from tests.waiting import HANGS
from verification import verify
from verification.evidence import read as read_evidence
from verification.predictions import (
    brier,
    calibration,
    exhibits,
    log_score,
    scores,
    skill_interval,
)

PLAN = plan_of(models=("m", "script"), tasks=("task_01", "task_02"))
SCOPE = Scope.of(PLAN, {"m": "openai", "script": "scripted"})
REMOTE = """
[[models]]
name = "remote"
kind = "openai"
model = "m"
base_url = "{url}"
"""


def begun(path: Path, text: str | None, plan: Plan = PLAN) -> CampaignFolder:
    """A campaign whose first run begins at noon, with this predictions.toml, if any."""
    folder = CampaignFolder(path)
    folder.prepare()
    if text is not None:
        folder.predictions.write_text(text, encoding="utf-8")
    kinds = {name: "scripted" if name == "script" else "openai" for name in plan.models}
    models = [{"name": n, "kind": k, "settings": {}, "sampling": {}} for n, k in kinds.items()]
    manifest = Manifest.model_validate(
        {
            "campaign": plan.campaign,
            "note": "",
            "started_at": NOON,
            "plan": plan,
            "config": {},
            "infrastructure": {},
            "suite_digest": "0",
            "suite_shortcoming": None,
            "task_digests": {},
            "models": models,
            "sandbox": {},
            "versions": {},
            "hardware": {},
            "preflight": None,
            "predictions": file(folder, Scope.of(plan, kinds), NOON),
        }
    )
    write_whole(folder.manifest, manifest.model_dump_json())
    return folder


TEXT = """
author = "A. N. Author"
[models.m]
task_01 = { passes = 3, confidence = 0.8 }
task_02 = { passes = 0, confidence = 0.5, failure_mode = "wrong_answer" }
"""


def play_six(path: Path) -> CampaignFolder:
    """task_01: two passes and a run the world spoiled; task_02: one of each outcome of a model."""
    folder = begun(path, TEXT)
    play(path, PLAN, "pass", repetition=1)
    play(path, PLAN, "pass", repetition=2)
    play(path, PLAN, "infrastructure_error", repetition=3)
    play(path, PLAN, "pass", task="task_02", repetition=1)
    play(path, PLAN, "wrong_answer", task="task_02", repetition=2)
    play(path, PLAN, "gave_up", task="task_02", repetition=3)
    return folder


def printed(folder: CampaignFolder) -> str:
    console = Console(width=120)
    with console.capture() as shown:
        for exhibit in exhibits(folder):
            exhibit.print(console)
    return shown.get()


@pytest.mark.parametrize(
    ("passes", "confidence", "probability"),
    [(3, 0.99, 0.995), (0, 0.99, 0.005), (3, 0.0, 0.5), (2, 0.6, 0.6), (1.5, 0.9, 0.5)],
)
def test_passes_and_confidence_say_how_likely_each_run_is_to_pass(
    passes: float, confidence: float, probability: float
) -> None:
    prediction = Prediction(passes=passes, confidence=confidence)
    assert prediction.probability(3) == pytest.approx(probability)


def test_scores_are_those_that_the_glossaries_give() -> None:
    # The worked examples of the Brier score: 0.7 and rain, 0.3 and rain, one half.
    assert brier(0.7, 1, 1) == pytest.approx(0.09)
    assert brier(0.3, 1, 1) == pytest.approx(0.49)
    assert brier(0.5, 0, 1) == brier(0.5, 1, 1) == 0.25
    assert log_score(0.5, 3, 7) == pytest.approx(math.log(2))


@pytest.mark.parametrize("probability", [0.005, 0.3, 0.5, 0.9, 0.995])
@pytest.mark.parametrize("passes", [0, 1, 3])
def test_scores_agree_with_numpy_and_scipy(probability: float, passes: int) -> None:
    happened = np.array([1] * passes + [0] * (3 - passes))
    assert brier(probability, passes, 3) == pytest.approx(np.mean((probability - happened) ** 2))
    logs = stats.bernoulli.logpmf(happened, probability)
    assert log_score(probability, passes, 3) == pytest.approx(-np.mean(logs))


def test_both_scores_are_best_for_who_says_what_they_believe() -> None:
    # Proper: where 2 of 3 runs pass in the long run, no other probability scores better.
    said = np.linspace(0.005, 0.995, 199)
    for score in (brier, log_score):
        best = said[np.argmin([score(p, 2, 3) for p in said])]
        assert best == pytest.approx(2 / 3, abs=0.005)


def test_a_log_score_refuses_certainty() -> None:
    with pytest.raises(ValueError, match="between 0 and 1"):
        log_score(1.0, 0, 1)


def test_predictions_are_scored_run_by_run_without_what_the_world_spoiled(tmp_path: Path) -> None:
    folder = play_six(tmp_path)
    predictions = standing(folder).predictions
    assert predictions is not None
    first, second, together = scores(predictions, read_evidence(folder)).to_dict("records")
    # task_01: p = 0.8 * 3/3 + 0.1 = 0.9, two runs, both passed: (0.1)^2.
    assert (first["runs"], first["infrastructure_runs"]) == (2, 1)
    assert first["brier"] == pytest.approx(0.01)
    # task_02: p = 0.25, one pass of three: (0.75^2 + 2 * 0.25^2) / 3.
    assert second["brier"] == pytest.approx((0.5625 + 2 * 0.0625) / 3)
    assert (second["failures_foretold"], second["failures_as_foretold"]) == (2, 1)
    # All five runs: (2 * 0.01 + 0.5625 + 0.125) / 5 against a coin's 0.25.
    assert (together["task"], together["runs"], together["pass"]) == ("(all)", 5, 3)
    assert together["brier"] == pytest.approx(0.1415)
    assert together["brier_skill"] == pytest.approx(1 - 0.1415 / 0.25)
    log = -(2 * math.log(0.9) + math.log(0.25) + 2 * math.log(0.75)) / 5
    assert together["log_score"] == pytest.approx(log)
    assert together["log_skill"] == pytest.approx(1 - log / math.log(2))
    assert together["expected_passes"] == pytest.approx(2 * 0.9 + 3 * 0.25)


def test_failures_count_as_foretold_only_where_a_mode_was_foretold(tmp_path: Path) -> None:
    evidence = read_evidence(play_six(tmp_path))
    predictions = read(tmp_path / "predictions.toml", SCOPE)
    silent = predictions.models["m"]["task_02"].model_copy(update={"failure_mode": None})
    models = {"m": {"task_02": silent}}
    row, _ = scores(predictions.model_copy(update={"models": models}), evidence).to_dict("records")
    assert (row["runs"], row["pass"]) == (3, 1)
    assert (row["failures_foretold"], row["failures_as_foretold"]) == (0, 0)


def test_the_interval_of_the_skill_is_that_of_a_mean_where_tasks_weigh_the_same() -> None:
    skills = np.array([0.2, 0.5, -0.4, 0.9, 0.1])
    interval = skill_interval(list((1 - skills) / 4), [3] * 5)
    mean = stats.ttest_1samp(skills, 0).confidence_interval(0.95)
    assert interval == pytest.approx((mean.low, mean.high))
    assert skill_interval([0.1], [3]) is None
    assert skill_interval([0.1, 0.2, math.nan], [3, 3, 0]) == skill_interval([0.1, 0.2], [3, 3])


def test_tasks_that_scored_all_alike_give_no_interval_of_the_skill(tmp_path: Path) -> None:
    assert skill_interval([0.0001] * 10, [3] * 10) is None
    assert skill_interval([0.1 + 0.2, 0.3], [3, 1]) is None  # alike but for rounding
    text = "[models.m]\n" + "".join(
        f"task_0{n} = {{ passes = 3, confidence = 0.9 }}\n" for n in (1, 2)
    )
    folder = begun(tmp_path, text)
    for task in PLAN.tasks:
        play(tmp_path, PLAN, "pass", task=task)
    verify.write(folder)
    together = pd.read_csv(folder.verification / "predictions.csv").iloc[-1]
    assert together["brier_skill"] > 0.98
    assert together[["brier_skill_low", "brier_skill_high"]].isna().all()
    assert ".." not in printed(folder)


def test_the_interval_of_the_skill_covers_what_it_should() -> None:
    # An author who is right on average about tasks of all kinds, over 2,000 campaigns of ten
    # tasks of which infrastructure spoiled some runs.
    random = np.random.default_rng(1)

    def draw(tasks: int) -> tuple[np.ndarray, np.ndarray]:
        rates = random.uniform(size=tasks)
        said = np.clip(rates + random.normal(0, 0.2, tasks), 0.005, 0.995)
        runs = random.integers(1, 4, tasks)
        passes = random.binomial(runs, rates)
        return np.array([*map(brier, said, passes, runs)]), runs

    scores, runs = draw(200_000)
    true = 1 - np.average(scores, weights=runs) / 0.25
    covered = 0
    for _ in range(2000):
        interval = skill_interval(*map(list, draw(10)))
        assert interval is not None
        covered += interval.low <= true <= interval.high
    assert covered / 2000 == pytest.approx(0.95, abs=0.025)


def test_calibration_counts_each_run_in_the_bin_of_its_probability(tmp_path: Path) -> None:
    folder = play_six(tmp_path)
    predictions = standing(folder).predictions
    assert predictions is not None
    low, high = calibration(scores(predictions, read_evidence(folder))).to_dict("records")
    assert (low["from"], low["to"], low["runs"], low["pass"]) == (0.2, 0.4, 3, 1)
    assert (high["from"], high["to"], high["runs"], high["pass"]) == (0.8, 1.0, 2, 2)
    assert high["probability"] == pytest.approx(0.9)
    # Wilson's interval for 2 of 2 begins at n / (n + z^2).
    assert high["low"] == pytest.approx(2 / (2 + stats.norm.ppf(0.975) ** 2))


@pytest.mark.parametrize("probability", [0.2, 0.4, 0.6, 0.8])
def test_a_probability_on_an_edge_is_in_the_bin_that_begins_there(probability: float) -> None:
    scored = pd.DataFrame(
        {
            "task": ["t"] * 2,
            "runs": [1] * 2,
            "pass": [1] * 2,
            "probability": [probability - 1e-12, probability + 1e-12],
            "expected_passes": [probability] * 2,
        }
    )
    (row,) = calibration(scored).to_dict("records")
    assert row["from"] == probability


def test_where_no_run_is_the_models_own_there_is_no_score(tmp_path: Path) -> None:
    folder = begun(tmp_path, TEXT)
    play(tmp_path, PLAN, "infrastructure_error")
    verify.write(folder)
    table = pd.read_csv(folder.verification / "predictions.csv")
    assert table["brier"].isna().all()
    assert table["brier_skill"].isna().all()
    assert "\N{EN DASH}" in printed(folder)


def test_predictions_that_were_filed_have_a_csv_and_others_do_not(tmp_path: Path) -> None:
    folder = play_six(tmp_path / "filed")
    verify.write(folder)
    assert verify.verify(folder) == []
    table = pd.read_csv(folder.verification / "predictions.csv")
    assert list(table["task"]) == ["task_01", "task_02", "(all)"]
    late = begun(tmp_path / "late", None)
    late.predictions.write_text(TEXT, encoding="utf-8")
    play(late.path, PLAN, "pass")
    verify.write(late)
    assert not (late.verification / "predictions.csv").exists()
    assert standing(late).state == "late"
    assert "after the fact" in printed(late)


def test_a_later_change_shows_and_is_not_scored(tmp_path: Path) -> None:
    folder = play_six(tmp_path)
    verify.write(folder)
    filed = digest(folder.predictions)
    folder.predictions.write_text(TEXT.replace("0.8", "0.9"), encoding="utf-8")
    assert standing(folder).state == "changed"
    words = printed(folder).replace("\n", " ")
    assert "changed since" in words
    assert filed in words
    assert digest(folder.predictions) in words
    assert "predictions.csv: follows from no transcript" in verify.verify(folder)
    verify.write(folder)  # what was foretold in other words is no evidence any more
    assert verify.verify(folder) == []
    folder.predictions.unlink()
    assert "is gone" in standing(folder).sentence
    folder.predictions.write_text(TEXT, encoding="utf-8")
    assert standing(folder).state == "filed"
    verify.write(folder)
    assert (folder.verification / "predictions.csv").exists()


def test_a_campaign_without_predictions_says_none_filed(tmp_path: Path) -> None:
    (exhibit,) = exhibits(begun(tmp_path, None))
    assert "none filed" in exhibit.markdown()
    assert "none filed" in printed(CampaignFolder(tmp_path))


def test_a_manifest_that_was_moved_away_does_not_let_predictions_be_filed_late(
    tmp_path: Path,
) -> None:
    folder = begun(tmp_path, None)
    play(tmp_path, PLAN, "pass")
    folder.predictions.write_text(TEXT, encoding="utf-8")
    assert file(folder, SCOPE, NOON + timedelta(hours=1)) is None
    folder.manifest.unlink()
    assert standing(folder).state == "late"


def test_a_manifest_that_cannot_be_read_is_refused_in_a_sentence(tmp_path: Path) -> None:
    folder = CampaignFolder(tmp_path)
    folder.manifest.mkdir(parents=True)
    with pytest.raises(BadInput, match=r"manifest\.json: cannot be read: Is a directory"):
        read_manifest(folder)


def test_a_manifest_from_before_there_were_predictions_is_still_read(tmp_path: Path) -> None:
    folder = begun(tmp_path, None)
    text = folder.manifest.read_text(encoding="utf-8")
    assert ',"predictions":null' in text
    folder.manifest.write_text(text.replace(',"predictions":null', ""), encoding="utf-8")
    manifest = read_manifest(folder)
    assert manifest is not None
    assert manifest.predictions is None


def test_the_template_has_a_line_for_every_task_and_leaves_scripts_out(tmp_path: Path) -> None:
    text = template(SCOPE)
    assert "script" not in text.replace("scripted", "")
    path = tmp_path / "predictions.toml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(BadInput, match="predicts nothing"):
        read(path, SCOPE)
    path.write_text(text.replace("# task", "task"), encoding="utf-8")
    assert {m: list(tasks) for m, tasks in read(path, SCOPE).models.items()} == {
        "m": ["task_01", "task_02"]
    }


def test_the_template_takes_any_name_of_a_model_or_a_task(tmp_path: Path) -> None:
    names = ("gpt-4.1:nano", "a.b", 'quo"ted', "späte aufgabe \U0001f600")
    scope = Scope("c\nd", names[:2], (), names[2:], 3)
    path = tmp_path / "predictions.toml"
    text = template(scope).replace("# quo", "quo").replace('# "', '"')
    path.write_text(text, encoding="utf-8")
    assert {m: set(tasks) for m, tasks in read(path, scope).models.items()} == {
        "gpt-4.1:nano": set(names[2:]),
        "a.b": set(names[2:]),
    }


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[models.n]\ntask_01 = {}", ["models.n", "no model", "known: m"]),
        ("[models.m]\ntask_0 = {}", ["models.m.task_0", "did you mean 'task_0"]),
        ("[models.script]\ntask_01 = {}", ["models.script", "is scripted"]),
        ("[models.m]\ntask_01 = { pases = 1, confidence = 0 }", ["did you mean 'passes'?"]),
        ("[models.m]\ntask_01 = { passes = 1 }", ["models.m.task_01", "'confidence' is missing"]),
        ("[models.m]\ntask_01 = { passes = 4, confidence = 0 }", ["4 of 3 runs cannot pass"]),
        ("[models.m]\ntask_01 = { passes = inf, confidence = 0 }", ["inf of 3 runs"]),
        ("[models.m]\ntask_01 = { passes = nan, confidence = 0 }", ["passes", "got nan"]),
        ("[models.m]\ntask_01 = { passes = 1, confidence = 1.0 }", ["confidence", "0.99"]),
        (
            '[models.m]\ntask_01 = { passes = 1, confidence = 0, failure_mode = "pass" }',
            ["failure_mode", "'wrong_answer' or 'gave_up'"],
        ),
        ("[models.m]\ntask_01 = 3", ["models.m.task_01", "not a table"]),
        ("models = 3", ["models", "not a table"]),
        ("[model.m]\ntask_01 = {}", ["unknown key 'model'", "did you mean 'models'?"]),
        ("author = 3", ["author"]),
        ("author = = 3", ["not valid TOML"]),
        ("", ["predicts nothing"]),
    ],
)
def test_what_is_wrong_in_a_predictions_file_is_named(
    tmp_path: Path, text: str, words: list[str]
) -> None:
    path = tmp_path / "predictions.toml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(BadInput) as refusal:
        read(path, SCOPE)
    for word in (str(path), *words):
        assert word in str(refusal.value)


async def test_predictions_are_written_filled_in_filed_by_the_first_run_and_scored(
    make_campaign: MakeCampaign,
) -> None:
    async with endpoint(stream(delta("no"), finish("stop"))) as server:
        folder = make_campaign(ORACLE + REMOTE.format(url=server.base_url), runs_per_task=1)
        written = await asyncio.to_thread(fairtrial, "predict", folder)
        assert "predictions.toml: written" in written.stdout
        path = folder / "predictions.toml"
        refused = await asyncio.to_thread(fairtrial, "run", folder)
        assert refused.returncode == 2
        assert "predicts nothing" in refused.stderr
        assert not (folder / "data").exists()
        text = path.read_text(encoding="utf-8")
        text = text.replace("# task", "task").replace("passes = 1", "passes = 0")
        path.write_text(text, encoding="utf-8")
        before = await asyncio.to_thread(fairtrial, "predict", folder)
        assert "4 of 4 tasks are predicted" in before.stdout
        assert digest(path) in before.stdout
        campaign = await asyncio.create_subprocess_exec(
            *command("run", folder, "--skip-preflight"), stdout=asyncio.subprocess.DEVNULL
        )
        assert await asyncio.wait_for(campaign.wait(), HANGS) == 0
    manifest = read_manifest(CampaignFolder(folder))
    assert manifest is not None
    assert manifest.predictions is not None
    assert manifest.predictions.digest == digest(path)
    assert manifest.predictions.filed_at == manifest.started_at
    table = pd.read_csv(folder / "verification" / "predictions.csv").set_index("task")
    # "no" is wrong four times, and was foretold: p = 0.1, so (0.1)^2.
    assert table.loc["(all)", "brier"] == pytest.approx(0.01)
    assert table.loc["(all)", "failures_as_foretold"] == 4
    after = await asyncio.to_thread(fairtrial, "predict", folder)
    assert "Filed before the first run" in after.stdout
    assert "0.010" in after.stdout
    path.write_text(text.replace("0.8", "0.9"), encoding="utf-8")
    changed = await asyncio.to_thread(fairtrial, "predict", folder)
    assert "not scored" in changed.stdout


def test_predicting_what_scripts_do_is_refused(make_campaign: MakeCampaign) -> None:
    done = fairtrial("predict", make_campaign(ORACLE))
    assert done.returncode == 2
    assert "all of its models are scripted" in done.stderr
