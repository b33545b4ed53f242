"""Chat templates: what the models' own templates write, their dialects read back.

The templates are those that llama.cpp vendors: 70 models of every family.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import date
from functools import cache
from typing import Any

import pytest

from harness import dialects
from harness.dialects import Dialect
from harness.dialects._choice import as_written
from harness.dialects._template import ChatTemplate
from harness.errors import BadInput
from harness.records import Message, Prompt, Reply, ToolCall, ToolResult, ToolSchema
from tests.vendored_templates import vendored_templates

SPOKEN = {
    "Apertus-8B-Instruct": "apertus",
    "Apriel-1.6-15b-Thinker-fixed": "apriel",
    "Bielik-11B-v3.0-Instruct": "hermes",
    "ByteDance-Seed-OSS": "qwen_xml",
    "Cohere2MoE": "cohere",
    "CohereForAI-c4ai-command-r-plus-tool_use": "command_r",
    "CohereForAI-c4ai-command-r7b-12-2024-tool_use": "cohere",
    "GLM-4.6": "glm",
    "GLM-4.7-Flash": "glm",
    "GigaChat3-10B-A1.8B": "gigachat",
    "GigaChat3.1-10B-A1.8B": "gigachat",
    "HuggingFaceTB-SmolLM3-3B": "hermes",  # by prompt: it has no tools
    "Kimi-K2-Instruct": "kimi",
    "Kimi-K2-Thinking": "kimi",
    "Kimi-K3": "kimi_k3",
    "LFM2-8B-A1B": "lfm2",
    "LFM2.5-8B-A1B": "lfm2",
    "LFM2.5-Instruct": "lfm2",
    "MiMo-VL": "hermes",
    "MiniMax-M1": "minimax_m1",
    "MiniMax-M2": "minimax_m2",
    "MiniMax-M3": "minimax_m3",
    "Mistral-Small-3.2-24B-Instruct-2506": "mistral_args",
    "NVIDIA-Nemotron-3-Nano-30B-A3B-BF16": "qwen_xml",
    "NVIDIA-Nemotron-Nano-v2": "nemotron2",
    "NousResearch-Hermes-2-Pro-Llama-3-8B-tool_use": "hermes",
    "NousResearch-Hermes-3-Llama-3.1-8B-tool_use": "hermes",
    "Qwen-QwQ-32B": "hermes",
    "Qwen-Qwen2.5-7B-Instruct": "hermes",
    "Qwen-Qwen3-0.6B": "hermes",
    "Qwen3-Coder": "qwen_xml",
    "Qwen3.5-4B": "qwen_xml",
    "Reka-Edge": "hermes",
    "Spark2.5": "glm",
    "StepFun3.5-Flash": "qwen_xml",
    "deepseek-ai-DeepSeek-R1-Distill-Llama-8B": "deepseek",
    "deepseek-ai-DeepSeek-R1-Distill-Qwen-32B": "deepseek",
    "deepseek-ai-DeepSeek-V3.1": "deepseek",
    "deepseek-ai-DeepSeek-V3.2": "deepseek_dsml",
    "deepseek-ai-DeepSeek-V4": "deepseek_dsml",
    "deepseek-ai-DeepSeek-V4-Flash-0731": "deepseek_dsml",
    "fireworks-ai-llama-3-firefunction-v2": "firefunction",
    "google-gemma-2-2b-it": "gemma3",  # by prompt: it has no tools
    "google-gemma-4-31B-it": "gemma4",
    "google-gemma-4-31B-it-interleaved": "gemma4",
    "ibm-granite-granite-3.3-2B-Instruct": "granite3",
    "ibm-granite-granite-4.0": "hermes",
    "ibm-granite-granite-4.1": "hermes",
    "inclusionai-ling-3.0-flash": "glm",
    "llama-cpp-deepseek-r1": "deepseek",
    "llama-cpp-rwkv-world": "hermes",  # by prompt: it has no tools
    "meetkai-functionary-medium-v3.1": "functionary",
    "meetkai-functionary-medium-v3.2": "functionary32",
    "meta-llama-Llama-3.1-8B-Instruct": "llama3",
    "meta-llama-Llama-3.2-3B-Instruct": "llama3",
    "meta-llama-Llama-3.3-70B-Instruct": "llama3",
    "microsoft-Phi-3.5-mini-instruct": "hermes",  # by prompt: it has no tools
    "mistralai-Ministral-3-14B-Reasoning-2512": "mistral_args",
    "mistralai-Mistral-Nemo-Instruct-2407": "mistral",
    "moonshotai-Kimi-K2": "kimi",
    "muse-glimmer": "muse",
    "openai-gpt-oss-120b": "gpt_oss",
    "openbmb-MiniCPM5-1B": "minicpm5",
    "poolside-Laguna-S-2.1": "glm",
    "poolside-Laguna-XS-2.1": "glm",
    "poolside-Laguna-XS.2": "glm",
    "tencent-Hy3": "glm",
    "unsloth-Apriel-1.5": "apriel",
    "unsloth-mistral-Devstral-Small-2507": "mistral_args",
    "upstage-Solar-Open-100B": "solar",
}
"""The dialect of each, as read from the templates by a person."""

TOOLS = [
    ToolSchema(
        name="shell",
        description="Run a command.",
        parameters={
            "type": "object",
            "properties": {"command": {"type": "string", "description": "What to run."}},
            "required": ["command"],
        },
    )
]
OPENING: list[Message] = [
    Prompt(role="system", content="Use the tools."),
    Prompt(role="user", content="Count the files."),
]


@cache
def template(name: str) -> ChatTemplate:
    return ChatTemplate(vendored_templates()[name], by_prompt=dialect(name).by_prompt)


def dialect(name: str) -> Dialect:
    return dialects.load(SPOKEN[name], "test")


def called(turn: int, *arguments: dict[str, Any], **said: str) -> Reply:
    calls = tuple(
        ToolCall(
            id=f"call_{turn}_{number}",
            name="shell",
            arguments=json.dumps(values, ensure_ascii=False),
        )
        for number, values in enumerate(arguments, start=1)
    )
    return Reply(turn=turn, tool_calls=calls, finish_reason="tool_calls", **said)


def answered(turn: int, content: str, number: int = 1) -> ToolResult:
    return ToolResult(
        turn=turn,
        call_id=f"call_{turn}_{number}",
        name="shell",
        content=content,
        ok=True,
        seconds=0.0,
    )


def test_every_vendored_template_has_a_dialect_named_here() -> None:
    assert sorted(vendored_templates()) == sorted(SPOKEN)


@pytest.mark.parametrize("name", SPOKEN)
def test_a_template_is_matched_with_the_dialect_it_is_written_for(name: str) -> None:
    assert dialects.choose(vendored_templates()[name]) == SPOKEN[name]
