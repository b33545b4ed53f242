"""Writes the files that a person begins with."""

from __future__ import annotations

from pathlib import Path

from harness.errors import BadInput
from harness.store import write_whole
from harness.task import load_suite

_CAMPAIGN = """\
# What to run. "fairtrial schema campaign" lists every key; "fairtrial run {folder}" runs it.
suite = "{suite}"
runs_per_task = 3
seed = 1

# The oracle plays each task's own solution: it shows what a pass looks like, at no cost.
[[models]]
name = "oracle"
kind = "scripted"
script = "oracle"

# A local GGUF file (needs: pip install 'fairtrial[local]').
# [[models]]
# name = "my-local-model"
# kind = "llama_cpp"
# path = "~/models/my-model-Q4_K_M.gguf"
# n_ctx = 32768
# n_gpu_layers = -1

# Any OpenAI-compatible endpoint. The key stays in the environment.
# [[models]]
# name = "my-api-model"
# kind = "openai"
# model = "model-name"
# base_url = "https://api.example.com/v1"
# api_key_env = "EXAMPLE_API_KEY"

[infrastructure]
attempts = 3
concurrency = 4
"""


def write_campaign(folder: Path, suite: str) -> Path:
    """Write ``folder``/campaign.toml for a suite; raises BadInput rather than overwrite."""
    config = folder / "campaign.toml"
    if config.exists():
        raise BadInput(f"{config}: exists already; choose another folder")
    load_suite(suite, relative_to=folder)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise BadInput(f"{folder}: cannot be made: {error.strerror}") from None
    write_whole(config, _CAMPAIGN.format(folder=folder, suite=suite))
    return config
