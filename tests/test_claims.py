"""The author's numbers: each is a cell's, has its source, or is found."""

from __future__ import annotations

import re
import time
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from harness.errors import BadInput
from harness.records import OutcomeName, Signal
from harness.store import CampaignFolder
from tests.conftest import NOTHING, ORACLE, MakeCampaign, fairtrial
from tests.transcripts import ending, plan_of, play, started, turn, write
from verification import verify
from verification.citations import Cell, Sheets
from verification.claims import differences, prose, unproved
from verification.predictions import COLUMNS
from verification.tables import Table

GEMMA = "gemma-4-12b-it-q4_k_m"
# Runs of 3 that passed, and how each other one ended.
ENDINGS: dict[str, tuple[int, OutcomeName]] = {
    **{f"task_{number:02}": (3, "wrong_answer") for number in (1, 2, 4, 6, 7, 8)},
    **{f"task_{number:02}": (2, "wrong_answer") for number in (3, 5)},
    **{f"task_{number:02}": (0, "infrastructure_error") for number in (9, 10)},
}
TASKS = {"task_03_investigate_log", "task_05_minimal_fix", "task_09_know_when_to_stop"}
KNOWN = {GEMMA, "agentic-core-v1", f"2026-06-10-{GEMMA}-agentic-core-v1", *TASKS}


def play_gemma(path: Path) -> Path:
    plan = plan_of(tasks=tuple(ENDINGS))
    for task, (passed, other) in ENDINGS.items():
        for repetition in (1, 2, 3):
            outcome: OutcomeName = "pass" if repetition <= passed else other
            play(path, plan, outcome, task=task, repetition=repetition, cause="unreachable")
    return path


@pytest.fixture(scope="module")
def gemma(tmp_path_factory: pytest.TempPathFactory) -> list[Table]:
    """The evidence of the published campaign: 22 of 30 passed, 6 were infrastructure's."""
    return verify.derive(CampaignFolder(play_gemma(tmp_path_factory.mktemp("gemma"))))


@pytest.fixture(scope="module")
def two_models(tmp_path_factory: pytest.TempPathFactory) -> list[Table]:
    """Two models and a script on one task; the first model's calls are 0, 0 and 1."""
    path = tmp_path_factory.mktemp("two")
    plan = plan_of(models=("m", "n", "script"), tasks=("task_09_know_when_to_stop",))
    for repetition, calls in ((1, 0), (2, 0), (3, 1)):
        where: dict[str, Any] = {"task": plan.tasks[0], "repetition": repetition}
        play(path, plan, "wrong_answer", calls=calls, **where)
        play(path, plan, "pass", calls=2, model="n", **where)
    hostile = Signal(turn=1, name="template_leakage", detail="](javascript:alert(1)) <script>")
    header = started(plan, model="script", kind="scripted", task=plan.tasks[0])
    write(path, header, [*turn(1, text="x"), hostile, *ending("wrong_answer")])
    return verify.derive(CampaignFolder(path))


def said(citation: str, tables: list[Table]) -> str:
    """What a citation alone becomes, without its link."""
    line = prose(f"{{{{ {citation} }}}}", tables, "notes.md")
    assert line.startswith("[")
    return line[1:].partition("](verification/")[0]


def numbers(text: str, tables: list[Table], known: set[str] = KNOWN) -> list[str]:
    return [one.number for one in unproved(text, tables, known)]


