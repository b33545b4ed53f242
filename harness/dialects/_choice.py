"""Which dialect a model speaks, seen from its chat template."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from harness.dialects import Dialect, every
from harness.dialects._template import ChatTemplate
from harness.errors import BadInput
from harness.records import Message, Prompt, Reply, ToolCall, ToolSchema

_TOOL = ToolSchema(
    name="fs_read",
    description="Read a file.",
    parameters={
        "type": "object",
        "properties": {"path": {"type": "string", "description": "of the file"}},
        "required": ["path"],
    },
)
_ASKED: list[Message] = [
    Prompt(role="system", content="Use the tools."),
    Prompt(role="user", content="Read a file."),
]
_CALLED = ("fs_read", {"path": "a.txt"})
_CALL = ToolCall(id="call_1_1", name="fs_read", arguments='{"path": "a.txt"}')
_GEMMA = re.compile(r"<start_of_turn>")


def choose(source: str | None, arguments: Mapping[str, Any] | None = None) -> str:
    """The name of the dialect that a chat template is written for: of those whose marks are in
    it, the one that reads a call back as the template writes it, and leaves the least over. A
    template without tools is spoken to in words, Hermes' or Gemma's.

    Raises BadInput, with what to set, where there is no template or none that is known.
    """
    if not source or not source.strip():
        raise BadInput(
            "the model's file has no chat template; set dialect to one that writes its own "
            "prompts, such as 'fewshot', or template to a file with one"
        )
    form = ChatTemplate(source, arguments=arguments).form
    if not form.tools and not form.calls:
        return "gemma3" if _GEMMA.search(source) else "hermes"
    left = {
        name: over
        for name, dialect in every().items()
        if dialect.in_template
        and re.search(dialect.in_template, source)
        and (over := left_over(source, dialect, arguments)) is not None
    }
    if not left:
        raise BadInput(
            "the chat template spells tool calls in a way that no dialect reads; set dialect to "
            f"the nearest ({', '.join(every())}), or template to a file"
        )
    return min(left, key=lambda name: (left[name], name))


def left_over(
    source: str, dialect: Dialect, arguments: Mapping[str, Any] | None = None
) -> int | None:
    """How many characters remain when the dialect has taken a call out of a reply that the
    template wrote; None where it does not find just that call."""
    template = ChatTemplate(source, arguments=arguments, by_prompt=dialect.by_prompt)
    reply = Reply(turn=1, tool_calls=(_CALL,), finish_reason="tool_calls")
    try:
        parsed = dialect.parse(template.written(_ASKED, reply, [_TOOL]), 1)
    except BadInput:
        return None
    if [(call.name, json.loads(call.arguments)) for call in parsed.tool_calls] != [_CALLED]:
        return None
    return len(parsed.text) if parsed.malformed is None else None
