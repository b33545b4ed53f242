"""A campaign's folder: what is written can be read, whatever happened in between."""

from __future__ import annotations

import resource
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.errors import BadInput, InfrastructureFault
from harness.records import Completion, Ended, Outcome, Prompt, Reply, ToolCall
from harness.store import (
    CampaignFolder,
    JsonLines,
    last_outcome,
    read_header,
    read_transcript,
    whole_folder,
    write_whole,
)

OUTCOME = Outcome(outcome="pass", seconds=1.5, ended_at=datetime(2026, 6, 11, tzinfo=UTC))
EVENTS = [Prompt(role="user", content="Grüße,\n\u2028 \x1b[31m"), Ended(turn=1), OUTCOME]


def transcript(path: Path) -> Path:
    with JsonLines(path) as lines:
        for event in EVENTS:
            lines.append(event)
    return path


def test_events_read_back_as_they_were_written(tmp_path: Path) -> None:
    assert list(read_transcript(transcript(tmp_path / "t.jsonl"))) == EVENTS


def test_a_transcript_cut_at_any_byte_gives_its_whole_lines(tmp_path: Path) -> None:
    path = transcript(tmp_path / "t.jsonl")
    data = path.read_bytes()
    for end in range(len(data)):
        path.write_bytes(data[:end])
        whole = data[:end].count(b"\n")
        assert list(read_transcript(path)) == EVENTS[:whole]
        assert last_outcome(path) is None


def test_a_bad_record_is_named_by_file_and_line(tmp_path: Path) -> None:
    path = transcript(tmp_path / "t.jsonl")
    path.write_bytes(path.read_bytes().replace(b'"type":"ended"', b'"type":"endet"'))
    with pytest.raises(BadInput, match=r"t\.jsonl:2: no transcript event"):
        list(read_transcript(path))


@pytest.mark.parametrize("half", [rb"\ud83d", rb"\ude00", b"\xed\xa0\x80"])
def test_half_a_character_in_a_transcript_is_no_record(tmp_path: Path, half: bytes) -> None:
    path = tmp_path / "t.jsonl"
    path.write_bytes(b'{"type":"prompt","role":"user","content":"' + half + b'"}\n')
    with pytest.raises(BadInput, match=r"t\.jsonl:1: no transcript event: Invalid JSON"):
        list(read_transcript(path))


def test_a_file_that_is_no_transcript_is_said_to_be_none(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="no complete 'started' event"):
        read_header(transcript(tmp_path / "t.jsonl"))


def test_only_the_last_line_tells_that_a_run_is_finished(tmp_path: Path) -> None:
    path = transcript(tmp_path / "t.jsonl")
    assert last_outcome(path) == OUTCOME
    with JsonLines(path) as lines:
        lines.append(EVENTS[0])
    assert last_outcome(path) is None
    assert last_outcome(tmp_path / "missing.jsonl") is None


def test_a_torn_line_does_not_swallow_the_next_one(tmp_path: Path) -> None:
    path = tmp_path / "ledger.jsonl"
    path.write_text('{"torn":')
    with JsonLines(path) as lines:
        lines.append(EVENTS[1])
    assert path.read_text().splitlines() == ['{"torn":', EVENTS[1].model_dump_json()]


def test_a_line_that_does_not_fit_on_the_disk_is_a_full_disk(tmp_path: Path) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    with JsonLines(tmp_path / "t.jsonl") as lines:
        resource.setrlimit(resource.RLIMIT_FSIZE, (16, hard))
        try:
            with pytest.raises(InfrastructureFault):
                lines.append(EVENTS[0])
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_an_earlier_attempt_is_set_aside_and_kept(tmp_path: Path) -> None:
    folder = CampaignFolder(tmp_path)
    folder.prepare()
    assert folder.next_attempt("run") == 1
    for attempt in (1, 2, 3):
        folder.transcript("run").write_text(f"attempt {attempt}")
        assert folder.next_attempt("run") == attempt + 1
    kept = {path.name: path.read_text() for path in folder.transcript_paths()}
    assert kept == {f"run.attempt-{n}.jsonl": f"attempt {n}" for n in (1, 2, 3)}


def test_a_campaign_is_held_by_one_process_at_a_time(tmp_path: Path) -> None:
    folder = CampaignFolder(tmp_path)
    folder.prepare()
    with (
        folder.locked(),
        pytest.raises(BadInput, match="already being run by process"),
        folder.locked(),
    ):
        pass
    with folder.locked():
        pass


def test_a_file_is_written_whole_or_not_at_all(tmp_path: Path) -> None:
    target = tmp_path / "runs.csv"
    write_whole(target, "first")
    write_whole(target, b"second")
    assert target.read_text() == "second"
    assert [path.name for path in tmp_path.iterdir()] == ["runs.csv"]


def test_a_folder_that_could_not_be_replaced_stays_as_it_was(tmp_path: Path) -> None:
    export = tmp_path / "export"
    with whole_folder(export) as new:
        (new / "earlier.txt").write_text("kept", encoding="utf-8")
    with pytest.raises(InfrastructureFault), whole_folder(export, replace=True) as new:
        new.rmdir()  # so that it cannot be put in the other's place
    assert [path.name for path in tmp_path.iterdir()] == ["export"]
    assert (export / "earlier.txt").read_text(encoding="utf-8") == "kept"


@given(st.text(st.characters(codec=None)))
def test_any_text_a_model_can_produce_survives_the_transcript(text: str) -> None:
    call = ToolCall(id=text, name=text, arguments=text)
    completion = Completion(text=text, tool_calls=(call,), raw=text, finish_reason="stop")
    reply = Reply(turn=1, **dict(completion))
    assert Reply.model_validate_json(reply.model_dump_json()) == reply
    if text.isascii():
        assert reply.text == text


def test_what_is_written_after_half_a_line_did_not_fit_can_be_read(tmp_path: Path) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    path = tmp_path / "t.jsonl"
    with JsonLines(path) as lines:
        try:
            resource.setrlimit(resource.RLIMIT_FSIZE, (16, hard))
            with pytest.raises(InfrastructureFault):
                lines.append(EVENTS[0])
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        lines.append(EVENTS[1])
    assert list(read_transcript(path)) == [EVENTS[1]]


def test_a_folder_that_cannot_be_written_is_bad_input() -> None:
    with pytest.raises(BadInput, match="cannot be written"):
        write_whole(Path("/proc/x.toml"), "")
