"""The process that asks llama.cpp what a model would take, without taking it.

One ``Question`` on stdin, one ``Measured`` or ``Unreadable`` on stdout. llama.cpp loads the model
with ``no_alloc``: it reads the header and the vocabulary, lays out caches and graphs as in
earnest, and allocates nothing. What it would have allocated it says in its log, which is read
here; so no formula of ours has to know how each architecture keeps what it has read.

A process of its own, because a file that somebody else made may end it, or keep it for ever.
"""

from __future__ import annotations

import ctypes
import re
import signal
import sys
from collections import Counter
from collections.abc import Iterable
from typing import Any

import psutil
from llama_cpp import llama_cpp as C  # noqa: N812 - the C interface
from llama_cpp._ggml import libggml

from harness.models.llama_cpp.loading import kv_type, model_parameters
from harness.models.llama_cpp.memory import (
    HOST,
    LONGEST_SECONDS,
    Context,
    Measured,
    Placement,
    Question,
    Shape,
    Unreadable,
)

_BUFFER = re.compile(r"(\S+) +(?:model|compute|output) buffer size = +([0-9.]+) MiB")
_CACHE = re.compile(r"(?<!buffer )size = +([0-9.]+) MiB")
_LAYER = re.compile(r"layer +\d+: dev = (\S+)")
_FLASH_ATTENTION = {
    None: C.LLAMA_FLASH_ATTN_TYPE_AUTO,
    True: C.LLAMA_FLASH_ATTN_TYPE_ENABLED,
    False: C.LLAMA_FLASH_ATTN_TYPE_DISABLED,
}
_HALF_BYTES = 2  # of a number of type f16 or bf16
_LOAD_MODE_NONE = 0  # of llama_load_mode
_SAMPLING_BYTES = 160
"""For each token of the vocabulary, to draw one and hold it against a grammar; as measured on
SmolLM2's 49,152 and Gemma 3's 262,144."""
_ERROR = 4  # of ggml_log_level
_CPU = 0  # of ggml_backend_dev_type


class _Log:
    """What llama.cpp has said, and not been asked for yet."""

    def __init__(self) -> None:
        self._said: list[str] = []
        self.errors: list[str] = []
        self._callback = C.llama_log_callback(self._hear)  # kept, since C holds no reference
        C.llama_log_set(self._callback, ctypes.c_void_p())

    def take(self) -> list[str]:
        said, self._said = self._said, []
        return said

    def _hear(self, level: int, text: bytes, _: object) -> None:
        line = text.decode(errors="replace").strip()
        self._said.append(line)
        if level == _ERROR:
            self.errors.append(line)


def main() -> None:
    """Answer one question and end, by the alarm if need be."""
    signal.alarm(LONGEST_SECONDS)
    question = Question.model_validate_json(sys.stdin.buffer.read())
    print(_answer(question, _Log()).model_dump_json())


def _answer(question: Question, log: _Log) -> Measured | Unreadable:
    C.llama_backend_init()
    parameters = _model_parameters(question.placement)
    parameters.no_alloc = True
    model = C.llama_model_load_from_file(question.path.encode(), parameters)
    if not model:
        return Unreadable(reasons=tuple(log.errors))
    weights = {HOST: question.size_bytes}
    elsewhere = _buffers(log.take()).keys() - {HOST}
    contexts = tuple(_context(model, shape, log) for shape in question.shapes)
    trained = C.llama_model_n_ctx_train(model)
    sampling = C.llama_vocab_n_tokens(C.llama_model_get_vocab(model)) * _SAMPLING_BYTES
    process = psutil.Process().memory_info().rss
    C.llama_model_free(model)
    if elsewhere:
        weights = _weights(question, log)
    return Measured(
        n_ctx_train=trained,
        process_bytes=process + sampling,
        weights=weights,
        contexts=contexts,
        free=_free_on_devices(),
    )


