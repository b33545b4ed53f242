"""llama-server out of the package xllamacpp, which has the server but not its command line.

    python -m harness.models.llama_server.embedded --model FILE --port PORT [...]

The options are llama-server's own, as far as this kind of model sends them.
"""

from __future__ import annotations

import argparse
import importlib
import os
import signal
from pathlib import Path
from typing import Any

_TYPES = ("f32", "f16", "bf16", "q8_0", "q4_0", "q4_1", "iq4_nl", "q5_0", "q5_1")


def main() -> None:
    """Serve until somebody ends this process."""
    options = _parser().parse_args()
    xllamacpp: Any = importlib.import_module("xllamacpp")  # it ships no types
    parameters = xllamacpp.CommonParams()
    parameters.model.path = options.model
    parameters.model_alias = {options.alias}
    parameters.n_ctx = options.ctx_size
    parameters.n_parallel = options.parallel
    parameters.use_jinja = options.jinja
    parameters.hostnames = [options.host]
    parameters.port = options.port
    parameters.api_keys = [os.environ["LLAMA_API_KEY"]]
    parameters.endpoint_props = False  # that is: not to be changed
    if options.n_gpu_layers is not None:
        parameters.n_gpu_layers = options.n_gpu_layers
    if options.threads is not None:
        parameters.cpuparams.n_threads = options.threads
    if options.chat_template_file is not None:
        parameters.chat_template = Path(options.chat_template_file).read_text(encoding="utf-8")
    if options.flash_attn is not None:
        kind = xllamacpp.llama_flash_attn_type
        on = options.flash_attn == "on"
        parameters.flash_attn_type = (
            kind.LLAMA_FLASH_ATTN_TYPE_ENABLED if on else kind.LLAMA_FLASH_ATTN_TYPE_DISABLED
        )
    for name in ("cache_type_k", "cache_type_v"):
        kind = getattr(xllamacpp.ggml_type, f"GGML_TYPE_{getattr(options, name).upper()}")
        setattr(parameters, name, kind)
    server = xllamacpp.Server(parameters)
    print(f"listening on {server.listening_address}", flush=True)
    signal.pause()


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="xllamacpp's llama-server", allow_abbrev=False)
    parser.add_argument("--model", required=True)
    parser.add_argument("--alias", default="model")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--ctx-size", type=int, default=0)
    parser.add_argument("--parallel", type=int, default=1)
    parser.add_argument("--n-gpu-layers", type=int)
    parser.add_argument("--threads", type=int)
    parser.add_argument("--flash-attn", choices=("on", "off"))
    parser.add_argument("--cache-type-k", choices=_TYPES, default="f16")
    parser.add_argument("--cache-type-v", choices=_TYPES, default="f16")
    parser.add_argument("--chat-template-file")
    parser.add_argument("--jinja", action="store_true")
    return parser


if __name__ == "__main__":
    main()
