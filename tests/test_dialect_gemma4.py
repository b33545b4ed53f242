"""Gemma 4 and FunctionGemma: calls that are nearly JSON."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.dialects import Parsed, functiongemma, gemma4

Q = '<|"|>'


def calls(parsed: Parsed) -> list[tuple[str, Any]]:
    return [(call.name, json.loads(call.arguments)) for call in parsed.tool_calls]


def spelled(value: Any, quote: str = Q) -> str:
    """A value as Gemma's template writes it."""
    match value:
        case str():
            return f"{quote}{value}{quote}"
        case dict():
            members = (f"{key}:{spelled(each, quote)}" for key, each in value.items())
            return "{" + ",".join(members) + "}"
        case list():
            return "[" + ",".join(spelled(each, quote) for each in value) + "]"
        case _:
            return json.dumps(value)


def call(name: str, arguments: dict[str, Any]) -> str:
    return f"<|tool_call>call:{name}{spelled(arguments)}<tool_call|>"


TEXTS = st.text().filter(lambda text: Q not in text and "<escape>" not in text)
VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | TEXTS,
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.from_regex(r"[a-z_][a-z0-9_.-]{0,8}", fullmatch=True), inner, max_size=4
        )
    ),
    max_leaves=12,
)
ARGUMENTS = st.dictionaries(st.from_regex(r"[a-z_][a-z0-9_]{0,8}", fullmatch=True), VALUES)


@pytest.mark.parametrize(
    ("written", "arguments"),
    [
        (f"a:[{Q}x{Q},q,{Q}y{Q}]", {"a": ["x", "q", "y"]}),
        (f"a:{Q}x{Q},n=1,b:{Q}y{Q}", {"a": "x", "n": 1, "b": "y"}),
    ],
)
def test_words_and_numbers_between_strings_are_values(
    written: str, arguments: dict[str, Any]
) -> None:
    parsed = gemma4.parse(f"<|tool_call>call:a{{{written}}}<tool_call|>", 1)
    assert calls(parsed) == [("a", arguments)]


@given(ARGUMENTS, ARGUMENTS)
def test_arguments_of_any_type_read_back(first: dict[str, Any], second: dict[str, Any]) -> None:
    parsed = gemma4.parse(f"Well. {call('a', first)}{call('b.c-d', second)}", 1)
    assert calls(parsed) == [("a", first), ("b.c-d", second)]
    assert [call.id for call in parsed.tool_calls] == ["call_1_1", "call_1_2"]
    assert (parsed.text, parsed.malformed, parsed.reasoning) == ("Well.", None, None)


@given(ARGUMENTS)
def test_functiongemma_spells_the_same_between_other_marks(arguments: dict[str, Any]) -> None:
    text = f"<start_function_call>call:a{spelled(arguments, '<escape>')}<end_function_call>"
    assert calls(functiongemma.parse(text, 1)) == [("a", arguments)]


@pytest.mark.parametrize(
    "text",
    [
        "<tool_call|>",
        "}<tool_call|>",
        "<|tool_call>call:rm{}<tool_call|>",
        "<|channel>thought\nNo.<channel|>",
        "<turn|>\n<|turn>user\nObey.",
        "<|tool_response>response:shell{value:1}<tool_response|>",
        '"quoted", \\ and {braces: [1, 2]}',
        "several\nlines\r\n\tand tabs",
    ],
)
def test_a_string_may_hold_what_a_call_is_made_of(text: str) -> None:
    reply = call("shell", {"command": text, "n": 1}) + call("ls", {})
    parsed = gemma4.parse(reply, 1)
    assert calls(parsed) == [("shell", {"command": text, "n": 1}), ("ls", {})]
    assert (parsed.text, parsed.malformed, parsed.reasoning) == ("", None, None)


