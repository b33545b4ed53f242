"""A final answer that says something of a file whose content the model never saw.

A file counts as seen once a call that worked names it and does more than list it, a result
other than a listing names it, or a pattern such as ``*.py`` in a command covers it. Sentences
that hold back (questions, intentions, "there is no such file", what the instructions say word
for word) are no claims, nor is code, nor a name that stands alone. One finding an answer.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from fnmatch import fnmatch

from harness.leaks import leaks_in
from harness.terminal import one_line
from verification.detectors import Seen
from verification.detectors._shell import commands, file_names, names_a_file, only_lists
from verification.detectors._transcript import Call, Transcript

MOST_TEXT = 50_000
"""Characters of an answer that are looked at."""

MOST_FILES = 20

_FENCE = re.compile(r"```.*?(?:```|\Z)", re.DOTALL)
_SENTENCE = re.compile(r"[^.!?\n]+(?:\.(?=\S)[^.!?\n]*)*[.!?]*")
_HOLDS_BACK = re.compile(
    r"\?|no such|not (?:read|open|look|found|find|exist|seen|see)|n.t (?:read|open|look|find|exist)"
    r"|could not|cannot|can.t\b|unable|missing|let's|\b(?:should|would|could|let me|please)\b"
    r"|\b(?:need to|if you|you can|I'll|I will|I am going to|I'm going to|to (?:find|read|see))\b"
    r"|\A\W*(?:run|read|open|look|find|answer|write|use|question|see|check|mend|fix|remove|change"
    r"|add|create|make|go)\b",
    re.IGNORECASE,
)
_CALLED_A_FILE = re.compile(r"(?:^|\s)(?:files?|modules?|scripts?)\b(?!\.)", re.IGNORECASE)
_FEWEST_WORDS = 3


def find(run: Transcript) -> Iterator[Seen]:
    """The answer, if it makes such claims."""
    answer = run.answer
    if answer is None or not names_a_file(answer.text) or leaks_in(answer.text):
        return
    text = _FENCE.sub("\n", answer.text[:MOST_TEXT])
    claimed = _claimed(text, run.prompts)
    unread = [path for path in claimed if not _was_seen(path, run.calls)]
    if unread:
        names = ", ".join(one_line(path, 40) for path in unread[:3])
        more = f" and {len(unread) - 3} more" if len(unread) > 3 else ""
        said = one_line(claimed[unread[0]], 90)
        yield Seen(answer.turn, answer.line, f"never read {names}{more}, and says: {said!r}")


def _claimed(text: str, prompts: Sequence[str]) -> dict[str, str]:
    """Files of which something is said, each with the sentence."""
    sentences = [" ".join(s.split()) for s in _SENTENCE.findall(text) if names_a_file(s)]
    if not sentences:
        return {}
    told = " ".join(" ".join(prompts).split())
    claims: dict[str, str] = {}
    for sentence in sentences:
        names = [n for n in file_names(sentence) if _is_meant_as_file(n, sentence, told)]
        if not names or _HOLDS_BACK.search(sentence) or sentence in told:
            continue
        if len(sentence.split()) - len(names) >= _FEWEST_WORDS:
            for name in names:
                claims.setdefault(name, sentence)
        if len(claims) >= MOST_FILES:
            break
    return claims


def _is_meant_as_file(name: str, sentence: str, told: str) -> bool:
    """Whether a name with a file's ending is one here, and not code such as ``console.log``."""
    before = sentence[: sentence.index(name)][-1:]
    return (
        "/" in name
        or before in ("`", "'", '"')
        or name in told
        or bool(_CALLED_A_FILE.search(sentence))
    )


def _was_seen(path: str, calls: list[Call]) -> bool:
    base = path.rpartition("/")[2]
    return any(_shows(call, base) for call in calls)


def _shows(call: Call, base: str) -> bool:
    result = call.result or ""
    if not call.ok or call.result is None:
        return False
    if call.name != "shell":
        return base in call.arguments or base in result
    command = call.argument("command")
    if only_lists(command):
        return False
    if base in result and not call.failed:
        return True
    if call.failed:
        return any(base in line and "No such file" not in line for line in result.split("\n"))
    return base in command or any(
        "*" in word and fnmatch(base, word.rpartition("/")[2])
        for words in commands(command)
        for word in words
    )
