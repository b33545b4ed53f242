"""How a token is drawn from the logits of an evaluation: by llama.cpp's own samplers."""

from __future__ import annotations

import ctypes
from typing import Any

from llama_cpp import llama_cpp as C  # noqa: N812 - the C interface

from harness.records import Sampling

_REJECTED = float("-inf")


class Sampler:
    """Draws the tokens of one reply; made afresh for every reply, so that nothing carries over.

    Under a grammar a token is drawn first, and the whole vocabulary is masked only where the
    grammar rejects it, as llama.cpp's own tools do.
    """

    def __init__(self, vocab: Any, sampling: Sampling, seed: int, grammar: str | None) -> None:
        self._whole = self._chain = _chain(sampling, seed)
        self._grammar = None
        if grammar is None:
            return
        self._grammar = C.llama_sampler_init_grammar(vocab, grammar.encode(), b"root")
        if not self._grammar:
            self.free()
            raise ValueError("the dialect's grammar cannot be parsed")
        self._whole = C.llama_sampler_chain_init(C.llama_sampler_chain_default_params())
        C.llama_sampler_chain_add(self._whole, self._grammar)
        C.llama_sampler_chain_add(self._whole, self._chain)
        self._candidate: Any = C.llama_token_data()
        self._array = C.llama_token_data_array(
            data=ctypes.pointer(self._candidate), size=1, selected=-1, sorted=False
        )

    def draw(self, context: Any, index: int) -> int:
        """The next token, from the logits of the ``index``-th token of the last batch."""
        token = int(C.llama_sampler_sample(self._chain, context, index))
        if self._grammar is None:
            return token
        if self._admits(token):
            C.llama_sampler_accept(self._grammar, token)
            return token
        return int(C.llama_sampler_sample(self._whole, context, index))  # which also accepts it

    def free(self) -> None:
        """Give back its memory; it is of no use after that."""
        C.llama_sampler_free(self._whole)  # with all that was added to it

    def _admits(self, token: int) -> bool:
        self._candidate.id, self._candidate.logit = token, 0.0
        C.llama_sampler_apply(self._grammar, ctypes.byref(self._array))
        return bool(self._candidate.logit != _REJECTED)


def _chain(sampling: Sampling, seed: int) -> Any:
    chain = C.llama_sampler_chain_init(C.llama_sampler_chain_default_params())
    if sampling.temperature == 0:
        C.llama_sampler_chain_add(chain, C.llama_sampler_init_greedy())
        return chain
    C.llama_sampler_chain_add(chain, C.llama_sampler_init_top_k(sampling.top_k))
    C.llama_sampler_chain_add(chain, C.llama_sampler_init_top_p(sampling.top_p, 1))
    C.llama_sampler_chain_add(chain, C.llama_sampler_init_min_p(sampling.min_p, 1))
    C.llama_sampler_chain_add(chain, C.llama_sampler_init_temp(sampling.temperature))
    C.llama_sampler_chain_add(chain, C.llama_sampler_init_dist(seed))
    return chain
