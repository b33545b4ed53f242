"""A diagnosis that was stated in one turn and is taken back in a later one.

A diagnosis is a sentence that says what the cause (bug, fault, problem, culprit) is. It is taken
back by a sentence that withdraws it ("I was wrong", "that was not the cause"), or that states
another one as the real one, about other things. To say it more exactly is no reversal, nor is
to find a second fault. Only what is said counts: what a model keeps to itself cannot be seen.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

from harness.terminal import one_line
from verification.detectors import Seen
from verification.detectors._transcript import Said, Transcript

MOST_TEXT = 50_000
"""Characters of a reply that are looked at."""

_THING = r"(?:bug|problem|causes?|issue|fault|culprit|defect|mistake)"
_DIAGNOSIS = re.compile(
    rf"\b(?:{_THING}\b[^.!?\n]{{0,60}}?\b(?:is|was|are|lies|comes|must be|seems|turns out)\b"
    rf"|(?:is|was)\s+(?:the|a|what)\s+(?:\w+\s+)?{_THING}\b|caused by\b|fails? because\b)",
)
_WITHDRAWN = re.compile(
    r"\bi was (?:wrong|mistaken)\b"
    r"|\bmy (?:earlier|first|previous|initial|original) \w+ (?:was|is) (?:wrong|incorrect|mistaken)"
    rf"|\b(?:is|was) (?:not|n't) (?:\w+ )?(?:the|a) (?:\w+ )?{_THING}\b"
    rf"|\b(?:is|was)n['\u2019]t (?:\w+ )?(?:the|a) (?:\w+ )?{_THING}\b"
    r"|\b(?:is|was) (?:correct|fine|right|innocent) (?:after all|all along)",
)
_ANOTHER = re.compile(
    rf"\b(?:real|actual|true) (?:\w+ )?{_THING}\b|\bactually\b|\bon second thought|\bafter all\b"
    r"|\bturns out\b|\bnot (?:in )?[\w`./()]+,? but\b|\bwait\b|\brather than\b",
)
_DENIALS = ("not", "n't", "n\u2019t", "wrong", "mistaken", "incorrect", "after all", "all along")
"""Without one of these a sentence takes nothing back."""

_HINT = re.compile(
    "bug|problem|cause|issue|fault|culprit|defect|mistake|wrong|incorrect|after all|all along"
)
"""Without one of these a text neither states a diagnosis nor takes one back: to look for them
takes a tenth of the time of the patterns."""

_SENTENCE = re.compile(r"[^.!?\n]+(?:\.(?=\S)[^.!?\n]*)*[.!?]*")
_WORD = re.compile(r"[a-z_]\w{2,}")
# fmt: off
_EMPTY = frozenset((
    "the", "and", "that", "this", "bug", "problem", "cause", "causes", "issue", "fault",
    "culprit", "defect", "mistake", "was", "are", "its", "has", "have", "real", "actual",
    "true", "actually", "turns", "out", "not", "but", "after", "all", "wrong", "because",
    "which", "with", "for", "from", "when", "comes", "lies", "seems", "must", "instead",
    "rather", "than", "wait", "found", "file", "function", "line", "code", "test", "tests",
    "into", "fails", "failing", "caused", "diagnosis", "earlier", "first", "previous",
    "theory", "guess", "mistaken"
))
# fmt: on
"""Words that say nothing of what a sentence is about."""

_SHARED = 1 / 3
"""Share of the smaller diagnosis's words above which two speak of the same thing."""


@dataclass(frozen=True)
class _Diagnosis:
    turn: int
    sentence: str
    lower: str

    @cached_property
    def words(self) -> frozenset[str]:
        return _words(self.lower)


def find(run: Transcript) -> Iterator[Seen]:
    """Sentences that take back a diagnosis of an earlier turn, the first of each turn."""
    hinting = [reply for reply in run.replies if _HINT.search(reply.text.lower())]
    if len(hinting) < 2:
        return
    stated: _Diagnosis | None = None
    for reply in hinting:
        latest = stated
        for sentence, lower in _to_the_point(reply.text[:MOST_TEXT]):
            denies = any(map(lower.__contains__, _DENIALS))
            withdrawn = denies and _WITHDRAWN.search(lower) is not None
            if not withdrawn and not _DIAGNOSIS.search(lower):
                continue
            if stated is not None and _takes_back(lower, stated, withdrawn=withdrawn):
                yield _seen(reply, sentence, stated)
                stated = None
            if not withdrawn:
                latest = _Diagnosis(reply.turn, sentence, lower)
        stated = latest


def _to_the_point(text: str) -> Iterator[tuple[str, str]]:
    """The sentences that are worth a closer look, as they stand and in lower case: patterns that
    are to ignore the case take twice the time."""
    for sentence in _SENTENCE.findall(text):
        lower = sentence.lower()
        if _HINT.search(lower):
            yield sentence.strip(), lower


def _takes_back(sentence: str, stated: _Diagnosis, *, withdrawn: bool) -> bool:
    """Whether a sentence that withdraws something, or else is a diagnosis, is about ``stated``."""
    if not withdrawn and not _ANOTHER.search(sentence):
        return False
    words = _words(sentence)
    shared = len(words & stated.words)
    if withdrawn:
        return shared > 0 or not words
    return shared <= _SHARED * min(len(words), len(stated.words))


def _seen(reply: Said, sentence: str, stated: _Diagnosis) -> Seen:
    return Seen(
        reply.turn,
        reply.line,
        f"in turn {stated.turn}: {one_line(stated.sentence, 80)!r}; now: "
        f"{one_line(sentence, 80)!r}",
    )


def _words(sentence: str) -> frozenset[str]:
    """The words that tell what a sentence, in lower case, is about."""
    return frozenset(_WORD.findall(sentence)) - _EMPTY
