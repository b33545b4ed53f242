"""The functions on the call stack, named one on each line, whatever those lines are dressed in."""

import re
from collections import Counter

from harness.answers import plain_lines, shortened
from harness.records import Check, Verdict
from harness.task import FinishedRun

NAME = re.compile(r"[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)+", re.ASCII)
NUMBER = re.compile(r"\s*(?:[0-9]+[.)]?|#)?\s*")
HEADING = re.compile(r"^(?:\|[ ]*[#\w]+\.?[ ]*)+\|\s*\n(?=\|[-:| ]+\|\s*$)", re.MULTILINE)
"""Of a table: columns that are called by one word, and the rule below them."""


def check(run: FinishedRun) -> Verdict:
    """Accept lines that name the chain's functions, each once and in order, and nothing else."""
    chain: list[str] = run.facts["chain"]
    lines = _lines(run.answer)
    named = [line for line in lines if NAME.fullmatch(line)]
    others = [line for line in lines if not NAME.fullmatch(line)]
    missing, wrong = Counter(chain) - Counter(named), Counter(named) - Counter(chain)
    places = [chain.index(name) + 1 for name in named if name in chain]
    return Verdict(
        checks=(
            Check(
                name="functions",
                passed=not missing and not wrong,
                detail=f"missing: {_listed(missing)}; wrong: {_listed(wrong)}",
            ),
            Check(
                name="order",
                passed=places == sorted(places),
                detail=f"places in the chain: {shortened(' '.join(map(str, places)) or 'none')}",
            ),
            Check(
                name="nothing_else",
                passed=not others,
                detail=f"no name: {shortened(others[0])}" if others else "names alone",
            ),
        )
    )


def _lines(answer: str) -> list[str]:
    """What an answer's lines say, without the dress of lists and tables and a call's brackets."""
    text = HEADING.sub("", answer.replace("\r\n", "\n").replace("\\_", "_"))
    return [_without_dress(line) for line in plain_lines(text)]


def _without_dress(line: str) -> str:
    said = "|".join(cell for cell in line.split("|") if not NUMBER.fullmatch(cell))
    return said.strip(" ,;").removesuffix(".").removesuffix("()").strip()


def _listed(names: Counter[str]) -> str:
    return shortened(", ".join(sorted(names.elements())) or "none")
