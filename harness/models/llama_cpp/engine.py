"""llama.cpp as a token engine: prompt segments in, text out, and nothing between two runs.

Exactness. A prompt is evaluated segment by segment, and only whole segments are kept from turn
to turn; what was generated is dropped and evaluated again as part of its message. So the same
prompt passes through the same sequence of evaluations whether or not some of it was kept, and
the logits are equal to the bit, which an ordinary prefix cache does not give.

Sampling is the library's. Under a grammar a token is drawn first and the whole vocabulary is
masked only where the grammar rejects it, as llama.cpp's own tools do.
"""

from __future__ import annotations

import codecs
import ctypes
import hashlib
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from importlib.metadata import version
from typing import Any

import numpy as np
from llama_cpp import llama_cpp as C  # noqa: N812 - the C interface

from harness.dialects import Segment
from harness.models.llama_cpp.protocol import Generate, Generated, Load
from harness.records import FinishReason, Sampling

_CANDIDATE = np.dtype([("id", np.intc), ("logit", np.single), ("p", np.single)], align=True)
_REJECTED = float("-inf")


class LoadError(Exception):
    """The model cannot be loaded as asked; the text says why."""


class Engine:
    """One loaded model with one context."""

    def __init__(self, load: Load) -> None:
        C.llama_backend_init()
        self._load = load
        self._model = _load_model(load)
        self._vocab = C.llama_model_get_vocab(self._model)
        self._context = _make_context(self._model, load)
        self.n_ctx: int = C.llama_n_ctx(self._context)
        self._n_vocab: int = C.llama_vocab_n_tokens(self._vocab)
        self._run = ""
        self._kept: list[list[int]] = []

    def facts(self) -> dict[str, Any]:
        """What the engine found in the file and uses; all that a repetition needs to match."""
        template: bytes | None = C.llama_model_chat_template(self._model, None)
        return {
            "model": _string(lambda buffer, size: C.llama_model_desc(self._model, buffer, size)),
            "parameters": C.llama_model_n_params(self._model),
            "template_sha256": hashlib.sha256(template).hexdigest() if template else None,
            "n_ctx": self.n_ctx,
            "n_ctx_train": C.llama_model_n_ctx_train(self._model),
            "n_batch": C.llama_n_batch(self._context),
            "n_threads": self._load.n_threads,
            "n_gpu_layers": self._load.n_gpu_layers,
            "cache": "whole segments",
            "engine": f"llama-cpp-python {version('llama-cpp-python')}",
            "system": C.llama_print_system_info().decode(errors="replace").strip(),
        }

    def generate(self, request: Generate, beat: Callable[[], None]) -> Generated:
        """Continue a prompt; ``beat`` is called after every evaluation."""
        began = time.monotonic()
        prompt = [self._tokenize(segment) for segment in request.prompt]
        if C.llama_vocab_get_add_bos(self._vocab):
            prompt[0].insert(0, C.llama_vocab_bos(self._vocab))
        tokens = [token for segment in prompt for token in segment]
        reply = _Reply(request.stops)
        cached = 0
        first: float | None = None
        finish: FinishReason | None = "context"
        if len(tokens) < self.n_ctx:
            cached = self._evaluate_prompt(request.run, prompt, beat)
            with self._sampler(request) as draw:
                for token in draw:
                    first = first or time.monotonic() - began
                    finish = self._advance(token, reply, len(tokens), request.max_tokens)
                    if finish:
                        break
                    self._evaluate([token])
                    beat()
        return Generated(
            text=reply.text,
            finish_reason=finish or "stop",
            input=len(tokens),
            cached=cached,
            output=reply.tokens,
            first_token_seconds=first,
            seconds=time.monotonic() - began,
        )

    def _advance(
        self, token: int, reply: _Reply, prompt: int, max_tokens: int
    ) -> FinishReason | None:
        """Add a token to the reply, and say why it ends with it, if it does."""
        if C.llama_vocab_is_eog(self._vocab, token):
            reply.tokens += 1
            return "stop"
        reply.add(self._piece(token))
        if reply.stopped:
            return "stop"
        if reply.tokens >= max_tokens:
            return "length"
        return "context" if prompt + reply.tokens >= self.n_ctx else None

    def _evaluate_prompt(self, run: str, prompt: list[list[int]], beat: Callable[[], None]) -> int:
        """Evaluate what is not kept of a prompt; returns how many tokens were kept."""
        if run != self._run:
            self._run, self._kept = run, []
        same = 0
        # The last segment is always evaluated: its logits are what comes next.
        for kept, wanted in zip(self._kept, prompt[:-1], strict=False):
            if kept != wanted:
                break
            same += 1
        cached = sum(map(len, prompt[:same]))
        memory = C.llama_get_memory(self._context)
        if not C.llama_memory_seq_rm(memory, 0, cached, -1):
            # Recurrent models keep one state for all that was read: they begin anew.
            C.llama_memory_clear(memory, True)
            cached = same = 0
        self._kept = prompt[:same]
        for segment in prompt[same:]:
            for start in range(0, len(segment), self._load.n_batch):
                self._evaluate(segment[start : start + self._load.n_batch])
                beat()
            self._kept.append(segment)
        return cached

    def _evaluate(self, tokens: list[int]) -> None:
        array = (C.llama_token * len(tokens))(*tokens)
        status = C.llama_decode(self._context, C.llama_batch_get_one(array, len(tokens)))
        if status != 0:
            raise RuntimeError(f"llama_decode returned {status}")

    @contextmanager
    def _sampler(self, request: Generate) -> Iterator[Iterator[int]]:
        """A source of tokens, each drawn from the logits of the last evaluation."""
        with ExitStack() as freed:
            chain = _chain(request.sampling, request.seed)
            freed.callback(C.llama_sampler_free, chain)
            grammar = None
            if request.grammar is not None:
                text = request.grammar.encode()
                grammar = C.llama_sampler_init_grammar(self._vocab, text, b"root")
                if not grammar:
                    raise RuntimeError("the dialect's grammar cannot be parsed")
                freed.callback(C.llama_sampler_free, grammar)
            yield self._draw(chain, grammar)

    def _draw(self, chain: Any, grammar: Any) -> Iterator[int]:
        while True:
            token = _pick(chain, self._candidates())
            if grammar is not None:
                if not _admitted(grammar, token):
                    masked = self._candidates()
                    _apply(grammar, masked)
                    token = _pick(chain, masked)
                C.llama_sampler_accept(grammar, token)
            yield token

    def _candidates(self) -> np.ndarray[Any, Any]:
        logits = C.llama_get_logits_ith(self._context, -1)
        candidates = np.zeros(self._n_vocab, dtype=_CANDIDATE)
        candidates["id"] = np.arange(self._n_vocab)
        candidates["logit"] = np.ctypeslib.as_array(logits, shape=(self._n_vocab,))
        return candidates

    def _tokenize(self, segment: Segment) -> list[int]:
        """A segment's tokens. Delimiters count only in its markup: in what a tool or a person
        wrote, ``<|im_end|>`` is ten characters and no end of anything."""
        tokens: list[int] = []
        for piece in segment:
            data = piece.text.encode("utf-8", "replace")
            room = len(data) + 2
            found = (C.llama_token * room)()
            count = C.llama_tokenize(self._vocab, data, len(data), found, room, False, piece.markup)
            if count < 0:
                raise RuntimeError(f"{len(data)} bytes became more than {room} tokens")
            tokens += found[:count]
        return tokens

    def _piece(self, token: int) -> bytes:
        buffer = ctypes.create_string_buffer(64)
        length = C.llama_token_to_piece(self._vocab, token, buffer, len(buffer), 0, True)
        if length < 0:
            buffer = ctypes.create_string_buffer(-length)
            length = C.llama_token_to_piece(self._vocab, token, buffer, len(buffer), 0, True)
        return buffer.raw[:length]


