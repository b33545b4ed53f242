"""A conversation as chat templates take it, in the form that one of them wants.

Messages go in the shape of OpenAI's API, which templates are written for. What a template has no
words for is said in another way: a system's message at the head of the user's first, several
calls as so many replies, and tools, calls and results in a dialect's words (``ByPrompt``).
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import groupby
from typing import Any, Literal

from harness.dialects import ByPrompt
from harness.dialects._json import value
from harness.records import Message, Prompt, Reply, ToolCall, ToolResult

DEEPEST = 32
"""Levels of nesting in the arguments that templates are given: their macros call themselves."""

Arguments = Literal["object", "text"]
Ids = Literal["digits", "named"]


@dataclass(frozen=True)
class Form:
    """How a template wants a conversation.

    ``system``: it has words for the system's message. ``parts``: content is a list of parts.
    ``arguments``: of a call, as an object or as JSON's text. ``empty``: the content of a reply
    that only calls. ``ids``: nine digits, which Mistral demands, or ``functions.shell:0``, where
    Kimi reads the name. ``several``: a reply may hold several calls. ``text_beside_calls``: and
    text. ``thinking_beside_text``: a reply that calls may hold both. ``results_inside``: a reply
    holds the results of its calls, as in Gemma 4's first template. ``tools``, ``calls``,
    ``results``: it has words for them.
    """

    system: bool = True
    parts: bool = False
    arguments: Arguments = "object"
    empty: Literal[""] | None = ""
    ids: Ids = "digits"
    several: bool = True
    text_beside_calls: bool = True
    thinking_beside_text: bool = True
    results_inside: bool = False
    tools: bool = True
    calls: bool = True
    results: bool = True


@dataclass(frozen=True)
class Call:
    """A call, its arguments parsed."""

    id: str
    name: str
    arguments: dict[str, Any]


@dataclass(frozen=True)
class Said:
    """A message on its way into a template; ``answers`` is the call that a result is of."""

    role: Literal["system", "user", "assistant", "tool"]
    content: str
    reasoning: str | None = None
    calls: tuple[Call, ...] = ()
    answers: Call | None = None

    def strings(self) -> Iterator[str]:
        """All that somebody wrote of it."""
        yield self.content
        yield self.reasoning or ""
        for call in self.calls:
            yield call.name
            yield from _strings(call.arguments)

    def map(self, mark: Callable[[Any], Any]) -> Said:
        """The same with ``mark`` done to all that somebody wrote, JSON values included."""
        return replace(
            self,
            content=mark(self.content),
            reasoning=mark(self.reasoning),
            calls=tuple(_mapped(call, mark) for call in self.calls),
            answers=self.answers and _mapped(self.answers, mark),
        )


def said(conversation: Sequence[Message], form: Form) -> list[Said]:
    """The messages, with ids that the template accepts: they count a conversation's calls."""
    messages: list[Said] = []
    latest: dict[str, Call] = {}
    number = 0
    for message in conversation:
        match message:
            case Prompt():
                messages.append(Said(message.role, message.content))
            case Reply():
                calls = []
                for call in message.tool_calls:
                    calls.append(_call(call, number, form))
                    latest[call.id] = calls[-1]
                    number += 1
                messages.append(Said("assistant", message.text, message.reasoning, tuple(calls)))
            case ToolResult():
                answers = latest.get(message.call_id) or Call("", message.name, {})
                messages.append(Said("tool", message.content, answers=answers))
    return messages


def call_id(name: str, number: int, ids: Ids) -> str:
    """What stands for a conversation's call of that number."""
    return f"functions.{name}:{number}" if ids == "named" else f"{number:09d}"


def formed(messages: list[Said], form: Form, words: ByPrompt | None, about: str) -> list[Said]:
    """The messages as the template can show them; ``about`` describes the tools to a model whose
    template does not."""
    if not form.thinking_beside_text:
        messages = [_thinking_first(message) for message in messages]
    if form.calls and (form.results_inside or not form.text_beside_calls):
        messages = list(_text_apart(messages))
    if not form.several:
        messages = list(_one_call_each(messages))
    if words and not (form.calls and form.results):
        messages = [_in_words(message, form, words) for message in messages]
    if about:
        messages = _described(messages, about)
    if not form.system:
        messages = _system_to_user(messages)
    return list(_joined(messages))


def variables(messages: Sequence[Said], form: Form) -> list[dict[str, Any]]:
    """The messages as templates take them. All of it is new: templates may change it."""
    found = [_variables(message, form) for message in messages]
    return _results_inside(found) if form.results_inside else found


