"""What is tried before the first run, so that no run is spent on finding out.

Each model is asked for a tool call twice: at once, and behind as much text as fills half of its
context window. A template that drops the tools, a server that was started without their parser,
a context that was cut down in silence: all show here, and cost no run.
"""

from __future__ import annotations

import json
import shutil
import tempfile
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from harness.config import Campaign
from harness.earlier import LETTERS_A_TOKEN
from harness.errors import BadInput, InfrastructureFault
from harness.models import Request
from harness.records import Completion, ModelRecord, Prompt
from harness.store import Manifest
from harness.task import Suite, Task
from harness.toolbox import flaw_in, schemas

LEAST_DISK = 256 << 20
"""Bytes that must be free where transcripts and workspaces are written."""

_TOOL = "fs_read"
_FILE = "preflight.txt"
_LINE = "Entry {number}: shelf {shelf}, box {box}, checked and put back in its place.\n"
_CHARACTERS_A_TOKEN = 2.5
"""Of such lines, in the vocabularies of SmolLM2 and Gemma 3, which split numbers into digits.
Others need fewer tokens; half a context need not be met exactly."""

Ask = Callable[[Request], Awaitable[Completion]]


def machine_is_fit(folder: Path, manifest: Manifest | None) -> None:
    """Look at disk and clock; raises BadInput saying what is wrong and how to mend it."""
    for place in (folder, Path(tempfile.gettempdir())):
        free = shutil.disk_usage(place).free
        if free < LEAST_DISK:
            raise BadInput(
                f"{place}: only {free / 1e6:.0f} MB are free, and a campaign needs "
                f"{LEAST_DISK / 1e6:.0f} MB; free some, or set TMPDIR to another disk"
            )
    now = datetime.now(UTC)
    if manifest is not None and now < manifest.started_at:
        raise BadInput(
            f"this machine's clock says {now:%Y-%m-%d %H:%M} UTC, but the campaign began "
            f"{manifest.started_at:%Y-%m-%d %H:%M}; set the clock"
        )


def prompts_fit(campaign: Campaign, suite: Suite, model: ModelRecord) -> None:
    """Raises BadInput where a context, its size being known, cannot hold what a task opens with,
    behind the greatest context load, beside a reply as long as it may be: its runs would end at
    the context, not at what the model can do."""
    window, load = model.observed.get("context_window"), max(campaign.context_load)
    if not isinstance(window, int):
        return
    for task in suite.tasks:
        opening, reply = _opening_tokens(campaign, task), campaign.budgets_for(task).tokens_per_turn
        if window >= opening + load + reply:
            continue
        prompt = f"a context_load of {load} tokens" if load else "a prompt"
        lower = "budgets.tokens_per_turn" + (" or context_load" if load else "")
        raise BadInput(
            f"model {model.name!r}: its context of {window} tokens has no room for {prompt} and a "
            f"reply of up to {reply}, as {task.id} opens with at least {opening} or so; give it "
            f"more context (n_ctx), or lower {lower}"
        )


def _opening_tokens(campaign: Campaign, task: Task) -> int:
    """Few tokens, for what a model is told at first: as if all of it were words. The template and
    every sign come on top, so that nothing is refused that would fit."""
    variant = task.variant(None if campaign.variants == "fixed" else 0)
    tools = [tool.model_dump() for tool in schemas(task.tools)]
    told = task.system_prompt + variant.instruction + json.dumps(tools)
    return len(told) // LETTERS_A_TOKEN


async def rehearse(model: ModelRecord, ask: Ask, tokens_per_turn: int) -> dict[str, Any]:
    """Ask ``model`` for a tool call near the beginning and in the middle of its context.

    Returns what was measured: how many tokens the two calls came after (null where the context's
    size is not known), and tokens a second, for writing and for reading. Raises BadInput saying
    what is wrong and how to mend it.
    """
    shallow = await _called(model, ask, "", tokens_per_turn, "preflight")
    facts: dict[str, Any] = {
        "shallow_tokens": shallow.usage.input,
        "deep_tokens": None,
        "writes_tokens_per_second": _writing(shallow),
        "reads_tokens_per_second": None,
    }
    window = model.observed.get("context_window")
    if not isinstance(window, int):
        return facts
    room = window // 2 - (shallow.usage.input or 0)
    filler = _filler(int(max(0, room) * _CHARACTERS_A_TOKEN))
    deep = await _called(model, ask, filler, tokens_per_turn, "preflight at half its context")
    return facts | {
        "deep_tokens": deep.usage.input,
        "reads_tokens_per_second": _reading(deep),
    }


async def _called(model: ModelRecord, ask: Ask, filler: str, tokens: int, where: str) -> Completion:
    request = Request(
        run=f"preflight.{time.monotonic_ns()}",
        turn=1,
        conversation=(
            Prompt(role="system", content="You work with tools."),
            Prompt(role="user", content=_question(filler)),
        ),
        tools=schemas((_TOOL,)),
        max_tokens=tokens,
        seed=1,
        task_folder=Path(),
        force_call=True,
    )
    try:
        completion = await ask(request)
    except InfrastructureFault as fault:
        raise BadInput(f"model {model.name!r}: {where}: {fault}; mend it and try again") from None
    if (wrong := _what_is_wrong(completion)) is not None:
        raise BadInput(
            f"model {model.name!r}: {where}: asked for a call of {_TOOL}, {wrong}; "
            f"{_advice(model.kind)}, or run it all the same with --skip-preflight"
        )
    return completion


def _what_is_wrong(completion: Completion) -> str | None:
    if completion.finish_reason == "context":
        return "it had no room left: its context is too small, or smaller than it says"
    if not completion.tool_calls:
        said = " ".join(completion.text.split())[:100]
        return f"it made none (tool_calls is null; it said {said!r})"
    call = completion.tool_calls[0]
    if call.name != _TOOL:
        return f"it called {call.name[:40]!r}"
    flaw = flaw_in(call)
    return f"its arguments were no use: {flaw}" if flaw else None


def _advice(kind: str) -> str:
    return {
        "openai": "start the server with its tool-call parser and the model's own template "
        "(llama-server: --jinja; vLLM: --enable-auto-tool-choice --tool-call-parser ...)",
        "llama_cpp": "choose another dialect, or a larger n_ctx",
        "llama_server": "give it a chat template that shows tools (template), or a larger n_ctx",
    }.get(kind, "mend its settings")


def _question(filler: str) -> str:
    return f"{filler}Call the tool {_TOOL} with the path {_FILE}. Do nothing else."


def _filler(characters: int) -> str:
    """Lines that no two are alike, so that no cache shortens the reading of them."""
    lines: list[str] = []
    while characters > 0:
        number = len(lines)
        lines.append(_LINE.format(number=number, shelf=number * 7 % 90, box=number * 31 % 997))
        characters -= len(lines[-1])
    return "".join(lines)


def _reading(completion: Completion) -> float | None:
    usage, seconds = completion.usage, completion.first_token_seconds
    if not usage.input or not seconds:
        return None
    return round((usage.input - (usage.cached or 0)) / seconds, 1)


def _writing(completion: Completion) -> float | None:
    output, first = completion.usage.output, completion.first_token_seconds
    if not output or output < 2 or first is None or completion.model_seconds is None:
        return None
    seconds = completion.model_seconds - first
    return round((output - 1) / seconds, 1) if seconds > 0 else None
