"""A report says what the transcripts say, and what is not known; hostile words stay words."""

from __future__ import annotations

import html
import re
from collections.abc import Sequence
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import pytest
from markdown_it import MarkdownIt

from harness.errors import BadInput
from harness.records import (
    Budgets,
    Change,
    Check,
    Ended,
    Entry,
    Event,
    Graded,
    Left,
    Outcome,
    OutcomeName,
    Reply,
    Sampling,
    Signal,
    ToolCall,
    ToolResult,
)
from harness.store import CampaignFolder
from tests.conftest import ORACLE, MakeCampaign, fairtrial
from tests.transcripts import NOON, ending, plan_of, play, started, turn, write
from verification.evidence import read
from verification.report import notes, render
from verification.report import write as write_report
from verification.report.document import Prose, Section
from verification.report.transcript import LONGEST, MOST_OF_A_PAGE, pages
from verification.summary import DASH
from verification.verify import write as write_evidence

HOSTILE = (
    "<script>document.title='owned'</script><img src=x onerror=\"document.title='owned'\">"
    "</title></style></pre></details>]]><!-- [a](javascript:alert(1)) javascript:alert(1) "
    "https://evil.example www.evil.example @somebody {{ 7 * 7 }} {% raw %} "
    "\x1b[31mred\x1b]0;owned\x07 \u202egnp.exe\u200b | `code` **bold** # heading"
)
TASKS = ("task_01", "task_02")


def text_turn(number: int, text: str, **more: Any) -> Reply:
    return Reply(turn=number, text=text, finish_reason="stop", model_seconds=1.0, **more)


def hostile_events(text: str = HOSTILE) -> list[Event]:
    """A run in which everything that a model or a tool can write is ``text``."""
    call = ToolCall(id="c", name=text, arguments=text)
    return [
        text_turn(1, text, reasoning=text, raw=text, tool_calls=(call,)),
        ToolResult(turn=1, call_id="c", name=text, content=text, ok=False, seconds=0.1),
        Signal(turn=1, name="unknown_tool", detail=text),
        text_turn(2, text),
        Ended(turn=2),
        Left(
            changes=(
                Change(
                    path=text,
                    before=Entry(kind="text", content=f"a\n{text}\n"),
                    after=Entry(kind="text", content=f"b\n{text}!\n"),
                ),
            )
        ),
        Graded(checks=(Check(name="answer", passed=False, detail=text),), seconds=0.1),
        Outcome(outcome="wrong_answer", signals=("unknown_tool",), seconds=3.0, ended_at=NOON),
    ]