class _Reply:
    """A reply's text as it grows, cut at the first of its stops."""

    def __init__(self, stops: Sequence[str]) -> None:
        self.text = ""
        self.tokens = 0
        self.stopped = False
        self._stops = stops
        self._reach = max(map(len, stops), default=0)
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")

    def add(self, piece: bytes) -> None:
        self.tokens += 1
        added = self._decoder.decode(piece)
        seen = max(0, len(self.text) - self._reach)
        self.text += added
        ends = [at for stop in self._stops if (at := self.text.find(stop, seen)) >= 0]
        if ends:
            self.text = self.text[: min(ends)]
            self.stopped = True


def _load_model(load: Load) -> Any:
    parameters = C.llama_model_default_params()
    parameters.n_gpu_layers = 0x7FFF_FFFF if load.n_gpu_layers < 0 else load.n_gpu_layers
    model = C.llama_model_load_from_file(load.path.encode(), parameters)
    if not model:
        raise LoadError("llama.cpp cannot load it")
    trained = C.llama_model_n_ctx_train(model)
    if load.n_ctx > trained:
        raise LoadError(f"n_ctx is {load.n_ctx}, but the model was trained for {trained}")
    return model


def _make_context(model: Any, load: Load) -> Any:
    parameters = C.llama_context_default_params()
    parameters.n_ctx = load.n_ctx
    parameters.n_batch = load.n_batch
    parameters.n_ubatch = load.n_batch
    parameters.n_threads = load.n_threads
    parameters.n_threads_batch = load.n_threads
    parameters.n_seq_max = 1
    # Only the last token's logits are asked for. By default there is room for those of a whole
    # batch, which is half a gigabyte where the vocabulary has 262,144 tokens.
    parameters.n_outputs_max = 1
    # With flash attention a segment's results depend on what was evaluated together with it.
    parameters.flash_attn_type = C.LLAMA_FLASH_ATTN_TYPE_DISABLED
    context = C.llama_init_from_model(model, parameters)
    if not context:
        raise LoadError(f"no memory for a context of {load.n_ctx} tokens; lower n_ctx")
    return context


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


def _apply(sampler: Any, candidates: np.ndarray[Any, Any]) -> Any:
    array = C.llama_token_data_array(
        data=candidates.ctypes.data_as(C.llama_token_data_p),
        size=len(candidates),
        selected=-1,
        sorted=False,
    )
    C.llama_sampler_apply(sampler, ctypes.byref(array))
    return array


def _pick(chain: Any, candidates: np.ndarray[Any, Any]) -> int:
    array = _apply(chain, candidates)
    return int(array.data[array.selected].id)


def _admitted(grammar: Any, token: int) -> bool:
    candidate = np.array([(token, 0.0, 0.0)], dtype=_CANDIDATE)
    _apply(grammar, candidate)
    return bool(candidate["logit"][0] != _REJECTED)


def _string(fill: Callable[[Any, int], int]) -> str:
    buffer = ctypes.create_string_buffer(256)
    fill(buffer, len(buffer))
    return buffer.value.decode(errors="replace")
