"""A planted key, and every place where it must not turn up."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from tests.conftest import MakeCampaign, fairtrial
from tests.openai_server import answer, calls, delta, endpoint, finish, stream

KEY = 'sk-planted"key\\0123456789'
"""With characters that JSON escapes."""

REMOTE = """
[[models]]
name = "remote"
kind = "openai"
model = "m"
base_url = "{url}"
{source}
[budgets]
turns = 3
[infrastructure]
retries = 1
attempts = 1
concurrency = 1
patience_minutes = 0
"""

ECHOES = [
    stream(delta(f"my key is {KEY}"), finish("stop")),
    stream(
        calls(
            {
                "index": 0,
                "id": "c1",
                "function": {"name": "shell", "arguments": f'{{"command": "echo {KEY}"}}'},
            }
        ),
        finish("tool_calls"),
    ),
    stream(delta(reasoning_content=KEY), delta("the answer"), finish("stop")),
    answer(500, {"error": {"message": f"cannot use {KEY}"}}),
    answer(401, {"error": {"message": f"no such key: {KEY}"}}),
]


@pytest.mark.parametrize("source", ["environment", "file"])
async def test_a_key_that_the_endpoint_echoes_is_in_no_file_and_on_no_terminal(
    make_campaign: MakeCampaign, tmp_path: Path, source: str
) -> None:
    (tmp_path / "key").write_text(f"{KEY}\n")
    named = (
        'api_key_env = "PLANTED_KEY"'
        if source == "environment"
        else f'api_key_file = "{tmp_path}/key"'
    )
    listing = answer(200, {"data": [{"id": KEY}]}, server=KEY)
    async with endpoint(*ECHOES, models=listing) as server:
        folder = make_campaign(REMOTE.format(url=server.base_url, source=named), runs_per_task=1)
        done = await asyncio.to_thread(
            fairtrial, "run", folder, "--skip-preflight", env={"PLANTED_KEY": KEY}
        )
        assert server.posts[0].headers["authorization"] == f"Bearer {KEY}"
    written = [path.read_bytes() for path in folder.rglob("*") if path.is_file()]
    assert len(written) > 8
    assert b"[key]" in b"".join(written)
    for part in (KEY, "sk-planted", "0123456789"):
        assert not any(part.encode() in content for content in written)
        assert part not in done.stdout + done.stderr


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (None, "cannot be read"),
        ("", "is not set or empty"),
        ("schlüssel-12345", "holds characters"),
    ],
)
async def test_a_key_file_that_is_no_use_is_bad_input(
    make_campaign: MakeCampaign, tmp_path: Path, content: str | None, told: str
) -> None:
    if content is not None:
        (tmp_path / "key").write_text(content, encoding="utf-8")
    source = f'api_key_file = "{tmp_path}/key"'
    folder = make_campaign(REMOTE.format(url="http://127.0.0.1:9/v1", source=source))
    done = await asyncio.to_thread(fairtrial, "run", folder)
    assert done.returncode == 2
    assert told in done.stderr
    assert "12345" not in done.stderr


def test_two_sources_of_a_key_are_refused(make_campaign: MakeCampaign) -> None:
    source = 'api_key_env = "A"\napi_key_file = "b"'
    folder = make_campaign(REMOTE.format(url="http://127.0.0.1:9/v1", source=source))
    done = fairtrial("run", folder)
    assert done.returncode == 2
    assert "only one of 'api_key_env' and 'api_key_file'" in done.stderr