def campaign(path: Path, *, hostile: Sequence[Event] = ()) -> CampaignFolder:
    """A pass, a wrong answer, a run that gave up, one that the world spoiled and was made again
    in vain, and two that are owed."""
    plan = plan_of(models=["m"], tasks=TASKS, runs_per_task=3)
    (path / "campaign.toml").parent.mkdir(parents=True, exist_ok=True)
    (path / "campaign.toml").write_text('suite = "suite-v1"\n', encoding="utf-8")
    play(path, plan, "pass", task="task_01", repetition=1)
    write(path, started(plan, repetition=2), hostile or hostile_events("a plain word"))
    play(path, plan, "gave_up", task="task_01", repetition=3, calls=3)
    spoiled = play(path, plan, "infrastructure_error", task="task_02", cause="rate_limited")
    spoiled.rename(spoiled.with_name(f"{spoiled.stem}.attempt-1.jsonl"))
    play(path, plan, "infrastructure_error", task="task_02", attempt=2, cause="unreachable")
    return CampaignFolder(path)


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A campaign with its report, to be looked at only."""
    path = tmp_path_factory.mktemp("plain")
    write_report(campaign(path))
    return path


@pytest.fixture(scope="module")
def page(plain: Path) -> str:
    """Its page."""
    return (plain / "report" / "index.html").read_text(encoding="utf-8")


def index(folder: CampaignFolder) -> str:
    return str(render(folder)["report/index.html"])


def page_of_run_2(folder: CampaignFolder) -> tuple[str, str]:
    """The UUID and the page of the second run of task_01."""
    run = started(plan_of(models=["m"], tasks=TASKS), repetition=2).run
    return run, dict(pages(folder, read(folder)))[f"{run}.html"]


def words(page: str) -> str:
    """What is to be read on a page, without markup, spaces collapsed."""
    body = page.split("</style>")[1]
    return " ".join(html.unescape(re.sub(r"<wbr>|</?[a-z][^>]*>", " ", body)).split())


def section(page: str, title: str) -> str:
    """The words of the section under a heading."""
    parts = re.split(r"</?section[^>]*>", page)
    found = [part for part in parts if f">{title} <" in part]
    assert len(found) == 1
    return " ".join(html.unescape(re.sub(r"<wbr>|<[^>]*>", "", found[0])).split())


def test_the_result_comes_with_coverage_and_interval(page: str) -> None:
    text = section(page, "The result")
    cells = ["m", "1/6", "17%", "17|67%", "50%", "33%", "6|79%"]
    assert "".join(cells).replace("|", DASH) in text.replace(" ", "")


def test_the_first_words_say_the_result_and_what_is_not_the_models(page: str) -> None:
    text = words(page)
    assert "m passed 1 of 6 planned runs (17%), 3 of them its own, of which it passed 33%" in text


def test_every_failure_of_the_models_has_its_story_and_no_other_run(page: str) -> None:
    text = section(page, "Every failure, and its story")
    assert "m: 2 failures" in text
    assert "task_01, run 2: wrong answer" in text
    assert "It answereda plain word" in text
    assert "answer: a plain word" in text
    assert "unknown_tool in turn 1: a plain word" in text
    assert "task_01, run 3: gave up (turns)" in text
    assert "fs_read {} \N{MULTIPLICATION SIGN} 3" in text
    assert "run 1" not in text
    assert "task_02" not in text


def test_what_the_world_spoiled_stands_apart_with_its_cause(page: str) -> None:
    text = section(page, "What the world spoiled")
    assert "1 run ended in an infrastructure error" in text
    assert "1 earlier attempt failed so and was made again" in text
    assert "rate limited" in text
    assert "unreachable" in text


def test_what_was_looked_for_and_not_seen_is_unobserved(page: str) -> None:
    text = section(page, "What was looked for and not seen")
    assert "[Unobserved]" in text
    assert "token_ceiling: 0 of 4 runs" in text
    assert "unknown_tool" not in text
    assert "early_commit: in 4 of 4 runs; the header does not say how many calls" in text


def test_a_pattern_counts_only_the_runs_that_could_show_it(tmp_path: Path) -> None:
    plan = plan_of(runs_per_task=3)
    for repetition, (turns, oracle_calls) in enumerate(((3, None), (5, 1), (15, 1)), start=1):
        known = {"budgets": Budgets(turns=turns), "oracle_calls": oracle_calls}
        header = started(plan, repetition=repetition).model_copy(update=known)
        write(tmp_path, header, [*turn(1, text="done"), *ending("pass")])
    text = section(index(CampaignFolder(tmp_path)), "What was looked for and not seen")
    assert "early_commit: 0 of 2 runs" in text
    assert "early_commit: in 1 of 3 runs; the header does not say how many calls" in text
    assert "long_tail_turn_count: 0 of 2 runs" in text
    assert "long_tail_turn_count: in 1 of 3 runs; too few turns were allowed" in text
    assert "token_ceiling: 0 of 3 runs" in text


def test_a_task_that_has_no_run_is_listed_with_all_that_are_owed(tmp_path: Path) -> None:
    plan = plan_of(models=["m", "n"], tasks=TASKS, runs_per_task=2)
    play(tmp_path, plan, "pass", task="task_01")
    text = section(index(CampaignFolder(tmp_path)), "Every run")
    assert "mtask_01✓ passedowed" in text
    for begun in ("mtask_02", "ntask_01", "ntask_02"):
        assert f"{begun}owedowed" in text


def test_a_model_whose_name_begins_like_a_list_begins_none(tmp_path: Path) -> None:
    names = ["1) x", "2. $y$", "- z"]
    plan = plan_of(models=names, runs_per_task=1)
    for name in names:
        play(tmp_path, plan, "pass", model=name)
    report = str(render(CampaignFolder(tmp_path))["report.md"])
    page = MarkdownIt("commonmark").enable("table").render(report)
    assert [f"<p>{name} passed 1 of 1" in page for name in names] == [True] * 3


def test_what_is_not_known_is_derived_from_what_is_missing(page: str) -> None:
    text = section(page, "What is not known")
    assert "Not played: 2 of 6 planned runs." in text
    assert "Spoiled by infrastructure, so that their end is open: 1 run." in text
    assert "m has no run of its own of task_02." in text
    assert "The manifest is missing" in text
    assert "No predictions were filed" in text
    assert "What m cost is unknown: no price is known." in text
    assert "SHA-256 of the file" in text


def test_a_certified_suite_and_a_complete_campaign_leave_less_unknown(
    make_campaign: MakeCampaign,
) -> None:
    folder = make_campaign(ORACLE, runs_per_task=1)
    assert fairtrial("run", folder).returncode == 0
    page = index(CampaignFolder.find(folder))
    text = section(page, "What is not known")
    assert "oracle: a script and no model" in text
    for gone in ("manifest", "planned", "Spoiled", "cost", "certified"):
        assert gone not in text
    run = section(page, "What was run")
    assert "certificate of the suiteholds" in run
    assert "gpunot observed" in run


def test_a_sibling_is_held_against_the_campaign_and_others_stand_beside_it(
    tmp_path: Path,
) -> None:
    plan = plan_of(models=["m"], tasks=TASKS, runs_per_task=2)
    folders = []
    results: dict[str, tuple[OutcomeName, ...]]
    results = {"ours": ("pass", "pass"), "theirs": ("pass", "wrong_answer")}
    for name, outcomes in results.items():
        for task in TASKS:
            for repetition, outcome in enumerate(outcomes, start=1):
                play(tmp_path / name, plan, outcome, task=task, repetition=repetition)
        (tmp_path / name / "campaign.toml").write_text("", encoding="utf-8")
        folders.append(CampaignFolder(tmp_path / name))
    ours, theirs = folders
    page = str(render(ours, sibling=theirs, others=[theirs])["report/index.html"])
    assert "(all 2 that both played)4/42/4A" in section(page, "Head to head").replace("A ", "A")
    link = re.search(r'href="(\.\./\.\./theirs/data/transcripts/[\w-]+\.jsonl)', page)
    assert link
    assert (tmp_path / "ours" / "report" / link[1]).resolve().is_file()
    board = section(page, "Where it stands")
    assert "4/4" in board
    assert "2/4" in board
    assert "Head to head" not in str(render(ours)["report/index.html"])


def test_a_sibling_of_other_conditions_is_refused_unless_told_to(tmp_path: Path) -> None:
    plan = plan_of(models=["m"], runs_per_task=1)
    for name, turns in (("ours", 15), ("theirs", 3)):
        (tmp_path / name).mkdir()
        (tmp_path / name / "campaign.toml").write_text("", encoding="utf-8")
        header = started(plan).model_copy(update={"budgets": Budgets(turns=turns)})
        write(tmp_path / name, header, [*turn(1), *ending("pass")])
    ours, theirs = (CampaignFolder(tmp_path / name) for name in ("ours", "theirs"))
    with pytest.raises(BadInput, match="--anyway"):
        render(ours, sibling=theirs)
    page = str(render(ours, sibling=theirs, anyway=True)["report/index.html"])
    assert "Compared although" in section(page, "Head to head")


def test_models_of_one_campaign_that_were_sampled_differently_are_compared_with_a_caveat(
    tmp_path: Path,
) -> None:
    plan = plan_of(models=["cold", "warm"], runs_per_task=1)
    for name, temperature in (("cold", 0.0), ("warm", 0.7)):
        header = started(plan, model=name)
        sampling = Sampling(temperature=temperature)
        model = header.model.model_copy(update={"sampling": sampling})
        header = header.model_copy(update={"model": model})
        write(tmp_path, header, [*turn(1), *ending("pass")])
    (tmp_path / "campaign.toml").write_text("", encoding="utf-8")
    text = section(index(CampaignFolder(tmp_path)), "Head to head")
    assert "Compared although A (cold) and B (warm) had different sampling (temperature 0" in text


def test_a_campaign_keeps_its_name_where_its_folder_is_renamed(tmp_path: Path) -> None:
    plan = plan_of(models=["m", "n"], runs_per_task=1)
    folder = tmp_path / "first"
    for model in plan.models:
        play(folder, plan, "pass", model=model)
    (folder / "campaign.toml").write_text("", encoding="utf-8")
    before = render(CampaignFolder(folder))
    pages_before = dict(pages(CampaignFolder(folder), read(CampaignFolder(folder))))
    renamed = CampaignFolder(folder.rename(tmp_path / "second"))
    assert "Campaign: trial" in str(before["report.md"])
    assert render(renamed) == before
    assert dict(pages(renamed, read(renamed))) == pages_before


def test_the_same_transcripts_give_the_same_bytes(tmp_path: Path) -> None:
    folder = campaign(tmp_path)
    write_report(folder)
    first = {path: path.read_bytes() for path in tmp_path.rglob("report*/**/*") if path.is_file()}
    write_report(folder)
    assert len(first) > 5
    assert {path: path.read_bytes() for path in first} == first
    assert render(folder) == render(folder)


class Links(HTMLParser):
    """The targets and the anchors of a page."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.targets: set[str] = set()
        self.anchors: set[str] = set()
        self.scripts = 0
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = dict(attrs)
        self.targets |= {found["href"] or ""} if tag == "a" else set()
        self.anchors |= {found["id"] or ""} if "id" in found else set()
        self.scripts += tag == "script"


