"""Pictures of a campaign: in the terminal, as PNG and SVG, and in words."""

from __future__ import annotations

import io
import re
import struct
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st
from matplotlib import rc_context
from matplotlib.image import imread
from rich.console import Console

from harness.errors import BadInput
from harness.records import OutcomeName, Plan, Usage
from harness.store import CampaignFolder
from tests.conftest import fairtrial
from tests.transcripts import ending, plan_of, play, started, turn, write
from verification import plots
from verification.evidence import Evidence, read
from verification.plots import Picture
from verification.plots._bars import Bar, Bars
from verification.plots._render import MOST_PIXELS, render
from verification.plots._strips import MOST_DOTS, Scale, compact

OUTCOMES: tuple[OutcomeName, ...] = ("pass", "pass", "wrong_answer", "infrastructure_error")
STEMS = {
    "calls": "tool_calls_by_task",
    "failures": "failure_mode_histogram",
    "latency": "latency_distribution",
    "tasks": "failure_modes_by_task",
    "tokens": "tokens_by_model",
    "turns": "turns_to_outcome",
}
SVG = "{http://www.w3.org/2000/svg}"


def printed(path: Path, kind: str = "failures", width: int = 80) -> list[str]:
    """What a chart looks like in the terminal, without colour."""
    console = Console(file=io.StringIO(), width=width)
    plots.chart(kind, evidence(path))[1].print(console)
    return lines_of(console)


def drawn(path: Path, kind: str = "failures") -> tuple[list[str], list[Path]]:
    """What ``draw`` prints, without colour, and the pictures it writes."""
    console = Console(file=io.StringIO(), width=80)
    paths = plots.draw(CampaignFolder(path), console, kind)
    return lines_of(console), paths


def lines_of(console: Console) -> list[str]:
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue().splitlines()


def campaign(path: Path, model: str = "m") -> Path:
    plan = plan_of(models=[model], runs_per_task=5)
    for repetition, outcome in enumerate(OUTCOMES, start=1):
        play(path, plan, outcome, model=model, repetition=repetition, cause="rate_limited")
    return path


def timed(path: Path, seconds: Sequence[float], *, plan: Plan | None = None, **header: Any) -> Path:
    """A campaign of passes that took so long."""
    plan = plan or plan_of(runs_per_task=len(seconds))
    for repetition, one in enumerate(seconds, start=1):
        play(path, plan, "pass", seconds=one, repetition=repetition, **header)
    return path


def evidence(path: Path) -> Evidence:
    return read(CampaignFolder(path))


def picture(path: Path, kind: str) -> Picture:
    return render(*plots.chart(kind, evidence(path)), campaign="trial")


def size_of(png: bytes) -> tuple[int, int]:
    """Width and height in pixels, from the PNG's own header."""
    width, height = struct.unpack(">II", png[16:24])
    return width, height


def test_every_failure_mode_has_its_count_share_and_bar(tmp_path: Path) -> None:
    lines = printed(campaign(tmp_path))
    rows = [re.fullmatch(r"(.*?) +(\d) \((\d+%)\) *(\S*)", line.strip()) for line in lines]
    found = [row.groups() for row in rows if row]
    assert [groups[:3] for groups in found] == [
        ("pass", "2", "40%"),
        ("wrong answer", "1", "20%"),
        ("gave up", "0", "0%"),
        ("infrastructure error: rate limited", "1", "20%"),
        ("owed", "1", "20%"),
    ]
    bars = [len(groups[3]) for groups in found]
    assert bars[0] == pytest.approx(2 * bars[1], abs=1)
    assert bars[1] == bars[3] == bars[4] > 0
    assert bars[2] == 0


def test_a_task_s_bar_has_a_part_for_each_outcome_told_apart_without_colour(tmp_path: Path) -> None:
    lines = printed(campaign(tmp_path), "tasks")
    row = next(line for line in lines if line.startswith("task_01"))
    assert re.fullmatch(r"task_01 2/5 █+▒+▚+·+ *", row)
    assert 1.7 < row.count("█") / row.count("▒") < 2.3


@pytest.mark.parametrize("kind", plots.kinds())
@pytest.mark.parametrize("width", [40, 80, 120])
def test_no_line_is_wider_than_the_terminal(tmp_path: Path, width: int, kind: str) -> None:
    lines = printed(campaign(tmp_path), kind, width)
    assert max(map(len, lines)) <= width


