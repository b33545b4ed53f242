"""A run as a sample of Inspect: its messages, its events, its score or its error.

A run that infrastructure spoiled has an error and no score. A transcript does not date its
events: their times here are summed up, from the run's start, out of what each is known to have
taken.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from inspect_ai.event import (
    ErrorEvent,
    Event,
    InfoEvent,
    ModelEvent,
    ScoreEvent,
    ToolEvent,
)
from inspect_ai.log import EvalError, EvalRetryError, EvalSample, EvalSampleLimit
from inspect_ai.model import (
    ChatCompletionChoice,
    ChatMessage,
    ChatMessageAssistant,
    ChatMessageSystem,
    ChatMessageTool,
    ChatMessageUser,
    Content,
    ContentReasoning,
    ContentText,
    GenerateConfig,
    ModelOutput,
    ModelUsage,
)
from inspect_ai.scorer import CORRECT, INCORRECT, Score
from inspect_ai.tool import ToolCall as Call
from inspect_ai.tool import ToolCallError, ToolInfo
from pydantic import ValidationError

from harness.records import (
    Earlier,
    Ended,
    Message,
    Price,
    Prompt,
    Recovered,
    Repeat,
    Reply,
    Started,
    ToolCall,
    ToolResult,
    ToolSchema,
    Usage,
)
from harness.terminal import safe
from verification.episode import Episode, Turn, arguments, cost, total
from verification.inspect_terms import CHECKER, LIMIT, OURS, STOP_REASON
from verification.show import recovered_words

Json = dict[str, Any]


def sample_of(episode: Episode, earlier: Sequence[str]) -> EvalSample:
    """A run as a sample; ``earlier`` says what ended each of its attempts before this one."""
    started, outcome = episode.started, episode.outcome
    told = _Telling(episode)
    spent = usage_of(total(reply.usage for reply in episode.replies), started.model.price)
    score, seconds = _score(episode), outcome.seconds if outcome else None
    retries = [
        EvalRetryError(message=why, traceback=safe(why), traceback_ansi=safe(why))
        for why in earlier
    ]
    return EvalSample(
        id=started.task,
        epoch=started.repetition,
        uuid=started.run,
        input=next((p.content for p in episode.prompts if p.role == "user"), ""),
        target="",
        messages=told.messages,
        output=told.output,
        scores={CHECKER: score} if score else None,
        metadata={OURS: _header(episode)},
        events=told.events,
        model_usage={started.model.name: spent} if spent else {},
        started_at=started.started_at.isoformat(),
        completed_at=outcome.ended_at.isoformat() if outcome else None,
        total_time=seconds,
        working_time=None if seconds is None else seconds - _waited(episode),
        error=_error(episode),
        error_retries=retries or None,
        limit=_limit(episode),
        turn_count=len(episode.replies),
    )


class _Telling:
    """A run told as Inspect tells one: each event with its time and the messages before it."""

    def __init__(self, episode: Episode) -> None:
        self._started = episode.started
        self._repeats = Counter(e.turn for e in episode.events if isinstance(e, Repeat))
        self._tools = [_tool(tool) for tool in episode.started.tools]
        self._now = episode.started.started_at
        self._worked = 0.0
        self.messages: list[ChatMessage] = []
        self.events: list[Event] = []
        self.output = ModelOutput(model=episode.started.model.name)
        for part in episode.story():
            match part:
                case Prompt():
                    self.messages.append(_prompt(part))
                case Earlier():
                    self.messages += map(_given, part.messages)
                case Turn():
                    self._turn(part)
        self._end(episode)

    def _turn(self, turn: Turn) -> None:
        reply = turn.reply
        self._now += timedelta(seconds=reply.waited_seconds)
        before, when = list(self.messages), self._when()
        self.output = _output(reply, self._started)
        self.messages.append(self.output.message)
        self._pass(reply.model_seconds)
        self.events.append(
            ModelEvent(
                **when,
                model=self._started.model.name,
                input=before,
                tools=self._tools,
                tool_choice="auto",
                config=config_of(self._started),
                output=self.output,
                retries=self._repeats[reply.turn] or None,
                completed=self._now,
                working_time=reply.model_seconds,
            )
        )
        for signal in turn.signals:
            self._note(signal.model_dump(include={"name", "detail"}))
        if turn.recovered is not None:
            self._note({"name": "recovered", "detail": recovered_words(turn.recovered)})
            self.messages.append(_assistant(turn.recovered))
        for call, result in turn.calls:
            if result is not None:
                self._result(call, result)

    def _result(self, call: ToolCall, result: ToolResult) -> None:
        # Our tools tell the model what went wrong in the text of their answer.
        error = None if result.ok else ToolCallError(type="unknown", message=result.content)
        self.messages.append(
            ChatMessageTool(
                content=result.content,
                tool_call_id=result.call_id,
                function=result.name,
                error=error,
            )
        )
        when = self._when()
        self._pass(result.seconds)
        self.events.append(
            ToolEvent(
                **when,
                id=call.id,
                function=call.name,
                arguments=arguments(call) or {},
                result=result.content,
                error=error,
                completed=self._now,
                working_time=result.seconds,
            )
        )

    def _end(self, episode: Episode) -> None:
        score, error = _score(episode), _error(episode)
        ended = next((e for e in episode.events if isinstance(e, Ended)), None)
        if ended is not None and ended.budget is not None:
            self._note({"name": "gave_up", "detail": f"the budget of {ended.budget} ran out"})
        if score is not None:
            self.events.append(ScoreEvent(**self._when(), score=score, scorer=CHECKER))
        if error is not None:
            self.events.append(ErrorEvent(**self._when(), error=error))

    def _note(self, data: Json) -> None:
        self.events.append(InfoEvent(**self._when(), source=OURS, data=data))

    def _when(self) -> Json:
        return {"timestamp": self._now, "working_start": self._worked}

    def _pass(self, seconds: float | None) -> None:
        self._now += timedelta(seconds=seconds or 0.0)
        self._worked += seconds or 0.0


def config_of(started: Started) -> GenerateConfig:
    """How tokens were drawn, as far as Inspect has words for it and it is known."""
    sampling, budgets = started.model.sampling, started.budgets
    return GenerateConfig(
        temperature=sampling.temperature if sampling else None,
        top_p=sampling.top_p if sampling else None,
        top_k=(sampling.top_k or None) if sampling else None,
        max_tokens=budgets.tokens_per_turn if budgets else None,
    )


def usage_of(usage: Usage, price: Price | None) -> ModelUsage | None:
    """Tokens as Inspect counts them, where ``input`` leaves out what was cached; None where they
    are not known, since Inspect has no other word for that than 0."""
    if usage.input is None or usage.output is None:
        return None
    return ModelUsage(
        input_tokens=usage.input - (usage.cached or 0),
        input_tokens_cache_read=usage.cached,
        output_tokens=usage.output,
        total_tokens=usage.input + usage.output,
        total_cost=cost(usage, price),
    )


def _prompt(prompt: Prompt) -> ChatMessage:
    if prompt.role == "system":
        return ChatMessageSystem(content=prompt.content)
    return ChatMessageUser(content=prompt.content, source="input")


def _given(message: Message) -> ChatMessage:
    """A message of the earlier turns, which no model gave and no tool answered."""
    match message:
        case Prompt():
            return _prompt(message)
        case Reply():
            return _assistant(message)
        case ToolResult():
            return ChatMessageTool(
                content=message.content,
                tool_call_id=message.call_id,
                function=message.name,
                source="input",
            )


def _assistant(given: Reply | Recovered) -> ChatMessage:
    """What was put into the model's mouth: earlier turns, and calls that were recovered."""
    calls = [
        Call(id=call.id, function=call.name, arguments=arguments(call) or {})
        for call in given.tool_calls
    ]
    return ChatMessageAssistant(content=given.text, source="input", tool_calls=calls or None)


