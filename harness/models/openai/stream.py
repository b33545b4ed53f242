"""The chunks of a streamed reply, put together into a Completion.

Only what breaks the protocol is refused here (``garbled``). What the model did badly, such as
arguments that are no JSON or a tool that does not exist, is kept as it came.
"""

from __future__ import annotations

from dataclasses import dataclass

from pydantic import BaseModel

from harness.errors import InfrastructureFault
from harness.records import Completion, FinishReason, ToolCall, Usage
from harness.secrets import redacted

_REASONS: dict[str, FinishReason] = {
    "stop": "stop",
    "eos": "stop",
    "tool_calls": "tool_calls",
    "length": "length",
    "model_length": "context",
    "content_filter": "filtered",
    "sensitive": "filtered",
}
"""``finish_reason`` as endpoints spell it; beside OpenAI's there are Together's, Mistral's and
Zhipu's words."""

_BREAKDOWNS = {"error", "abort", "network_error", "insufficient_system_resource"}
"""``finish_reason`` of a reply that the server gave up: Mistral's and OpenRouter's, vLLM's and
SGLang's, Zhipu's, DeepSeek's."""

_LONGEST_TOKEN = 256
"""Characters. Vocabularies hold runs of 128 spaces; nothing known is longer than twice that."""


class _Function(BaseModel):
    name: str | None = None
    arguments: str | None = None


class _CallDelta(BaseModel):
    index: int | None = None
    id: str | None = None
    function: _Function | None = None


class _Delta(BaseModel):
    content: str | None = None
    reasoning_content: str | None = None
    reasoning: str | None = None
    tool_calls: list[_CallDelta] | None = None


class _Choice(BaseModel):
    index: int = 0
    delta: _Delta | None = None
    finish_reason: str | None = None


class _PromptDetails(BaseModel):
    cached_tokens: int | None = None


class _Usage(BaseModel):
    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    prompt_tokens_details: _PromptDetails | None = None
    prompt_cache_hit_tokens: int | None = None


class _Chunk(BaseModel):
    choices: list[_Choice] = []
    usage: _Usage | None = None


@dataclass
class _Call:
    index: int | None
    id: str = ""
    name: str = ""
    arguments: str = ""


class Assembly:
    """A reply as far as it has come. ``begun`` says whether anything of it has."""

    def __init__(self, turn: int, max_tokens: int) -> None:
        self.begun = False
        self._turn = turn
        self._max_tokens = max_tokens
        self._room = max_tokens * _LONGEST_TOKEN
        self._text: list[str] = []
        self._reasoning: list[str] = []
        self._calls: list[_Call] = []
        self._finish: str | None = None
        self._usage: _Usage | None = None

    def take(self, data: object) -> None:
        """Add one chunk, given as decoded JSON; raises ValidationError for any other shape."""
        chunk = _Chunk.model_validate(data)
        self._usage = chunk.usage or self._usage
        for choice in chunk.choices:
            if choice.index == 0:
                self._finish = choice.finish_reason or self._finish
                self._add(choice.delta or _Delta())

    def completion(
        self,
        first_token_seconds: float | None,
        model_seconds: float | None,
    ) -> Completion:
        """The finished reply, with no key in any text of it."""
        reasoning = "".join(self._reasoning)
        return Completion(
            text=redacted("".join(self._text)),
            reasoning=redacted(reasoning) if reasoning else None,
            tool_calls=tuple(
                ToolCall(
                    id=redacted(call_id),
                    name=redacted(call.name),
                    arguments=redacted(call.arguments),
                )
                for call_id, call in zip(self._ids(), self._calls, strict=True)
            ),
            finish_reason=self._reason(),
            usage=_usage(self._usage or _Usage()),
            first_token_seconds=first_token_seconds,
            model_seconds=model_seconds,
        )

    def _add(self, delta: _Delta) -> None:
        text = delta.content or ""
        reasoning = delta.reasoning_content or delta.reasoning or ""
        calls = delta.tool_calls or []
        self._text.append(text)
        self._reasoning.append(reasoning)
        for call in calls:
            self._add_call(call)
        self.begun = self.begun or bool(text or reasoning or calls)
        arguments = sum(len(call.function.arguments or "") for call in calls if call.function)
        # Empty chunks count too, so that no endpoint can keep a run for ever.
        self._room -= 1 + len(text) + len(reasoning) + arguments
        if self._room < 0:
            raise InfrastructureFault(
                "garbled", "the reply is longer than any reply within max_tokens can be"
            )

    def _add_call(self, delta: _CallDelta) -> None:
        call = self._call_of(delta)
        call.id = delta.id or call.id
        function = delta.function or _Function()
        if function.name and function.name != call.name:  # some repeat it in every delta
            call.name += function.name
        call.arguments += function.arguments or ""

    def _call_of(self, delta: _CallDelta) -> _Call:
        """The call that a delta belongs to: by its index, unless a new id shows that the
        endpoint gives every call the same index or, with no index at all, a new name does."""
        for call in reversed(self._calls):
            if call.index != delta.index:
                continue
            other_id = delta.id and call.id and delta.id != call.id
            whole = delta.index is None and delta.function and delta.function.name
            if other_id or whole:
                break
            return call
        self._calls.append(_Call(delta.index))
        return self._calls[-1]

    def _ids(self) -> list[str]:
        """The calls' ids, with one made up where an endpoint gave none or gave one twice."""
        ids: list[str] = []
        for number, call in enumerate(self._calls, start=1):
            fresh = call.id and call.id not in ids
            ids.append(call.id if fresh else f"call_{self._turn}_{number}")
        return ids

    def _reason(self) -> FinishReason:
        if self._finish is None:
            raise InfrastructureFault("garbled", "the stream ended without a finish_reason")
        if self._finish in _BREAKDOWNS:
            raise InfrastructureFault(
                "broken_off", f"the reply was broken off: finish_reason {self._finish!r}"
            )
        if self._finish not in _REASONS:
            raise InfrastructureFault(
                "garbled", f"finish_reason {self._finish[:40]!r} is none that is known"
            )
        reason = _REASONS[self._finish]
        output = self._usage.completion_tokens if self._usage else None
        if reason == "length" and output is not None and output < self._max_tokens:
            return "context"  # it was not our limit that the reply met
        if reason == "tool_calls" and not self._calls:
            raise InfrastructureFault(
                "garbled", "finish_reason is 'tool_calls', but no tool call came"
            )
        return "tool_calls" if reason == "stop" and self._calls else reason


def _usage(usage: _Usage) -> Usage:
    details = usage.prompt_tokens_details or _PromptDetails()
    cached = details.cached_tokens
    return Usage(
        input=usage.prompt_tokens,
        cached=usage.prompt_cache_hit_tokens if cached is None else cached,  # DeepSeek's word
        output=usage.completion_tokens,
    )
