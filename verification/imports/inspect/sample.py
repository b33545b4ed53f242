"""A sample of Inspect as the events of a run."""

from __future__ import annotations

import hashlib
import json
import uuid
from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from inspect_ai.event import ModelEvent, ToolEvent
from inspect_ai.log import EvalSample
from inspect_ai.model import (
    ChatMessage,
    ChatMessageAssistant,
    ChatMessageTool,
    ContentReasoning,
    ModelUsage,
)
from pydantic import BaseModel, ValidationError

from harness.records import (
    BudgetName,
    Budgets,
    Cause,
    Check,
    Ended,
    Event,
    Fault,
    FinishReason,
    Graded,
    ModelRecord,
    Outcome,
    Plan,
    Prompt,
    Reply,
    SignalName,
    Started,
    ToolCall,
    ToolResult,
    ToolSchema,
    Usage,
)
from verification.imports.inspect.scores import Rule
from verification.inspect_terms import BUDGET, OURS, STOP_REASON

FINISH_REASON = {theirs: ours for ours, theirs in STOP_REASON.items()}
RUNS = uuid.UUID("0b0f5ab6-3c3f-5d55-8f0a-9d0b6f1f2c11")


@dataclass(frozen=True)
class Reading:
    """What all samples of a log have in common. ``tasks`` are our names for their ids."""

    plan: Plan
    model: ModelRecord
    budgets: Budgets | None
    tasks: Mapping[str, str]
    rule: Rule
    sha256: str
    began: datetime
    versions: dict[str, str]


class _End(BaseModel):
    cause: Cause | None = None
    budget: BudgetName | None = None
    signals: tuple[SignalName, ...] = ()


class _Header(BaseModel):
    """What a log of our own export says beyond Inspect's words; all unknown in any other."""

    seed: int | None = None
    task_digest: str | None = None
    variant_seed: int | None = None
    variant_digest: str | None = None
    outcome: _End | None = None


def read_sample(sample: EvalSample, reading: Reading) -> tuple[Started, list[Event]]:
    """The header of a run, and all that happened in it."""
    header = _header(sample)
    events: list[Event] = list(_conversation(sample))
    turns = sum(isinstance(event, Reply) for event in events)
    events += _ending(sample, header.outcome or _End(), reading, turns)
    return _started(sample, header, reading), events


def _header(sample: EvalSample) -> _Header:
    try:
        return _Header.model_validate(sample.metadata.get(OURS, {}))
    except ValidationError:
        return _Header()


def _started(sample: EvalSample, header: _Header, reading: Reading) -> Started:
    task = str(sample.id)
    began = datetime.fromisoformat(sample.started_at) if sample.started_at else reading.began
    return Started(
        run=str(uuid.uuid5(RUNS, f"{reading.sha256}\n{reading.tasks[task]}\n{sample.epoch}")),
        attempt=1,
        plan=reading.plan,
        task=reading.tasks[task],
        task_digest=header.task_digest or _digest(sample),
        variant_seed=header.variant_seed,
        variant_digest=header.variant_digest,
        repetition=sample.epoch,
        model=reading.model,
        seed=header.seed,
        budgets=reading.budgets,
        tools=_tools(sample),
        sandbox={"kind": sample.sandbox.type} if sample.sandbox else {},
        versions=reading.versions,
        started_at=began,
    )


def _digest(sample: EvalSample) -> str:
    """SHA-256 over what a sample asks and what it takes for right, so that two logs of one
    dataset have the same tasks, whenever they were made."""
    asked = sample.input
    if not isinstance(asked, str):
        asked = json.dumps([[message.role, message.text] for message in asked])
    whole = json.dumps([str(sample.id), asked, sample.choices, sample.target])
    return hashlib.sha256(whole.encode()).hexdigest()


def _tools(sample: EvalSample) -> tuple[ToolSchema, ...]:
    """The tools that were offered in any turn; in a log without events, those that answered."""
    found: dict[str, ToolSchema] = {}
    for event in sample.events:
        for tool in event.tools if isinstance(event, ModelEvent) else ():
            parameters = tool.parameters.model_dump(mode="json", exclude_none=True)
            found[tool.name] = ToolSchema(
                name=tool.name, description=tool.description, parameters=parameters
            )
    if not any(isinstance(event, ModelEvent) for event in sample.events):
        answered = (m.function for m in sample.messages if isinstance(m, ChatMessageTool))
        for name in filter(None, answered):
            found[name] = ToolSchema(name=name, description="", parameters={})
    return tuple(found.values())


def _conversation(sample: EvalSample) -> Iterator[Event]:
    """Messages as events. What the sample itself puts into a model's mouth is prompt."""
    asked = sample.input if isinstance(sample.input, list) else []
    given = {message.id for message in asked if message.id}
    calls = _ModelCalls(sample)
    turn = 0
    for message in sample.messages:
        replied = isinstance(message, ChatMessageAssistant) and not (
            message.source == "input" or message.id in given
        )
        if isinstance(message, ChatMessageAssistant) and replied:
            turn += 1
            yield calls.reply(message, turn)
        elif isinstance(message, ChatMessageTool) and turn:
            yield calls.result(message, turn)
        elif message.role == "system" or message.role == "user":
            yield Prompt(role=message.role, content=message.text)
        else:
            yield Prompt(
                role="user", content=f"(given as a message of the {message.role})\n{message.text}"
            )


