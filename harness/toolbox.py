"""The tools of one task, as a model meets them: schemas to be told of, calls to be answered.

A tool is a typed function (see ``harness.tools``); its schema is made from its signature, its
annotations and its docstring, and nothing else describes it.
"""

from __future__ import annotations

import importlib
import inspect
import time
from collections.abc import Callable, Sequence
from functools import cache
from typing import Any, get_type_hints

from pydantic import BaseModel, ConfigDict, ValidationError, create_model

from harness.errors import did_you_mean
from harness.records import Signal, SignalName, ToolCall, ToolResult, ToolSchema
from harness.tools import Bench, ToolError


class Toolbox:
    """Answers the calls of one attempt. Blocking: callers on an event loop use a thread."""

    def __init__(self, names: Sequence[str], bench: Bench) -> None:
        self._names = names
        self._bench = bench

    def call(self, turn: int, call: ToolCall) -> tuple[ToolResult, Signal | None]:
        """Answer one call. What the model did wrong is an answer as well, and notable where the
        call itself was no call; a SandboxFailed passes through."""
        began = time.monotonic()
        content, ok, notable = self._answer(call)
        result = ToolResult(
            turn=turn,
            call_id=call.id,
            name=call.name,
            content=content,
            ok=ok,
            seconds=round(time.monotonic() - began, 6),
        )
        signal = Signal(turn=turn, name=notable, detail=content[:200]) if notable else None
        return result, signal

    def _answer(self, call: ToolCall) -> tuple[str, bool, SignalName | None]:
        if call.name not in self._names:
            hint = did_you_mean(call.name, self._names)
            return f"error: no tool {call.name[:80]!r}; {hint}", False, "unknown_tool"
        function, arguments = _tool(call.name)
        try:
            passed = arguments.model_validate_json(call.arguments or "{}")
        except ValidationError as error:
            return f"error: {_reason(error)}", False, "malformed_tool_call"
        try:
            return function(self._bench, **dict(passed)), True, None
        except ToolError as error:
            return f"error: {error}", False, None


@cache
def schemas(names: tuple[str, ...]) -> tuple[ToolSchema, ...]:
    """What a model is told of these tools."""
    return tuple(
        ToolSchema(
            name=name,
            description=inspect.cleandoc(_tool(name)[0].__doc__ or ""),
            parameters=_without_titles(_tool(name)[1].model_json_schema()),
        )
        for name in names
    )


@cache
def _tool(name: str) -> tuple[Callable[..., str], type[BaseModel]]:
    """A tool's function, and the model of its arguments."""
    function: Callable[..., str] = getattr(importlib.import_module(f"harness.tools.{name}"), name)
    hints = get_type_hints(function, include_extras=True)
    _, *parameters = inspect.signature(function).parameters.values()
    fields: dict[str, Any] = {
        parameter.name: (
            hints[parameter.name],
            ... if parameter.default is parameter.empty else parameter.default,
        )
        for parameter in parameters
    }
    return function, create_model(name, __config__=ConfigDict(extra="forbid"), **fields)


def _without_titles(schema: dict[str, Any]) -> dict[str, Any]:
    """The schema without pydantic's titles, which only repeat the names."""
    properties = schema.get("properties", {})
    for member in (schema, *properties.values()):
        member.pop("title", None)
    return schema


def _reason(error: ValidationError) -> str:
    first = error.errors(include_url=False)[0]
    key = ".".join(map(str, first["loc"]))
    where = f"argument {key!r}: " if key else "the arguments: "
    return f"{where}{first['msg'][:300]}"
