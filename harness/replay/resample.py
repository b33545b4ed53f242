"""Re-sample: the model again, each turn on the recorded conversation before it, at the turn's seed.

Every turn is asked for on its own, so that one that differs does not make all after it differ. The
tools and the checker have no part in it. Whether an endpoint gives the same twice is its own
affair; a local engine does, on the same machine and in the same version.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from harness.config import Infrastructure
from harness.conversation import take_in
from harness.errors import BadInput
from harness.line import Line, Nobody
from harness.models import Model, ModelSettings, Request, load_kind
from harness.records import Completion, Message, ModelRecord, Reply
from harness.replay import Play, Replayed
from harness.replay.recorded import Recorded, campaign_beside
from harness.schedule import turn_seed
from harness.toml_file import read_toml, validate

_CONTEXT = 40
"""Characters that are shown from where two replies part."""

_WHY_NOT = "not_reproducible_because"

_WHERE = frozenset({"path", "package"})
"""Settings that say where a model is, not which one it is: its SHA-256 tells that."""


@asynccontextmanager
async def opened(hide: Sequence[Path]) -> AsyncIterator[Play]:
    """What asks models again. Each is opened when a run first needs it, and once."""
    models: dict[str, asyncio.Task[_Opened]] = {}

    async def play(recorded: Recorded) -> Replayed:
        record = recorded.started.model
        key = f"{record.name} {record.settings} {record.sampling} {record.observed.get('sha256')}"
        if key not in models:
            models[key] = asyncio.create_task(_open(recorded))
        # Shielded: a run that is given up must not take the model away from the others.
        return await _resample(recorded, await asyncio.shield(models[key]))

    try:
        yield play
    finally:
        for opening in models.values():
            opening.cancel()
        for result in await asyncio.gather(*models.values(), return_exceptions=True):
            if isinstance(result, _Opened):
                await result.model.close()


@dataclass(frozen=True)
class _Opened:
    """A model that answers, what was observed of it, and how many runs may ask it at once."""

    model: Model
    observed: Mapping[str, Any]
    line: Line
    gate: asyncio.Semaphore


async def _open(recorded: Recorded) -> _Opened:
    """The model that played; raises BadInput where it is not to be had."""
    record = recorded.started.model
    if record.kind == "scripted":
        raise BadInput(f"{record.name} is a script; there is nothing to sample")
    model: Model = load_kind(record.kind, str(recorded.path)).Model(_settings(recorded))
    try:
        observed = await model.open()
        _refuse_another_file(recorded, observed)
    except BaseException:
        await model.close()
        raise
    at_once = model.parallel or psutil.cpu_count() or 1
    world = Infrastructure()
    line = Line(
        record.name,
        model,
        Nobody(),
        retries=world.retries,
        patience_seconds=60 * world.patience_minutes,
        at_once=at_once,
    )
    return _Opened(model, observed, line, asyncio.Semaphore(at_once))


def _settings(recorded: Recorded) -> ModelSettings:
    """The settings in the header. Where the model is, and how it is reached, is taken from the
    campaign beside the transcript, if that still names the model: both may have changed."""
    record = recorded.started.model
    where = f"{recorded.path}: the model {record.name!r}"
    settings: type[ModelSettings] = load_kind(record.kind, where).Settings
    keys = {**record.settings, "name": record.name, "kind": record.kind}
    if record.sampling is not None:
        keys["sampling"] = record.sampling.model_dump()
    config = campaign_beside(recorded.path)
    for table in read_toml(config).get("models", []) if config else []:
        if table.get("name") == record.name and table.get("kind") == record.kind:
            if not _WHERE.isdisjoint(table):
                keys = {key: value for key, value in keys.items() if key not in _WHERE}
            keys |= {key: table[key] for key in settings.WORLD | _WHERE if key in table}
    return validate(settings, keys, where)


def _refuse_another_file(recorded: Recorded, observed: Mapping[str, Any]) -> None:
    then, now = recorded.started.model.observed.get("sha256"), observed.get("sha256")
    if then != now:
        raise BadInput(
            f"{recorded.started.model.name} is another file now: SHA-256 {then} was played, "
            f"and {observed.get('file')} has {now}; put the first one back"
        )


def _changed(record: ModelRecord, observed: Mapping[str, Any]) -> str:
    """What else is not as it was when the model played, such as the engine's version."""
    passing = {
        "load_seconds",
        "source",
        "file",
        "memory",
        "models",
        "model_listed",
        "workers",
        "cache_bytes",
    }
    changed = [
        f"{key} was {record.observed[key]}, and is {now}"
        for key, now in observed.items()
        if key not in passing and record.observed.get(key, now) != now
    ]
    return "; ".join(changed)