class _ModelCalls:
    """A sample's events, by the message or call that each is of, in their order."""

    def __init__(self, sample: EvalSample) -> None:
        self._models: dict[str, deque[ModelEvent]] = {}
        self._tools: dict[str, deque[ToolEvent]] = {}
        for event in sample.events:
            if isinstance(event, ModelEvent) and event.output.choices:
                key = event.output.message.id or ""
                self._models.setdefault(key, deque()).append(event)
            elif isinstance(event, ToolEvent):
                self._tools.setdefault(event.id, deque()).append(event)

    def reply(self, message: ChatMessageAssistant, turn: int) -> Reply:
        """A message of the model's, with what is known of the call that it came from."""
        waiting = self._models.get(message.id or "")
        event = waiting.popleft() if waiting else None
        wrong = [call.parse_error for call in message.tool_calls or () if call.parse_error]
        return Reply(
            turn=turn,
            text=message.text,
            reasoning=_reasoning(message),
            tool_calls=_calls(message),
            finish_reason=_finish_reason(message, event),
            usage=_usage(event.output.usage if event else None),
            model_seconds=event.working_time if event else None,
            malformed="; ".join(wrong) or None,
        )

    def result(self, message: ChatMessageTool, turn: int) -> ToolResult:
        """What a tool answered, or how it failed."""
        waiting = self._tools.get(message.tool_call_id or "")
        event = waiting.popleft() if waiting else None
        return ToolResult(
            turn=turn,
            call_id=message.tool_call_id or "",
            name=message.function or "",
            content=message.text or (message.error.message if message.error else ""),
            ok=message.error is None,
            seconds=event.working_time if event else None,
        )


def _reasoning(message: ChatMessage) -> str | None:
    if isinstance(message.content, str):
        return None
    parts = [part for part in message.content if isinstance(part, ContentReasoning)]
    texts = [(part.summary or "") if part.redacted else part.reasoning for part in parts]
    return "\n".join(texts) if parts else None


def _calls(message: ChatMessageAssistant) -> tuple[ToolCall, ...]:
    ours = (message.metadata or {}).get(OURS)
    raw: Any = ours.get("arguments") if isinstance(ours, dict) else None
    as_sent = raw if isinstance(raw, dict) else {}

    def spelled(id_: str, arguments: dict[str, Any]) -> str:
        text = as_sent.get(id_)
        return text if isinstance(text, str) else json.dumps(arguments, ensure_ascii=False)

    return tuple(
        ToolCall(id=call.id, name=call.function, arguments=spelled(call.id, call.arguments))
        for call in message.tool_calls or ()
    )


def _finish_reason(message: ChatMessageAssistant, event: ModelEvent | None) -> FinishReason:
    shape: FinishReason = "tool_calls" if message.tool_calls else "stop"
    return FINISH_REASON.get(event.output.stop_reason, shape) if event else shape


def _usage(usage: ModelUsage | None) -> Usage:
    """Inspect leaves cached tokens out of ``input_tokens``, and says 0 where it knows nothing."""
    if usage is None or usage.total_tokens == 0:
        return Usage()
    cached = usage.input_tokens_cache_read
    fresh = usage.input_tokens + (usage.input_tokens_cache_write or 0)
    return Usage(input=fresh + (cached or 0), cached=cached, output=usage.output_tokens)


def _ending(sample: EvalSample, end: _End, reading: Reading, turns: int) -> Iterator[Event]:
    """Why it stopped, what the scorer said, and the outcome that this comes to."""
    ended_at = datetime.fromisoformat(sample.completed_at) if sample.completed_at else reading.began
    seconds = sample.working_time if sample.working_time is not None else sample.total_time
    fault = _fault(sample, end, reading.rule)
    if fault is not None:
        yield fault
        yield Outcome(
            outcome="infrastructure_error", cause=fault.cause, seconds=seconds, ended_at=ended_at
        )
        return
    budget = end.budget or (BUDGET.get(sample.limit.type) if sample.limit else None)
    gave_up = sample.limit is not None or end.budget is not None
    passed = reading.rule.passed(sample.scores)
    yield Ended(turn=turns, budget=budget)
    if passed is not None:
        detail = reading.rule.explanation(sample.scores)
        check = Check(name=reading.rule.scorer, passed=passed, detail=detail)
        yield Graded(checks=(check,), seconds=None)
    yield Outcome(
        outcome="gave_up" if gave_up else "pass" if passed else "wrong_answer",
        budget=budget,
        signals=end.signals,
        seconds=seconds,
        ended_at=ended_at,
    )


def _fault(sample: EvalSample, end: _End, rule: Rule) -> Fault | None:
    """What spoiled the sample, if it was not the model. Inspect keeps a sentence and no cause."""
    if sample.error is not None:
        return Fault(kind=None, cause=end.cause, detail=sample.error.message)
    if sample.invalidation is not None:
        why = sample.invalidation.reason or "no reason given"
        return Fault(kind=None, cause=None, detail=f"invalidated: {why}")
    if sample.limit is not None and sample.limit.type == "operator":
        detail = sample.limit.reason or "stopped by a person"
        return Fault(kind="interrupted", cause="interrupted", detail=detail)
    if sample.limit is None and end.budget is None and rule.passed(sample.scores) is None:
        detail = f"no score by {rule.scorer}"
        return Fault(kind="checker", cause="checker_crashed", detail=detail)
    return None
