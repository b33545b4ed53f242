"""A real server that plays a model: what it replies follows from what it is asked, and no more.

    async with model_server({"oracle": oracle("first-steps-v1"), "leak": leaks}) as server:
        ...  # models "oracle" and "leak", for any number of runs at once, asked again or not

Every player here but the oracle does badly what models do badly, and all of it is the model's
own: none of it is anybody else's fault.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

from harness.models.scripted import ScriptLine, read_script
from harness.records import Completion, FinishReason, ToolCall, Usage
from harness.rescue import NUDGE
from harness.task import load_suite

Play = Callable[["Question"], Completion]
"""A model. ``finish_reason`` "context" is answered with the refusal that servers give."""


@dataclass(frozen=True)
class Question:
    """What a server is asked."""

    body: Mapping[str, Any]

    @property
    def turn(self) -> int:
        return 1 + [message["role"] for message in self._of_the_task].count("assistant")

    @property
    def instruction(self) -> str:
        return str(self._of_the_task[0]["content"])

    @property
    def nudged(self) -> bool:
        return any(message.get("content") == NUDGE for message in self.body["messages"])

    def before_the_leak(self) -> Question:
        """The question as it was before a reply that leaked, and the nudge after it."""
        messages = list(self.body["messages"])
        at = [message.get("content") for message in messages].index(NUDGE)
        return Question({**self.body, "messages": messages[: at - 1] + messages[at + 1 :]})

    @property
    def _of_the_task(self) -> list[Any]:
        """The messages from the task's instruction on: what stands before it is another's."""
        messages = self.body["messages"]
        asked = [m["role"] == "user" and m["content"] != NUDGE for m in messages]
        return list(messages[len(asked) - 1 - asked[::-1].index(True) :])

    @property
    def tool(self) -> str:
        """The first tool on offer."""
        return str(self.body["tools"][0]["function"]["name"])

    @property
    def max_tokens(self) -> int:
        return int(self.body["max_tokens"])


@dataclass
class ModelServer:
    """A running server: its port, who plays, and all that it was asked. Each takes so many
    ``seconds``, or until it is ``enough``."""

    players: dict[str, Play]
    port: int = 0
    seconds: float = 0.0
    enough: Callable[[], bool] = lambda: False
    asked: list[Question] = field(default_factory=list)

    async def list_models(self, _: web.Request) -> web.Response:
        return web.json_response({"data": [{"id": name} for name in self.players]})

    async def answer(self, request: web.Request) -> web.StreamResponse:
        question = Question(await request.json())
        self.asked.append(question)
        until = time.monotonic() + self.seconds
        while time.monotonic() < until and not self.enough():
            await asyncio.sleep(0.01)
        if "tools" not in question.body:
            return await _stream(request, Completion(text="ok", finish_reason="stop"), question)
        reply = self.players[question.body["model"]](question)
        if reply.finish_reason == "context":
            code = "context_length_exceeded"
            error = {"message": "maximum context length", "type": "invalid", "code": code}
            return web.json_response({"error": error}, status=400)
        return await _stream(request, reply, question)


@asynccontextmanager
async def model_server(players: Mapping[str, Play]) -> AsyncIterator[ModelServer]:
    """Serve these models on a port of loopback."""
    server = ModelServer(dict(players))
    app = web.Application()
    app.router.add_post("/v1/chat/completions", server.answer)
    app.router.add_get("/v1/models", server.list_models)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        server.port = runner.addresses[0][1]
        yield server
    finally:
        await runner.cleanup()


async def _stream(
    request: web.Request, reply: Completion, question: Question
) -> web.StreamResponse:
    response = web.StreamResponse(headers={"content-type": "text/event-stream"})
    response.enable_chunked_encoding()
    with suppress(ConnectionError):  # whoever asked has hung up
        await response.prepare(request)
        for chunk in _chunks(reply, question):
            await response.write(b"data: " + json.dumps(chunk).encode() + b"\n\n")
        await response.write(b"data: [DONE]\n\n")
        await response.write_eof()
    return response


def _chunks(reply: Completion, question: Question) -> Iterator[dict[str, Any]]:
    """A reply in pieces: text and arguments in two halves each, then the end, then the usage."""
    half = len(reply.text) // 2
    yield _choice({"role": "assistant", "content": reply.text[:half]})
    if reply.text:
        yield _choice({"content": reply.text[half:]})
    for index, call in enumerate(reply.tool_calls):
        half = len(call.arguments) // 2
        head = {"name": call.name, "arguments": call.arguments[:half]}
        yield _choice({"tool_calls": [{"index": index, "id": call.id, "function": head}]})
        tail = {"arguments": call.arguments[half:]}
        yield _choice({"tool_calls": [{"index": index, "function": tail}]})
    words = {"filtered": "content_filter"}
    yield _choice({}, finish_reason=words.get(reply.finish_reason, reply.finish_reason))
    output = len(reply.text.split()) + sum(len(call.arguments) for call in reply.tool_calls)
    yield {
        "choices": [],
        "usage": {
            "prompt_tokens": len(json.dumps(question.body["messages"])) // 4,
            "completion_tokens": reply.usage.output or output,
        },
    }


def _choice(delta: dict[str, Any], finish_reason: str | None = None) -> dict[str, Any]:
    return {"choices": [{"index": 0, "delta": delta, "finish_reason": finish_reason}]}


# Players.


def oracle(suite: str) -> Play:
    """Plays every task of a suite, as published, as its solution.jsonl does."""
    replies: dict[str, list[Completion]] = {}
    for task in load_suite(suite).tasks:
        variant = task.variant()
        lines = read_script(task.folder / "solution.jsonl")
        replies[variant.instruction] = [
            line.completion(turn, variant.facts) if isinstance(line, ScriptLine) else line
            for turn, line in enumerate(lines, start=1)
        ]

    def play(question: Question) -> Completion:
        script = replies[question.instruction]
        return script[min(question.turn, len(script)) - 1]

    return play


def in_place_of_answers(play: Play, otherwise: Play) -> Play:
    """Plays as ``play`` does up to its final answer, and gives another one in its place."""

    def spoiled(question: Question) -> Completion:
        reply = play(question)
        return reply if reply.tool_calls else otherwise(question)

    return spoiled


def from_turn(turn: int, play: Play, otherwise: Play) -> Play:
    """Plays as ``play`` does before this turn, and otherwise from it on."""
    return lambda question: (play if question.turn < turn else otherwise)(question)


def wrong(_: Question) -> Completion:
    """An answer, and not the right one."""
    return _says("It is 123456.")


def says_nothing(_: Question) -> Completion:
    return _says("")


def leaks(question: Question) -> Completion:
    """Calls a tool in words only, in the spelling of Hermes and Qwen."""
    call = json.dumps({"name": question.tool, "arguments": {}})
    return _says(f"<tool_call>\n{call}\n</tool_call>")


def spelling_its_calls(play: Play, spell: Callable[[ToolCall], str]) -> Play:
    """Plays as ``play`` does, but for its calls, which it writes as text until it is told."""

    def spelled(question: Question) -> Completion:
        if question.nudged:
            return play(question.before_the_leak())
        reply = play(question)
        return _says("\n".join(map(spell, reply.tool_calls))) if reply.tool_calls else reply

    return spelled


def as_hermes(call: ToolCall) -> str:
    """A call as Hermes and Qwen spell it."""
    return f'<tool_call>\n{{"name": "{call.name}", "arguments": {call.arguments}}}\n</tool_call>'


def as_nobody(call: ToolCall) -> str:
    """A call in markup of Gemma 4's, as it was seen to leak: no dialect reads it."""
    return f"<|channel>{call.name}{call.arguments}"