def test_a_narrow_terminal_loses_no_letter_of_a_label(tmp_path: Path) -> None:
    task = "task_08_recover_from_tool_error"
    play(tmp_path, plan_of(tasks=[task], runs_per_task=1), "pass", task=task)
    lines = printed(tmp_path, "calls", width=40)
    assert task in "".join(line[:20].strip() for line in lines)


def test_every_run_of_which_the_time_is_known_is_a_dot(tmp_path: Path) -> None:
    seconds = [2.0, 3.0, 5.0, 40.0, 90.0]
    lines = printed(timed(tmp_path, seconds), "latency")
    row = next(line for line in lines if line.startswith("task_01"))
    label, median, digits = row.split()
    assert (label, median) == ("task_01", "5")
    assert sum(map(int, digits.replace("·", ""))) == len(seconds)
    assert digits.endswith("1")
    assert _dots(picture(tmp_path, "latency")) == len(seconds)


def _dots(drawing: Picture) -> int:
    """Markers in the SVG's panels; those of ticks and of the legend are in groups of their own."""
    root = ElementTree.fromstring(drawing.svg)
    panels = [group for group in root.iter(f"{SVG}g") if "-axes_" in group.get("id", "")]
    lines = [part for panel in panels for part in panel if "-line2d_" in part.get("id", "")]
    return sum(1 for line in lines for _ in line.iter(f"{SVG}use"))


def test_of_very_many_runs_some_are_drawn_and_the_picture_says_so(tmp_path: Path) -> None:
    plan = plan_of(runs_per_task=MOST_DOTS + 30)
    timed(tmp_path, [10.0 + n for n in range(plan.runs_per_task)], plan=plan)
    drawing = picture(tmp_path, "latency")
    assert _dots(drawing) == MOST_DOTS
    words = "".join(ElementTree.fromstring(drawing.svg).itertext())
    assert f"Of more than {MOST_DOTS} runs in a row, {MOST_DOTS} are drawn." in words


def test_what_is_unknown_is_left_out_and_said(tmp_path: Path) -> None:
    plan = plan_of(models=["m", "oracle"], runs_per_task=2)
    play(tmp_path, plan, "pass", seconds=8.0)
    play(tmp_path, plan, "infrastructure_error", repetition=2)
    play(tmp_path, plan, "pass", model="oracle", kind="scripted")
    drawing = picture(tmp_path, "latency")
    said = [
        "Left out: oracle (a script: its seconds say nothing).",
        "Left out: 1 run that infrastructure spoiled.",
    ]
    assert _dots(drawing) == 1
    lines = printed(tmp_path, "latency")
    for words in said:
        assert words in drawing.alt
        assert words in lines
        assert words in "".join(ElementTree.fromstring(drawing.svg).itertext())


def test_a_picture_of_which_nothing_is_known_is_not_drawn(tmp_path: Path) -> None:
    play(tmp_path, plan_of(runs_per_task=1), "pass", kind="scripted")
    stems = [one.stem for one in plots.pictures(evidence(tmp_path))]
    assert "latency_distribution" not in stems
    assert "failure_mode_histogram" in stems
    lines = printed(tmp_path, "latency")
    assert "Left out: m (a script: its seconds say nothing)." in lines


def test_tokens_that_are_partly_unknown_are_counted_as_left_out(tmp_path: Path) -> None:
    plan = plan_of(runs_per_task=3)
    play(tmp_path, plan, "pass")
    for repetition, usage in enumerate((Usage(input=50, output=5), Usage()), start=2):
        said = turn(1, text="done", usage=usage)
        write(tmp_path, started(plan, repetition=repetition), [*said, *ending("pass")])
    drawing = picture(tmp_path, "tokens")
    assert "in median 125, 50 to 200 in 2 runs; of these cached median 80" in drawing.alt
    assert "Left out: 2 runs with unknown tokens." in drawing.alt