def test_every_link_of_every_page_leads_to_a_file_and_a_place_in_it(tmp_path: Path) -> None:
    folder = campaign(tmp_path, hostile=hostile_events())
    (tmp_path / "notes.md").write_text("See [it](verification/runs.csv).", encoding="utf-8")
    folder.prepare()
    write_evidence(folder)
    write_report(folder)
    found = {path: Links(path.read_text(encoding="utf-8")) for path in tmp_path.rglob("*.html")}
    assert len(found) == 6
    for path, page in found.items():
        assert page.scripts == 0
        for target in page.targets:
            address = urlsplit(target)
            assert not address.scheme
            leads_to = (path.parent / unquote(address.path)).resolve() if address.path else path
            assert leads_to.is_file(), (path, target)
            if address.fragment and leads_to in found:
                assert address.fragment in found[leads_to].anchors, (path, target)


def test_an_earlier_attempt_has_its_page_and_says_that_it_does_not_count(plain: Path) -> None:
    written = sorted((plain / "report" / "runs").glob("*.html"))
    earlier = [path for path in written if ".attempt-1" in path.name]
    assert len(earlier) == 1
    assert "the latest attempt is the one that counts" in words(earlier[0].read_text("utf-8"))
    latest = earlier[0].with_name(earlier[0].name.replace(".attempt-1", ""))
    assert f'href="{earlier[0].name}"' in latest.read_text("utf-8")


