"""Writes the files that a person begins with."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from harness.certificate import shortcoming
from harness.errors import BadInput
from harness.store import write_whole
from harness.task import BUILT_IN, load_suite
from harness.toml_file import read_toml
from harness.variant import Variant

_CAMPAIGN = """\
# What to run. "fairtrial schema campaign" lists every key; "fairtrial run {folder}" runs it.
suite = "{suite}"
{leave}runs_per_task = 3
seed = 1

# The oracle plays each task's own solution: it shows what a pass looks like, at no cost.
# script = "nothing" answers with nothing: every run must end as wrong_answer.
[[models]]
name = "oracle"
kind = "scripted"
script = "oracle"

# A local GGUF file (needs: pip install 'fairtrial[local]'). Its path may also be
# "hf:owner/repo:file.gguf" (fetched once) or "ollama:name:tag" (one that Ollama has pulled).
# [[models]]
# name = "my-local-model"
# kind = "llama_cpp"
# path = "~/models/my-model-Q4_K_M.gguf"
# n_ctx = 32768
# n_gpu_layers = -1              # all, where llama-cpp-python was built for your GPU

# The same, on a llama-server that is started for the campaign and ended with it: for a GPU that
# can decode many runs together.
# [[models]]
# name = "my-served-model"
# kind = "llama_server"
# path = "hf:owner/repo:my-model-Q4_K_M.gguf"
# n_ctx = 32768
# parallel = 8

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


_SUITE = '''\
title = "My tasks"
tasks = ["{task}"]
system_prompt = """
You work on a task in a workspace, with the tools you are given. When the task is done, reply \
without calling a tool: that reply is your final answer."""
'''

_TASK = Path(__file__).with_name("new_task")
"""A task that works, to be copied: a test certifies it."""


def write_campaign(folder: Path, suite: str) -> Path:
    """Write ``folder``/campaign.toml for a suite; raises BadInput rather than overwrite.

    A path of a suite is given as seen from here, and written as seen from ``folder``.
    """
    config = folder / "campaign.toml"
    if config.exists():
        raise BadInput(f"{config}: exists already; choose another folder")
    loaded = load_suite(suite)
    missing = shortcoming(loaded)
    if loaded.folder.parent != BUILT_IN and not Path(suite).expanduser().is_absolute():
        suite = os.path.relpath(loaded.folder.resolve(), folder.resolve())
    leave = f"uncertified = true  # {missing}\n" if missing else ""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise BadInput(f"{folder}: cannot be made: {error.strerror}") from None
    write_whole(config, _CAMPAIGN.format(folder=folder, suite=suite, leave=leave))
    return config


def write_task(folder: Path) -> tuple[Path, bool]:
    """Write ``folder`` as a small task that works, to be changed, and a suite.toml beside it where
    there is none. Returns that suite.toml, and whether it lists the task; raises BadInput rather
    than overwrite a folder."""
    if folder.exists():
        raise BadInput(f"{folder}: exists already; choose another name")
    suite = folder.parent / "suite.toml"
    try:
        shutil.copytree(_TASK, folder, ignore=shutil.ignore_patterns("__pycache__"))
    except OSError as error:
        raise BadInput(f"{folder}: cannot be written: {error.strerror or error}") from None
    if not suite.exists():
        write_whole(suite, _SUITE.format(task=folder.name))
    return suite, folder.name in read_toml(suite).get("tasks", ())


def write_variant(variant: Variant, folder: Path) -> None:
    """Write what a model can come to see of a variant: its instruction, workspace and database's
    SQL. Raises BadInput rather than overwrite."""
    if folder.exists():
        raise BadInput(f"{folder}: exists already; choose another folder")
    try:
        workspace = folder / "workspace"
        workspace.mkdir(parents=True)
        variant.fill(workspace)
        (folder / "instruction.md").write_text(f"{variant.instruction}\n", encoding="utf-8")
        if variant.sql is not None:
            (folder / "database.sql").write_text(variant.sql, encoding="utf-8")
    except OSError as error:
        raise BadInput(f"{folder}: cannot be written: {error.strerror}") from None
