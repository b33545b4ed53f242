"""A call as all of Cohere's models write it: ``{"tool_name": ..., "parameters": {...}}``."""

from __future__ import annotations

from harness.dialects._calls import Call, given
from harness.dialects._json import members, skip_blanks


def call(text: str, at: int) -> Call:
    """The call that begins at ``at``; raises ValueError where there is none."""
    values, raw, end = members(text, skip_blanks(text, at))
    name = values.get("tool_name", values.get("name"))
    if not isinstance(name, str) or not name:
        raise ValueError("the call has no tool_name")
    return Call(name, given(values, raw, "parameters", "arguments"), end)
