"""The functions on the call stack, read from an answer in whatever dress, and their order."""

import re
from collections import Counter
from pathlib import PurePath

from harness.answers import shortened
from harness.records import Check, Verdict
from harness.task import FinishedRun

LONGEST = 4_000
FILE = re.compile(r"(?<![\w./-])[\w./-]+\.(?:py|ini|json|txt)\b")
NAME = re.compile(r"[A-Za-z_]\w+(?:\.[A-Za-z_]\w+)*")
DEFINED = re.compile(r"^ *(?:def|class) (\w+)", re.MULTILINE)


def check(run: FinishedRun) -> Verdict:
    """Accept an answer that names the chain's functions, each once and in order, and no other."""
    chain: list[str] = run.facts["chain"]
    named = _named(run)
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
        )
    )


def _named(run: FinishedRun) -> list[str]:
    """Every name of the code that the answer holds, in full or in short, and every strange module.

    Passed over are dotted words that are no code (``booking.moved``) and plain ones that are
    English too (``main``).
    """
    if len(run.answer) > LONGEST:
        return []
    answer = run.answer.replace("\\_", "_")
    code = [run.pristine(path) for path in run.variant.files if path.endswith(".py")]
    defined = {name for text in code for name in DEFINED.findall(text)}
    telling = {name for name in defined if re.search("_|[a-z][A-Z]", name)}
    names = [
        name
        for name in NAME.findall(FILE.sub(" ", answer))
        if name.startswith(f"{run.facts['package']}.")
        or not (defined if "." in name else telling).isdisjoint(name.split("."))
    ]
    return names + _strange_modules(answer, run.facts["chain"])


def _strange_modules(answer: str, chain: list[str]) -> list[str]:
    """Files with code that an answer names, though none of the chain's functions stands there."""
    known = {part for name in chain for part in name.split(".")}
    files = [PurePath(file) for file in FILE.findall(answer)]
    return [file.name for file in files if file.suffix == ".py" and file.stem not in known]


def _listed(names: Counter[str]) -> str:
    return shortened(", ".join(sorted(names.elements())) or "none")
