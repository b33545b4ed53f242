"""What llama.cpp's own renderer writes for a chat template: another Jinja, in C++.

It is asked through llama-server's ``/apply-template``, one server a template, each in a process
of its own that is killed when it has answered: closing one in peace takes minutes.
"""

from __future__ import annotations

import importlib
import json
import os
import subprocess
import sys
import urllib.request
from typing import Any

from tests.llama_server import smollm2

BOS, EOS = "<|im_start|>", "<|im_end|>"
"""What SmolLM2's vocabulary has for these tokens."""


def rendered(source: str, requests: list[dict[str, Any]]) -> list[str | None]:
    """The prompts for requests in the shape of OpenAI's API; None where it refuses one."""
    child = subprocess.run(
        [sys.executable, "-m", __name__],
        input=json.dumps({"source": source, "requests": requests}),
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    prompts: list[str | None] = json.loads(child.stdout.splitlines()[-1])
    return prompts


def main() -> None:
    """Answer what stands on stdin."""
    asked = json.load(sys.stdin)
    xllamacpp = importlib.import_module("xllamacpp")  # here, so that only the child loads it
    parameters = xllamacpp.CommonParams()
    parameters.model.path = str(smollm2())
    parameters.n_ctx = 256
    parameters.n_parallel = 1
    parameters.cpuparams.n_threads = 1
    parameters.warmup = False
    parameters.use_jinja = True
    parameters.chat_template = asked["source"]
    parameters.port = 0
    server = xllamacpp.Server(parameters)
    prompts = [_prompt(server.listening_address, request) for request in asked["requests"]]
    print(f"\n{json.dumps(prompts)}", flush=True)
    os._exit(0)


def _prompt(address: str, request: dict[str, Any]) -> str | None:
    body = json.dumps(request).encode()
    headers = {"Content-Type": "application/json"}
    post = urllib.request.Request(f"{address}/apply-template", body, headers)
    try:
        with urllib.request.urlopen(post, timeout=60) as answer:
            prompt: str = json.load(answer)["prompt"]
            return prompt
    except urllib.error.HTTPError:
        return None


if __name__ == "__main__":
    main()