def test_a_page_of_a_transcript_that_is_gone_is_removed(tmp_path: Path) -> None:
    folder = campaign(tmp_path)
    (tmp_path / "report" / "runs").mkdir(parents=True)
    stray = tmp_path / "report" / "runs" / "0-0.html"
    stray.write_text("old", encoding="utf-8")
    assert write_report(folder).pages == 5
    assert not stray.exists()


def test_a_difference_is_shown_with_signs_and_not_only_colours(plain: Path) -> None:
    run = started(plan_of(models=["m"], tasks=TASKS), repetition=2).run
    page = (plain / "report" / "runs" / f"{run}.html").read_text(encoding="utf-8")
    assert '<span class="del">-a</span>' in page
    assert '<span class="add">+b</span>' in page


def test_results_stand_below_their_calls(tmp_path: Path) -> None:
    plan = plan_of(models=["m"])
    reply, *results = turn(1, "fs_read", "shell")
    (tmp_path / "campaign.toml").write_text("", encoding="utf-8")
    write(tmp_path, started(plan), [reply, *reversed(results), *ending("pass")])
    folder = CampaignFolder(tmp_path)
    ((_, page),) = pages(folder, read(folder))
    labels = re.findall(r'class="label">(\w+ \w+)', page)
    assert labels == ["calls fs_read", "fs_read answered", "calls shell", "shell answered"]