def test_the_words_tell_what_the_picture_shows(tmp_path: Path) -> None:
    told = {one.stem: one.alt for one in plots.pictures(evidence(campaign(tmp_path)))}
    assert told["failure_mode_histogram"] == (
        "Bar chart. How the runs ended. m: pass 2 (40%); wrong answer 1 (20%); gave up 0 (0%); "
        "infrastructure error: rate limited 1 (20%); owed 1 (20%)."
    )
    assert told["failure_modes_by_task"] == (
        "Bar chart. How the runs ended, by task. m: task_01 2 pass, 1 wrong answer, "
        "1 infrastructure error, 1 owed of 5."
    )
    assert told["turns_to_outcome"] == (
        "Strip plot, a dot a run. How many turns to the outcome. m: pass median 2, 2 to 2 in 2 "
        "runs; wrong answer median 2, 2 to 2 in 1 run. "
        "Left out: 1 run that infrastructure spoiled."
    )


def test_a_picture_is_the_same_bytes_every_time(tmp_path: Path) -> None:
    _, paths = drawn(campaign(tmp_path))
    first = {path.name: path.read_bytes() for path in paths}
    with rc_context({"font.size": 30, "figure.dpi": 30, "axes.facecolor": "red"}):
        _, paths = drawn(tmp_path, "turns")  # as if a person's matplotlibrc said so
    assert {path.name: path.read_bytes() for path in paths} == first
    assert sorted(first) == sorted(f"{s}.{e}" for s in STEMS.values() for e in ("png", "svg"))
    assert all(first[f"{stem}.png"].startswith(b"\x89PNG") for stem in STEMS.values())


HOSTILE = r"<script>alert(1)</script>$\frac{x$--> id=\"a\" url(#p)[bold]"


def test_a_hostile_name_is_drawn_as_it_is_and_obeyed_by_nothing(tmp_path: Path) -> None:
    plan = plan_of(models=[HOSTILE], tasks=[HOSTILE], runs_per_task=1)
    play(tmp_path, plan, "pass", model=HOSTILE, task=HOSTILE)
    for one in plots.pictures(evidence(tmp_path)):
        root = ElementTree.fromstring(one.svg)
        assert "<script>alert(1)" in "".join(root.itertext())
        assert not [e for e in root.iter() if e.tag.endswith(("script", "style", "foreignObject"))]
        assert "<script" not in one.svg
    lines = printed(tmp_path)
    assert HOSTILE.partition(" ")[0] in "".join(lines)


def test_an_svg_may_stand_in_a_page_beside_the_others_under_any_policy(tmp_path: Path) -> None:
    ids: list[str] = []
    for one in plots.pictures(evidence(campaign(tmp_path))):
        assert one.svg.startswith("<svg ")
        root = ElementTree.fromstring(one.svg)
        own = [element.get("id", "") for element in root.iter() if element.get("id")]
        ids += own
        for element in root.iter():
            assert element.get("style") is None
            assert not [name for name in element.attrib if name.startswith("on")]
            for value in element.attrib.values():
                target = re.fullmatch(r"url\(#(.*)\)|#((?![0-9a-f]{6}$).*)", value)
                assert target is None or (target[1] or target[2]) in own
            assert element.get("{http://www.w3.org/1999/xlink}href", "#").startswith("#")
    assert len(ids) == len(set(ids))


@pytest.fixture(scope="module")
def crowded(tmp_path_factory: pytest.TempPathFactory) -> list[Picture]:
    """Six models with long names at ten tasks with long names."""
    models = [f"{maker}-instruct-2507-q4_k_m-{size}b" for maker in "abc" for size in (12, 235)]
    tasks = [f"task_{n:02}_recover_from_an_unexpected_tool_error" for n in range(1, 11)]
    plan = plan_of(models=models, tasks=tasks, runs_per_task=1)
    path = tmp_path_factory.mktemp("crowded")
    for m, model in enumerate(models):
        for t, task in enumerate(tasks):
            outcome: OutcomeName = "pass" if (m + t) % 3 else "gave_up"
            play(path, plan, outcome, model=model, task=task, calls=t, seconds=3.0 ** (t - m / 2))
    return plots.pictures(evidence(path))


def test_at_the_width_of_a_phone_letters_are_ten_pixels_high(crowded: list[Picture]) -> None:
    assert len(crowded) == len(STEMS)
    for one in crowded:
        root = ElementTree.fromstring(one.svg)
        _, _, width, _ = map(float, root.attrib["viewBox"].split())
        sizes = [float(text.attrib["font-size"][:-2]) for text in root.iter(f"{SVG}text")]
        assert min(sizes) * 400 / width >= 10