def _results_inside(messages: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    for message in messages:
        if message["role"] == "tool" and found and "tool_calls" in found[-1]:
            response = {"name": message["name"], "response": message["content"]}
            found[-1].setdefault("tool_responses", []).append(response)
        else:
            found.append(message)
    return found


def _variables(message: Said, form: Form) -> dict[str, Any]:
    content: Any = message.content
    if form.parts:
        content = [{"type": "text", "text": content}]
    found: dict[str, Any] = {"role": message.role, "content": content}
    if message.calls:
        found["content"] = content if message.content else form.empty
        found["tool_calls"] = [
            {
                "id": call.id,
                "type": "function",
                "function": {
                    "name": call.name,
                    "arguments": call.arguments
                    if form.arguments == "object"
                    else json.dumps(call.arguments, ensure_ascii=False),
                },
            }
            for call in message.calls
        ]
    if message.reasoning:
        # What the families' templates call it; Cohere's is the last.
        names = ("reasoning_content", "reasoning", "thinking", "tool_plan")
        found |= dict.fromkeys(names, message.reasoning)
    if message.answers:
        found |= {"name": message.answers.name, "tool_call_id": message.answers.id}
    return found


def _call(call: ToolCall, number: int, form: Form) -> Call:
    return Call(call_id(call.name, number, form.ids), call.name, _arguments(call.arguments))


@lru_cache(maxsize=1024)
def _arguments(raw: str) -> dict[str, Any]:
    """A call's arguments. Those that are no object, which a tool has refused, are still told."""
    try:
        parsed, end = value(raw, len(raw) - len(raw.lstrip()))
    except (ValueError, RecursionError):
        return {"arguments": raw}
    if not isinstance(parsed, dict) or raw[end:].strip() or _depth(parsed) > DEEPEST:
        return {"arguments": raw}
    return parsed


def _depth(value: Any) -> int:
    level, depth = [value], 0
    while level and depth <= DEEPEST:
        depth += 1
        level = [
            inner
            for outer in level
            if isinstance(outer, dict | list)
            for inner in (outer.values() if isinstance(outer, dict) else outer)
        ]
    return depth


def _strings(value: Any) -> Iterator[str]:
    match value:
        case str():
            yield value
        case dict():
            for key, member in value.items():
                yield key
                yield from _strings(member)
        case list():
            for item in value:
                yield from _strings(item)


def _mapped(call: Call, mark: Callable[[Any], Any]) -> Call:
    return Call(mark(call.id), mark(call.name), mark(call.arguments))


def _thinking_first(message: Said) -> Said:
    if not (message.calls and message.reasoning and message.content):
        return message
    return replace(message, content="", reasoning=f"{message.reasoning}\n\n{message.content}")


def _text_apart(messages: Sequence[Said]) -> Iterator[Said]:
    """What a reply says before it calls as a reply of its own."""
    for message in messages:
        if message.calls and message.content:
            yield Said("assistant", message.content)
            yield replace(message, content="")
        else:
            yield message


def _one_call_each(messages: Sequence[Said]) -> Iterator[Said]:
    """Replies of one call each, every one followed by its result."""
    results = {message.answers.id: message for message in messages if message.answers}
    told: set[str] = set()
    for message in messages:
        if message.answers and message.answers.id in told:
            continue
        if len(message.calls) < 2:
            yield message
            continue
        for number, call in enumerate(message.calls):
            first = message if number == 0 else Said("assistant", "")
            yield replace(first, calls=(call,))
            if result := results.get(call.id):
                told.add(call.id)
                yield result


def _in_words(message: Said, form: Form, words: ByPrompt) -> Said:
    if message.calls and not form.calls:
        spelled = [words.spell(_recorded(call)) for call in message.calls]
        text = "\n".join([message.content, *spelled] if message.content else spelled)
        return replace(message, content=text, calls=())
    if message.answers and not form.results:
        return Said("user", words.answer(message.answers.name, message.content))
    return message


def _recorded(call: Call) -> ToolCall:
    arguments = json.dumps(call.arguments, ensure_ascii=False)
    return ToolCall(id=call.id, name=call.name, arguments=arguments)


def _described(messages: list[Said], about: str) -> list[Said]:
    if messages and messages[0].role == "system":
        return [replace(messages[0], content=f"{messages[0].content}\n\n{about}"), *messages[1:]]
    return [Said("system", about), *messages]


def _system_to_user(messages: list[Said]) -> list[Said]:
    """What the system says at the head of the user's first message."""
    system = [message.content for message in messages if message.role == "system"]
    others = [message for message in messages if message.role != "system"]
    if not system:
        return messages
    text = "\n\n".join(system)
    if others and others[0].role == "user":
        return [replace(others[0], content=f"{text}\n\n{others[0].content}"), *others[1:]]
    return [Said("user", text), *others]


def _joined(messages: Sequence[Said]) -> Iterator[Said]:
    """Messages of the user's that follow one another as one: many templates demand that roles
    take turns."""
    for role, group in groupby(messages, key=lambda message: message.role):
        if role == "user":
            yield Said("user", "\n".join(message.content for message in group))
        else:
            yield from group
