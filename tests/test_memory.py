"""Whether a model fits into memory: the estimate, against what its worker really takes."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import psutil
import pytest

from harness.errors import BadInput
from harness.models import Request
from harness.models.llama_cpp import Model, Settings
from harness.models.llama_cpp.memory import Estimate, Placement, Shape, estimate, free_memory
from harness.models.llama_cpp.source import Source, find
from harness.records import Prompt
from tests.llama_server import smollm2
from tests.llama_workers import worker_of

MB = 10**6
NOISE = 3 * MB
"""By which a process that does the same may be larger or smaller."""


async def source(path: Path | None = None) -> Source:
    return await find(str(path or smollm2()), None, "m")


async def asked(
    workers: int | None = None, at_most: int = 8, free_host: int | None = None, **shape: Any
) -> Estimate:
    """What SmolLM2 needs in a shape."""
    return await estimate(
        await source(),
        Shape(**{"n_ctx": 4096} | shape),
        Placement(),
        workers=workers,
        at_most=at_most,
        where="m",
        free_host=free_host,
    )


def peak_bytes(process: psutil.Process) -> int:
    """The most memory that a process has ever held (proc(5), VmHWM)."""
    status = Path(f"/proc/{process.pid}/status").read_text()
    found = re.search(r"VmHWM:\s+(\d+) kB", status)
    assert found is not None
    return int(found[1]) * 1024


@pytest.mark.parametrize(("n_ctx", "n_batch"), [(512, 128), (1024, 512), (1024, 1024)])
async def test_the_estimate_is_what_a_worker_takes_with_its_context_full(
    n_ctx: int, n_batch: int
) -> None:
    need = (await asked(1, n_ctx=n_ctx, n_batch=n_batch, n_ubatch=n_batch)).need
    model = Model(
        Settings(
            name="m",
            path=str(smollm2()),
            dialect="fewshot",
            n_ctx=n_ctx,
            n_batch=n_batch,
            n_threads=1,
            cache_mib=0,  # saved beginnings of prompts have their own limit
        )
    )
    await model.open()
    words = Prompt(role="user", content="word " * (n_ctx - 90))
    await model.reply(Request("a", 1, (words,), (), 4, 1, Path()))
    real = peak_bytes(worker_of(model))
    await model.close()
    assert 0.97 * real < need.host(1) < 1.15 * real


async def test_what_each_setting_costs_is_llama_cpps_own_word() -> None:
    plain = (await asked()).need
    assert plain.weights == smollm2().stat().st_size
    # 30 layers, 3 heads of 64 for keys and as many for values, of 2 bytes.
    assert plain.caches == 4096 * 30 * 2 * 3 * 64 * 2
    assert (await asked(n_ctx=8192)).need.caches == 2 * plain.caches
    assert (await asked(slots=2)).need.caches == 2 * plain.caches
    quantised = (await asked(kv_type_k="q8_0", kv_type_v="q8_0", flash_attention=True)).need
    assert quantised.caches == pytest.approx(plain.caches * 34 / 64, rel=0.01)
    assert quantised.buffers < plain.buffers, "flash attention holds no scores"
    assert (await asked(n_batch=64, n_ubatch=64)).need.buffers < plain.buffers
    one, all_ = [(await asked(n_ctx=512, outputs=outputs)).need for outputs in (1, 512)]
    assert all_.buffers - one.buffers > 400 * 49_152 * 4, "the logits of a whole batch"


async def test_workers_share_the_file_and_nothing_else() -> None:
    need = (await asked()).need
    assert need.shared == smollm2().stat().st_size
    assert need.host(3) - need.host(2) == need.each


async def test_there_are_as_many_workers_as_fit_up_to_a_limit() -> None:
    need = (await asked()).need
    assert (await asked(at_most=3, free_host=100_000 * MB)).workers == 3
    assert (await asked(at_most=8, free_host=need.host(2) + NOISE)).workers == 2
    assert (await asked(workers=2, free_host=need.host(2) + NOISE)).workers == 2
    both = (await asked(workers=2, free_host=need.host(2) + NOISE)).facts()
    assert both["host_bytes"] == pytest.approx(need.host(2), abs=NOISE)


async def test_what_does_not_fit_is_refused_with_the_settings_that_would() -> None:
    need = (await asked()).need
    with pytest.raises(BadInput) as raised:
        await asked(free_host=need.host(1) - NOISE)
    sentence = str(raised.value)
    assert re.match(r"m: n_ctx = 4096 needs 0\.\d\d GB of memory \(", sentence)
    advised = re.findall(r'(n_ctx = \d+|n_batch = \d+|kv_type_k = kv_type_v = "q8_0")', sentence)
    assert advised[1:] == ["n_ctx = 2048", 'kv_type_k = kv_type_v = "q8_0"', "n_batch = 128"]
    # And they do.
    free = need.host(1) - NOISE
    q8 = {"kv_type_k": "q8_0", "kv_type_v": "q8_0", "flash_attention": True}
    for smaller in ({"n_ctx": 2048}, q8, {"n_batch": 128, "n_ubatch": 128}):
        assert (await asked(1, free_host=free, **smaller)).need.host(1) <= free


async def test_fewer_workers_are_proposed_where_they_would_fit() -> None:
    need = (await asked()).need
    with pytest.raises(BadInput, match=r"with workers = 3 needs .*; workers = 2"):
        await asked(workers=3, free_host=need.host(2) + NOISE)


async def test_where_nothing_would_fit_the_sentence_says_so() -> None:
    with pytest.raises(BadInput, match="free some, or take a smaller file"):
        await asked(free_host=100_000_000)


async def test_a_context_beyond_what_the_model_was_trained_for_is_refused() -> None:
    with pytest.raises(BadInput, match="n_ctx is 9000, but the model was trained for 8192"):
        await asked(n_ctx=9000)


async def test_types_that_llama_cpp_does_not_take_together_are_refused() -> None:
    with pytest.raises(BadInput, match=r"makes no context with .*leave the types as they are"):
        await asked(kv_type_v="q8_0")


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (smollm2().read_bytes()[:-100], "the file is cut short or damaged; fetch it again"),
        (b"GGUF\x03\0\0\0" + bytes(16), "llama.cpp cannot load it"),
        (
            smollm2().read_bytes().replace(b"llama", b"lamma"),
            "does not know its architecture, 'lamma'",
        ),
    ],
    ids=["the last tensor cut", "empty", "other architecture"],
)
async def test_a_file_that_llama_cpp_cannot_load_is_refused_in_a_sentence(
    tmp_path: Path, content: bytes, words: str
) -> None:
    file = tmp_path / "m.gguf"
    file.write_bytes(content)
    with pytest.raises(BadInput, match=words) as raised:
        await estimate(
            await source(file), Shape(n_ctx=512), Placement(), workers=1, at_most=1, where="m"
        )
    assert "\n" not in str(raised.value)


def test_free_memory_is_no_more_than_the_machine_has() -> None:
    assert 0 < free_memory() <= psutil.virtual_memory().total