def test_nothing_reaches_the_edge_or_the_next_line(crowded: list[Picture]) -> None:
    for one in crowded:
        pixels = imread(io.BytesIO(one.png))[:, :, :3]
        frame = [pixels[:6], pixels[-6:], pixels[:, :6], pixels[:, -6:]]
        assert all((edge == 1.0).all() for edge in frame), one.stem
        lines: dict[str, list[float]] = {}
        for text in ElementTree.fromstring(one.svg).iter(f"{SVG}text"):
            if text.get("text-anchor") == "start":
                lines.setdefault(text.attrib["x"], []).append(float(text.attrib["y"]))
        for places in map(sorted, lines.values()):
            assert all(b - a >= 9.5 for a, b in pairwise(places)), one.stem


def test_a_picture_of_very_many_rows_is_drawn_coarser() -> None:
    bars = [Bar(f"task_{n}", {"pass": 1}, whole=1, figure="1/1") for n in range(400)]
    png = render("many", Bars("Many", [("m", bars)], figures="passed"), "trial").png
    width, height = size_of(png)
    assert 15_000 < height <= MOST_PIXELS
    assert width > 400


def test_letters_that_the_font_lacks_are_drawn_without_a_warning(tmp_path: Path) -> None:
    task = "日本語 🦙"
    play(tmp_path, plan_of(tasks=[task], runs_per_task=1), "pass", task=task)
    assert "日本語" in picture(tmp_path, "tasks").svg


@given(
    st.lists(st.floats(0, 1e9, allow_subnormal=False), min_size=1).map(
        lambda values: [round(value, 3) for value in values]
    )
)
def test_an_axis_holds_every_value_in_order_and_at_least_two_ticks(values: list[float]) -> None:
    scale = Scale.of(values)
    places = scale.place(sorted(values))
    assert ((places >= -1e-9) & (places <= 1 + 1e-9)).all()
    assert (places[1:] >= places[:-1]).all()
    ticks = scale.ticks()
    assert 2 <= len(ticks) <= 6
    assert ticks == sorted(set(ticks))


@pytest.mark.parametrize("most", [1, 2, 3, 7, 15])
def test_what_is_counted_has_no_half_ticks(most: int) -> None:
    assert all(tick.is_integer() for tick in Scale.of([0, most]).ticks())
    assert not all(tick.is_integer() for tick in Scale.of([0.25, 1.5]).ticks())


@pytest.mark.parametrize(
    ("value", "words"),
    [(0, "0"), (0.9, "0.9"), (14.64, "14.6"), (999.7, "1k"), (4567, "4.57k"), (2.5e6, "2.5M")],
)
def test_figures_are_short(value: float, words: str) -> None:
    assert compact(value) == words


def test_before_the_first_run_there_is_nothing_to_draw(tmp_path: Path) -> None:
    CampaignFolder(tmp_path).prepare()
    lines, paths = drawn(tmp_path)
    assert (lines, paths) == (["No run has begun: there is nothing to draw yet."], [])
    assert plots.pictures(evidence(tmp_path)) == []


def test_a_campaign_that_met_only_infrastructure_is_drawn(tmp_path: Path) -> None:
    play(tmp_path, plan_of(runs_per_task=1), "infrastructure_error", cause="unreachable")
    lines, paths = drawn(tmp_path)
    assert [line.split()[:5] for line in lines if "unreachable" in line] == [
        ["infrastructure", "error:", "unreachable", "1", "(100%)"]
    ]
    assert {path.stem for path in paths} == {"failure_mode_histogram", "failure_modes_by_task"}


def test_a_picture_that_there_is_none_of_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="no picture of 'latencies'; did you mean 'latency'"):
        drawn(campaign(tmp_path), "latencies")


def test_the_command_shows_one_picture_writes_all_and_its_help_names_them(tmp_path: Path) -> None:
    (campaign(tmp_path) / "campaign.toml").touch()
    shown = fairtrial("histogram", tmp_path, "--of", "turns")
    assert "How many turns to the outcome" in shown.stdout
    for stem in STEMS.values():
        assert (tmp_path / "verification" / f"{stem}.svg").is_file()
        assert f"{stem}.png" in shown.stdout
    told = fairtrial("histogram", "--help").stdout
    assert all(re.search(rf"\b{kind}\b", told) for kind in plots.kinds())
