"""How often markup leaked, by family, depth and load, and what may be said of a trend."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from rich.console import Console

from harness.errors import BadInput
from harness.records import Event, OnLeak, Outcome, Prompt, Reply, Signal, Usage
from harness.store import CampaignFolder
from tests.conftest import fairtrial
from tests.transcripts import ending, plan_of, started, turn, write
from verification import trend
from verification.compare import compare
from verification.evidence import read
from verification.exhibit import Exhibit
from verification.leaderboard import leaderboards
from verification.leak_counts import tally
from verification.leakage import exhibits
from verification.statistics import wilson
from verification.summary import rescued
from verification.tables import leaks
from verification.totals import depth_of

HERMES = '<tool_call>{"name": "shell", "arguments": {}}</tool_call>'


def leaking(path: Path, depths: list[tuple[int | None, bool]], **header: int | str) -> None:
    """Write a run of replies at these depths, all calls but the last; a reply may leak."""
    last = len(depths)
    repetition, load = int(header.pop("repetition")), int(header.pop("load", 0))
    on_leak: OnLeak = "nudge" if header.pop("on_leak", "fail") == "nudge" else "fail"
    events: list[Event] = []
    leaked = False
    for number, (tokens, leak) in enumerate(depths, start=1):
        usage = Usage(input=tokens, output=5)
        if leak:
            leaked = True
            events += [
                Reply(turn=number, text=HERMES, finish_reason="stop", usage=usage),
                Signal(turn=number, name="template_leakage", detail=""),
            ]
            if number < last:
                events.append(Prompt(role="user", content="nudged", nudge_after=number))
        elif number < last:
            events += turn(number, "shell", usage=usage)
        else:
            events += turn(number, text="25", usage=usage)
    end = ending("pass", turns=last)
    outcome = end[-1]
    assert isinstance(outcome, Outcome)
    if leaked:
        would_be = {"rescued": "pass"} if not depths[-1][1] else {}
        end[-1] = outcome.model_copy(
            update={"outcome": "wrong_answer", "signals": ("template_leakage",), **would_be}
        )
    head = started(plan_of(runs_per_task=60), repetition=repetition)
    write(path, head.model_copy(update={"on_leak": on_leak, "context_load": load}), [*events, *end])


def shown(exhibit: Exhibit, width: int = 80) -> str:
    console = Console(file=io.StringIO(), width=width, color_system=None)
    exhibit.print(console)
    assert isinstance(console.file, io.StringIO)
    return " ".join(console.file.getvalue().split())


def test_depth_is_told_by_the_tokens_before_a_reply() -> None:
    edges = [0, 1999, 2000, 3999, 4000, 8000, 16_000, 32_000, 10**9]
    names = ["0-2k", "0-2k", "2-4k", "2-4k", "4-8k", "8-16k", "16-32k", "32k+", "32k+"]
    assert [depth_of(tokens) for tokens in edges] == names
    assert depth_of(None) == "unknown"


def test_leaks_are_counted_by_run_and_reply(tmp_path: Path) -> None:
    leaking(tmp_path, [(1000, False), (3000, True), (5000, False)], repetition=1, on_leak="nudge")
    leaking(tmp_path, [(1000, False), (None, True)], repetition=2, on_leak="nudge")
    leaking(tmp_path, [(1000, False), (1500, False)], repetition=3, on_leak="nudge")
    cells = tally(read(CampaignFolder(tmp_path)))
    counts = {
        place[1:]: (cell.leaked_replies, cell.replies, cell.leaked_runs, cell.runs)
        for place, cell in cells.items()
    }
    assert counts == {
        ("all", ""): (2, 7, 2, 3),
        ("family", "Hermes, Qwen 2.5 and 3, Granite 4"): (2, 7, 2, 3),
        ("depth", "0-2k"): (0, 4, 0, 3),
        ("depth", "2-4k"): (1, 1, 1, 1),
        ("depth", "4-8k"): (0, 1, 0, 1),
        ("depth", "unknown"): (1, 1, 1, 1),
        ("load", "0"): (2, 7, 2, 3),
    }
    (words,) = rescued(read(CampaignFolder(tmp_path)))
    assert "leaked in 2 of 3 runs" in words
    assert "nudged, 67% would have passed instead of 33%" in words


def test_the_csv_has_wilsons_intervals_and_says_nothing_of_what_was_not_rescued(
    tmp_path: Path,
) -> None:
    leaking(tmp_path, [(1000, True)], repetition=1)
    leaking(tmp_path, [(1000, False)], repetition=2)
    table = leaks(read(CampaignFolder(tmp_path)))
    row = table[table["by"] == "all"].iloc[0]
    assert (row["strict_low"], row["strict_high"]) == wilson(1, 2)
    assert (row["leaked_low"], row["leaked_high"]) == wilson(1, 2)
    assert table["nudged_rate"].isna().all()
    assert table["recovered_rate"].isna().all()


def test_the_command_prints_four_tables(tmp_path: Path) -> None:
    leaking(tmp_path, [(1000, False), (3000, True)], repetition=1)
    leaking(tmp_path, [(9000, False)], repetition=2, load=4000)
    (tmp_path / "campaign.toml").write_text('suite = "suite-v1"\n')
    done = fairtrial("leakage", tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    for title in ("Leakage, and the scores with it", "By family", "By depth", "By load"):
        assert title in done.stdout
    assert "no evidence of a trend with depth: 1 of 2 runs" in " ".join(done.stdout.split())


def test_before_the_first_run_there_is_nothing_to_tell(tmp_path: Path) -> None:
    (tmp_path / "campaign.toml").write_text('suite = "suite-v1"\n')
    done = fairtrial("leakage", tmp_path)
    assert done.returncode == 2
    assert "nothing has run yet" in done.stderr


def test_a_trend_with_depth_is_spoken_of_where_it_is_one(tmp_path: Path) -> None:
    deep = [{"0-2k": 3, "16-32k": 1}] * 40
    leaked = [{"16-32k": 1}] * 20 + [{}] * 18 + [{"0-2k": 1}] * 2
    words = trend.with_depth(deep, leaked)
    assert words.startswith("replies leak more often the deeper they are made")
    evenly = [{"0-2k": 1} if number % 2 else {"16-32k": 1} for number in range(20)] + [{}] * 20
    assert trend.with_depth([{"0-2k": 1, "16-32k": 1}] * 40, evenly).startswith("no evidence")


@pytest.mark.parametrize(
    ("replies", "leaked", "why"),
    [
        ([{"0-2k": 1}] * 20, [{"0-2k": 1}] * 10 + [{}] * 10, "at one depth"),
        ([{"0-2k": 1, "2-4k": 1}] * 20, [{"2-4k": 1}] * 4 + [{}] * 16, "too few"),
        ([{"0-2k": 1, "2-4k": 1}] * 20, [{"2-4k": 1}] * 20, "too few, or too many"),
        ([{"unknown": 3}] * 20, [{"unknown": 1}] * 10 + [{}] * 10, "at one depth"),
        ([], [], "at one depth"),
    ],
)
def test_no_trend_is_spoken_of_where_none_can_be_seen(
    replies: list[dict[str, int]], leaked: list[dict[str, int]], why: str
) -> None:
    words = trend.with_depth(replies, leaked)
    assert words.startswith("no evidence of a trend with depth")
    assert why in words


def test_leaks_at_one_depth_alone_break_no_fit() -> None:
    replies = [{"0-2k": 2, "2-4k": 1, "4-8k": 1}] * 30
    leaked = [{"4-8k": 1}] * 30
    assert "depth" in trend.with_depth(replies, [*leaked[:20], *[{}] * 10])
    apart = [{"0-2k": 1}] * 15 + [{"4-8k": 1}] * 15
    assert "depth" in trend.with_depth(apart, [{}] * 15 + [{"4-8k": 1}] * 15)


def test_a_trend_with_load_is_that_of_cochran_and_armitage() -> None:
    loads = [0, 4000, 16_000] * 20
    often = [load > 0 and number % 4 > 0 for number, load in enumerate(loads)]
    assert trend.with_load(loads, often, "leaks").startswith("it leaks more often")
    assert trend.with_load(loads, [not each for each in often], "passes").startswith(
        "it passes less often"
    )
    evenly = [number % 6 < 3 for number in range(60)]
    assert trend.with_load(loads, evenly, "leaks").startswith("no evidence")
    assert "too few" in trend.with_load(loads, [True] * 3 + [False] * 57, "leaks")


def test_a_table_of_loads_has_pass_rate_and_measured_depth_beside_it(tmp_path: Path) -> None:
    for repetition in range(1, 13):
        load = (0, 4000)[(repetition - 1) % 2]
        leak = load > 0 and repetition % 4 == 0
        leaking(tmp_path, [(1000 + load, leak)], repetition=repetition, load=load)
    *_, loads = exhibits(read(CampaignFolder(tmp_path)))
    assert [row[1:4] for row in loads.rows] == [["0", "1000", "0 of 6"], ["4000", "5000", "3 of 6"]]
    assert [row[5] for row in loads.rows] == ["6 of 6", "3 of 6"]
    for width in (40, 80, 120):
        assert "no evidence that the load changes how often it leaks" in shown(loads, width)


def test_other_loads_are_ranked_and_compared_apart(tmp_path: Path) -> None:
    for name, load in (("one", 0), ("two", 4000)):
        for repetition in range(1, 4):
            leaking(tmp_path / name, [(900, False)], repetition=repetition, load=load)
    folders = [CampaignFolder(tmp_path / name) for name in ("one", "two")]
    assert len(leaderboards(folders)) == 2
    with pytest.raises(BadInput, match="different loads of the context"):
        compare(*folders)
