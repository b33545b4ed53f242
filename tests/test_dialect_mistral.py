"""Both spellings of Mistral, held against ``mistral-common``, which Mistral publishes for them:
what it writes for a conversation and what it reads of a model's tokens
(https://github.com/mistralai/mistral-common)."""

from __future__ import annotations

import json
import re
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any

import mistral_common
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from mistral_common.experimental.tools import _decode_tool_calls, _split_content_and_tool_calls
from mistral_common.protocol.instruct.chunk import TextChunk, ThinkChunk
from mistral_common.protocol.instruct.messages import AssistantMessage
from mistral_common.protocol.instruct.tool_calls import FunctionCall, ToolCall
from mistral_common.tokens.tokenizers.base import (
    SpecialTokenPolicy,
    SpecialTokens,
    TokenizerVersion,
)
from mistral_common.tokens.tokenizers.instruct import (
    InstructTokenizerV3,
    InstructTokenizerV7,
    InstructTokenizerV11,
    InstructTokenizerV13,
)
from mistral_common.tokens.tokenizers.tekken import SpecialTokenInfo, Tekkenizer

from harness.dialects import Parsed, every
from tests.test_parsers import HOSTILE

pytestmark = pytest.mark.filterwarnings("ignore:Using the tokenizer's special token policy")

KINDS = {
    "v3": (InstructTokenizerV3, "mistral"),
    "v7": (InstructTokenizerV7, "mistral"),
    "v11": (InstructTokenizerV11, "mistral_args"),
    "v13": (InstructTokenizerV13, "mistral_args"),
}
WORDS = 2_000
"""Of the vocabulary; all bytes are among the first, so any text can be written with them."""

Calls = list[tuple[str, object]]

