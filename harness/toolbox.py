"""The tools of one attempt: what the model is told of them, and what its calls bring about.

A model's arguments are raw text until here. Whatever is wrong with a call is an answer to the
model, never an exception; what the world does wrong passes through.
"""

from __future__ import annotations

import importlib
import inspect
import json
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from typing import Any, get_type_hints

from pydantic import BaseModel, ConfigDict, ValidationError, create_model

from harness.errors import did_you_mean
from harness.records import Signal, SignalName, ToolCall, ToolResult, ToolSchema
from harness.tools import Bench, ToolError

_MOST = 64 * 1024
"""Characters of an answer, should a tool not have bounded its own: an error may quote the call."""

_DETAIL = 500
"""Characters of a signal's detail."""


@dataclass(frozen=True)
class Tool:
    """A tool's function, with its parameters as a model that arguments must fit."""

    act: Callable[..., str]
    arguments: type[BaseModel]
    schema: ToolSchema


def schemas(names: Sequence[str]) -> tuple[ToolSchema, ...]:
    """These tools, as a model is told of them, in this order."""
    return tuple(_load(name).schema for name in names)


def flaw_in(call: ToolCall) -> str | None:
    """What is wrong with the arguments of a call of a tool that exists; None: nothing."""
    try:
        _arguments(_load(call.name), call)
    except _BadCall as bad:
        return str(bad)
    return None


class Toolbox:
    """The tools that a task allows, at work on one bench. Calls block."""

    def __init__(self, names: Sequence[str], bench: Bench) -> None:
        self._tools = {name: _load(name) for name in names}
        self._bench = bench

    def call(self, turn: int, call: ToolCall) -> tuple[ToolResult, Signal | None]:
        """Do what a model asked for. The signal says what was wrong with the call itself.

        Raises InfrastructureFault where the sandbox did not do its part.
        """
        began = time.monotonic()
        notable: SignalName | None = None
        ok = False
        try:
            content = self._act(call)
            ok = True
        except _BadCall as bad:
            content, notable = f"error: {bad}", bad.signal
        except ToolError as error:
            content = f"error: {error}"
        result = ToolResult(
            turn=turn,
            call_id=call.id,
            name=call.name,
            content=content[:_MOST],
            ok=ok,
            seconds=round(time.monotonic() - began, 6),
        )
        if notable is None:
            return result, None
        return result, Signal(turn=turn, name=notable, detail=content[:_DETAIL])

    def _act(self, call: ToolCall) -> str:
        tool = self._tools.get(call.name)
        if tool is None:
            known = ", ".join(self._tools) or "none"
            raise _BadCall(
                "unknown_tool", f"there is no tool {call.name!r}; the tools are: {known}"
            )
        return tool.act(self._bench, **dict(_arguments(tool, call)))


class _BadCall(Exception):
    """A call that no tool could answer."""

    def __init__(self, signal: SignalName, detail: str) -> None:
        super().__init__(detail)
        self.signal = signal


def _arguments(tool: Tool, call: ToolCall) -> BaseModel:
    try:
        return tool.arguments.model_validate_json(call.arguments)
    except ValidationError as error:
        with suppress(ValueError, RecursionError):  # a ValidationError is a ValueError
            return tool.arguments.model_validate_json(_read_loosely(call.arguments, error))
        wrong = "; ".join(_sentence(tool, dict(detail)) for detail in error.errors())
        raise _BadCall("malformed_tool_call", f"bad arguments for {call.name}: {wrong}") from None


def _read_loosely(arguments: str, error: ValidationError) -> str:
    """JSON of the arguments, where line breaks may stand in a string as they are, and where a text
    that stands for another type is read as JSON: some families write every value as text. Raises
    ValueError or RecursionError where they are no object, or such a text is no JSON."""
    values = json.loads(arguments, strict=False)
    if not isinstance(values, dict):
        raise ValueError("no JSON object")
    for name in {name for detail in error.errors() for name in detail["loc"][:1]}:
        if isinstance(values.get(name), str):
            values[name] = json.loads(values[name])
    return json.dumps(values)


@cache
def _load(name: str) -> Tool:
    function = getattr(importlib.import_module(f"harness.tools.{name}"), name)
    hints = get_type_hints(function, include_extras=True)
    fields: dict[str, Any] = {
        parameter.name: (
            hints[parameter.name],
            ... if parameter.default is parameter.empty else parameter.default,
        )
        for parameter in list(inspect.signature(function).parameters.values())[1:]
    }
    model = create_model(name, __config__=ConfigDict(extra="forbid"), **fields)
    description = inspect.getdoc(function) or ""
    schema = ToolSchema(name=name, description=description, parameters=_parameters(model))
    return Tool(function, model, schema)


def _parameters(model: type[BaseModel]) -> dict[str, Any]:
    """JSON Schema of a tool's parameters, without what says nothing to a model."""
    full = model.model_json_schema()
    return {
        "type": "object",
        "properties": {name: _plain(value) for name, value in full["properties"].items()},
        "required": full.get("required", []),
        "additionalProperties": False,
    }


def _plain(schema: dict[str, Any]) -> dict[str, Any]:
    """One parameter's schema. That it may be null is no news where it may be left out."""
    kinds = [kind for kind in schema.get("anyOf", []) if kind != {"type": "null"}]
    merged = {**(kinds[0] if kinds else {}), **schema}
    return {
        key: value
        for key, value in merged.items()
        if key not in ("title", "anyOf") and (key, value) != ("default", None)
    }


def _sentence(tool: Tool, detail: dict[str, Any]) -> str:
    """What pydantic found, in words for a model."""
    where = ".".join(str(part) for part in detail["loc"])
    if detail["type"] == "extra_forbidden":
        return f"no parameter {where!r}; {did_you_mean(where, tool.arguments.model_fields)}"
    if detail["type"] == "missing":
        return f"{where!r} is missing"
    if detail["type"] == "model_type":
        return "they must be one JSON object"
    return f"{where}: {detail['msg']}" if where else str(detail["msg"])