def test_a_huge_text_loses_its_middle_and_the_page_says_where_it_is(tmp_path: Path) -> None:
    text = f"begin{'x' * 3 * LONGEST}end"
    folder = campaign(tmp_path, hostile=[text_turn(1, text), *ending("wrong_answer")])
    run, page = page_of_run_2(folder)
    assert len(page) < 2 * LONGEST
    assert f"characters are left out here; the whole is in data/transcripts/{run}.jsonl" in page
    assert "xxxend" in page


def test_a_huge_transcript_has_a_page_of_bounded_size(tmp_path: Path) -> None:
    turns = [text_turn(number, "y" * LONGEST) for number in range(1, 101)]
    folder = campaign(tmp_path, hostile=[*turns, *ending("wrong_answer", turns=100)])
    _, page = page_of_run_2(folder)
    assert MOST_OF_A_PAGE < len(page) < 1.2 * MOST_OF_A_PAGE
    assert "more texts had no room on this page" in page
    assert "The checker rejects." in page


def test_markdown_disarms_what_a_model_wrote(tmp_path: Path) -> None:
    text = str(render(campaign(tmp_path, hostile=hostile_events()))["report.md"])
    assert "<script" not in text
    assert "<img" not in text
    assert not re.search(r"(?<!\\)\]\(javascript", text)
    assert "https://evil" not in text
    assert "www.evil" not in text
    assert not re.search(r"(?<!\\)@somebody", text)
    assert not re.search(r"[\x00-\x08\x0b-\x1f\x7f\u200b\u202e]", text)
    assert r"\\x1b\[31mred" in text


def test_the_authors_words_stand_where_their_headings_say(tmp_path: Path) -> None:
    folder = campaign(tmp_path)
    (tmp_path / "notes.md").write_text(
        "# My title\n\nAn *opening*.\n\n## Mine\n\nA guess.\n\n```\n## no heading\n```\n\n"
        "## What it cost [Observed]\n\nNothing to speak of.\n",
        encoding="utf-8",
    )
    page = index(folder)
    assert "<h1>My title</h1>" in page
    assert "<em>opening</em>" in page
    assert "[Speculation] A guess. ## no heading" in section(page, "Mine")
    assert section(page, "What it cost").endswith("The author [Observed]Nothing to speak of.")
    in_order = ("In pictures", "Mine", "Every failure, and its story")
    places = [page.index(f">{title} <") for title in in_order]
    assert places == sorted(places)
    text = str(render(folder)["report.md"])
    places = [text.index(f"## {title}") for title in in_order]
    assert places == sorted(places)


