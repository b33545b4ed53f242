"""What of a prompt need not be evaluated again: tokens that stand in a cache, and saved states.

A state is what llama.cpp keeps of the tokens it has read. ``Heads`` saves the states of prompts'
beginnings, which the runs of a task share, so that they are read once by a worker, in whatever
order its runs come.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise, takewhile
from typing import Any


@dataclass
class Tokens:
    """A sequence of tokens, and where each of its whole segments ends; it may grow."""

    ids: list[int]
    ends: list[int]

    @classmethod
    def of(cls, segments: list[list[int]]) -> Tokens:
        """The segments one after the other."""
        tokens = cls([], [])
        for segment in segments:
            tokens.ids.extend(segment)
            tokens.ends.append(len(tokens.ids))
        return tokens

    def first(self, count: int) -> Tokens:
        """The first ``count`` tokens, and the segments that are whole in them."""
        return Tokens(self.ids[:count], [end for end in self.ends if end <= count])


_FAR = 32
"""Tokens after which two spellings of one text are no longer expected to meet."""

Shared = Callable[[Tokens, Tokens], int]
"""What was evaluated, and a prompt -> how many tokens of the first stand for the prompt's."""


def whole_segments(held: Tokens, prompt: Tokens) -> int:
    """Whole equal segments alone, and never the last: so a prompt passes through the same
    evaluations, and gives the same logits to the bit, whether or not some of it was kept."""
    shared = 0
    bounds = zip(pairwise([0, *held.ends]), pairwise([0, *prompt.ends[:-1]]), strict=False)
    for (start, end), wanted in bounds:
        if (start, end) != wanted or held.ids[start:end] != prompt.ids[start:end]:
            break
        shared = end
    return shared


def as_spelled(held: Tokens, prompt: Tokens, piece: Callable[[int], bytes]) -> Tokens:
    """A prompt, spelled with the tokens that are held of it wherever they make the same bytes.

    What a model wrote need not be what a tokenizer makes of the text: it may write ``ap`` and
    ``ple``, and read again as ``apple`` nothing after it would be kept. ``piece`` gives a token's
    bytes, none for one that is more than its characters.
    """
    old = new = any_prefix(held, prompt)
    ids = prompt.ids[:old]
    moved = {end: end for end in prompt.ends if end <= old}
    while old < len(prompt.ids) and new < len(held.ids):
        if (
            step := _same_bytes(held.ids[new : new + _FAR], prompt.ids[old : old + _FAR], piece)
        ) is None:
            break
        ids += held.ids[new : new + step[0]]
        new, old = new + step[0], old + step[1]
        moved[old] = new
    for end in prompt.ends:
        if end > old:
            moved[end] = end - old + new
    if any(end not in moved for end in prompt.ends):
        return prompt  # a segment would end inside a token
    return Tokens(ids + prompt.ids[old:], [moved[end] for end in prompt.ends])


def _same_bytes(
    held: list[int], wanted: list[int], piece: Callable[[int], bytes]
) -> tuple[int, int] | None:
    """How many tokens of both, from their beginnings, make the same bytes; the fewest that do."""
    if held[0] == wanted[0]:
        return 1, 1
    ours, theirs, here, there = piece(held[0]), piece(wanted[0]), 1, 1
    while ours != theirs and ours and theirs:
        if ours.startswith(theirs) and there < len(wanted):
            more, there = piece(wanted[there]), there + 1
            theirs += more
        elif theirs.startswith(ours) and here < len(held):
            more, here = piece(held[here]), here + 1
            ours += more
        else:
            return None
        if not more:
            return None
    return (here, there) if ours else None


def any_prefix(held: Tokens, prompt: Tokens) -> int:
    """Every equal token but the prompt's last, whose logits are what comes next."""
    pairs = zip(held.ids, prompt.ids[:-1], strict=False)
    return sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], pairs))


class Heads:
    """Saved states, the longest unused given up first; ``limit`` bounds their bytes."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._bytes = 0
        self._states: OrderedDict[tuple[int, ...], tuple[Tokens, Any]] = OrderedDict()

    def best(self, fits: Callable[[Tokens], int]) -> tuple[int, Any]:
        """How many tokens the best one saves, by ``fits``, and its state; 0 and None where none
        does."""
        counts = {key: fits(tokens) for key, (tokens, _) in self._states.items()}
        key = max(counts, key=counts.__getitem__, default=None)
        if key is None or not counts[key]:
            return 0, None
        self._states.move_to_end(key)
        return counts[key], self._states[key][1]

    def has_room(self, size: int) -> bool:
        """Whether a state of that many bytes may be saved at all."""
        return size <= self._limit

    def save(self, tokens: Tokens, state: Any) -> None:
        """Save the state of these tokens (a buffer), in place of those unused for longest."""
        self._drop(tuple(tokens.ids))
        self._bytes += len(state)
        self._states[tuple(tokens.ids)] = tokens, state
        while self._bytes > self._limit:
            self._drop(next(iter(self._states)))

    def _drop(self, key: tuple[int, ...]) -> None:
        if key in self._states:
            self._bytes -= len(self._states.pop(key)[1])