def _output(reply: Reply, started: Started) -> ModelOutput:
    content: str | list[Content] = reply.text
    if reply.reasoning is not None:
        content = [ContentReasoning(reasoning=reply.reasoning), ContentText(text=reply.text)]
    # As the model sent them, where Inspect's own spelling would be another.
    raw = {c.id: c.arguments for c in reply.tool_calls if _spelled(arguments(c)) != c.arguments}
    message = ChatMessageAssistant(
        content=content,
        tool_calls=[_call(call) for call in reply.tool_calls] or None,
        source="generate",
        model=started.model.name,
        metadata={OURS: {"arguments": raw}} if raw else None,
    )
    choice = ChatCompletionChoice(message=message, stop_reason=STOP_REASON[reply.finish_reason])
    return ModelOutput(
        model=started.model.name,
        choices=[choice],
        usage=usage_of(reply.usage, started.model.price),
        time=reply.model_seconds,
    )


def _call(call: ToolCall) -> Call:
    spelled = arguments(call)
    wrong = None if spelled is not None else f"no JSON object: {call.arguments}"
    return Call(id=call.id, function=call.name, arguments=spelled or {}, parse_error=wrong)


def _spelled(value: Json | None) -> str | None:
    return None if value is None else json.dumps(value, ensure_ascii=False)


