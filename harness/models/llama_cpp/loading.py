"""A model and its context, made as the settings ask for."""

from __future__ import annotations

import ctypes
from typing import TYPE_CHECKING, Any

from llama_cpp import llama_cpp as C  # noqa: N812 - the C interface

from harness.errors import BadInput
from harness.models.llama_cpp.protocol import Load

if TYPE_CHECKING:
    from harness.models.llama_cpp.memory import Placement

_SPLIT_MODES = {
    "none": C.LLAMA_SPLIT_MODE_NONE,
    "layer": C.LLAMA_SPLIT_MODE_LAYER,
    "row": C.LLAMA_SPLIT_MODE_ROW,
}


def model_parameters(place: Load | Placement) -> Any:
    """Where the weights go, as llama.cpp wants to be told."""
    parameters = C.llama_model_default_params()
    parameters.n_gpu_layers = 0x7FFF_FFFF if place.n_gpu_layers < 0 else place.n_gpu_layers
    parameters.split_mode = _SPLIT_MODES[place.split_mode]
    parameters.main_gpu = place.main_gpu
    if place.tensor_split:
        most = C.llama_max_devices()
        parameters.tensor_split = (ctypes.c_float * most)(*place.tensor_split[:most])
    return parameters


def kv_type(name: str) -> int:
    """The number of a cache's type."""
    kind: int = getattr(C, f"GGML_TYPE_{name.upper()}")
    return kind


def load_model(load: Load) -> Any:
    """The model of a file; raises BadInput where it cannot be loaded."""
    if len(load.tensor_split) > C.llama_max_devices():
        raise BadInput(
            f"tensor_split names {len(load.tensor_split)} GPUs; this build of llama.cpp "
            f"can use {C.llama_max_devices()}"
        )
    if load.n_gpu_layers and not C.llama_supports_gpu_offload():
        raise BadInput(
            "n_gpu_layers is set, but this build of llama.cpp knows no GPU; set n_gpu_layers = 0, "
            "or build llama-cpp-python for yours"
        )
    model = C.llama_model_load_from_file(load.path.encode(), model_parameters(load))
    if not model:
        raise BadInput("llama.cpp cannot load it")
    trained = C.llama_model_n_ctx_train(model)
    if load.n_ctx > trained:
        raise BadInput(f"n_ctx is {load.n_ctx}, but the model was trained for {trained}")
    return model


def make_context(model: Any, load: Load) -> Any:
    """A context with a sequence for each slot; raises BadInput where there cannot be one."""
    parameters = C.llama_context_default_params()
    parameters.n_ctx = load.n_ctx * load.slots
    parameters.n_batch = load.n_batch
    parameters.n_ubatch = load.n_batch
    parameters.n_threads = load.n_threads
    parameters.n_threads_batch = load.n_threads
    parameters.n_seq_max = load.slots
    # Logits are asked for of each slot's last token alone. By default there is room for those of
    # a whole batch, which is half a gigabyte where the vocabulary has 262,144 tokens.
    parameters.n_outputs_max = load.slots
    parameters.kv_unified = False  # so that each slot has n_ctx of its own
    # A window that forgets could not go back to a segment's end.
    parameters.swa_full = True
    # With flash attention a segment's results depend on what was evaluated together with it.
    parameters.flash_attn_type = (
        C.LLAMA_FLASH_ATTN_TYPE_ENABLED
        if load.flash_attention
        else C.LLAMA_FLASH_ATTN_TYPE_DISABLED
    )
    parameters.type_k = kv_type(load.kv_type_k)
    parameters.type_v = kv_type(load.kv_type_v)
    context = C.llama_init_from_model(model, parameters)
    if not context:
        raise BadInput(
            f"no memory for a context of {load.n_ctx} tokens, or kv_type_k = {load.kv_type_k!r} "
            f"and kv_type_v = {load.kv_type_v!r} do not suit this model; lower n_ctx, or leave "
            "the types as they are"
        )
    return context
