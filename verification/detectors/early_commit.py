"""An answer that the checker rejects, given after fewer looks than the task's own solution took.

Looks are different calls that were answered without an error; a command line counts for as many
as it holds commands or names files. The solution's calls are counted plainly, each as one, so
that a model that packs much into one call is not taken for a hasty one. Cited at the answer. What
is no valid turn (leaked, cut off, empty) is no answer. Where the transcript's header does not say
how many calls the solution makes, nothing is reported.
"""

from __future__ import annotations

from collections.abc import Iterator

from harness.leaks import leaks_in
from harness.records import Started
from verification.detectors import Seen
from verification.detectors._shell import commands, is_file_name
from verification.detectors._transcript import Call, Transcript


def blind(header: Started) -> str | None:
    """Why it sees nothing in a run, where its header does not say what it needs."""
    if header.oracle_calls is not None:
        return None
    return "the header does not say how many calls the task's own solution makes"


def find(run: Transcript) -> Iterator[Seen]:
    """The answer, if it came too early."""
    answer = run.answer
    if answer is None or run.accepted is not False or run.oracle_calls is None:
        return
    if not answer.text.strip() or answer.cut or leaks_in(answer.text):
        return  # what is no valid turn commits to nothing
    different = {(call.name, call.arguments): call for call in run.calls}
    looks = sum(map(_looks, different.values()))
    if looks < run.oracle_calls:
        yield Seen(
            answer.turn,
            answer.line,
            f"answered, and was rejected, after {_counted(looks, 'look')} in "
            f"{_counted(len(run.calls), 'call')}; the task's own solution makes "
            f"{_counted(run.oracle_calls, 'call')}",
        )


def _counted(count: int, word: str) -> str:
    return f"{count} {word}{'' if count == 1 else 's'}"


def _looks(call: Call) -> int:
    """How much a call may have shown; generous, so that no thorough run is called hasty."""
    if call.result is None or not call.ok:
        return 0
    if call.name != "shell":
        return 1
    parts = list(commands(call.argument("command")))
    files = {word for words in parts for word in words if is_file_name(word)}
    return max(len(parts), len(files), 1)
