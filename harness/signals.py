"""What is notable in a reply that is no outcome: a leak, a ceiling, an empty or garbled reply."""

from __future__ import annotations

import re
from collections.abc import Iterator

from harness.records import Reply, Signal

LEAKS = re.compile(
    r"""
      <\|[a-z][a-z0-9_]*\|?>                # ChatML, Llama 3, Gemma 4, gpt-oss: <|im_end|>
    | <(?:tool_call|channel|turn|tool_response)\|>          # Gemma 4 closing
    | </?tool_call> | <function=[\w.-]+> | <parameter=[\w.-]+>   # Hermes, Qwen
    | \[(?:TOOL_CALLS|TOOL_RESULTS|AVAILABLE_TOOLS|ARGS|/?INST)\]  # Mistral
    | </?(?:start|end)_of_turn> | <(?:start|end)_function_call>    # Gemma 2, 3, FunctionGemma
    | <\uff5c[\w\u2581]+\uff5c>               # DeepSeek
    | ```tool_(?:code|call)                  # Gemma 3 by prompt
    | \{\s*"name"\s*:\s*"[\w.-]+"\s*,\s*"(?:arguments|parameters)"\s*:  # a bare JSON call
    """,
    re.VERBOSE,
)
"""Delimiters of chat templates and spellings of tool calls, whichever family they belong to."""


def signals_in(reply: Reply) -> Iterator[Signal]:
    """The signals of one reply, in a fixed order. Leaks count only where no call was made."""
    if reply.malformed is not None:
        yield Signal(turn=reply.turn, name="malformed_tool_call", detail=reply.malformed)
    if reply.finish_reason == "length":
        yield Signal(
            turn=reply.turn, name="token_ceiling", detail="cut off at the budget of tokens"
        )
    if reply.tool_calls or reply.finish_reason == "context":
        return
    if not reply.text.strip():
        yield Signal(turn=reply.turn, name="empty_reply", detail="neither text nor a tool call")
    leaks = list(LEAKS.finditer(reply.text))
    if leaks:
        first = leaks[0]
        yield Signal(
            turn=reply.turn,
            name="template_leakage",
            detail=f"{first.group()!r} at character {first.start()}; {len(leaks)} in all",
        )