@pytest.mark.parametrize(
    ("citation", "words"),
    [
        ("pass_rate_by_task[(all)].effective", "91.7%"),
        ("pass_rate_by_task[(all)].effective_rate", "91.7%"),
        ("pass_rate_by_task[ task_05 ].effective", "66.7%"),
        ('pass_rate_by_task[m, "task_05"].effective', "66.7%"),
        ("pass_rate_by_task[task=task_05, model=m].effective", "66.7%"),
        ("pass_rate_by_task[(all)].effective | percent(0)", "92%"),
        ("pass_rate_by_task[(all)].effective | percent(3)", "91.667%"),
        ("pass_rate_by_task[(all)].effective | cell", "0.916667"),
        ("pass_rate_by_task[(all)].effective | round(2)", "0.92"),
        ("pass_rate_by_task[(all)].effective | k_of_n", "22/24"),
        ("pass_rate_by_task[(all)].raw | k_of_n", "22/30"),
        ("pass_rate_by_task[(all)].coverage | k_of_n", "24/30"),
        ("failure_mode_histogram[infrastructure_error].share | k_of_n", "6/30"),
        ("pass_rate_by_task[(all)].pass", "22"),
        ("pass_rate_by_task[task_01].effective", "100%"),
        ("pass_rate_by_task[task_01].effective | percent(1)", "100.0%"),
        ("pass_rate_by_task[task_09].effective", "unknown"),
        ("pass_rate_by_task[task_09].effective | percent", "unknown"),
        ("latency_distribution[task_01].run_seconds_mean", "10.0"),
        ("cost_breakdown.tokens_input", "4,800"),
        ("cost_breakdown.usd", "unknown"),
        ("runs[task_05, 3].outcome", "wrong_answer"),
    ],
)
def test_a_citation_becomes_its_cell_as_people_write_it(
    gemma: list[Table], citation: str, words: str
) -> None:
    assert said(citation, gemma) == words


def test_a_value_is_linked_to_the_csv_that_proves_it(gemma: list[Table]) -> None:
    text = "It passed {{ pass_rate_by_task[(all)].effective }}, and\nno more.\n"
    assert prose(text, gemma, "notes.md") == (
        "It passed [91.7%](verification/pass_rate_by_task.csv), and\nno more.\n"
    )


def test_a_source_becomes_a_footnote_once(gemma: list[Table]) -> None:
    text = '{{ source("7.5 GB", "the card") }} and {{ source("20 GB", "the card") }}.\n'
    assert prose(text, gemma, "notes.md") == (
        "7.5 GB[^source-1] and 20 GB[^source-1].\n\n[^source-1]: the card\n"
    )
    assert numbers(text, gemma) == []


def test_a_script_is_no_model_to_choose_between(two_models: list[Table]) -> None:
    with pytest.raises(BadInput, match="say of which model: m, n"):
        said("pass_rate_by_task[(all)].pass", [t for t in two_models if t.name != "runs.csv"])
    assert said("pass_rate_by_task[n, task_09].raw | k_of_n", two_models) == "3/3"


def test_the_only_model_need_not_be_named_nor_one_whose_name_begins_another(
    tmp_path: Path,
) -> None:
    plan = plan_of(models=("m", "script"), runs_per_task=1)
    play(tmp_path / "one", plan, "pass")
    play(tmp_path / "one", plan, "wrong_answer", model="script", kind="scripted")
    one = verify.derive(CampaignFolder(tmp_path / "one"))
    assert said("pass_rate_by_task[(all)].raw | k_of_n", one) == "1/1"
    assert said("pass_rate_by_task[script, (all)].raw | k_of_n", one) == "0/1"
    plan = plan_of(models=("m", "m-2"), runs_per_task=1)
    play(tmp_path / "two", plan, "pass")
    play(tmp_path / "two", plan, "wrong_answer", model="m-2")
    two = verify.derive(CampaignFolder(tmp_path / "two"))
    assert said("pass_rate_by_task[m, (all)].raw | k_of_n", two) == "1/1"


def test_code_is_left_as_it_is(gemma: list[Table]) -> None:
    text = "`{{ no.citation }}` and {{ cost_breakdown.usd }}\n\n```\n{% for %} {{ x }}\n```\n"
    assert prose(text, gemma, "notes.md") == text.replace(
        "{{ cost_breakdown.usd }}", "[unknown](verification/cost_breakdown.csv)"
    )