def _tool(tool: ToolSchema) -> ToolInfo:
    try:
        return ToolInfo.model_validate(tool.model_dump())
    except ValidationError:  # a schema that Inspect's subset of JSON Schema cannot hold
        return ToolInfo(name=tool.name, description=tool.description)


def _score(episode: Episode) -> Score | None:
    """The strict score: correct is a pass and nothing else. None where the world spoiled the
    run, which is then no sample of the model's."""
    outcome = episode.outcome
    if episode.trouble or outcome is None:
        return None
    checks = episode.graded.checks if episode.graded else ()
    return Score(
        value=CORRECT if outcome.outcome == "pass" else INCORRECT,
        answer=episode.answer or None,
        explanation="\n".join(
            f"{'passed' if c.passed else 'FAILED'} {c.name}: {c.detail}" for c in checks
        ),
        metadata={
            **outcome.model_dump(mode="json", include={"outcome", "budget", "signals", "rescued"}),
            "checks": [check.model_dump() for check in checks],
        },
    )


def _error(episode: Episode) -> EvalError | None:
    if not episode.trouble:
        return None
    # Inspect's viewer shows the traceback alone.
    shown = safe(episode.trouble)
    return EvalError(message=episode.trouble, traceback=shown, traceback_ansi=shown)


def _limit(episode: Episode) -> EvalSampleLimit | None:
    """The budget that ran out, where it is known how large it was: Inspect asks for that."""
    outcome, budgets = episode.outcome, episode.started.budgets
    if outcome is None or outcome.budget is None:
        return None
    size = {
        "turns": budgets and budgets.turns,
        "context": episode.started.model.observed.get("context_window"),
        "clock": budgets and budgets.model_seconds,
    }.get(outcome.budget)
    return EvalSampleLimit(type=LIMIT[outcome.budget], limit=size) if size else None


def _header(episode: Episode) -> Json:
    """What Inspect has no word for. ``verification.imports.inspect`` reads it again."""
    outcome = episode.outcome
    return {
        **episode.started.model_dump(
            mode="json",
            include={"run", "attempt", "seed", "task_digest", "variant_seed", "variant_digest"},
        ),
        "outcome": outcome and outcome.model_dump(mode="json", exclude={"type", "ended_at"}),
    }


def _waited(episode: Episode) -> float:
    return sum(reply.waited_seconds for reply in episode.replies)
