"""The benchmarks of local models run at all, at tiny sizes; what they measure is no test."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.llama_server import smollm2

TINY = ("--rounds", "1", "--tokens", "4", "--runs", "1", "--turns", "2", "2")


@pytest.mark.parametrize(
    ("table", "rows"),
    [
        ("speed", {"bare llama.cpp": 2, "harness, its engine alone": 2, "harness, through": 2}),
        ("reuse", {"exact": 2, "fast": 2}),
        ("batch", {"bare llama.cpp": 1, "harness": 1, "of llama.cpp itself": 1}),
        (
            "campaign",
            {"llama_cpp, exact": 1, "llama_cpp, batch": 1, "llama_server": 1, "Inspect": 1},
        ),
    ],
)
def test_a_table_of_local_models_has_all_its_rows(table: str, rows: dict[str, int]) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.local", table, "--model", str(smollm2()), *TINY],
        cwd=Path(__file__).parent.parent,
        capture_output=True,
        text=True,
        timeout=1800,
    )
    assert done.returncode == 0, done.stderr
    found = {
        name: len(re.findall(rf"^  {re.escape(name)}.*\d", done.stdout, re.MULTILINE))
        for name in rows
    }
    assert found == rows, done.stdout