@pytest.mark.parametrize(
    ("citation", "words"),
    [
        (
            "pass_rates[task_05].effective",
            "no table 'pass_rates'; did you mean 'pass_rate_by_task'?",
        ),
        ("pass_rate_by_task[task_55].effective", "no row of pass_rate_by_task has 'task_55'; did"),
        (
            "pass_rate_by_task[task_0].effective",
            "9 rows of pass_rate_by_task fit; say of which task",
        ),
        ("pass_rate_by_task.effective", "say of which task: (all), task_01"),
        ("pass_rate_by_task[task_05].efective", "did you mean 'effective'?"),
        ("pass_rate_by_task[task_05].effective_", "several columns begin with 'effective_'"),
        ("pass_rate_by_task[task_05].r", "several columns begin with 'r'"),
        ("pass_rate_by_task[task_05].effective | persent", "did you mean 'percent'?"),
        ("pass_rate_by_task[task_05].effective | percent(99)", "no filter 'percent(99)'"),
        ("pass_rate_by_task[task_05].pass | k_of_n", "no count out of others"),
        ("runs[task_05, 3].outcome | percent", "outcome holds no number"),
        ('pass_rate_by_task["task_05].effective', "cannot be read"),
        ("pass_rate_by_task[task_05]", "no citation of a cell"),
        ("findings[x].detail", "no row of findings has 'x'"),
        ("findings.detail", "findings has no rows yet"),
        ('source("7.5 GB")', "no citation of a cell"),
        ('source("7.5 GB", " ")', "where it is from"),
        ("", "no citation of a cell"),
    ],
)
def test_a_citation_that_names_no_cell_is_refused_with_what_there_is(
    gemma: list[Table], citation: str, words: str
) -> None:
    with pytest.raises(BadInput) as refusal:
        prose(f"first line\n\n{{{{ {citation} }}}}", gemma, "notes.md")
    assert str(refusal.value).startswith("notes.md:3: ")
    assert words in str(refusal.value)


@pytest.mark.parametrize(
    "hostile",
    [
        "{{ ''.__class__.__mro__ }}",
        "{{ 9**9**9**9 }}",
        "{{ runs.__class__ }}",
        "{{ cycler.__init__.__globals__.os.popen('id') }}",
        "{{ pass_rate_by_task[" + "(" * 100_000 + "].pass }}",
        "{{ pass_rate_by_task" + " " * 100_000 + "}}",
        "{{" + "{" * 1000 + "}}",
        "{% for i in range(10**9) %}{% endfor %}",
        "{# hidden #}",
        "{{ never closed",
        "<b>{{ never closed</b>",
        "<div>\n{% for x in y %}\n</div>",
        "an \U000f0000 of its own",
    ],
)
def test_hostile_notes_are_refused_with_a_sentence_at_once(
    gemma: list[Table], hostile: str
) -> None:
    began = time.process_time()
    with pytest.raises(BadInput, match=r"^notes.md:\d: ") as refusal:
        prose(hostile, gemma, "notes.md")
    assert len(str(refusal.value)) < 600
    assert time.process_time() - began < 5


def test_what_a_model_wrote_is_no_markup_where_it_is_cited(two_models: list[Table]) -> None:
    line = prose("{{ findings[script].detail }}", two_models, "notes.md")
    assert r"\](javascript:alert(1)) &lt;script>" in line
    assert "<script" not in line


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("It passed 91.7% of them.", ["91.7%"]),
        ("22/30 and 3/3.", ["22/30", "3/3"]),
        (
            "It cost $0.03, for 1,024 tokens of 4k, at -3 (p = 0.40).",
            ["$0.03", "1,024", "4k", "-3", "0.40"],
        ),
        ("**91**.7% and 9*1*.7%", ["91.7%", "91.7%"]),
        ("&#57;1.7% and 9\\.5", ["91.7%", "9.5"]),
        ("\u0663 and \u00bd and \u2461 and \uff19", ["\u0663", "\u00bd", "\u2461", "\uff19"]),
        ("| model | score |\n|---|---|\n| m | 22 |", ["22"]),
        ("## The 12 that counted", ["12"]),
        ("![a chart of 8 bars](chart.png)", ["8"]),
        ('[the runs](runs.csv "all 30")', ["30"]),
        ("[22](runs.csv)", ["22"]),
        ("<details><summary>5 of them</summary>\n6</details>", ["5", "6"]),
        ("<b>7</b> <!-- 8 -->", ["7"]),
        ("It is so.[^a]\n\n[^a]: Of 14 runs.", ["14"]),
        ("[^91.7%] has no footnote.", ["91.7%"]),
        ("Eight of ten task types, ninety per cent", ["Eight of ten", "ninety per cent"]),
        ("Twenty-two runs passed.", ["Twenty-two runs"]),
        ("It was twenty-two\nruns, half\nof them long", ["twenty-two runs", "half"]),
        ("It was seven\n\nruns", []),
        ("It passed twenty-two, and failed two.", ["passed twenty-two", "failed two"]),
        ("Twenty-two of its own planned runs", ["Twenty-two"]),
        ("a third failed, and a quarter of the runs", ["a third", "a quarter"]),
        ("two thirds; three-quarters", ["two thirds", "three-quarters"]),
        ("A dozen runs, a dozen failed", ["dozen runs", "dozen failed"]),
        ("half of the runs, half the tasks", ["half", "half the tasks"]),
        ("all three runs; two more failed runs", ["three runs", "two more failed runs"]),
        ("On one task it passed one run.", ["one task", "passed one"]),
        ("None of the runs, none passed", ["None of the runs", "none passed"]),
        ("six were passed", ["six were passed"]),
        ("the model's score of ninety", ["score of ninety"]),
        ("On the A10G in 2026-06-11T10:10:02Z", ["A10G", "2026-06-11T10:10:02Z"]),
        ("tasks 09 and 10", ["09", "10"]),
        ("the XL12B", ["XL12B"]),
        ("2{{ pass_rate_by_task[task_01].pass }}3", ["2", "3"]),
    ],
)
def test_a_bare_number_is_found_however_it_is_spelled(
    gemma: list[Table], text: str, found: list[str]
) -> None:
    assert numbers(text, gemma) == found


