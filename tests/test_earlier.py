"""Earlier turns that fill a context before the task, and count as nobody's doing."""

from __future__ import annotations

import csv
import json
import re
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.campaign import ready, survey
from harness.config import load_campaign
from harness.earlier import LETTERS_A_TOKEN, tokens_in, turns
from harness.errors import BadInput
from harness.leaks import leaks_in
from harness.records import Earlier, Event, Prompt, Reply, Started, ToolResult
from harness.store import CampaignFolder, read_transcript
from tests import model_server as models
from tests.conftest import ORACLE, MakeCampaign, fairtrial
from tests.llama_server import smollm2
from tests.test_rescue import REMOTE, run

TOOLS = ("fs_read", "shell", "sql")


def words_of(earlier: Earlier) -> str:
    """All that a model reads of them, as text."""
    said = []
    for message in earlier.messages:
        if isinstance(message, Reply):
            said += [message.text, *(c.name + c.arguments for c in message.tool_calls)]
        else:
            said.append(message.content)
    return "\n".join(said)


@settings(deadline=None, max_examples=30)
@given(st.integers(0, 2**31), st.integers(4_000, 20_000), st.sets(st.sampled_from(TOOLS)))
def test_there_are_about_as_many_tokens_as_asked_for(
    seed: int, tokens: int, tools: set[str]
) -> None:
    earlier = turns(seed, tokens, sorted(tools))
    assert earlier is not None
    assert tokens_in(words_of(earlier)) == pytest.approx(tokens, rel=0.1)
    assert {m.name for m in earlier.messages if isinstance(m, ToolResult)} <= tools
    assert not leaks_in(words_of(earlier))


def test_the_same_run_has_the_same_turns_and_another_run_others() -> None:
    assert turns(7, 4000, TOOLS) == turns(7, 4000, TOOLS)
    assert turns(7, 4000, TOOLS) != turns(8, 4000, TOOLS)
    assert turns(7, 0, TOOLS) is None


def test_every_call_is_answered_and_every_exchange_ends_with_an_answer() -> None:
    earlier = turns(3, 16_000, TOOLS)
    assert earlier is not None
    asked = 0
    for before, message in zip((None, *earlier.messages), earlier.messages, strict=False):
        match message:
            case Prompt():
                asked += 1
                assert before is None or (isinstance(before, Reply) and not before.tool_calls)
            case ToolResult():
                assert isinstance(before, Reply)
                assert [call.id for call in before.tool_calls] == [message.call_id]
                assert re.fullmatch(r"[A-Za-z0-9]{9}", message.call_id)
    last = earlier.messages[-1]
    assert isinstance(last, Reply)
    assert last.text
    ids = [m.call_id for m in earlier.messages if isinstance(m, ToolResult)]
    assert len(set(ids)) == len(ids) == asked


def test_no_file_is_asked_for_twice_with_another_content() -> None:
    earlier = turns(3, 60_000, TOOLS)
    assert earlier is not None
    calls = [c.arguments for m in earlier.messages if isinstance(m, Reply) for c in m.tool_calls]
    assert len(set(calls)) == len(calls)


def test_a_rule_counts_tokens() -> None:
    assert tokens_in("a" * LETTERS_A_TOKEN) == 1
    assert tokens_in("2026") == 4


# --- campaigns --------------------------------------------------------------------------------


def events(folder: Path) -> list[list[Event]]:
    return [list(read_transcript(path)) for path in CampaignFolder(folder).transcript_paths()]


def lines_without_times(folder: Path) -> set[str]:
    """All transcripts, but for what no two sittings share."""
    found = set()
    for path in CampaignFolder(folder).transcript_paths():
        for line in path.read_text().splitlines():
            event = json.loads(line)
            for passing in ("started_at", "ended_at", "seconds", "waited_seconds", "versions"):
                event.pop(passing, None)
            found.add(json.dumps(event))
    return found


def test_a_load_of_nothing_changes_no_run_and_no_byte(make_campaign: MakeCampaign) -> None:
    plain = make_campaign(ORACLE, runs_per_task=1, name="one/trial")
    loaded = make_campaign(ORACLE, runs_per_task=1, context_load=[0], name="two/trial")
    for folder in (plain, loaded):
        assert fairtrial("run", folder).returncode == 0
    assert lines_without_times(plain) == lines_without_times(loaded)
    assert not any(
        "context_load" in line or "on_leak" in line for line in lines_without_times(plain)
    )