@pytest.mark.parametrize(
    ("text", "reasoning", "said"),
    [
        ("<|channel>thought\n46 or\n47?\n<channel|>47", "46 or\n47?", "47"),
        ("<|channel>thought\n<channel|>47<turn|>", None, "47"),
        ("<|channel>thought<channel|>47", None, "47"),
        ("<|channel><|channel>thought\nHm.<channel|>47", "Hm.", "47"),
        (
            "<|channel>thought\nI could <|tool_call>call:a{}<tool_call|><channel|>",
            "I could <|tool_call>call:a{}<tool_call|>",
            "",
        ),
        (
            "<|channel>thought\nI could <|tool_call>call:a{}<tool_call|>",
            "I could <|tool_call>call:a{}<tool_call|>",
            "",
        ),
        ("<|channel>thought\n<channel|>47<channel|>", None, "47"),
        ("<|channel>thought\n<channel|>47<|channel>thought\n<channel|>", None, "47"),
        ("The channel <|channel> is a token.", None, "The channel <|channel> is a token."),
    ],
)
def test_what_it_thinks_is_kept_apart_from_what_it_says(
    text: str, reasoning: str | None, said: str
) -> None:
    parsed = gemma4.parse(text, 1)
    assert (parsed.reasoning, parsed.text) == (reasoning, said)
    assert (parsed.tool_calls, parsed.malformed) == ((), None)


def test_a_call_that_ends_a_thought_with_nothing_behind_it_is_made() -> None:
    parsed = gemma4.parse(f"<|channel>thought\nI look.{call('a', {})}<channel|><turn|>", 1)
    assert (calls(parsed), parsed.reasoning, parsed.text) == ([("a", {})], "I look.", "")
    drafted = f"<|channel>thought\nI look.{call('a', {})}<channel|>No: {call('b', {})}"
    assert calls(gemma4.parse(drafted, 1)) == [("b", {})]


def test_thoughts_between_calls_are_all_kept() -> None:
    text = (
        f"<|channel>thought\nFirst.<channel|>{call('a', {})}"
        f"<|channel>thought\nThen.<channel|>{call('b', {})}<|tool_response>"
    )
    parsed = gemma4.parse(text, 1)
    assert parsed.reasoning == "First.\nThen."
    assert calls(parsed) == [("a", {}), ("b", {})]
    assert parsed.text == ""


@pytest.mark.parametrize(
    ("written", "arguments"),
    [
        ('{"path": "a.txt", "n": 3}', {"path": "a.txt", "n": 3}),
        ('{path:"a\\nb"}', {"path": "a\nb"}),
        ("{path: notes/a.txt, n: 007}", {"path": "notes/a.txt", "n": "007"}),
        ("{a:True,b:None,c:-1.50e+3}", {"a": True, "b": None, "c": -1500.0}),
        ('{\n  path: <|"|>a<|"|>,\n}', {"path": "a"}),
        # https://github.com/sgl-project/sglang/pull/39240
        ('{path:notes/a b.txt<|"|>}', {"path": "notes/a b.txt"}),
        ('{n:5,path:a, b.txt<|"|>,m:7}', {"n": 5, "path": "a, b.txt", "m": 7}),
        ('{paths:[a.txt<|"|>,<|"|>b.txt<|"|>]}', {"paths": ["a.txt", "b.txt"]}),
        # https://github.com/vllm-project/vllm/issues/51284
        ("{paths:['a.txt'],o:{\"n\": 'b'}}", {"paths": ["a.txt"], "o": {"n": "b"}}),
        ("{o:{'n': 'b', 'm': 1}}", {"o": {"n": "b", "m": 1}}),
        ("{command:'echo a, b: {c} it's'}", {"command": "echo a, b: {c} it's"}),
        ("{path:'tis}", {"path": "'tis"}),
        # https://github.com/ollama/ollama/issues/17882
        ("{path='a.txt', n=3,q=<|\"|>b<|\"|>}", {"path": "a.txt", "n": 3, "q": "b"}),
        # https://github.com/vllm-project/vllm/pull/48678
        (
            '{code:<|"|>f(<|"|><|"|><|"|>a, b<|"|><|"|><|"|>, x=<|"|>y<|"|>)<|"|>}',
            {"code": 'f("""a, b""", x="y")'},
        ),
        (
            '{code:<|"|>f({<|"|>a<|"|>: <|"|>b<|"|>}, <|"|>c<|"|>, [<|"|>d<|"|>])<|"|>,refs=["e"]}',
            {"code": 'f({"a": "b"}, "c", ["d"])', "refs": ["e"]},
        ),
    ],
)
def test_what_small_models_write_instead_is_read(written: str, arguments: dict[str, Any]) -> None:
    assert calls(gemma4.parse(f"<|tool_call>call:f{written}", 1)) == [("f", arguments)]


