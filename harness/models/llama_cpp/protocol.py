"""What parent and worker say to each other: one JSON object a line.

parent                           worker
Load                ->
                    <-           Ready | Refused
Generate            ->
                    <-           Beat ... Beat, Generated | Failed
Cancel              ->

Several ``Generate`` may be under way at once, one a slot; their answers carry their id, and come
in any order. A cancelled one is not answered, unless it just was.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, TypeAdapter

from harness.records import (
    Compute,
    FinishReason,
    Prompt,
    Record,
    Reply,
    Sampling,
    ToolResult,
    ToolSchema,
)

LOADING: Literal[0] = 0
"""The id of ``Load`` and of its answer."""


class Load(Record):
    """Load a model; the first line. Its fields are those of ``Settings``, resolved.

    ``template`` is a chat template's text that stands in for the file's own; ``today`` is the
    date that templates are told. ``slots`` is how many runs are decoded at once.
    """

    type: Literal["load"] = "load"
    id: Literal[0] = LOADING
    path: str
    dialect: str
    template: str | None
    template_arguments: dict[str, Any]
    today: str
    n_ctx: int
    n_batch: int
    n_threads: int
    slots: int
    reuse: Literal["exact", "fast"]
    cache_bytes: int
    n_gpu_layers: int
    flash_attention: bool
    kv_type_k: str
    kv_type_v: str
    split_mode: Literal["none", "layer", "row"]
    main_gpu: int
    tensor_split: tuple[float, ...]


class Generate(Record):
    """Continue a conversation in a slot. ``run`` names the run it belongs to; what it shares
    with others is found by its tokens alone."""

    type: Literal["generate"] = "generate"
    id: int = Field(gt=LOADING)
    slot: int
    run: str
    conversation: tuple[Annotated[Prompt | Reply | ToolResult, Field(discriminator="type")], ...]
    tools: tuple[ToolSchema, ...]
    sampling: Sampling
    seed: int
    max_tokens: int
    force_call: bool


class Cancel(Record):
    """Nobody waits for this one any more."""

    type: Literal["cancel"] = "cancel"
    id: int


class Ready(Record):
    """The model is loaded; ``facts`` are what was observed of it."""

    type: Literal["ready"] = "ready"
    id: Literal[0] = LOADING
    dialect: str
    facts: dict[str, Any]


class Refused(Record):
    """The model cannot be loaded as asked."""

    type: Literal["refused"] = "refused"
    id: Literal[0] = LOADING
    reason: str


class Beat(Record):
    """Still at work."""

    type: Literal["beat"] = "beat"


class Generated(Record):
    """A whole reply, up to the stop. ``opening`` is what the prompt already wrote of it. Times
    are seconds, sizes tokens."""

    type: Literal["generated"] = "generated"
    id: int
    text: str
    opening: str
    finish_reason: FinishReason
    input: int
    cached: int
    output: int
    first_token_seconds: float | None
    seconds: float
    compute: Compute


class Failed(Record):
    """A conversation that cannot be put into a prompt."""

    type: Literal["failed"] = "failed"
    id: int
    reason: str


Answer = Ready | Refused | Generated | Failed

FROM_PARENT: TypeAdapter[Load | Generate | Cancel] = TypeAdapter(
    Annotated[Load | Generate | Cancel, Field(discriminator="type")]
)
FROM_WORKER: TypeAdapter[Answer | Beat] = TypeAdapter(
    Annotated[Answer | Beat, Field(discriminator="type")]
)