names = st.from_regex(r"[A-Za-z0-9_-]{1,64}", fullmatch=True)
texts = st.text(st.characters(exclude_categories=["Cs"])) | st.sampled_from(HOSTILE)
values = st.recursive(
    texts | st.integers(-(10**15), 10**15) | st.booleans() | st.none(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=5,
)
requests = st.lists(st.tuples(names, st.dictionaries(texts, values, max_size=3)), min_size=1)


@cache
def official(version: str) -> InstructTokenizerV3[Any, Any, Any, Any]:
    """Its tokenizer of one version, on the vocabulary that the package brings."""
    folder = Path(mistral_common.__file__).parent / "data"
    file = json.loads((folder / "tekken_240718.json").read_text(encoding="utf-8"))
    tokens = [
        SpecialTokenInfo(rank=rank, token_str=token.value, is_control=True)
        for rank, token in enumerate(SpecialTokens)
    ]
    kind, _ = KINDS[version]
    return kind(
        Tekkenizer(
            vocab=file["vocab"][:WORDS],
            special_tokens=tokens,
            pattern=file["config"]["pattern"],
            vocab_size=WORDS,
            num_special_tokens=len(tokens),
            version=TokenizerVersion(version),
        )
    )


def as_text(version: str, tokens: list[int]) -> str:
    """What a client sees of a reply: control tokens as they are called, but not the end."""
    text = official(version).tokenizer.decode(tokens, special_token_policy=SpecialTokenPolicy.KEEP)
    return text.removesuffix("</s>")


def read_by_them(version: str, tokens: list[int]) -> Calls:
    """Raises ValueError where the tokens' calls are none."""
    tokenizer = official(version).tokenizer
    mark = tokenizer.get_special_token("[TOOL_CALLS]")
    _, calls = _split_content_and_tool_calls(tokens, mark)
    return [
        (call.function.name, json.loads(call.function.arguments))
        for call in _decode_tool_calls(calls, tokenizer)
    ]


def read_by_us(version: str, text: str) -> tuple[Parsed, Calls]:
    parsed = every()[KINDS[version][1]].parse(text, 1)
    calls = parsed.tool_calls
    return parsed, [(call.name, json.loads(call.arguments, strict=False)) for call in calls]


@pytest.mark.parametrize("version", KINDS)
@settings(deadline=None)  # the vocabulary is read in the first example
@given(asked=requests, with_ids=st.booleans())
def test_calls_that_mistral_writes_are_read_as_they_were_asked_for_and_as_mistral_reads_them(
    version: str, asked: list[tuple[str, dict[str, object]]], with_ids: bool
) -> None:
    ids = with_ids or version == "v13"
    calls = [
        ToolCall(
            id="a1B2c3D4e" if ids else "null",
            function=FunctionCall(name=name, arguments=json.dumps(arguments)),
        )
        for name, arguments in asked
    ]
    message = AssistantMessage(content=None, tool_calls=calls)
    tokens = official(version).encode_assistant_message(message, False, False)
    parsed, ours = read_by_us(version, as_text(version, tokens))
    assert ours == asked
    assert ours == read_by_them(version, tokens[:-1])
    assert (parsed.text, parsed.malformed) == ("", None)


@pytest.mark.parametrize("version", ["v7", "v11", "v13"])
def test_what_is_said_before_the_calls_is_kept(version: str) -> None:
    call = ToolCall(id="a1B2c3D4e", function=FunctionCall(name="ls", arguments="{}"))
    message = AssistantMessage(content="I will look.", tool_calls=[call])
    tokens = official(version).encode_assistant_message(message, False, False)
    parsed, ours = read_by_us(version, as_text(version, tokens))
    assert (parsed.text, ours) == ("I will look.", [("ls", {})])


@settings(deadline=None)  # the vocabulary is read in the first example
@given(thought=st.sampled_from(HOSTILE), said=st.sampled_from(["", "I will look."]))
def test_what_mistral_writes_as_a_thought_is_kept_apart(thought: str, said: str) -> None:
    call = ToolCall(id="a1B2c3D4e", function=FunctionCall(name="ls", arguments="{}"))
    chunks: list[TextChunk | ThinkChunk] = [ThinkChunk(thinking=thought)]
    message = AssistantMessage(content=chunks + [TextChunk(text=said)] * bool(said))
    message = message.model_copy(update={"tool_calls": [call]})
    tokens = official("v13").encode_assistant_message(message, False, False)
    parsed, ours = read_by_us("v13", as_text("v13", tokens))
    assert (parsed.reasoning or "", parsed.text) == (thought.strip(), said)
    assert ours == [("ls", {})]


WORDS_OF = {
    "mistral": [
        ["[TOOL_CALLS]", '[{"name": "ls", "arguments": {}}]'],
        ["[TOOL_CALLS]", ' [{"name": "ls", "arguments": {"a": "]"}, "id": "a1B2c3D4e"}, '],
        ['{"name": "ls", "arguments": {"a": [1]}}]'],
        ["[TOOL_CALLS]"],
        ["[]"],
        [" "],
        ["I will look."],
    ],
    "mistral_args": [
        ["[TOOL_CALLS]", "ls", "[ARGS]", "{}"],
        ["[TOOL_CALLS]", "ls", "[ARGS]", '{"a": [{}, "b"]}'],
        ["[TOOL_CALLS]", "ls", "[CALL_ID]", "a1B2c3D4e", "[ARGS]", "{}"],
        ["[TOOL_CALLS]"],
        ["[ARGS]"],
        ["ls"],
        ["{}"],
        [" "],
        ["I will look."],
    ],
}


@pytest.mark.parametrize("version", KINDS)
@settings(deadline=None)  # the vocabulary is read in the first example
@given(data=st.data())
def test_of_whatever_a_model_writes_calls_that_mistral_reads_are_read(
    version: str, data: st.DataObject
) -> None:
    """Calls of names that a tool can have. The other way round it need not hold: they give up
    all calls of a reply for one that is broken, and words behind a call break it."""
    tokenizer = official(version).tokenizer
    known = [
        # A v13 model writes no [CALL_ID]; their reader would take the id for part of the name.
        words
        for words in WORDS_OF[KINDS[version][1]]
        if version != "v13" or "[CALL_ID]" not in words
    ]
    drawn = data.draw(st.lists(st.sampled_from(known), min_size=1, max_size=5))
    pieces = [piece for words in drawn for piece in words]
    tokens: list[int] = []
    for piece in pieces:
        if piece in ("[TOOL_CALLS]", "[ARGS]", "[CALL_ID]"):
            tokens.append(tokenizer.get_special_token(piece))
        else:
            tokens += tokenizer.encode(piece, bos=False, eos=False)
    _, ours = read_by_us(version, "".join(pieces))
    with suppress(ValueError, TypeError):  # what they refuse
        theirs = read_by_them(version, tokens)
        if all(re.fullmatch(r"[\w-]+", name) for name, _ in theirs):
            assert ours == theirs
