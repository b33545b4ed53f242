"""Makes a real log of Inspect: a tiny task, played by Inspect with its own scripted model.

Run as a program, since Inspect's runner warns of what is deprecated in its own dependencies:
``python -m tests.inspect_eval FOLDER``. Prints the log's path.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

IDS = ("right", "wrong", "errs", "raises", "endless", "../../etc/passwd\x1b[31m <b>")


def make_log(folder: Path) -> Path:
    """Play the task in a process of its own, and return where its log is."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.inspect_eval", str(folder)],
        cwd=Path(__file__).parent.parent,
        capture_output=True,
        text=True,
        check=True,
    )
    return Path(done.stdout.splitlines()[-1])


def main(folder: str) -> None:
    """Play every sample twice: the tool adds, and fails for 13 and 14 in two ways."""
    from inspect_ai import Task, eval  # noqa: A004
    from inspect_ai.dataset import Sample
    from inspect_ai.model import GenerateConfig, ModelOutput, ModelUsage, get_model
    from inspect_ai.scorer import Score, Target, includes, mean, scorer
    from inspect_ai.solver import TaskState, generate, system_message, use_tools
    from inspect_ai.tool import Tool, ToolError, tool

    @tool
    def add() -> Tool:
        async def execute(x: int, y: int) -> int:
            """Add two numbers.

            Args:
                x: one of them
                y: the other
            """
            if x == 13:
                raise RuntimeError("the tool is broken")
            if x == 14:
                raise ToolError("14 is out of range")
            return x + y

        return execute

    @scorer(metrics=[mean()])
    def closeness() -> Any:
        async def score(state: TaskState, target: Target) -> Score:
            return Score(value=0.75 if target.text in state.output.completion else 0.25)

        return score

    first = {"right": 1, "wrong": 2, "errs": 14, "raises": 13, "endless": 1}

    def reply(input: list[Any], *_: Any) -> ModelOutput:  # noqa: A002
        name, answered = input[1].text, sum(message.role == "tool" for message in input)
        if answered and name != "endless":
            output = ModelOutput.from_content("mockllm/model", f"It is {answered}.")
        else:
            arguments = {"x": first.get(name, 3), "y": 1}
            output = ModelOutput.for_tool_call("mockllm/model", "add", arguments)
        output.usage = ModelUsage(
            input_tokens=60, input_tokens_cache_read=40, output_tokens=7, total_tokens=107
        )
        return output

    targets = {"right": "1", "errs": "1"}
    task = Task(
        name="sums",
        dataset=[
            Sample(id=id_, input="hostile" if "/" in id_ else id_, target=targets.get(id_, "9"))
            for id_ in IDS
        ],
        solver=[system_message("You add."), use_tools(add()), generate()],
        scorer=[includes(), closeness()],
        message_limit=8,
        epochs=2,
        config=GenerateConfig(temperature=0.5),
    )
    (log,) = eval(
        task,
        model=get_model("mockllm/model", custom_outputs=reply),
        log_dir=folder,
        display="none",
        fail_on_error=False,
    )
    print(log.location)


if __name__ == "__main__":
    main(sys.argv[1])
