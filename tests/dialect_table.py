"""python -m tests.dialect_table: what is proven of each family, as a table in Markdown.

    templates     vendored templates of the family, and how many of them carry all arguments
    arguments     hostile arguments that read back as they were, of those that were written
    llama.cpp     prompts that are the same to the character as llama.cpp's own renderer's
    fuzzed        texts made at random that its parser took, none of which made it fail
    official      replies read as the parser that the family's maker publishes reads them

It takes some minutes: the last three columns start a server for every template and run tests.
"""

from __future__ import annotations

import re
import subprocess
import sys
from collections import Counter, defaultdict

from harness.dialects import every
from tests.test_dialect_mistral import KINDS
from tests.test_templates import (
    SPOKEN,
    TALKS,
    VALUES,
    called,
    differing,
    is_same,
    read_back,
)

_FUZZERS = {
    "test_no_reply_makes_a_parser_fail": "fuzzed",
    "test_a_text_without_a_mark_of_the_family_is_said_as_it_stands": "fuzzed",
    "test_what_openai_renders_is_read_as_openai_reads_it": "official",
    "test_calls_that_mistral_writes_are_read_as_they_were_asked_for_and_as_mistral_reads_them": (
        "official"
    ),
    "test_of_whatever_a_model_writes_calls_that_mistral_reads_are_read": "official",
}
_OF_A_TEST = re.compile(r"::(?P<test>test_\w+)(?:\[(?P<of>[\w.-]+)\])?:\n(?P<body>(?:\n|[ ].*\n)*)")
_PASSING = re.compile(r"- (\d+) passing, (\d+) failing")


def main() -> None:
    """Print the table."""
    counts = _by_templates() + _by_tests()
    print("| dialect | family | templates | arguments | llama.cpp | fuzzed | official |")
    print("| --- | --- | --- | --- | --- | --- | --- |")
    for name, dialect in every().items():
        count = {column: counts[name, column] for column in _COLUMNS}
        templates = _of(count["whole"], count["templates"])
        print(
            f"| {name} | {dialect.family} | {templates} | {_of(count['carried'], count['written'])}"
            f" | {_of(count['same'], count['prompts'])} | {count['fuzzed']:,}"
            f" | {count['official'] or '-'} |"
        )


_COLUMNS = (*("templates", "whole", "written", "carried", "prompts", "same", "fuzzed", "official"),)


def _of(part: int, whole: int) -> str:
    return f"{part:,} of {whole:,}" if whole else "-"


def _by_templates() -> Counter[tuple[str, str]]:
    counts: Counter[tuple[str, str]] = Counter()
    for name, dialect in SPOKEN.items():
        carried = sum(
            is_same(read_back(name, called(1, {"command": value})), [{"command": value}])
            for value in VALUES.values()
        )
        counts[dialect, "templates"] += 1
        counts[dialect, "whole"] += carried == len(VALUES)
        counts[dialect, "written"] += len(VALUES)
        counts[dialect, "carried"] += carried
        counts[dialect, "prompts"] += len(TALKS)
        counts[dialect, "same"] += len(TALKS) - len(differing(name))
        print(f"{name}: {carried} of {len(VALUES)}", file=sys.stderr)
    return counts


def _by_tests() -> Counter[tuple[str, str]]:
    """Counts what hypothesis drew in the tests of ``_FUZZERS``; they must pass."""
    files = [
        "tests/test_parsers.py",
        "tests/test_dialect_gpt_oss.py",
        "tests/test_dialect_mistral.py",
    ]
    names = " or ".join(_FUZZERS)
    pytest = [sys.executable, "-m", "pytest", "-q", "--hypothesis-show-statistics"]
    ran = subprocess.run([*pytest, *files, "-k", names], capture_output=True, text=True, check=True)
    drawn: defaultdict[tuple[str, str], int] = defaultdict(int)
    for found in _OF_A_TEST.finditer(ran.stdout):
        if column := _FUZZERS.get(found["test"]):
            of = found["of"] or "gpt_oss"
            dialect = KINDS[of][1] if of in KINDS else of
            passed = sum(int(count) for count, _ in _PASSING.findall(found["body"]))
            drawn[dialect, column] += passed
    return Counter(drawn)


if __name__ == "__main__":
    main()
