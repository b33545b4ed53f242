"""A Request as the body of POST /chat/completions."""

from __future__ import annotations

import json
import re
from typing import Any

from pydantic_core import from_json

from harness.models import Request
from harness.models.openai.settings import Settings
from harness.records import Message, Reply, ToolCall, ToolResult, ToolSchema


def chat_request(settings: Settings, request: Request) -> dict[str, Any]:
    """The whole body. Everything that decides which tokens are drawn is in it explicitly."""
    body: dict[str, Any] = {
        "model": settings.model,
        "messages": [_message(settings, message) for message in request.conversation],
        "temperature": settings.sampling.temperature,
        "top_p": settings.sampling.top_p,
        "seed": request.seed,
        settings.token_limit: request.max_tokens,
        "stream": True,
        "stream_options": {"include_usage": True},
    }
    if request.tools:
        body["tools"] = [_tool(schema) for schema in request.tools]
        body["tool_choice"] = "required" if request.force_call else "auto"
    return {key: body[key] for key in body if key not in settings.omit} | settings.extra_body


def _tool(schema: ToolSchema) -> dict[str, Any]:
    return {"type": "function", "function": schema.model_dump()}


def _message(settings: Settings, message: Message) -> dict[str, Any]:
    if isinstance(message, ToolResult):
        return {"role": "tool", "tool_call_id": message.call_id, "content": message.content}
    if isinstance(message, Reply):
        return _assistant(settings, message)
    return {"role": message.role, "content": message.content}


def _assistant(settings: Settings, reply: Reply) -> dict[str, Any]:
    sent: dict[str, Any] = {"role": "assistant", "content": reply.text}
    if not reply.tool_calls:
        return sent
    sent["tool_calls"] = [_call(call) for call in reply.tool_calls]
    if settings.null_content and not reply.text:
        sent["content"] = None
    if settings.reasoning_key:
        sent[settings.reasoning_key] = reply.reasoning or ""
    return sent


def _call(call: ToolCall) -> dict[str, Any]:
    return {
        "id": call.id,
        "type": "function",
        "function": {"name": _name(call.name), "arguments": _arguments(call.arguments)},
    }


def _name(name: str) -> str:
    """A call's name as endpoints take it back: some refuse the request for any other."""
    return re.sub(r"[^A-Za-z0-9_-]", "_", name)[:64] or "_"


def _arguments(text: str) -> str:
    """The raw text of a call's arguments; wrapped into an object where it is none.

    Servers parse what they are sent back for their chat template, and llama.cpp's answers 500
    to what does not parse: the model's own slip would look like a fault of the server.
    """
    if not text.strip():
        return "{}"
    try:
        parsed = from_json(text, allow_inf_nan=False)
    except ValueError:
        parsed = None
    return text if isinstance(parsed, dict) else json.dumps({"malformed": text})