def test_a_source_is_told_at_the_end_of_each_section_that_mentions_it(tmp_path: Path) -> None:
    folder = campaign(tmp_path)
    size, card = '{{ source("7 GB", "the card") }}', '{{ source("a year", "its makers") }}'
    (tmp_path / "notes.md").write_text(
        f"An opening: {size}.\n\n## Mine\n\nFirst {card}, then {size}.\n\nMore.\n\n"
        "## The result\n\nWords without.\n",
        encoding="utf-8",
    )
    rendered = render(folder)
    page, text = str(rendered["report/index.html"]), str(rendered["report.md"])
    assert section(page, "Mine").endswith("More. [source 1]: the card [source 2]: its makers")
    assert section(page, "The result").endswith("Words without.")
    opening = words(page[page.index("</style>") : page.index("<section")])
    assert opening.endswith("An opening: 7 GB [source 1]. [source 1]: the card")
    for note in ("[^source-1]: the card", "[^source-2]: its makers"):
        assert text.count(f"\n\n{note}\n\n") == 1  # or it would not resolve
    mine = text[text.index("## Mine") : text.index("## Every failure")]
    assert mine.endswith("More.\n\n[^source-2]: its makers\n\n")


def test_markdown_tells_once_what_a_task_asks_and_a_failure_in_a_few_lines(tmp_path: Path) -> None:
    plan = plan_of(models=["m", "n"], runs_per_task=2)
    asked = "Do this:\n\n  and\tthat *now*."
    call = ToolCall(id="c", name="shell", arguments="ls " * 99)
    reply = text_turn(1, "", tool_calls=(call, call.model_copy(update={"id": "d"})))
    answer = text_turn(2, f"Done.\n\n{'word ' * 100}")
    for model in plan.models:
        for repetition in (1, 2):
            header = started(plan, model=model, repetition=repetition)
            events = [reply, answer, *ending("wrong_answer", turns=2)]
            write(tmp_path, header, events, asked=asked)
    (tmp_path / "campaign.toml").write_text("", encoding="utf-8")
    text = str(render(CampaignFolder(tmp_path))["report.md"])
    assert text.count("Do this") == 1
    assert r"- **task_01**: Do this: and that \*now\*." in text
    assert r"\n" not in text
    assert "### m: 2 failures" in text
    stories = text[text.index("### n: 2 failures") : text.index("\n## What the world")]
    first = stories.split("\n- ")[1].strip().splitlines()
    assert first[0].startswith("**task_01, run 1: wrong answer** ([transcript](<data/transcripts/")
    assert first[1].startswith("  - It called: shell ls ls")
    assert first[2].startswith("  - It answered: Done. word word")
    assert first[2].endswith("\N{HORIZONTAL ELLIPSIS}")
    assert first[3] == "  - Rejected: answer: as asked"
    assert len(first) <= 5


def test_markdown_says_where_other_runs_were_asked_a_variant(tmp_path: Path) -> None:
    plan = plan_of(models=["m"], runs_per_task=2)
    for number in (1, 2):
        header = started(plan, repetition=number)
        write(tmp_path, header, [*turn(1), *ending("wrong_answer")], asked=f"Find no. {number}.")
    (tmp_path / "campaign.toml").write_text("", encoding="utf-8")
    text = str(render(CampaignFolder(tmp_path))["report.md"])
    assert "- **task_01** (run 1; others were asked a variant): Find no. 1." in text
    assert "Find no. 2." not in text


def test_no_words_of_the_author_are_lost_where_two_headings_are_alike() -> None:
    parsed = notes.parse("## Main\n\none\n\n## MAIN!\n\ntwo\n\n## The  end\n\nthree\n")
    last = Section("The end", "Observed", [])
    (main, end) = notes.woven([], [last], parsed)
    assert [block.markdown for block in main.blocks if isinstance(block, Prose)] == ["one", "two"]
    assert end.blocks == [Prose("three", "Speculation")]