def _weights(question: Question, log: _Log) -> dict[str, int]:
    """Bytes of the weights by where they lie. How large the parts on a GPU are, and the copies
    in another layout, is said only where they are allocated: so this is a load in earnest, but
    called off before anything is read, and what is not touched takes no memory."""
    parameters = _model_parameters(question.placement)
    parameters.progress_callback = C.llama_progress_callback(lambda progress, data: False)
    C.llama_model_load_from_file(question.path.encode(), parameters)
    return dict(_buffers(log.take()))


def _context(model: Any, shape: Shape, log: _Log) -> Context | None:
    """What a context would take; None where llama.cpp makes none of this shape."""
    parameters = C.llama_context_default_params()
    parameters.n_ctx = shape.n_ctx * shape.slots
    parameters.n_seq_max = shape.slots
    parameters.n_batch = shape.n_batch
    parameters.n_ubatch = shape.n_ubatch
    parameters.n_outputs_max = shape.outputs or shape.slots
    parameters.kv_unified = False
    parameters.swa_full = shape.swa_full
    parameters.flash_attn_type = _FLASH_ATTENTION[shape.flash_attention]
    parameters.type_k = kv_type(shape.kv_type_k)
    parameters.type_v = kv_type(shape.kv_type_v)
    log.take()
    context = C.llama_init_from_model(model, parameters)
    if not context:
        return None
    C.llama_free(context)
    lines = log.take()
    buffers = _buffers(lines)
    buffers[HOST] += _work_bytes(model, shape)
    return Context(caches=_caches(lines), buffers=dict(buffers))


def _work_bytes(model: Any, shape: Shape) -> int:
    """What the processor's part of llama.cpp allocates while it computes, of which the log says
    nothing: without flash attention, the scores of a layer in the type of the cached values."""
    if shape.flash_attention is not False or shape.kv_type_v == "f32":
        return 0
    scores: int = C.llama_model_n_head(model) * shape.n_ctx * min(shape.n_ubatch, shape.n_ctx)
    return scores * _HALF_BYTES


def _caches(lines: Iterable[str]) -> dict[str, int]:
    """Bytes of all caches by where they lie. Of each, the log names its layers' devices and then
    its size; the layers of one are taken as equally large."""
    found: Counter[str] = Counter()
    layers: Counter[str] = Counter()
    for line in lines:
        if layer := _LAYER.search(line):
            layers[layer[1]] += 1
        elif size := _CACHE.search(line):
            for device, count in (layers or Counter({HOST: 1})).items():
                found[device] += round(_bytes(size[1]) * count / max(1, layers.total()))
            layers.clear()
    return dict(found)


def _buffers(lines: Iterable[str]) -> Counter[str]:
    found: Counter[str] = Counter()
    for line in lines:
        if buffer := _BUFFER.search(line):
            found[buffer[1]] += _bytes(buffer[2])
    return found


def _bytes(mebibytes: str) -> int:
    return round(float(mebibytes) * (1 << 20))


def _model_parameters(placement: Placement) -> Any:
    parameters = model_parameters(placement)
    parameters.load_mode = _LOAD_MODE_NONE  # to map a file is to read all of it
    return parameters


def _free_on_devices() -> dict[str, int]:
    """Bytes that are free on each GPU, as its own driver says now that it has been opened."""
    libggml.ggml_backend_dev_count.restype = ctypes.c_size_t
    libggml.ggml_backend_dev_get.restype = ctypes.c_void_p
    libggml.ggml_backend_dev_get.argtypes = [ctypes.c_size_t]
    libggml.ggml_backend_dev_name.restype = ctypes.c_char_p
    free = {}
    for index in range(libggml.ggml_backend_dev_count()):
        device = ctypes.c_void_p(libggml.ggml_backend_dev_get(index))
        if libggml.ggml_backend_dev_type(device) != _CPU:
            name = libggml.ggml_backend_dev_name(device).decode()
            bytes_free, total = ctypes.c_size_t(), ctypes.c_size_t()
            libggml.ggml_backend_dev_memory(device, ctypes.byref(bytes_free), ctypes.byref(total))
            free[name] = bytes_free.value
    return free


if __name__ == "__main__":
    main()
