"""What checkers learn of functions and tests that a model wrote."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from harness import calls
from harness.calls import Call, Raises, failed_tests, wrong_call
from harness.sandbox import Sandbox, make
from harness.task import FinishedRun, load_suite


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    opened = make("bubblewrap")
    opened.open()
    yield opened
    opened.close()


@pytest.fixture
def run(sandbox: Sandbox, tmp_path: Path) -> FinishedRun:
    """A run that left nothing; what is called is put there."""
    task = load_suite("agentic-core-v1").tasks[0]
    return FinishedRun(task, task.variant(), "", (), tmp_path, sandbox)


def says(run: FinishedRun, code: str, expected: Any, *arguments: Any) -> str | None:
    """What is wrong with the function ``f`` that some code defines."""
    return wrong_call(run, [(Call("m:f", arguments), expected)], put={"m.py": code})


GIVEN_BACK = "def f(value):\n    return value\n"


@pytest.mark.parametrize(
    "value",
    [
        (1, (2, [3, ()])),
        [(1, 2)],
        {1: "a", "1": "b"},
        {"$tuple": [1]},
        {(1, 2): [date(2024, 2, 29)]},
        frozenset({(1, 2)}),
        None,
    ],
)
def test_a_value_goes_in_and_comes_out_as_it_is(run: FinishedRun, value: Any) -> None:
    assert says(run, GIVEN_BACK, value, value) is None


@pytest.mark.parametrize(
    ("value", "other"),
    [((1, 2), [1, 2]), (1, True), ({1: 2}, {"1": 2}), ((1,), {"$tuple": [1]}), (1, 1.0)],
)
def test_a_value_of_another_type_is_wrong(run: FinishedRun, value: Any, other: Any) -> None:
    assert says(run, GIVEN_BACK, value, other) is not None
    assert says(run, GIVEN_BACK, other, value) is not None


def test_a_tuple_among_the_arguments_can_be_hashed(run: FinishedRun) -> None:
    code = "def f(pairs):\n    return sorted(set(pairs))\n"

    assert says(run, code, [(1, 2)], [(1, 2), (1, 2)]) is None


def test_an_exception_counts_as_the_one_it_derives_from(run: FinishedRun) -> None:
    code = "class E(ValueError): pass\ndef f():\n    raise E\n"

    assert says(run, code, Raises("ValueError")) is None


RAISES_ITS_LIMIT = """
import resource
try:
    resource.setrlimit(resource.RLIMIT_CPU, (1000, 1000))
except ValueError:
    pass
while True:
    pass
"""


def test_code_that_never_ends_is_wrong_whether_it_is_busy_or_asleep(
    run: FinishedRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    busy = failed_tests(run, put={"tests/__init__.py": "", "tests/test_m.py": RAISES_ITS_LIMIT})
    monkeypatch.setattr(calls, "_PATIENCE", 2.0)
    asleep = says(run, "import time\ntime.sleep(3600)\n", None)

    assert busy == "killed, or not done after 5 seconds of a processor's time"
    assert asleep == f"it could not be called: {busy}"


def test_tests_that_pass_and_tests_that_fail(run: FinishedRun) -> None:
    test = "import unittest\nclass T(unittest.TestCase):\n    def test(self):\n        assert {}\n"

    assert (
        failed_tests(run, put={"tests/__init__.py": "", "tests/test_m.py": test.format(1)}) is None
    )
    wrong = failed_tests(run, put={"tests/__init__.py": "", "tests/test_m.py": test.format(0)})
    assert wrong == "exit code 1: FAILED (failures=1)"
