"""A recurrent model of a few thousand random weights, written as a GGUF file: Mamba's layers keep
one state of all that was read, from which nothing can be dropped.

The format is GGUF version 3 (ggml-org/ggml, docs/gguf.md); the tensors are those that llama.cpp
reads for the architecture ``mamba``.
"""

from __future__ import annotations

import math
import random
import struct
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TypeVar

LAYERS, WIDTH, INNER, STATE, RANK, KERNEL = 2, 32, 64, 16, 2, 4

_TEMPLATES = {
    "tokenizer.chat_template": (
        "{% for message in messages %}<|call>{{ message.content }}\n{% endfor %}"
    )
}

_T = TypeVar("_T")
_Tensor = tuple[tuple[int, ...], list[float]]

_UINT32, _FLOAT32, _STRING, _ARRAY, _INT32 = 4, 6, 8, 9, 5  # types of metadata
_NORMAL, _CONTROL, _USER_DEFINED = 1, 3, 4  # types of tokens
_ALIGNMENT = 32


def write_mamba(path: Path, templates: Mapping[str, str] = _TEMPLATES) -> Path:
    """Write the model to ``path``: every byte is a token, one token ends a reply, and two are
    user-defined, of which its chat template uses one, unless ``templates``, by their keys in the
    file, are others."""
    tokens = [*_byte_characters(), "ab", "<td>", "<|call>", "<end>"]
    kinds = [_NORMAL] * (len(tokens) - 3) + [_USER_DEFINED] * 2 + [_CONTROL]
    metadata = [
        _pair("general.architecture", _STRING, _text("mamba")),
        *(
            _pair(f"mamba.{key}", _UINT32, struct.pack("<I", value))
            for key, value in {
                "context_length": 4096,
                "embedding_length": WIDTH,
                "feed_forward_length": 0,
                "attention.head_count": 0,
                "block_count": LAYERS,
                "ssm.conv_kernel": KERNEL,
                "ssm.inner_size": INNER,
                "ssm.state_size": STATE,
                "ssm.time_step_rank": RANK,
            }.items()
        ),
        _pair("mamba.attention.layer_norm_rms_epsilon", _FLOAT32, struct.pack("<f", 1e-5)),
        _pair("tokenizer.ggml.model", _STRING, _text("gpt2")),
        _pair("tokenizer.ggml.pre", _STRING, _text("default")),
        _pair("tokenizer.ggml.tokens", _ARRAY, _array(_STRING, tokens, _text)),
        _pair(
            "tokenizer.ggml.token_type",
            _ARRAY,
            _array(_INT32, kinds, lambda kind: struct.pack("<i", kind)),
        ),
        _pair("tokenizer.ggml.merges", _ARRAY, _array(_STRING, ["a b"], _text)),
        _pair("tokenizer.ggml.eos_token_id", _UINT32, struct.pack("<I", len(tokens) - 1)),
        *(_pair(key, _STRING, _text(template)) for key, template in templates.items()),
    ]
    infos, data = b"", b""
    tensors = _tensors(len(tokens))
    for name, (shape, values) in tensors.items():
        infos += _text(name) + struct.pack("<I", len(shape))
        infos += struct.pack(f"<{len(shape)}QIQ", *shape, 0, len(data))  # 0: float32
        data += struct.pack(f"<{len(values)}f", *values)
        data += bytes(-len(data) % _ALIGNMENT)
    head = b"GGUF" + struct.pack("<IQQ", 3, len(tensors), len(metadata))
    head += b"".join(metadata) + infos
    path.write_bytes(head + bytes(-len(head) % _ALIGNMENT) + data)
    return path


def _tensors(vocabulary: int) -> dict[str, _Tensor]:
    """Name to shape, the fastest dimension first, and values."""
    chance = random.Random(1)

    def drawn(*shape: int, low: float = -0.5, high: float = 0.5) -> _Tensor:
        return shape, [chance.uniform(low, high) for _ in range(math.prod(shape))]

    tensors = {
        "token_embd.weight": drawn(WIDTH, vocabulary),
        "output_norm.weight": drawn(WIDTH, low=0.5, high=1.5),
    }
    for layer in range(LAYERS):
        tensors |= {
            f"blk.{layer}.attn_norm.weight": drawn(WIDTH, low=0.5, high=1.5),
            f"blk.{layer}.ssm_in.weight": drawn(WIDTH, 2 * INNER),
            f"blk.{layer}.ssm_conv1d.weight": drawn(KERNEL, INNER),
            f"blk.{layer}.ssm_conv1d.bias": drawn(INNER),
            f"blk.{layer}.ssm_x.weight": drawn(INNER, RANK + 2 * STATE),
            f"blk.{layer}.ssm_dt.weight": drawn(RANK, INNER),
            f"blk.{layer}.ssm_dt.bias": drawn(INNER),
            f"blk.{layer}.ssm_a": drawn(STATE, INNER, low=-1.0, high=-0.1),
            f"blk.{layer}.ssm_d": drawn(INNER),
            f"blk.{layer}.ssm_out.weight": drawn(INNER, WIDTH),
        }
    return tensors


def _byte_characters() -> list[str]:
    """The characters that GPT-2's vocabulary has for the 256 bytes."""
    printable = [*range(33, 127), *range(161, 173), *range(174, 256)]
    others = [byte for byte in range(256) if byte not in printable]
    return [chr(byte) for byte in printable] + [chr(256 + n) for n in range(len(others))]


def _pair(key: str, kind: int, value: bytes) -> bytes:
    return _text(key) + struct.pack("<I", kind) + value


def _text(text: str) -> bytes:
    data = text.encode()
    return struct.pack("<Q", len(data)) + data


def _array(kind: int, values: Sequence[_T], pack: Callable[[_T], bytes]) -> bytes:
    return struct.pack("<IQ", kind, len(values)) + b"".join(map(pack, values))
