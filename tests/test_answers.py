"""Reading final answers: any dress is fine, any hedge is not."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.answers import bare, plain_lines, shortened, the_number


@pytest.mark.parametrize(
    "answer",
    [
        "25",
        " 25.0\n",
        "25.",
        "**25**",
        "`25`",
        '"25"',
        "€25.00",
        "25 €",
        "$25",
        "$25$",
        "\\boxed{25}",
        "+25",
        "(25)",
        "Answer:25",
        "The number is **25**.",
        "It is 25, as the file says.",
        "25 apples",
        "25: that is what the file says",
        "25, which is to say: 25.00",
    ],
)
def test_one_number_is_read_in_any_dress(answer: str) -> None:
    assert the_number(answer) == 25


@pytest.mark.parametrize(
    ("answer", "number"),
    [
        ("-25", "-25"),
        ("\u221225 degrees", "-25"),
        ("1,025", "1025"),
        ("€12,345.60", "12345.6"),
        ("1025.50", "1025.5"),
        ("Lima,1025.50", "1025.5"),
        ("0", "0"),
    ],
)
def test_signs_cents_and_thousands_count(answer: str, number: str) -> None:
    assert the_number(answer) == Decimal(number)


@pytest.mark.parametrize(
    "answer",
    [
        "",
        "none",
        "25 or 26",
        "24\n25\n26",
        "24, 25",
        "20-30",
        "20\u201330",
        "25%",
        "25 %",
        "25th",
        "25k",
        "x25",
        "task-25",
        "2025-03-25",
        "25/3/2025",
        "25:30",
        "25,30",
        "1.025,50",
        "25.5.1",
        "notes/25.txt",
        "25 in line 3",
        "25 (or \u0662\u0666)",
        "25" + " " * 3000,
    ],
)
def test_an_answer_with_no_number_or_several_or_half_of_one_gives_none(answer: str) -> None:
    assert the_number(answer) is None


@given(st.integers(-(10**9), 10**9), st.integers(-(10**9), 10**9))
def test_two_different_numbers_never_pass_for_one(one: int, other: int) -> None:
    expected = Decimal(one) if one == other else None

    assert the_number(f"{one} or {other}") == expected


@given(st.decimals(allow_nan=False, allow_infinity=False, places=2, max_value=10**9, min_value=0))
def test_a_number_with_thousands_marked_is_the_same_number(value: Decimal) -> None:
    assert the_number(f"about €{value:,} in all") == value


@given(st.text())
def test_whatever_a_model_writes_can_be_read(answer: str) -> None:
    assert isinstance(the_number(answer), Decimal | None)
    assert bare(bare(answer)) == bare(answer)
    assert all(line == line.strip() != "" for line in plain_lines(answer))
    assert shortened(answer).isprintable()


@pytest.mark.parametrize(
    "answer",
    [
        "caf\u00e9 noir",
        "cafe\u0301 noir",
        "  caf\u00e9 noir\n",
        "`caf\u00e9 noir`",
        "**caf\u00e9 noir**",
        '"caf\u00e9 noir"',
        "\u201ccaf\u00e9 noir\u201d",
        "\u00abcaf\u00e9 noir\u00bb",
        "```\ncaf\u00e9 noir\n```",
        "```text\ncaf\u00e9 noir\n```",
        '**"caf\u00e9 noir"**',
        "\u300ccaf\u00e9 noir\u300d",
        "\u300ecaf\u00e9 noir\u300f",
        "> caf\u00e9 noir",
        "- caf\u00e9 noir",
        "* `caf\u00e9 noir`",
    ],
)
def test_a_text_is_read_without_what_is_wrapped_around_it(answer: str) -> None:
    assert bare(answer) == "caf\u00e9 noir"


@pytest.mark.parametrize(
    "answer", ["", "*", '""', "a**", "*a", "caf\u00e9. noir.", "'a\"", "-5", "> a\n> b", "\u300ca"]
)
def test_what_is_no_wrapping_stays(answer: str) -> None:
    assert bare(answer) == answer


@pytest.mark.parametrize(
    "line",
    [
        "a.b_c: d",
        "  a.b_c: d\r",
        "- a.b_c: d",
        "\u2022 **a.b_c:** `d`",
        "1. a.b_c: d",
        "12) __a.b_c:__ d",
        "> - a.b_c: \u201cd\u201d",
        "## a.b_c: d",
        "__a.b_c: d__",
        "**1. a.b_c:** 'd'",
    ],
)
def test_a_line_is_read_without_its_dress(line: str) -> None:
    assert plain_lines(f"```text\n{line}\n```\n\n---\n") == ["a.b_c: d"]


@pytest.mark.parametrize("line", ["a.__main__", "__a__.b", "x__y", "-5", "2025-05-14", "or ```b"])
def test_what_belongs_to_a_line_stays(line: str) -> None:
    assert plain_lines(line) == [line.replace("`", "")]


def test_a_fence_hides_no_words() -> None:
    assert plain_lines("a\n``` or rather b\n```") == ["a", "or rather b"]


def test_hostile_text_becomes_one_short_printable_line() -> None:
    assert shortened("a\x1b[2J\nb") == "a\\x1b[2J\\nb"
    assert shortened("x" * 5000) == "x" * 200 + "... (5000 characters)"
    assert shortened("茶碗\n\u202e茶") == "茶碗\\n\\u202e茶"
