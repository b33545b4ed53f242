"""The failure modes as drawn: in words and bars, and as pictures."""

from __future__ import annotations

import io
from pathlib import Path
from xml.etree import ElementTree

import pytest
from rich.console import Console

from harness.records import OutcomeName
from harness.store import CampaignFolder
from tests.transcripts import plan_of, play
from verification.histogram import draw

OUTCOMES: tuple[OutcomeName, ...] = ("pass", "pass", "wrong_answer", "infrastructure_error")


def drawn(path: Path, width: int = 80) -> tuple[list[str], list[Path]]:
    """What ``draw`` prints, without colour, and the pictures it writes."""
    console = Console(file=io.StringIO(), width=width)
    paths = draw(CampaignFolder(path), console)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue().splitlines(), paths


def campaign(path: Path, model: str = "m") -> Path:
    plan = plan_of(models=[model], runs_per_task=5)
    for repetition, outcome in enumerate(OUTCOMES, start=1):
        play(path, plan, outcome, model=model, repetition=repetition, cause="rate_limited")
    return path


def test_every_failure_mode_has_its_count_share_and_bar(tmp_path: Path) -> None:
    lines, _ = drawn(campaign(tmp_path))
    rows = [line.split() for line in lines if "%" in line]
    assert [row[:-1] if "█" in row[-1] else row for row in rows] == [
        ["pass", "2", "40%"],
        ["wrong", "answer", "1", "20%"],
        ["gave", "up", "0", "0%"],
        ["infrastructure", "error:", "rate", "limited", "1", "20%"],
        ["owed", "1", "20%"],
    ]
    bars = [line.count("█") for line in lines if "%" in line]
    assert bars[0] == pytest.approx(2 * bars[1], abs=1)
    assert bars[1] == bars[3] == bars[4] > 0
    assert bars[2] == 0


@pytest.mark.parametrize("width", [40, 80, 120])
def test_no_line_is_wider_than_the_terminal(tmp_path: Path, width: int) -> None:
    lines, _ = drawn(campaign(tmp_path), width)
    assert max(map(len, lines)) <= width


def test_a_picture_is_the_same_bytes_every_time(tmp_path: Path) -> None:
    _, paths = drawn(campaign(tmp_path))
    first = {path.name: path.read_bytes() for path in paths}
    _, paths = drawn(tmp_path)
    assert {path.name: path.read_bytes() for path in paths} == first
    assert sorted(first) == ["failure_mode_histogram.png", "failure_mode_histogram.svg"]
    assert first["failure_mode_histogram.png"].startswith(b"\x89PNG")
    assert ElementTree.fromstring(first["failure_mode_histogram.svg"]).tag.endswith("svg")


def test_a_name_that_looks_like_mathematics_or_markup_is_drawn_as_it_is(tmp_path: Path) -> None:
    lines, paths = drawn(campaign(tmp_path, model=r"$\frac{[bold]x"))
    assert any(line.startswith(r"$\frac{[bold]x:") for line in lines)
    assert all(path.stat().st_size > 1000 for path in paths)


def test_before_the_first_run_there_is_nothing_to_draw(tmp_path: Path) -> None:
    CampaignFolder(tmp_path).prepare()
    lines, paths = drawn(tmp_path)
    assert (lines, paths) == (["No run has begun: there is nothing to draw yet."], [])


def test_a_campaign_that_met_only_infrastructure_is_drawn(tmp_path: Path) -> None:
    play(tmp_path, plan_of(runs_per_task=1), "infrastructure_error", cause="unreachable")
    lines, paths = drawn(tmp_path)
    assert [line.split()[:5] for line in lines if "unreachable" in line] == [
        ["infrastructure", "error:", "unreachable", "1", "100%"]
    ]
    assert len(paths) == 2
