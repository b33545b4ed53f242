"""A campaign as trajectories of the Agent Trajectory Interchange Format, a JSON file a run.

ATIF v1.8, https://github.com/harbor-framework/harbor/blob/main/rfcs/0001-trajectory-format.md
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from harness.records import (
    Earlier,
    Message,
    Prompt,
    Record,
    Recovered,
    Reply,
    Started,
    ToolCall,
    ToolResult,
)
from harness.store import CampaignFolder, write_whole
from verification.episode import Episode, Turn, arguments, cost, episodes
from verification.evidence import Evidence

VERSION = "ATIF-v1.8"

Json = dict[str, Any]


def write(folder: CampaignFolder, evidence: Evidence, out: Path) -> None:
    """Write ``<run>.json`` for every run."""
    for episode in episodes(folder, evidence):
        text = json.dumps(trajectory(episode), ensure_ascii=False, indent=1, allow_nan=False)
        write_whole(out / f"{episode.started.run}.json", text + "\n")


def trajectory(episode: Episode) -> Json:
    """One run as a trajectory. What infrastructure did to it is its last step, a system's."""
    started = episode.started
    steps = [step for part in episode.story() for step in _steps(part, started)]
    if episode.trouble:
        steps.append({"source": "system", "message": f"infrastructure_error: {episode.trouble}"})
    return {
        "schema_version": VERSION,
        "session_id": started.run,
        "trajectory_id": f"{started.run}.{started.attempt}",
        "agent": _agent(started),
        "steps": [{"step_id": number, **step} for number, step in enumerate(steps, start=1)],
        "final_metrics": _final_metrics(steps),
        "extra": _extra(episode),
    }


def _agent(started: Started) -> Json:
    return {
        "name": "fairtrial",
        "version": started.versions.get("fairtrial", "unknown"),
        "model_name": started.model.name,
        "tool_definitions": [
            {"type": "function", "function": tool.model_dump(mode="json")} for tool in started.tools
        ],
        "extra": {
            "model": started.model.model_dump(mode="json"),
            "budgets": _dumped(started.budgets),
            "sandbox": started.sandbox,
            "versions": started.versions,
        },
    }


def _steps(part: Prompt | Earlier | Turn, started: Started) -> list[Json]:
    match part:
        case Prompt():
            return [_prompt(part)]
        case Earlier():
            return [_copied(message) for message in part.messages]
        case Turn():
            recovered = [_recovered(part, part.recovered)] if part.recovered else []
            return [_agent_step(part, started), *recovered]


def _prompt(prompt: Prompt) -> Json:
    nudge = {} if prompt.nudge_after is None else {"extra": {"nudge_after": prompt.nudge_after}}
    return {"source": prompt.role, "message": prompt.content, **nudge}


def _copied(message: Message) -> Json:
    """A message of the earlier turns, which ATIF calls context that was copied."""
    copied = {"is_copied_context": True}
    match message:
        case Prompt():
            return {**_prompt(message), **copied}
        case Reply():
            calls = {"tool_calls": [_call(call) for call in message.tool_calls]}
            made_up = {"source": "agent", "message": message.text, "llm_call_count": 0, **copied}
            return made_up | (calls if message.tool_calls else {})
        case ToolResult():
            observed = {"content": message.content, "extra": {"call": message.call_id}}
            words = {"source": "system", "message": f"{message.name} answered"}
            return {**words, "observation": {"results": [observed]}, **copied}


def _recovered(turn: Turn, recovered: Recovered) -> Json:
    """The calls that no model made, as the step of a program's that they are."""
    return {
        "source": "agent",
        "message": recovered.text,
        "llm_call_count": 0,
        "extra": {"recovered": recovered.model_dump(include={"dialect", "version"})},
        **_called(turn),
    }


def _called(turn: Turn) -> Json:
    return {
        "tool_calls": [_call(call) for call, _ in turn.calls],
        "observation": {"results": [_result(result) for _, result in turn.calls if result]},
    }


def _agent_step(turn: Turn, started: Started) -> Json:
    reply = turn.reply
    scripted = started.model.kind == "scripted"  # no model was asked, so nothing was measured
    step: Json = {
        "source": "agent",
        "message": reply.text,
        "llm_call_count": 0 if scripted else 1,
        "extra": {
            "finish_reason": reply.finish_reason,
            "signals": [signal.model_dump(exclude={"type", "turn"}) for signal in turn.signals],
            **_known(raw=reply.raw, malformed=reply.malformed),
        },
    }
    if not scripted:
        step |= _known(reasoning_content=reply.reasoning)
        step["metrics"] = _metrics(turn, started)
    if turn.calls and not turn.recovered:
        step |= _called(turn)
    return step


def _metrics(turn: Turn, started: Started) -> Json:
    reply, usage = turn.reply, turn.reply.usage
    return {
        **_known(
            prompt_tokens=usage.input,
            completion_tokens=usage.output,
            cached_tokens=usage.cached,
            cost_usd=cost(usage, started.model.price),
        ),
        "extra": _known(
            model_seconds=reply.model_seconds,
            first_token_seconds=reply.first_token_seconds,
            waited_seconds=reply.waited_seconds,
        ),
    }


def _call(call: ToolCall) -> Json:
    spelled = arguments(call)
    return {
        "tool_call_id": call.id,
        "function_name": call.name,
        "arguments": spelled or {},
        # As the model sent them, where that is no object.
        **({"extra": {"raw_arguments": call.arguments}} if spelled is None else {}),
    }


def _result(result: ToolResult) -> Json:
    return {
        "source_call_id": result.call_id,
        "content": result.content,
        "extra": {"ok": result.ok, **_known(seconds=result.seconds)},
    }


def _final_metrics(steps: list[Json]) -> Json:
    """Sums over the replies; one that a reply leaves unknown is unknown itself."""
    replies = [
        step.get("metrics", {}) for step in steps if "finish_reason" in step.get("extra", {})
    ]
    sums = {}
    for total, name in (
        ("total_prompt_tokens", "prompt_tokens"),
        ("total_completion_tokens", "completion_tokens"),
        ("total_cached_tokens", "cached_tokens"),
        ("total_cost_usd", "cost_usd"),
    ):
        if replies and all(name in reply for reply in replies):
            sums[total] = sum(reply[name] for reply in replies)
    return {**sums, "total_steps": len(steps)}


def _extra(episode: Episode) -> Json:
    """What ATIF has no word for: whose the run was, what became of it, and who says so."""
    header = {"model", "tools", "budgets", "sandbox", "versions", "type", "schema_version"}
    return {
        **episode.started.model_dump(mode="json", exclude=header),
        "outcome": _dumped(episode.outcome) or {"outcome": "infrastructure_error"},
        "verdict": _dumped(episode.graded),
    }


def _dumped(record: Record | None) -> Json | None:
    return None if record is None else record.model_dump(mode="json", exclude={"type"})


def _known(**values: Any) -> Json:
    return {name: value for name, value in values.items() if value is not None}