def test_names_with_markup_in_them_stay_names(tmp_path: Path) -> None:
    name = "<i>m</i>{{ 7 * 7 }}</title>"
    (tmp_path / "campaign.toml").write_text("", encoding="utf-8")
    plan = plan_of(models=[name], tasks=[name])
    play(tmp_path, plan, "wrong_answer", model=name, task=name)
    page = index(CampaignFolder(tmp_path))
    assert f"<h1>{html.escape(name)} on suite-v1</h1>" in page
    assert "<i>" not in page
    assert "<i>m</i>{{ 7 * 7 }}</title>, task by task" in words(page)


def test_html_and_foreign_links_in_the_authors_words_stay_text(tmp_path: Path) -> None:
    folder = campaign(tmp_path)
    (tmp_path / "notes.md").write_text(
        "<b onclick=x>bold</b> [a](javascript:alert(1)) [b](data:text/html,x) [c](file:///etc) "
        "![d](https://x.example/d.png) [e](https://example.org) [f](//x.example)\n\n"
        "# Another top\n\n| l | r |\n|---|---:|\n| 1 | 2 |\n",
        encoding="utf-8",
    )
    page = index(folder)
    opening = page[page.index('<div class="author">') : page.index("<section")]
    assert Links(opening).targets == {"https://example.org", "https://x.example/d.png"}
    assert "<b" not in opening.replace("<blockquote", "")
    assert "<img" not in opening
    assert "style=" not in opening
    assert page.count("<h1") == 1


def test_a_fence_that_is_longer_is_closed_by_none_that_is_shorter() -> None:
    parsed = notes.parse("````\n```\n## no\n````\n## yes [unobserved]\n")
    assert [(one.title, one.mark) for one in parsed.sections] == [("yes", "Unobserved")]


def test_the_command_writes_the_report_only_where_the_csvs_it_cites_hold(tmp_path: Path) -> None:
    folder = campaign(tmp_path)
    folder.prepare()
    write_evidence(folder)
    rates = tmp_path / "verification" / "pass_rate_by_task.csv"
    right = rates.read_text(encoding="utf-8")
    rates.write_text(right.replace("0.333333", "0.933333"), encoding="utf-8")
    refused = fairtrial("report", tmp_path)
    assert refused.returncode == 1
    assert "fairtrial verify --write" in refused.stderr
    assert not (tmp_path / "report.md").exists()
    rates.write_text(right, encoding="utf-8")
    done = fairtrial("report", tmp_path)
    assert done.returncode == 0, done.stderr
    assert "5 pages of transcripts" in done.stdout
    assert done.stderr == ""
    assert (tmp_path / "report.md").is_file()


def test_the_command_says_how_many_numbers_of_the_author_no_cell_proves(tmp_path: Path) -> None:
    folder = campaign(tmp_path)
    folder.prepare()
    write_evidence(folder)
    (tmp_path / "notes.md").write_text("It took 77 hours and 4321 tries.", encoding="utf-8")
    done = fairtrial("report", tmp_path)
    assert done.returncode == 0
    assert done.stderr == (
        f"notes.md: 2 numbers that no cell proves; 'fairtrial check-claims {tmp_path}' names each "
        "with its line\n"
    )
    assert (tmp_path / "report.md").is_file()


def test_a_campaign_that_has_not_begun_has_no_report(tmp_path: Path) -> None:
    (tmp_path / "campaign.toml").write_text('suite = "suite-v1"\n', encoding="utf-8")
    done = fairtrial("report", tmp_path)
    assert done.returncode == 2
    assert done.stderr == f"fairtrial: {tmp_path}: nothing has run yet; fairtrial run {tmp_path}\n"


def test_notes_that_are_no_utf_8_are_refused(tmp_path: Path) -> None:
    folder = campaign(tmp_path)
    (tmp_path / "notes.md").write_bytes(b"\xff\xfe")
    with pytest.raises(BadInput, match=r"notes\.md: cannot be read: .*; save it as UTF-8"):
        render(folder)
