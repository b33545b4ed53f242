"""What leaked and what was only spoken of, held against texts that a person has labelled."""

from __future__ import annotations

import re
import time
import tomllib
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.leaks import SIGNS, family_of, leaks_in, markup_in, patterns

LABELLED = Path(__file__).parent / "labelled" / "leaks.toml"
DOCS = Path(__file__).parent.parent / "docs" / "leakage.md"


@cache
def labelled(what: str) -> Mapping[str, Mapping[str, Any]]:
    table = tomllib.loads(LABELLED.read_text(encoding="utf-8"))[what]
    assert isinstance(table, dict)
    return table


def text_of(label: Mapping[str, Any]) -> str:
    return str(label["text"]) * int(label.get("times", 1))


def test_every_leak_is_seen_and_no_honest_text_is_taken_for_one() -> None:
    leaks, honest = labelled("leak"), labelled("honest")
    seen = {name for name, label in leaks.items() if leaks_in(text_of(label))}
    wrong = {name for name, label in honest.items() if leaks_in(text_of(label))}
    precision, recall = len(seen) / len(seen | wrong), len(seen) / len(leaks)
    print(f"{len(leaks)} leaks, {len(honest)} honest: precision {precision}, recall {recall}")
    assert (leaks.keys() - seen, wrong) == (set(), set())


@pytest.mark.parametrize("name", labelled("leak"))
def test_a_leak_is_told_with_its_family_and_where_it_begins(name: str) -> None:
    label = labelled("leak")[name]
    text = text_of(label)
    leaks = leaks_in(text)
    assert re.search(label["family"], family_of(leaks))
    assert all(text[leak.start : leak.end] == leak.text for leak in leaks)


HOSTILE = {
    "one leak again and again": "<|channel>fs_read{file: tests/test_a.py}\n",
    "brackets": '{ "name" ',
    "JSON that almost is a call": '{"name":"a","parameters"',
    "open tags": "<|a<a",
    "one endless token": "<|" + "a_" * 1000,
    "one endless tag": "<" + "a" * 1000 + "_",
    "quotation marks": "'\"\u201c\u00ab",
    "backticks": "` `` ",
    "fences": "```a\n~~~\n",
    "one endless fence": "```" + "a" * 1000,
    "tables": "|-|\n| <|im_end|>\n",
    "rules": "|" + "-" * 1000,
    "templates": "{% {{ <|im_end|> %} ",
    "white space": " \n\t\n    ",
    "one line of blanks": " " * 1000,
    "opened calls": "<tool_call>{",
    "words": "to=functions. [ARGS] [TOOL_CALLS] ",
    "half-width bars": "<\uff5ca\u2581",
}


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE)
def test_a_hundred_thousand_characters_of_anything_are_soon_looked_through(text: str) -> None:
    text *= 100_000 // len(text)
    began = time.process_time()
    if leaks := leaks_in(text):
        family_of(leaks)
    # They take less than a tenth; with the square of them it would be a minute.
    assert time.process_time() - began < 5


PIECES = [
    *("<tool_call>", "</tool_call>", "<|im_end|>", "<|channel>", "[ARGS]", "`", "``", "```\n"),
    *('"', "'", "{%", "%}", "{{", "}}", "|", "|-|\n", "\n", "    ", "<\uff5c", "\ud800", "\x00"),
]


@settings(deadline=None)
@given(st.lists(st.sampled_from(PIECES) | st.text(max_size=5), max_size=20).map("".join))
def test_whatever_a_model_writes_can_be_looked_through(text: str) -> None:
    leaks = leaks_in(text)
    assert [leak.start for leak in leaks] == sorted(leak.start for leak in leaks)
    assert all(text[leak.start : leak.end] == leak.text != "" for leak in leaks)
    if leaks:
        assert family_of(leaks)


MARKUP = st.sampled_from(patterns()).flatmap(lambda named: st.from_regex(named[1]))
LABELLED_TEXTS = [text_of(x) for what in ("leak", "honest") for x in labelled(what).values()]


def is_worth_a_look(text: str) -> bool:
    return any(sign in text for sign in SIGNS)


@settings(deadline=None, max_examples=1000)
@given(MARKUP)
def test_all_markup_of_every_family_has_one_of_the_signs_that_are_looked_for_first(
    text: str,
) -> None:
    assert is_worth_a_look(text)


@settings(deadline=None, max_examples=300)
@given(st.lists(st.sampled_from(LABELLED_TEXTS) | MARKUP | st.text(), max_size=3).map("".join))
def test_what_has_none_of_the_signs_has_no_markup_in_any_pattern(text: str) -> None:
    for piece in (text, *text.split()):
        assert is_worth_a_look(piece) or not markup_in(piece)


def test_most_honest_code_has_none_of_the_signs() -> None:
    assert not is_worth_a_look("```python\nx = {'a': [1, 2]}\nprint(x['a'][0])\n```\n- [ ] done")


def test_the_families_are_asked_for_on_disk_once_however_much_leaks(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    family_of(leaks_in("<tool_call>"))

    def refuse(*_: object) -> None:
        raise AssertionError

    monkeypatch.setattr("pkgutil.iter_modules", refuse)
    for text in LABELLED_TEXTS:
        if leaks := leaks_in(text):
            family_of(leaks)


@settings(deadline=None)
@given(st.sampled_from(sorted(labelled("leak"))))
def test_what_leaked_is_spoken_of_once_it_stands_in_a_fence(name: str) -> None:
    text = text_of(labelled("leak")[name])
    if "```" not in text:
        assert not leaks_in(f"So it says:\n\n````\n{text}\n````\n\nThat is all.")


def test_the_numbers_of_labelled_texts_in_the_docs_are_right() -> None:
    text = " ".join(DOCS.read_text(encoding="utf-8").split())
    counts = f"{len(labelled('leak'))} leaks of every family and {len(labelled('honest'))} honest"
    assert counts in text
