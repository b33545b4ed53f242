"""Tokens of real vocabularies, and what ends a reply."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from llama_cpp import llama_cpp as C  # noqa: N812 - the C interface

from harness.dialects import markup, plain
from harness.models.llama_cpp.engine import Engine
from harness.models.llama_cpp.job import Question
from harness.models.llama_cpp.protocol import Generate, Generated, Load
from harness.models.llama_cpp.vocabulary import Vocabulary
from harness.records import Sampling
from tests.gemma import gemma
from tests.llama_server import smollm2

_SETTING = b"tokenizer.ggml.add_space_prefix" + (7).to_bytes(4, "little")  # a bool of GGUF


@contextmanager
def vocabulary_of(path: Path) -> Iterator[Vocabulary]:
    """A file's vocabulary, without its weights."""
    parameters = C.llama_model_default_params()
    parameters.vocab_only = True
    model = C.llama_model_load_from_file(str(path).encode(), parameters)
    yield Vocabulary(model)
    C.llama_model_free(model)


@pytest.fixture(scope="module")
def blank_before_texts(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Vocabulary]:
    """Gemma's vocabulary, told to put a blank before every text, as that of Llama 2 does."""
    folder = tmp_path_factory.mktemp("gemma")
    data = bytearray(gemma(folder).read_bytes())
    at = data.index(_SETTING) + len(_SETTING)
    assert data[at] == 0
    data[at] = 1
    path = folder / "blank.gguf"
    path.write_bytes(data)
    with vocabulary_of(path) as vocabulary:
        yield vocabulary
    path.unlink()


def spelled(vocabulary: Vocabulary, tokens: list[int]) -> bytes:
    return b"".join(vocabulary.piece(token)[0] for token in tokens)


def test_a_text_that_goes_on_gets_no_blank_that_nobody_wrote(
    blank_before_texts: Vocabulary,
) -> None:
    vocabulary = blank_before_texts
    cut_up = (markup("Write <"), markup("tool_call> here."), plain("; it is 3 "))
    first, second = vocabulary.prompt([cut_up, (plain("and a second segment"),)])
    assert spelled(vocabulary, first[1:]) == b" Write <tool_call> here.; it is 3 "
    assert spelled(vocabulary, second) == b"and a second segment"


def test_after_a_special_token_a_text_begins_as_llama_cpp_has_it(
    blank_before_texts: Vocabulary,
) -> None:
    vocabulary = blank_before_texts
    turn = "<start_of_turn>user\nHello"
    (whole,) = vocabulary.prompt([(markup(turn),)])
    first, second = vocabulary.prompt([(markup("<start_of_turn>"),), (markup("user\nHello"),)])
    assert [*first, *second] == whole


def test_a_delimiter_is_one_token_as_markup_and_a_word_is_none() -> None:
    with vocabulary_of(smollm2()) as vocabulary:
        end = vocabulary.special("<|im_end|>")
        assert end is not None
        assert vocabulary.piece(end) == (b"<|im_end|>", True)
        assert vocabulary.special("<|nothing|>") is None
        assert vocabulary.special("the") is None


def reply_that_must_say(words: str) -> Generated:
    """What SmolLM2's engine gives back where a grammar admits nothing but ``words``."""
    load = Load(
        path=str(smollm2()),
        dialect="hermes",
        template=None,
        template_arguments={},
        today="2026-01-01",
        n_ctx=256,
        n_batch=64,
        n_threads=1,
        slots=1,
        reuse="exact",
        cache_bytes=0,
        n_gpu_layers=0,
        flash_attention=False,
        kv_type_k="f16",
        kv_type_v="f16",
        split_mode="layer",
        main_gpu=0,
        tensor_split=(),
    )
    engine = Engine(load)
    end = engine.vocabulary.special("<|im_end|>")
    assert end is not None
    asked = Generate(
        id=1,
        slot=0,
        run="a",
        conversation=(),
        tools=(),
        sampling=Sampling(temperature=0),
        seed=1,
        max_tokens=64,
        force_call=False,
    )
    engine.begin(
        Question(
            asked,
            segments=[(markup("Say it:"),)],
            opening="",
            ends=frozenset({end}),
            stops=(),
            grammar=f'root ::= "{words}"',
        )
    )
    while engine.busy:
        for generated in engine.step():
            return generated
    raise AssertionError("no reply")


def test_a_delimiter_that_a_model_spells_out_ends_nothing() -> None:
    words = "grep -c '<|im_end|>' chat.txt"
    generated = reply_that_must_say(words)
    assert (generated.text, generated.finish_reason) == (words, "stop")