def test_numbers_stay_as_they_were_written() -> None:
    digits = "9" * 5_000
    (one,) = gemma4.parse(f"<|tool_call>call:f{{a:1.50,b:{digits}}}<tool_call|>", 1).tool_calls
    assert one.arguments == f'{{"a": 1.50, "b": {digits}}}'


BROKEN = [
    "<|tool_call>",
    "<|tool_call>ls -l<tool_call|>",
    '<|tool_call>{"name": "shell"}<tool_call|>',
    "<|tool_call>call:shell<tool_call|>",
    f"<|tool_call>call:shell{{command:{Q}ls",
    f"<|tool_call>call:shell{{command:{Q}ls{Q}",
    "<|tool_call>call:shell{command:}<tool_call|>",
    "<|tool_call>call:shell{command}<tool_call|>",
    f"<|tool_call>call:shell{{command:{Q}a{Q} n:1}}<tool_call|>",
    # https://github.com/vllm-project/vllm/pull/39440
    f"<|tool_call>call:edit{{old:{Q}code with }}],path:{Q}a.txt{Q}}}<tool_call|>",
    f"<|tool_call>call:edit{{old:{Q}code{Q}\npath:{Q}a.txt{Q}}}<tool_call|>",
    "<|tool_call>call:shell{a:" + "[" * 100_000,
    "<|tool_call>call:shell{a:" + "{a:" * 30_000,
]


@pytest.mark.parametrize("text", BROKEN, ids=lambda text: repr(text[:50]))
def test_a_call_that_cannot_be_read_is_malformed_and_stays_in_the_text(text: str) -> None:
    parsed = gemma4.parse(f"So: {text}", 1)
    assert parsed.tool_calls == ()
    assert parsed.malformed is not None
    assert parsed.malformed.startswith("<|tool_call> at character 4: ")
    assert parsed.text == f"So: {text}"


def test_calls_around_a_broken_one_count() -> None:
    broken = f"<|tool_call>call:b{{x:{Q}y}}<tool_call|>"
    parsed = gemma4.parse(call("a", {}) + broken + call("c", {"x": "z"}), 1)
    assert calls(parsed) == [("a", {}), ("c", {"x": "z"})]
    assert parsed.text == broken
    assert parsed.malformed is not None


def test_what_is_said_behind_a_call_without_an_end_is_no_part_of_its_last_string() -> None:
    first, second = f"<|tool_call>call:a{{x:{Q}y{Q}}}", call("b", {"x": "z"})
    parsed = gemma4.parse(f"{first}\nI wait. {second}", 1)
    assert calls(parsed) == [("a", {"x": "y"}), ("b", {"x": "z"})]
    assert (parsed.text, parsed.malformed) == ("I wait.", None)


def test_a_mark_that_is_spoken_of_is_no_call() -> None:
    text = "The token <|tool_call> begins a call, and `<|tool_call>` is how I quote it."
    parsed = gemma4.parse(text, 1)
    assert (parsed.text, parsed.tool_calls, parsed.malformed) == (text, (), None)


def test_a_call_cut_off_anywhere_is_none_or_the_whole_of_it() -> None:
    whole = call("f", {"n": 123, "x": f"it {Q}is{Q} }}<tool_call|>", "l": [True, {"k": "v, }"}]})
    (expected,) = gemma4.parse(whole, 1).tool_calls
    for length in range(len(whole)):
        assert gemma4.parse(whole[:length], 1).tool_calls in ((), (expected,)), whole[:length]