@pytest.mark.parametrize(
    "text",
    [
        "Gemma 4 12B and gemma-4-12b-it-Q4_K_M, the 12B at Q4_K_M, and Gemma 4's task.",
        "On agentic-core-v1, task_05 and Task 5 and task_05_minimal_fix.",
        f"Campaign 2026-06-10-{GEMMA}-agentic-core-v1.",
        "`91.7%` and ``22/30``\n\n```\n3/3\n```\n\n    14.6\n",
        "1. first\n2. second\n\n7) third",
        "[there](https://example.org/2026/06#4) <https://example.org/5> https://example.org/6",
        "It is so.[^1]\n\n[^1]: Said elsewhere.",
        "Both of the two models did it, one of them twice; none in the first.",
        "Both failed. The two models passed; one of the models, or one of the two models, did not.",
        "The third run; a second task; it failed twice; two ways of asking; one that passes.",
        "{{ pass_rate_by_task[(all)].effective }}",
        "<span data-n='5'>words</span>",
    ],
)
def test_what_is_no_claim_is_left_alone(gemma: list[Table], text: str) -> None:
    assert numbers(text, gemma) == []


def test_a_date_is_part_of_no_name_on_its_own(gemma: list[Table]) -> None:
    assert numbers("It ran on 2026-06-10.", gemma) == ["2026-06-10"]
    assert numbers("Gemma 4 30 of them, gemma 12", gemma) == ["30", "12"]
    assert numbers("It passed 7 of them.", gemma, {"7", "3-7"}) == ["7"]


def test_a_bare_number_names_its_line_and_the_citation_to_write(gemma: list[Table]) -> None:
    text = "# Notes\n\nOn its own runs\nit reached 91.7% (22/24),\n66.7% on task_05, raw 22/30.\n"
    found = unproved(text, gemma, KNOWN)
    assert [(one.line, one.number) for one in found] == [
        (4, "91.7%"),
        (4, "22/24"),
        (5, "66.7%"),
        (5, "22/30"),
    ]
    assert [one.suggestion for one in found] == [
        "{{ pass_rate_by_task[(all)].effective }}",
        "{{ pass_rate_by_task[(all)].effective | k_of_n }}",
        "{{ pass_rate_by_task[task_05].raw }}",
        "{{ pass_rate_by_task[(all)].raw | k_of_n }}",
    ]


def test_every_suggestion_gives_the_number_as_it_was_written(gemma: list[Table]) -> None:
    text = "91.7%, 92%, 22/24, 6/30, pass 22, 4,800, 10.0s, 20.0% on all; on task_03 66.667%."
    for one in unproved(text, gemma, KNOWN):
        assert one.suggestion is not None, one
        words = said(one.suggestion.strip("{} "), gemma)
        assert words == one.number.removesuffix("s")


