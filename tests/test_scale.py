"""Large campaigns: read only where they grew, held in parts, and never believed unread."""

from __future__ import annotations

import os
import sqlite3
import tracemalloc
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from harness.errors import BadInput
from harness.records import Signal
from harness.store import CampaignFolder
from tests.test_evidence import play_mixture, set_aside
from tests.transcripts import ending, plan_of, play, started, turn, write
from verification import verify
from verification.evidence import read

RUNS = 12


@pytest.fixture(autouse=True)
def every_campaign_is_large_enough_for_a_saved_index(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("verification.index.WORTH_SAVING", 1)


@pytest.fixture
def campaign(tmp_path: Path) -> CampaignFolder:
    """A campaign that owes a run; its evidence is written and its index saved."""
    for repetition in range(1, RUNS):
        play_one(tmp_path, repetition)
    folder = CampaignFolder(tmp_path)
    verify.write(folder)
    return folder


def play_one(path: Path, repetition: int) -> Path:
    return play(path, plan_of(runs_per_task=RUNS), "pass", repetition=repetition)


def csvs(folder: CampaignFolder) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.verification.glob("*.csv")}


def altered_in_the_index(folder: CampaignFolder, statement: str) -> None:
    with sqlite3.connect(folder.index) as saved:
        saved.execute(statement)
    saved.close()


def test_what_has_not_changed_is_not_read_again(campaign: CampaignFolder) -> None:
    assert read(campaign).transcripts_read == 0


def test_a_campaign_that_grew_is_read_only_where_it_grew(campaign: CampaignFolder) -> None:
    play_one(campaign.path, RUNS)
    assert read(campaign).transcripts_read == 1
    assert len(read(campaign).runs) == RUNS


def test_a_transcript_that_went_on_is_read_again(campaign: CampaignFolder) -> None:
    header = started(plan_of(runs_per_task=RUNS), repetition=RUNS)
    path = write(campaign.path, header, turn(1, "shell"))
    assert read(campaign).outcomes["cause"].dropna().tolist() == ["interrupted"]
    with path.open("a") as file:
        file.writelines(event.model_dump_json() + "\n" for event in ending("pass"))
    evidence = read(campaign)
    assert evidence.transcripts_read == 1
    assert evidence.outcomes["runs"].tolist() == [RUNS]


def test_what_is_set_aside_or_gone_counts_no_more(campaign: CampaignFolder) -> None:
    first, second, *_ = campaign.transcript_paths()
    set_aside(campaign.path, first)
    second.unlink()
    evidence = read(campaign)
    assert evidence.transcripts_read == 1  # under its new name
    assert len(evidence.runs) == RUNS - 2
    verify.write(campaign)
    assert verify.verify(campaign) == []


@pytest.mark.parametrize("known", ["nothing", "some", "all"])
@pytest.mark.parametrize("part", [1, 2, 5_000])
def test_the_bytes_are_the_same_however_the_evidence_came_about(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, known: str, part: int
) -> None:
    folder = CampaignFolder(play_mixture(tmp_path))
    verify.write(folder)
    expected = csvs(folder)
    if known == "nothing":
        folder.index.unlink()
    if known == "some":
        for path in folder.transcript_paths()[::2]:
            os.utime(path)
    monkeypatch.setattr("verification.index.PART", part)
    verify.write(folder)
    assert csvs(folder) == expected


def in_several_processes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("verification.reading.MANY", 1)
    monkeypatch.setattr("verification.reading.AT_ONCE", 2)
    monkeypatch.setattr("os.sched_getaffinity", lambda _: {0, 1})


def test_several_processes_read_the_same_as_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = CampaignFolder(play_mixture(tmp_path))
    verify.write(folder)
    expected = csvs(folder)
    in_several_processes(monkeypatch)
    verify.write(folder, anew=True)
    assert csvs(folder) == expected


