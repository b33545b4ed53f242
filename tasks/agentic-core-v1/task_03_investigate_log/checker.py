"""The cause, worked out from the log alone: the change with which no request ever succeeded."""

import re
from typing import NamedTuple

from harness.answers import plain_lines, shortened
from harness.records import Check, Verdict
from harness.task import FinishedRun

LABELLED = re.compile(r"(component|time|line|request)\s*:\s*(.+)", re.IGNORECASE)


class Cause(NamedTuple):
    """The four things that are asked for."""

    component: str
    time: str
    line: int
    request: str


def check(run: FinishedRun) -> Verdict:
    """Accept four lines with the cause, as the log was shipped, and nothing beside them."""
    pair = rf"\b{run.facts['subject']}=\S+ {run.facts['version']}=\S+"
    cause = _cause(run.pristine("evening.log"), pair)
    lines = plain_lines(run.answer)
    found = [match.groups() for match in map(LABELLED.fullmatch, lines) if match]
    said = {label.lower(): value for label, value in found}
    checks = [
        Check(
            name=name,
            passed=_bare(said.get(name, "")) == _bare(str(value)),
            detail=f"expected {value}, got: {shortened(said.get(name, 'nothing'))}",
        )
        for name, value in cause._asdict().items()
    ]
    alone = Check(
        name="nothing_else",
        passed=len(lines) == len(said) == len(cause),
        detail=f"{len(lines)} lines, with {len(said)} of the four labels",
    )
    return Verdict(checks=(*checks, alone))


def _cause(log: str, pair: str) -> Cause:
    """The line that brought into force what only failed requests used."""
    changes: list[tuple[str, str, str, int]] = []
    used: dict[str, str] = {}
    failed, succeeded = [], set()
    for number, line in enumerate(log.splitlines(), start=1):
        time, _, component, bracketed, text = line.split(maxsplit=4)
        request = bracketed.strip("[]")
        match = re.search(pair, text)
        if match and request == "-":
            changes.append((match[0], component, time, number))
        elif match:
            used[request] = match[0]
        elif "status=503" in text:
            failed.append(request)
        elif "status=200" in text:
            succeeded.add(used[request])
    (spoiled,) = {used[request] for request in failed} - succeeded
    ((_, component, time, number),) = (each for each in changes if each[0] == spoiled)
    first = next(request for request in failed if used[request] == spoiled)
    return Cause(component, time, number, first)


def _bare(value: str) -> str:
    """A value without brackets, full stop and thousands separators, in small letters."""
    return value.strip(" []().").replace(",", "").lower()
