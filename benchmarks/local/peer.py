"""Inspect AI plays what a campaign asked, on the same server, in a process of its own.

    python -m benchmarks.local.peer JOB.json

Prints, as its last line, the runs played, the replies in them and the tokens drawn. Its tools
answer nothing and nobody grades: both cost the harness time, and Inspect none here.
"""

from __future__ import annotations

import sys
from pathlib import Path

from pydantic import BaseModel

from harness.records import ToolSchema


class Sample(BaseModel):
    """What one task asks."""

    task: str
    system: str
    user: str
    tools: tuple[ToolSchema, ...]


class Job(BaseModel):
    """What to play, and within which limits."""

    base_url: str
    model: str
    samples: tuple[Sample, ...]
    runs_per_task: int
    connections: int
    turns: int
    tokens_per_turn: int
    logs: Path


class Played(BaseModel):
    """What came of it."""

    runs: int
    replies: int
    output_tokens: int


def main() -> None:
    """Play the job that a file describes."""
    # Here, so that only the process that plays pays for it.
    from inspect_ai import Task, eval  # noqa: A004
    from inspect_ai.dataset import Sample as InspectSample
    from inspect_ai.model import ChatMessageSystem, ChatMessageUser, GenerateConfig, get_model
    from inspect_ai.solver import generate, use_tools
    from inspect_ai.tool import ToolDef, ToolParams

    job = Job.model_validate_json(Path(sys.argv[1]).read_text(encoding="utf-8"))

    async def nothing(**_: object) -> str:
        return ""

    def tool(schema: ToolSchema) -> ToolDef:
        parameters = ToolParams.model_validate(schema.parameters)
        return ToolDef(nothing, schema.name, schema.description, parameters)

    config = GenerateConfig(
        max_tokens=job.tokens_per_turn,
        temperature=0,
        seed=1,
        max_connections=job.connections,
    )
    model = get_model(
        f"openai-api/local/{job.model}", base_url=job.base_url, api_key="none", config=config
    )
    tasks = [
        Task(
            name=sample.task,
            dataset=[
                InspectSample(
                    input=[
                        ChatMessageSystem(content=sample.system),
                        ChatMessageUser(content=sample.user),
                    ]
                )
            ],
            solver=[use_tools(*(tool(schema) for schema in sample.tools)), generate()],
            epochs=job.runs_per_task,
            message_limit=2 + 2 * job.turns,
        )
        for sample in job.samples
    ]
    logs = eval(
        tasks,
        model=model,
        log_dir=str(job.logs),
        display="none",
        max_samples=job.connections,
        max_tasks=len(tasks),
    )
    samples = [sample for log in logs for sample in log.samples or []]
    assert all(log.status == "success" for log in logs), [log.error for log in logs]
    played = Played(
        runs=len(samples),
        replies=sum(m.role == "assistant" for sample in samples for m in sample.messages),
        output_tokens=sum(
            usage.output_tokens for log in logs for usage in log.stats.model_usage.values()
        ),
    )
    print(played.model_dump_json())


if __name__ == "__main__":
    main()
