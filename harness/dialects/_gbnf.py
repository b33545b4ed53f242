"""GBNF, the grammars of llama.cpp, for the arguments of a tool's call."""

from __future__ import annotations

import json
from typing import Any

JSON_VALUES = r"""
string ::= "\"" char{1,200} "\""
char ::= [^"\\\x00-\x1f] | "\\" (["\\/bfnrt] | "u" [0-9a-fA-F]{4})
integer ::= "-"? [0-9]{1,9}
"""
"""The rules that ``members`` refers to, to stand at a grammar's end."""


def members(parameters: dict[str, Any]) -> str:
    """The members of a call's arguments: those required first, the others may lack."""
    required = parameters.get("required", [])
    properties = parameters.get("properties", {})
    rules: list[str] = []
    for name in sorted(properties, key=lambda name: name not in required):
        comma = ", " if rules else ""
        member = f"{literal(comma + json.dumps(name) + ': ')} {_kind(properties[name])}"
        rules.append(member if name in required or not rules else f"({member})?")
    together = " ".join(rules)
    return together if required else f"({together})?"


def literal(text: str) -> str:
    """``text`` as a grammar writes what must stand there."""
    return json.dumps(text)


def _kind(schema: dict[str, Any]) -> str:
    kinds = {schema.get("type"), *(choice.get("type") for choice in schema.get("anyOf", []))}
    return "integer" if "integer" in kinds else "string"
