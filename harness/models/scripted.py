"""Models that play a script: the oracle, one that does nothing, or anything once recorded.

A script is JSON Lines, one reply a line:

    {"note": "why this script exists", "text": "", "calls": [{"name": "shell", "arguments": {}}]}
    {"text": "the final answer"}

``arguments`` may also be a string: the raw text of a call that is badly spelled. ``«fact»`` in a
string stands for a fact of the task's variant. A transcript is a script too: its replies are
played again, as they are.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, Self

from pydantic import Field, PrivateAttr, ValidationInfo, model_validator

from harness.errors import BadInput
from harness.models import ModelSettings, Request
from harness.models._telling import Say, silent
from harness.records import Completion, Record, Reply, ToolCall
from harness.toml_file import validate
from harness.variant import MarkError, render


class Settings(ModelSettings):
    kind: Literal["scripted"] = "scripted"
    script: str = Field(
        description="'oracle' (each task's solution.jsonl), 'nothing', or the path of a script, "
        "as seen from the campaign's folder"
    )
    _file: Path | None = PrivateAttr(default=None)

    @property
    def file(self) -> Path | None:
        """The script's file; None where the script is none of its own. The key stays as it is
        written, so that a campaign's folder can be moved."""
        return self._file

    @model_validator(mode="after")
    def _find_file(self, info: ValidationInfo) -> Self:
        if self.script not in ("oracle", "nothing"):
            folder = (info.context or {}).get("folder", Path())
            self._file = folder / Path(self.script).expanduser()
            if not self._file.is_file():
                raise ValueError(f"'script': {self._file}: no such file")
        return self


class ScriptedCall(Record):
    name: str
    arguments: dict[str, Any] | str = Field(default={})

    def spelled(self, facts: Mapping[str, Any]) -> str:
        """The raw text of the arguments, with the marks in their strings filled in."""
        if isinstance(self.arguments, str):
            return render(self.arguments, facts)
        filled = {
            key: render(value, facts) if isinstance(value, str) else value
            for key, value in self.arguments.items()
        }
        return json.dumps(filled, ensure_ascii=False)


class ScriptLine(Record):
    """One reply of a script."""

    text: str = ""
    calls: tuple[ScriptedCall, ...] = ()
    note: str = Field(default="", description="for readers; never played")

    def completion(self, turn: int, facts: Mapping[str, Any]) -> Completion:
        """The reply as a model would have given it in this turn, on the variant of ``facts``."""
        calls = tuple(
            ToolCall(
                id=f"call_{turn}_{number}",
                name=call.name,
                arguments=call.spelled(facts),
            )
            for number, call in enumerate(self.calls, start=1)
        )
        return Completion(
            text=render(self.text, facts),
            tool_calls=calls,
            finish_reason="tool_calls" if calls else "stop",
        )


Script = Sequence[ScriptLine | Completion]
"""What to reply, turn by turn: lines to be filled in, or replies that were recorded."""


def reply_of(script: Script, turn: int, facts: Mapping[str, Any], path: Path) -> Completion:
    """A script's reply in this turn, an empty one after its end. Raises BadInput, naming file and
    line, where a mark in it cannot be filled in."""
    if turn > len(script):
        return Completion(finish_reason="stop")
    line = script[turn - 1]
    if isinstance(line, Completion):
        return line
    try:
        return line.completion(turn, facts)
    except MarkError as error:
        raise BadInput(f"{path}:{turn}: {error}") from error


class Model:
    """Plays its script from the first line in every run; after the last line it says nothing."""

    parallel: int | None = None
    rehearses = False

    def __init__(self, settings: Settings, script: Script | None = None) -> None:
        """``script``, where it is given, is played in place of the one that settings name."""
        self._settings = settings
        self._given = script
        self._scripts: dict[Path, Script] = {}

    async def open(self, say: Say = silent) -> dict[str, Any]:
        """Read the script where it is a file; the tasks' own are read as they are played."""
        if self._settings.file is not None:
            self._load(self._settings.file)
        return {"script": self._settings.script}

    async def reply(self, request: Request) -> Completion:
        """The line of this turn, or an empty answer where there is none."""
        path = self._settings.file or request.task_folder / "solution.jsonl"
        if self._given is not None:
            script = self._given
        elif self._settings.script == "nothing":
            script = ()
        else:
            script = self._load(path)
        return reply_of(script, request.turn, request.facts, path)

    async def probe(self) -> None:
        """A script always answers."""

    async def close(self) -> None:
        """Nothing is held."""

    def _load(self, path: Path) -> Script:
        if path not in self._scripts:
            self._scripts[path] = read_script(path)
        return self._scripts[path]


def read_script(path: Path) -> Script:
    """The replies of a script or transcript; raises BadInput, naming file and line."""
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise BadInput(f"{path}: cannot be read: {error.strerror}") from None
    except UnicodeDecodeError as error:
        raise BadInput(f"{path}: no script can be read here: {error}") from None
    if not text:
        raise BadInput(f"{path}: empty; a script has at least one reply")
    replies: list[ScriptLine | Completion] = []
    lines = text.split("\n")  # not splitlines(), which also splits inside strings
    recorded = text.startswith('{"type":')
    if recorded or not lines[-1]:
        lines.pop()  # nothing, or an event that was cut short
    for number, line in enumerate(lines, start=1):
        replies += _replies_in(line, f"{path}:{number}")
    return replies


def calls_in(path: Path) -> int | None:
    """How many tool calls a script makes; None where it cannot be read as one."""
    try:
        script = read_script(path)
    except BadInput:
        return None  # it matters to whoever plays or certifies it, and they are told
    return sum(
        len(reply.tool_calls if isinstance(reply, Completion) else reply.calls) for reply in script
    )


def _replies_in(line: str, where: str) -> Script:
    try:
        record = json.loads(line)
    except json.JSONDecodeError as error:
        raise BadInput(f"{where}: not valid JSON: {error.msg}, column {error.colno}") from None
    if not isinstance(record, dict):
        raise BadInput(f"{where}: neither a script's line nor an event: no JSON object")
    if "type" not in record:
        return [validate(ScriptLine, record, where)]
    if record["type"] != "reply":
        return []
    reply = validate(Reply, record, where)
    return [Completion.model_validate(reply.model_dump(exclude={"type", "turn"}))]