def _excuse(record: ModelRecord, observed: Mapping[str, Any]) -> str:
    """What may be why a reply is another one now, a line each; empty: not known."""
    lines = ""
    if record.observed.get("reproducible") is False:
        lines += f"\nit was not made to be the same again: {record.observed.get(_WHY_NOT)}"
    if changed := _changed(record, observed):
        lines += f"\nnot as it was then: {changed}"
    return lines


async def _resample(recorded: Recorded, model: _Opened) -> Replayed:
    same = replies = 0
    difference = None
    async with model.gate:
        for request, reply in _turns(recorded):
            again = await model.line.ask(request, model.gate, lambda repeat: None)
            parted = _parting(reply, again)
            replies += 1
            same += parted is None
            if parted and not difference:
                difference = f"turn {reply.turn}, {parted}"
    if not replies:
        raise BadInput("no reply was recorded; there is nothing to sample again")
    if difference:
        difference += _excuse(recorded.started.model, model.observed)
    return Replayed(f"{same} of {replies} replies identical", difference)


def _turns(recorded: Recorded) -> Iterator[tuple[Request, Reply]]:
    """Each request as it was made, and the reply that was recorded."""
    started = recorded.started
    budgets, seed = started.budgets, started.seed
    if budgets is None or seed is None:
        raise BadInput("budgets and seed are not recorded: another program played it")
    conversation: list[Message] = []
    for event in recorded.events:
        if isinstance(event, Reply):
            request = Request(
                run=f"{started.run}.{started.attempt}",
                turn=event.turn,
                conversation=tuple(conversation),
                tools=started.tools,
                max_tokens=budgets.tokens_per_turn,
                seed=turn_seed(seed, event.turn),
                task_folder=recorded.task.folder,
                facts=recorded.variant.facts,
            )
            yield request, event
        take_in(conversation, event)


def _parting(then: Completion, now: Completion) -> str | None:
    """Where two replies part, in words; None: they are the same, to the token where both tell."""
    parted = _parting_text(then, now)
    if then.compute and now.compute:
        if then.compute.reply_sha256 != now.compute.reply_sha256:
            parted = parted or "the same text from other tokens"
        if parted and then.compute.prompt_sha256 != now.compute.prompt_sha256:
            parted += "; its prompt was put into other tokens"
    return parted


def _parting_text(then: Completion, now: Completion) -> str | None:
    parts, again = _parts(then), _parts(now)
    for name in dict.fromkeys([*parts, *again]):
        was, is_now = parts.get(name, ""), again.get(name, "")
        if was != is_now:
            pairs = zip(was, is_now, strict=False)
            at = next((at for at, (a, b) in enumerate(pairs) if a != b), min(len(was), len(is_now)))
            return (
                f"{name}, character {at + 1}: {was[at : at + _CONTEXT]!r} was recorded, "
                f"and it is {is_now[at : at + _CONTEXT]!r}"
            )
    if then.usage.output != now.usage.output:
        return f"the same text from {now.usage.output} tokens, and {then.usage.output} are recorded"
    return None


def _parts(reply: Completion) -> dict[str, str]:
    """All that a model said, by where it said it; the ids of calls are not its own."""
    calls = {
        f"call {number}": f"{call.name} {call.arguments}"
        for number, call in enumerate(reply.tool_calls, start=1)
    }
    return {
        "reasoning": reply.reasoning or "",
        "text": reply.text,
        **calls,
        "as it came": reply.raw or "",
        "the reason it ended": reply.finish_reason,
    }
