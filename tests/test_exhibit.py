"""Tables for people: what a model wrote in a cell stays text, in the terminal and in Markdown."""

from __future__ import annotations

import html
import io

import pytest
from markdown_it import MarkdownIt
from rich.console import Console

from verification.exhibit import Column, Exhibit, Link, escaped

COLUMNS = (Column("task"), Column("passes", figures=True))


def printed(exhibit: Exhibit, width: int = 80) -> str:
    console = Console(file=io.StringIO(), width=width, force_terminal=True, color_system=None)
    exhibit.print(console)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def test_a_terminal_sees_words_and_no_escape_sequences() -> None:
    text = printed(Exhibit("who\x1b[31m", COLUMNS, [("[bold]a\x1b]0;x\x07", "3/3")], ["n\x07"]))
    assert r"who\x1b[31m" in text
    assert r"[bold]a\x1b]0;x\x07" in text
    assert r"n\x07" in text
    assert "\x07" not in text


def test_markdown_holds_a_cell_that_tries_to_leave_it() -> None:
    hostile = "a | b\n# <script>alert(1)</script> [x](http://x) `c`"
    _, _, row = Exhibit("t", COLUMNS, [(hostile, "1")]).markdown().splitlines()
    assert row == (r"| a \| b\\n\# &lt;script>alert(1)&lt;/script> \[x\](http\://x) \`c\` | 1 |")


def test_markdown_leaves_the_underscores_inside_names_alone() -> None:
    assert escaped("task_01_fix _not_ __all__ a__b") == r"task_01_fix \_not\_ \_\_all\_\_ a\_\_b"


@pytest.mark.parametrize(
    "text", ["1) x", "2. y", "3.", "- z", "+ z", "> z", ">z", "---", "=", "    z", " - z"]
)
def test_no_text_begins_a_list_a_quotation_a_rule_or_code_in_markdown(text: str) -> None:
    for page in (escaped(text), Exhibit("t", COLUMNS, [], [text]).markdown().split("\n\n")[1]):
        assert MarkdownIt().render(page) == f"<p>{html.escape(text.strip())}</p>\n"


def test_numbers_stand_as_they_are_at_the_beginning_of_a_line() -> None:
    assert [escaped(number) for number in ("-0.5", "1.5", "+3", "=3")] == [
        "-0.5",
        "1.5",
        "+3",
        "=3",
    ]


def test_markdown_takes_dollars_for_no_mathematics() -> None:
    assert escaped("$x$ and $$y$$") == r"\$x\$ and \$\$y\$\$"


def test_markdown_links_a_cell_and_says_what_stands_to_the_right() -> None:
    link = Link("run 1", "data/transcripts/a.jsonl#turn=4")
    heading, rule, row = Exhibit("t", COLUMNS, [(link, "1")]).markdown().splitlines()
    assert heading == "| task | passes |"
    assert rule == "| --- | ---: |"
    assert row == "| [run 1](<data/transcripts/a.jsonl#turn=4>) | 1 |"


def test_a_narrow_terminal_loses_no_words() -> None:
    words = "one_very_long_name_of_a_task_that_has_no_space_in_it"
    text = printed(Exhibit("t", COLUMNS, [(words, "")]), width=30)
    assert words in text.replace("\n", "").replace(" ", "")


def test_in_a_terminal_too_narrow_for_its_table_each_row_is_a_block_of_lines() -> None:
    columns = [Column("model"), *(Column(f"figure {n}", figures=True) for n in range(9))]
    exhibit = Exhibit("t", columns, [("one", *"123456789"), ("two", *"987654321")], ["a note"])
    lines = [line.split() for line in printed(exhibit, width=40).splitlines()]
    assert [line for line in lines if line[:1] == ["model"]] == [["model", "one"], ["model", "two"]]
    assert [line[2] for line in lines if line[:2] == ["figure", "8"]] == ["9", "1"]
    assert lines[-1] == ["a", "note"]
    assert "figure 0 " in printed(exhibit, width=120).splitlines()[2]