def leaks_at_the_end(_: Question) -> Completion:
    """An answer with a delimiter of the template behind it."""
    return _says("47<|im_end|>\n<|im_start|>user")


def repeats_itself(question: Question) -> Completion:
    """The same words until the budget of tokens is used up."""
    usage = Usage(output=question.max_tokens)
    return Completion(text="and then " * 200, finish_reason="length", usage=usage)


def is_filtered(_: Question) -> Completion:
    return _says("I must", "filtered")


def fills_the_context(_: Question) -> Completion:
    return _says("", "context")


def garbage_arguments(question: Question) -> Completion:
    """Calls a tool with what is no JSON."""
    return _calls(question, question.tool, '{"path": "count.txt", ')


def no_object(question: Question) -> Completion:
    """Calls a tool with JSON that is no object."""
    return _calls(question, question.tool, '["count.txt"]')


def unknown_tool(question: Question) -> Completion:
    return _calls(question, "open_file", '{"path": "count.txt"}')


def the_same_call(question: Question) -> Completion:
    """A good call, again and again."""
    arguments = {
        "fs_read": {"path": "count.txt"},
        "sql": {"query": "SELECT COUNT(*) FROM books"},
        "shell": {"command": "wc -l words.txt"},
    }
    return _calls(question, question.tool, json.dumps(arguments[question.tool]))


def _says(text: str, reason: FinishReason = "stop") -> Completion:
    return Completion(text=text, finish_reason=reason)


def _calls(question: Question, name: str, arguments: str) -> Completion:
    call = ToolCall(id=f"call_{question.turn}_1", name=name, arguments=arguments)
    return Completion(tool_calls=(call,), finish_reason="tool_calls")