RATES = {
    "pass_rate_by_task": {
        *("raw_rate", "effective_rate", "coverage", "raw_low", "raw_high"),
        *("effective_low", "effective_high", "suite_low", "suite_high"),
    },
    "pass_at_k": {
        *("pass_at_k", "pass_at_k_low", "pass_at_k_high"),
        *("pass_hat_k", "pass_hat_k_low", "pass_hat_k_high"),
    },
    "failure_mode_histogram": {"share"},
    "leakage": {
        f"{of}_{what}"
        for of in ("leaked", "strict", "nudged", "recovered")
        for what in ("rate", "low", "high")
    },
    "predictions": {"probability"},
}
"""By CSV, the columns that docs/evidence.md calls a rate, a share or a chance."""


def test_every_rate_of_every_csv_is_written_and_suggested_as_a_percentage(
    gemma: list[Table],
) -> None:
    filed = pd.DataFrame({"model": ["m"], "task": ["task_01"], "probability": [0.925]})
    predicted = filed.reindex(columns=COLUMNS)
    tables = [*gemma, Table("predictions.csv", ("model", "task"), predicted)]
    sheets = Sheets(tables)
    alike = re.compile(r"rate|share|coverage|probability|.*_(low|high)|pass_(at|hat).*|.*_rate")
    for name in sheets.names:
        columns = sheets.rows(name)[0] if sheets.rows(name) else {}
        rates = {column for column in columns if alike.fullmatch(column)}
        assert rates - {"brier_skill_low", "brier_skill_high"} == RATES.get(name, set())
    for name, column in [(table, column) for table in RATES for column in RATES[table]]:
        told = [row for row in sheets.rows(name) if row[column] not in ("", "0.000000")]
        if not told and name == "leakage":
            continue  # nothing leaked in these runs, and nothing was rescued
        row = told[0]
        words = sheets.words(Cell(name, row, column))
        assert words == f"{float(row[column]):.1%}".replace("100.0%", "100%"), column
        (bare,) = unproved(f"{column}: {row.get('task', '')} {words}", tables, KNOWN | {*ENDINGS})
        assert bare.number == words
        assert bare.suggestion is not None, column
        assert said(bare.suggestion.strip("{} "), tables) == words


def test_a_false_number_finds_no_cell_that_says_it(two_models: list[Table]) -> None:
    # As published: "0 tool calls in all three runs", where the mean of 0, 0 and 1 is 0.3.
    text = "On task_09 the model m dispatched 0 tool calls on average, not 0.3."
    assert numbers(text, two_models) == ["0", "0.3"]
    mean = "tool_calls_by_task[m, task_09].mean"
    assert said(f"{mean} | round(1)", two_models) == "0.3"
    suggestions = [one.suggestion for one in unproved(text, two_models, KNOWN)]
    assert suggestions[1] == f"{{{{ {mean} | round(1) }}}}"
    assert mean not in str(suggestions[0])


def test_long_notes_are_read_in_no_time(gemma: list[Table]) -> None:
    began = time.process_time()
    line = (
        "It passed {{ pass_rate_by_task[(all)].effective }} of `its` **own** runs, Gemma 4 12B.\n"
    )
    assert numbers(line * 2000, gemma) == []
    assert prose(line * 2000, gemma, "notes.md").count("91.7%") == 2000
    assert time.process_time() - began < 30


def test_a_line_that_was_changed_by_hand_is_named_with_both_values() -> None:
    derived = "# A report\n\n22/30 passed, 73.3% of all.\nThe end.\n"
    assert differences(derived, derived) == []
    assert differences(derived.replace("22/30", "23/30"), derived) == [
        '3: "23/30 passed, 73.3% of all." on disk, "22/30 passed, 73.3% of all." derived'
    ]
    assert differences(derived.replace("73.3%", "76.7%"), derived) == [
        '3: "76.7% of all." on disk, "73.3% of all." derived'
    ]
    assert differences(derived + "More.\n", derived) == ['5: not derived: "More."']
    assert differences("# A report\n\nThe end.\n", derived) == [
        '3: missing, derived: "22/30 passed, 73.3% of all."'
    ]
    assert differences(derived.rstrip("\n"), derived) == ["4: the line ends differ"]