def test_what_is_wrong_in_a_file_is_told_by_name_from_another_process_too(
    campaign: CampaignFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    in_several_processes(monkeypatch)
    path = campaign.transcript_paths()[5]
    path.write_bytes(path.read_bytes().replace(b'"type":"ended"', b'"type":"endet"'))
    with pytest.raises(BadInput, match=rf"{path.name}:6: no transcript event"):
        verify.verify(campaign)


def test_a_forged_index_does_not_pass_verify_and_is_mended_by_writing_anew(
    campaign: CampaignFolder,
) -> None:
    altered_in_the_index(campaign, "UPDATE attempts SET outcome = 'wrong_answer'")
    truth = csvs(campaign)
    verify.write(campaign)
    assert csvs(campaign) != truth  # the forgery is believed where nothing is proved ...
    differences = verify.verify(campaign)
    assert any("column outcome: 'wrong_answer' on disk, 'pass' derived" in d for d in differences)
    verify.write(campaign, anew=True)  # ... and gone for good once all is read
    assert csvs(campaign) == truth
    assert read(campaign).outcomes["outcome"].tolist() == ["pass"]


def test_a_transcript_changed_under_its_old_size_and_time_does_not_pass_verify(
    campaign: CampaignFolder,
) -> None:
    path = campaign.transcript_paths()[0]
    before = path.stat()
    path.write_bytes(path.read_bytes().replace(b'"seconds":10.0', b'"seconds":90.0'))
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert path.stat().st_size == before.st_size
    (difference,) = [d for d in verify.verify(campaign) if d.startswith("runs.csv")]
    assert difference.endswith("column seconds: '10.000000' on disk, '90.000000' derived")


def cut(path: Path) -> None:
    os.truncate(path, path.stat().st_size // 2)


def scribble(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[4096:] = b"\xff" * (len(content) - 4096)
    path.write_bytes(content)


def replace_by_a_folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


@pytest.mark.parametrize(
    "damage",
    [
        Path.unlink,
        cut,
        scribble,
        replace_by_a_folder,
        lambda path: path.write_bytes(b""),
        lambda path: path.write_text("no database"),
    ],
    ids=["gone", "cut", "scribbled over", "a folder", "empty", "text"],
)
def test_a_damaged_index_is_no_loss(
    campaign: CampaignFolder, damage: Callable[[Path], object]
) -> None:
    expected = csvs(campaign)
    damage(campaign.index)
    assert read(campaign).transcripts_read == RUNS - 1
    verify.write(campaign)
    assert csvs(campaign) == expected


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE version SET digest = 'of another version'",
        "DELETE FROM version",
        "DROP TABLE findings",
        "ALTER TABLE attempts DROP COLUMN turns",
    ],
)
def test_an_index_of_another_version_or_shape_is_not_taken_over(
    campaign: CampaignFolder, statement: str
) -> None:
    expected = csvs(campaign)
    altered_in_the_index(campaign, statement)
    verify.write(campaign)
    assert csvs(campaign) == expected


def test_an_index_with_cells_of_another_kind_is_not_taken_over(campaign: CampaignFolder) -> None:
    with sqlite3.connect(campaign.index) as saved:
        saved.execute("PRAGMA writable_schema = 1")
        saved.execute("UPDATE sqlite_schema SET sql = replace(sql, ') STRICT', ')')")
    saved.close()
    altered_in_the_index(campaign, "UPDATE attempts SET turns = 'many'")
    assert read(campaign).transcripts_read == RUNS - 1


@pytest.mark.parametrize(
    "files",
    ["TABLE files (name TEXT)", "VIEW files AS SELECT transcript AS name FROM attempts"],
)
def test_an_index_that_vouches_for_files_it_never_saw_is_not_taken_over(
    campaign: CampaignFolder, files: str
) -> None:
    with sqlite3.connect(campaign.index) as saved:
        saved.execute("UPDATE attempts SET outcome = 'wrong_answer'")
        saved.execute("DROP TABLE files")
        saved.execute(f"CREATE {files}")
        if files.startswith("TABLE"):
            saved.execute("INSERT INTO files SELECT transcript FROM attempts")
    saved.close()
    evidence = read(campaign)
    assert evidence.transcripts_read == RUNS - 1
    assert evidence.outcomes["outcome"].tolist() == ["pass"]


def test_a_folder_named_from_here_is_read_like_any_other(
    campaign: CampaignFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(campaign.path.parent)
    assert read(CampaignFolder(Path(campaign.path.name))).transcripts_read == 0


def test_several_at_once_do_not_disturb_each_other(campaign: CampaignFolder) -> None:
    expected = csvs(campaign)

    def look(number: int) -> int:
        if number % 3 == 0:
            campaign.index.unlink(missing_ok=True)
        return len(read(campaign).runs)

    with ThreadPoolExecutor(6) as pool:
        assert set(pool.map(look, range(12))) == {RUNS - 1}
    verify.write(campaign)
    assert csvs(campaign) == expected
    assert not list(campaign.verification.glob(".index.sqlite.*"))


def test_a_number_that_no_table_holds_is_refused_by_file(tmp_path: Path) -> None:
    remark = Signal(turn=10**30, name="empty_reply", detail="")
    path = write(tmp_path, started(plan_of()), [remark, *ending("pass")])
    with pytest.raises(BadInput, match=f"{path.name}: holds a number of more than 63 bits"):
        read(CampaignFolder(tmp_path))


def test_more_runs_take_no_more_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("verification.index.PART", 25)
    plan = plan_of(runs_per_task=150)
    peaks = []
    for runs in (range(1, 51), range(51, 151)):
        for repetition in runs:
            play(tmp_path, plan, "pass", repetition=repetition)
        verify.write(CampaignFolder(tmp_path))  # all that is imported or kept for good
        tracemalloc.start()
        verify.write(CampaignFolder(tmp_path), anew=True)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < 1.3 * peaks[0]