def test_repetitions_take_the_loads_in_turn_and_runs_are_per_load(
    make_campaign: MakeCampaign,
) -> None:
    folder = make_campaign(ORACLE, runs_per_task=2, context_load=[0, 2000, 6000])
    campaign = load_campaign(folder / "campaign.toml")
    assert [campaign.load_of(r) for r in range(1, 7)] == [0, 2000, 6000] * 2
    assert fairtrial("run", folder).returncode == 0
    for header, system, *rest in events(folder):
        assert isinstance(header, Started)
        load = campaign.load_of(header.repetition)
        assert (header.context_load, header.plan.runs_per_task) == (load, 6)
        assert isinstance(system, Prompt)
        assert system.role == "system"
        earlier = [event for event in rest if isinstance(event, Earlier)]
        assert [each.tokens for each in earlier] == ([load] if load else [])
        assert rest.index(earlier[0]) == 0 if earlier else True
    with (folder / "verification" / "runs.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert {row["outcome"] for row in rows} == {"pass"}
    by_task = {(row["task"], row["turns"], row["tool_calls"]) for row in rows}
    assert len(by_task) == 4  # the load is in no count
    assert len(rows) == len({row["run"] for row in rows}) == 24
    for grade in ("reexecute", "regrade"):
        done = fairtrial("replay", folder, "--all", "--grade", grade)
        assert done.returncode == 0, done.stdout + done.stderr
    assert fairtrial("verify", folder).returncode == 0


async def test_a_server_is_told_the_earlier_turns_before_the_task(
    make_campaign: MakeCampaign,
) -> None:
    player = models.oracle("first-steps-v1")
    async with models.model_server({"m": player}) as server:
        tables = REMOTE.format(name="m", port=server.port)
        folder = make_campaign(tables, runs_per_task=1, context_load=[4000], on_leak="nudge")
        assert await run(folder) == 0
        asked = [question.body["messages"] for question in server.asked if "tools" in question.body]
    assert all(messages[0]["role"] == "system" for messages in asked)
    assert min(len(json.dumps(messages)) for messages in asked) > 7_000
    assert {e[-1].outcome for e in events(folder)} == {"pass"}  # type: ignore[union-attr]
    with (folder / "verification" / "leakage.csv").open() as file:
        loads = [row for row in csv.DictReader(file) if row["by"] == "load"]
    assert [(row["value"], row["strict_rate"]) for row in loads] == [("4000", "1.000000")]


def test_a_load_that_does_not_fit_is_refused_before_the_first_run(
    make_campaign: MakeCampaign,
) -> None:
    table = f'[[models]]\nname = "m"\nkind = "llama_cpp"\npath = "{smollm2()}"\n'
    folder = make_campaign(table, runs_per_task=1, context_load=[0, 16000])
    done = fairtrial("run", folder)
    assert done.returncode == 2
    assert "a context_load of 16000 tokens and a reply of up to" in done.stderr
    assert not CampaignFolder(folder).transcript_paths()


@pytest.mark.parametrize("load", [[], [-1], ["a"], 4000, [True], [10**9], [0, 50, 0]])
def test_a_load_that_is_none_is_refused(load: object, make_campaign: MakeCampaign) -> None:
    folder = make_campaign(ORACLE, context_load=load)
    done = fairtrial("run", folder)
    assert done.returncode == 2
    assert "context_load" in done.stderr
    assert done.stderr.count("\n") == 1


def test_neither_loads_nor_rescues_can_change_once_a_campaign_has_begun(
    make_campaign: MakeCampaign,
) -> None:
    folder = CampaignFolder(make_campaign(ORACLE, suite="first-steps-v1", runs_per_task=1))
    assert fairtrial("run", folder.path).returncode == 0
    begun = folder.config.read_text()
    manifest = json.loads(folder.manifest.read_text())
    for key in ("on_leak", "context_load"):  # as an older version filed it
        del manifest["config"][key]
    for filed in (folder.manifest.read_text(), json.dumps(manifest)):
        folder.manifest.write_text(filed)
        folder.config.write_text(begun)
        ready(survey(folder))
        for line in ('on_leak = "nudge"', "context_load = [4000]"):
            folder.config.write_text(begun.replace("[[models]]", f"{line}\n[[models]]", 1))
            with pytest.raises(BadInput, match="has changed since the campaign began"):
                ready(survey(folder))
