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
from typing import Any, Literal

from pydantic import Field, ValidationError

from harness.errors import BadInput
from harness.models import ModelSettings, Request
from harness.records import Completion, Record, Reply, ToolCall
from harness.variant import render


class Settings(ModelSettings):
    kind: Literal["scripted"] = "scripted"
    script: str = Field(
        description="'oracle' (each task's solution.jsonl), 'nothing', or the path of a script"
    )


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


class Model:
    """Plays its script from the first line in every run; after the last line it says nothing."""

    parallel: int | None = None
    rehearses = False

    def __init__(self, settings: Settings, script: Script | None = None) -> None:
        """``script``, where it is given, is played in place of the one that settings name."""
        self._script = settings.script
        self._given = script
        self._scripts: dict[Path, Script] = {}

    async def open(self) -> dict[str, Any]:
        """Read the script where it is a file; the tasks' own are read as they are played."""
        if self._script not in ("oracle", "nothing"):
            self._load(Path(self._script).expanduser())
        return {"script": self._script}

    async def reply(self, request: Request) -> Completion:
        """The line of this turn, or an empty answer where there is none."""
        script = self._script_for(request)
        if request.turn > len(script):
            return Completion(finish_reason="stop")
        line = script[request.turn - 1]
        return (
            line if isinstance(line, Completion) else line.completion(request.turn, request.facts)
        )

    async def probe(self) -> None:
        """A script always answers."""

    async def close(self) -> None:
        """Nothing is held."""

    def _script_for(self, request: Request) -> Script:
        if self._given is not None:
            return self._given
        if self._script == "nothing":
            return ()
        if self._script == "oracle":
            return self._load(request.task_folder / "solution.jsonl")
        return self._load(Path(self._script).expanduser())

    def _load(self, path: Path) -> Script:
        if path not in self._scripts:
            self._scripts[path] = read_script(path)
        return self._scripts[path]


def read_script(path: Path) -> Script:
    """The replies of a script or transcript; raises BadInput, naming file and line."""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise BadInput(f"{path}: no script can be read here: {error}") from None
    replies: list[ScriptLine | Completion] = []
    lines = text.split("\n")  # not splitlines(), which also splits inside strings
    recorded = text.startswith('{"type":')
    if recorded or not lines[-1]:
        lines.pop()  # nothing, or an event that was cut short
    for number, line in enumerate(lines, start=1):
        try:
            replies += _replies_in(line)
        except (ValidationError, ValueError) as error:
            reason = str(error).splitlines()[0]
            raise BadInput(
                f"{path}:{number}: neither a script's line nor an event: {reason}"
            ) from None
    return replies


def _replies_in(line: str) -> Script:
    record = json.loads(line)
    if not isinstance(record, dict) or "type" not in record:
        return [ScriptLine.model_validate(record)]
    if record["type"] != "reply":
        return []
    reply = Reply.model_validate(record)
    return [Completion.model_validate(reply.model_dump(exclude={"type", "turn"}))]