def test_a_long_report_of_which_every_line_was_changed_is_compared_in_no_time() -> None:
    story = "**task_01, run {0}**\n\n- It was asked: {0}\n- It answered: {0}{1}\n- Rejected: x\n\n"
    derived = "".join(story.format(n, "") for n in range(1000))
    began = time.process_time()
    found = differences("".join(story.format(n, "!") for n in range(1000)), derived)
    assert len(found) == 1000
    assert found[0] == '4: "0!" on disk, "0" derived'
    assert found[-1] == '5998: "999!" on disk, "999" derived'
    assert time.process_time() - began < 5


def test_a_line_put_into_a_long_report_is_the_only_one_named() -> None:
    derived = "".join(f"line {n}\n" for n in range(5000))
    altered = derived.replace("line 2500\n", "line 2500\nMore.\n")
    assert differences(altered, derived) == ['2502: not derived: "More."']


def test_a_number_changed_by_hand_is_caught_and_named(make_campaign: MakeCampaign) -> None:
    folder = make_campaign(ORACLE + NOTHING)
    assert fairtrial("run", folder).returncode == 0
    notes = folder / "notes.md"
    cited = "{{ pass_rate_by_task[oracle, (all)].raw | k_of_n }}"
    notes.write_text(f"The oracle passed\n{cited} on first-steps-v1.\n", encoding="utf-8")
    done = fairtrial("check-claims", folder)
    assert done.returncode == 0, done.stdout + done.stderr
    notes.write_text("The oracle passed\n11/12 on first-steps-v1.\n", encoding="utf-8")
    done = fairtrial("check-claims", folder)
    assert done.returncode == 1
    assert 'notes.md:2: "11/12" is proved by no cell' in done.stdout
    notes.write_text("The oracle passed\n12/12 on first-steps-v1.\n", encoding="utf-8")
    assert f'"12/12" cites no cell; write {cited}' in fairtrial("check-claims", folder).stdout
    notes.write_text("{{ pass_rate[oracle].pass }}", encoding="utf-8")
    done = fairtrial("check-claims", folder)
    assert done.returncode == 2
    assert done.stderr.startswith("fairtrial: notes.md:1: ")
    notes.write_text("Words.", encoding="utf-8")
    assert fairtrial("report", folder).returncode == 0
    report = folder / "report.md"
    report.write_text(report.read_text(encoding="utf-8").replace("12/12", "13/12"), "utf-8")
    done = fairtrial("check-claims", folder)
    assert done.returncode == 1
    assert '"13/12' in done.stdout
    (folder / "report" / "index.html").write_text("12 of 12", encoding="utf-8")
    assert "report/index.html:" in fairtrial("check-claims", folder).stdout
    csv = folder / "verification" / "pass_rate_by_task.csv"
    csv.write_text(csv.read_text(encoding="utf-8").replace(",12,", ",13,"), encoding="utf-8")
    done = fairtrial("check-claims", folder)
    assert done.returncode == 1
    assert "pass_rate_by_task.csv: row" in done.stdout


def test_a_campaign_without_its_manifest_has_the_names_that_its_transcripts_hold(
    make_campaign: MakeCampaign,
) -> None:
    folder: Path = make_campaign(ORACLE)
    plan = plan_of(models=("gemma-4-12b",), tasks=("task_05_fix",))
    play(folder, plan, "pass", model="gemma-4-12b", task="task_05_fix")
    assert fairtrial("verify", "--write", folder).returncode == 0
    notes = folder / "notes.md"
    notes.write_text("Gemma 4 did task 5 of suite-v1, unlike 7B.", encoding="utf-8")
    done = fairtrial("check-claims", folder)
    assert done.returncode == 1, done.stderr
    assert [line.partition(" is ")[0] for line in done.stdout.splitlines()] == ['notes.md:1: "7B"']


def test_claims_need_a_campaign_that_has_run_and_notes_that_can_be_read(
    make_campaign: MakeCampaign,
) -> None:
    folder: Path = make_campaign(ORACLE)
    done = fairtrial("check-claims", folder)
    assert done.returncode == 2
    assert "nothing has run yet" in done.stderr
    assert fairtrial("run", folder).returncode == 0
    assert fairtrial("check-claims", folder).returncode == 0  # without notes nothing is claimed
    (folder / "notes.md").write_bytes(b"\xff\xfe")
    done = fairtrial("check-claims", folder)
    assert done.returncode == 2
    assert "cannot be read" in done.stderr
