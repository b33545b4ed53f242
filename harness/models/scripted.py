"""Models that play a script: the oracle, one that does nothing, or anything once recorded.

A script is JSON Lines, one reply a line:

    {"note": "why this script exists", "text": "", "calls": [{"name": "shell", "arguments": {}}]}
    {"text": "the final answer"}

``arguments`` may also be a string: the raw text of a call that is badly spelled. A transcript
is a script too: its replies are played again.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, ValidationError

from harness.errors import BadInput
from harness.models import ModelSettings, Request
from harness.records import Completion, Record, Reply, ToolCall


class Settings(ModelSettings):
    kind: Literal["scripted"] = "scripted"
    script: str = Field(
        description="'oracle' (each task's solution.jsonl), 'nothing', or the path of a script"
    )


class ScriptedCall(Record):
    name: str
    arguments: dict[str, Any] | str = Field(default={})


class ScriptLine(Record):
    """One reply of a script."""

    text: str = ""
    calls: tuple[ScriptedCall, ...] = ()
    note: str = Field(default="", description="for readers; never played")

    def completion(self, turn: int) -> Completion:
        """The reply as a model would have given it in this turn."""
        calls = tuple(
            ToolCall(
                id=f"call_{turn}_{number}",
                name=call.name,
                arguments=call.arguments
                if isinstance(call.arguments, str)
                else json.dumps(call.arguments, ensure_ascii=False),
            )
            for number, call in enumerate(self.calls, start=1)
        )
        return Completion(
            text=self.text, tool_calls=calls, finish_reason="tool_calls" if calls else "stop"
        )


class Model:
    """Plays its script from the first line in every run; after the last line it says nothing."""

    parallel: int | None = None

    def __init__(self, settings: Settings) -> None:
        self._script = settings.script
        self._scripts: dict[Path, list[Completion]] = {}

    async def open(self) -> dict[str, Any]:
        """Read the script where it is a file; the tasks' own are read as they are played."""
        if self._script not in ("oracle", "nothing"):
            self._load(Path(self._script).expanduser())
        return {"script": self._script}

    async def reply(self, request: Request) -> Completion:
        """The line of this turn, or an empty answer where there is none."""
        replies: list[Completion] = []
        if self._script == "oracle":
            replies = self._load(request.task_folder / "solution.jsonl")
        elif self._script != "nothing":
            replies = self._load(Path(self._script).expanduser())
        silence = Completion(finish_reason="stop")
        return replies[request.turn - 1] if request.turn <= len(replies) else silence

    async def close(self) -> None:
        """Nothing is held."""

    def _load(self, path: Path) -> list[Completion]:
        if path not in self._scripts:
            self._scripts[path] = read_script(path)
        return self._scripts[path]


def read_script(path: Path) -> list[Completion]:
    """The replies of a script or transcript; raises BadInput, naming file and line."""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise BadInput(f"{path}: no script can be read here: {error}") from None
    replies: list[Completion] = []
    # Not splitlines(), which also splits inside strings; a last line without its end is torn.
    for number, line in enumerate(text.split("\n")[:-1], start=1):
        try:
            replies += _replies_in(line, turn=len(replies) + 1)
        except (ValidationError, ValueError) as error:
            reason = str(error).splitlines()[0]
            raise BadInput(
                f"{path}:{number}: neither a script's line nor an event: {reason}"
            ) from None
    return replies


def _replies_in(line: str, turn: int) -> list[Completion]:
    record = json.loads(line)
    if not isinstance(record, dict) or "type" not in record:
        return [ScriptLine.model_validate(record).completion(turn)]
    if record["type"] != "reply":
        return []
    reply = Reply.model_validate(record)
    return [Completion.model_validate(reply.model_dump(exclude={"type", "turn"}))]
