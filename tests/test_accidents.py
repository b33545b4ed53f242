"""Scripts that go wrong by accident are told from those that fail as they were meant to."""

from __future__ import annotations

import json

import pytest

from harness.certificate.accidents import bad_call, failing_program
from harness.records import Reply, Signal, ToolCall, ToolResult

ON_STDIN = """exit code: 1
stderr:
Traceback (most recent call last):
  File "<stdin>", line 3, in <module>
AssertionError"""
BY_C = """exit code: 1
stderr:
Traceback (most recent call last):
  File "<string>", line 1, in <module>
  File "/usr/lib/python3.11/pathlib.py", line 1058, in read_text
    with self.open(mode='r', encoding=encoding, errors=errors) as f:
         ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
FileNotFoundError: [Errno 2] No such file or directory: 'reading.csv'"""
IN_A_FILE = """exit code: 1
stderr:
Traceback (most recent call last):
  File "/workspace/report.py", line 2, in <module>
    prnt("total")
    ^^^^
NameError: name 'prnt' is not defined"""
NO_PYTHON = """exit code: 1
stderr:
  File "/workspace/report.py", line 2
    prnt("total")
        ^
SyntaxError: invalid syntax"""
CAUGHT_BY_A_TEST_RUNNER = """exit code: 1
stderr:
E
======================================================================
ERROR: test_total (test_report.TestReport.test_total)
----------------------------------------------------------------------
Traceback (most recent call last):
  File "/workspace/test_report.py", line 9, in test_total
    self.assertEqual(total(), 3)
  File "/workspace/report.py", line 2, in total
    prnt("total")
    ^^^^
NameError: name 'prnt' is not defined

----------------------------------------------------------------------
Ran 1 test in 0.001s

FAILED (errors=1)"""
FROM_THE_TASKS_CODE = """exit code: 1
stderr:
Traceback (most recent call last):
  File "<stdin>", line 4, in <module>
  File "/workspace/freight.py", line 10, in euros
    return float(row['cost']) * float(rates[row['date']][row['currency']])
                                      ~~~~~^^^^^^^^^^^^^
KeyError: '2025-05-01'"""
STACK_PRINTED = """exit code: 0
stdout:
  File "/workspace/report.py", line 2, in <module>
    prnt("total")
done"""


def played(printed: str) -> list[Reply | ToolResult]:
    """A script that writes report.py and runs it, or another program."""
    command = "cat > report.py <<'END'\nimport sys\nprnt(\"total\")\nEND\npython3 report.py"
    call = ToolCall(id="1", name="shell", arguments=json.dumps({"command": command}))
    return [
        Reply(turn=1, tool_calls=(call,), finish_reason="tool_calls"),
        ToolResult(turn=1, call_id="1", name="shell", content=printed, ok=True, seconds=0.1),
    ]


@pytest.mark.parametrize(
    ("printed", "error"),
    [
        (ON_STDIN, "AssertionError"),
        (BY_C, "FileNotFoundError: [Errno 2] No such file or directory: 'reading.csv'"),
        (IN_A_FILE, "NameError: name 'prnt' is not defined"),
        (NO_PYTHON, "SyntaxError: invalid syntax"),
    ],
)
def test_an_error_of_the_scripts_own_program_is_an_accident(printed: str, error: str) -> None:
    assert (failing_program(played(printed)) or "").endswith(f": {error}")


@pytest.mark.parametrize("printed", [CAUGHT_BY_A_TEST_RUNNER, FROM_THE_TASKS_CODE, STACK_PRINTED])
def test_failing_tests_and_errors_of_the_tasks_own_code_are_none(printed: str) -> None:
    assert failing_program(played(printed)) is None


@pytest.mark.parametrize("name", ["unknown_tool", "malformed_tool_call"])
def test_a_call_that_no_tool_takes_is_an_accident(name: str) -> None:
    signal = Signal.model_validate({"turn": 1, "name": name, "detail": "error: no 'shel'"})

    assert bad_call([signal]) == "a call that no tool takes: no 'shel'"
