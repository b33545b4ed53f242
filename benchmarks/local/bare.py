"""The floor: llama.cpp's C interface in a tight loop, with nothing around it.

The same library, file, threads and context parameters as the harness's engine. It is told how
many tokens to draw, so that it need not look at any for the end of a reply.
"""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from itertools import accumulate
from typing import Any, Self

from llama_cpp import llama_cpp as C  # noqa: N812 - the C interface

from harness.models.llama_cpp import Settings

_REJECTED = float("-inf")


@C.llama_log_callback  # type: ignore[untyped-decorator]
def _no_log(*_: object) -> None:
    pass


def silence() -> None:
    """Have llama.cpp in this process say nothing of what it loads."""
    C.llama_log_set(_no_log, ctypes.c_void_p())


class Bare:
    """A model with one context, of as many sequences as ``settings.batch`` says."""

    def __init__(self, settings: Settings) -> None:
        silence()
        C.llama_backend_init()
        parameters = C.llama_model_default_params()
        parameters.n_gpu_layers = settings.n_gpu_layers
        self._model = C.llama_model_load_from_file(str(settings.path).encode(), parameters)
        self._vocab = C.llama_model_get_vocab(self._model)
        self._context = C.llama_init_from_model(self._model, _parameters(settings))
        self._memory = C.llama_get_memory(self._context)
        self._n_batch = settings.n_batch

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        C.llama_free(self._context)
        C.llama_model_free(self._model)

    def forget(self, kept: int = 0) -> None:
        """Drop all that was read but the first ``kept`` tokens."""
        C.llama_memory_seq_rm(self._memory, 0, kept, -1)

    def read(self, tokens: Sequence[int]) -> None:
        """Evaluate a prompt, ``n_batch`` tokens at once."""
        for start in range(0, len(tokens), self._n_batch):
            chunk = tokens[start : start + self._n_batch]
            array = (C.llama_token * len(chunk))(*chunk)
            assert C.llama_decode(self._context, C.llama_batch_get_one(array, len(chunk))) == 0

    def draw(self, count: int, grammar: str | None = None) -> list[int]:
        """That many tokens, the likeliest each time; under a grammar drawn first, and masked
        only where it rejects, as llama.cpp's own tools do."""
        sampler = Greedy(self._vocab, grammar)
        one = (C.llama_token * 1)()
        drawn: list[int] = []
        while True:
            token = sampler.draw(self._context, -1)
            drawn.append(token)
            if len(drawn) == count:
                sampler.free()
                return drawn
            one[0] = token
            assert C.llama_decode(self._context, C.llama_batch_get_one(one, 1)) == 0

    def draw_side_by_side(
        self, prompts: Sequence[Sequence[int]], counts: Sequence[int]
    ) -> list[list[int]]:
        """So many tokens after each prompt, one of each sequence in every batch."""
        sampler = Greedy(self._vocab, None)
        C.llama_memory_clear(self._memory, False)
        batch = C.llama_batch_init(self._n_batch, 0, 1)
        drawn: list[list[int]] = [[] for _ in prompts]
        whole = [
            (s, at, token) for s, prompt in enumerate(prompts) for at, token in enumerate(prompt)
        ]
        assert len(whole) <= self._n_batch, "all prompts are read in one batch"
        _fill(batch, whole)
        ends = [end - 1 for end in accumulate(map(len, prompts))]
        for end in ends:
            batch.logits[end] = True
        assert C.llama_decode(self._context, batch) == 0
        for sequence, end in enumerate(ends):
            drawn[sequence].append(sampler.draw(self._context, end))
        while at_work := [s for s, count in enumerate(counts) if len(drawn[s]) < count]:
            _fill(batch, [(s, len(prompts[s]) + len(drawn[s]) - 1, drawn[s][-1]) for s in at_work])
            for index in range(len(at_work)):
                batch.logits[index] = True
            assert C.llama_decode(self._context, batch) == 0
            for index, sequence in enumerate(at_work):
                drawn[sequence].append(sampler.draw(self._context, index))
        C.llama_batch_free(batch)
        sampler.free()
        return drawn


class Greedy:
    """The likeliest token, of those that a grammar admits."""

    def __init__(self, vocab: Any, grammar: str | None) -> None:
        self._chain = C.llama_sampler_chain_init(C.llama_sampler_chain_default_params())
        C.llama_sampler_chain_add(self._chain, C.llama_sampler_init_greedy())
        self._grammar = self._masked = None
        if grammar is not None:
            self._grammar = C.llama_sampler_init_grammar(vocab, grammar.encode(), b"root")
            self._masked = C.llama_sampler_chain_init(C.llama_sampler_chain_default_params())
            C.llama_sampler_chain_add(self._masked, self._grammar)
            C.llama_sampler_chain_add(self._masked, C.llama_sampler_init_greedy())
        self._one: Any = C.llama_token_data()
        self._ones = C.llama_token_data_array(ctypes.pointer(self._one), 1, -1, False)

    def draw(self, context: Any, index: int) -> int:
        """The next token, after the ``index``-th of the last batch."""
        token = int(C.llama_sampler_sample(self._chain, context, index))
        if self._grammar is None:
            return token
        self._one.id, self._one.logit = token, 0.0
        C.llama_sampler_apply(self._grammar, ctypes.byref(self._ones))
        if self._one.logit == _REJECTED:
            return int(C.llama_sampler_sample(self._masked, context, index))
        C.llama_sampler_accept(self._grammar, token)
        return token

    def free(self) -> None:
        C.llama_sampler_free(self._chain)
        if self._masked is not None:
            C.llama_sampler_free(self._masked)


def _parameters(settings: Settings) -> Any:
    parameters = C.llama_context_default_params()
    parameters.n_ctx = settings.n_ctx * settings.batch
    parameters.n_batch = parameters.n_ubatch = settings.n_batch
    parameters.n_threads = parameters.n_threads_batch = settings.n_threads
    parameters.n_seq_max = settings.batch
    parameters.kv_unified = False
    parameters.swa_full = True
    parameters.flash_attn_type = C.LLAMA_FLASH_ATTN_TYPE_DISABLED
    return parameters


def _fill(batch: Any, tokens: Sequence[tuple[int, int, int]]) -> None:
    """Put (sequence, position, token) into a batch; none of them with logits."""
    batch.n_tokens = len(tokens)
    for index, (sequence, position, token) in enumerate(tokens):
        batch.token[index] = token
        batch.pos[index] = position
        batch.n_seq_id[index] = 1
        batch.seq_id[index][0] = sequence
        batch.logits[index] = False
