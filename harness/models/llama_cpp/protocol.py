"""What parent and worker say to each other: one JSON object a line.

parent                           worker
Load                ->
                    <-           Ready | Refused
Generate            ->
                    <-           Beat ... Beat, Generated
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, TypeAdapter

from harness.dialects import Segment
from harness.records import FinishReason, Record, Sampling


class Load(Record):
    """Load a model; the first line."""

    type: Literal["load"] = "load"
    path: str
    n_ctx: int
    n_batch: int
    n_threads: int
    n_gpu_layers: int


class Generate(Record):
    """Continue a prompt. ``run`` names the run it belongs to: nothing is kept from another."""

    type: Literal["generate"] = "generate"
    run: str
    prompt: tuple[Segment, ...]
    sampling: Sampling
    seed: int
    max_tokens: int
    stops: tuple[str, ...]
    grammar: str | None


class Ready(Record):
    """The model is loaded; ``facts`` are what was observed of it."""

    type: Literal["ready"] = "ready"
    facts: dict[str, Any]


class Refused(Record):
    """The model cannot be loaded as asked."""

    type: Literal["refused"] = "refused"
    reason: str


class Beat(Record):
    """Still at work."""

    type: Literal["beat"] = "beat"


class Generated(Record):
    """A whole reply, up to the stop. Times are seconds, sizes tokens."""

    type: Literal["generated"] = "generated"
    text: str
    finish_reason: FinishReason
    input: int
    cached: int
    output: int
    first_token_seconds: float | None
    seconds: float


FROM_PARENT: TypeAdapter[Load | Generate] = TypeAdapter(
    Annotated[Load | Generate, Field(discriminator="type")]
)
FROM_WORKER: TypeAdapter[Ready | Refused | Beat | Generated] = TypeAdapter(
    Annotated[Ready | Refused | Beat | Generated, Field(discriminator="type")]
)
