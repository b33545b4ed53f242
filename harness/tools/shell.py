"""Run a command in the sandbox."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from harness.sandbox import CommandResult, Limits
from harness.tools import Bench, ToolError

LONGEST_COMMAND = 128 * 1024
"""Bytes; the kernel takes no longer argument."""

LONGEST = 16 * 1024
"""Characters shown of each stream; of more, the middle is left out."""


def shell(
    bench: Bench, command: Annotated[str, Field(description="what to run, as for sh -c")]
) -> str:
    """Run a command with sh in the workspace. Answers with its exit code and what it printed.

    Every command runs in a fresh sandbox: files stay, processes and variables do not. There is
    no network.
    """
    if "\0" in command:
        raise ToolError("a command cannot contain a NUL byte")
    size = len(command.encode())
    if size >= LONGEST_COMMAND:
        raise ToolError(
            f"the command has {size} bytes, and {LONGEST_COMMAND - 1} is the most there can be; "
            "write long text to a file in several commands"
        )
    result = bench.sandbox.run(["sh", "-c", command], bench.workspace, limits=bench.limits)
    streams = [_shown(result.stdout, ""), _shown(result.stderr, "stderr:\n")]
    return "\n".join([_ending(result, bench.limits), *filter(None, streams)])


def _ending(result: CommandResult, limits: Limits) -> str:
    match result.stopped:
        case None:
            return f"exit code {result.exit_code}"
        case "time":
            return f"stopped: it ran for longer than {limits.seconds:g} s"
        case "output":
            return f"stopped: it printed more than {limits.output_bytes} bytes"
        case "memory":
            return f"stopped: it held more than {limits.memory_bytes >> 20} MiB of memory"
        case "disk":
            return (
                f"stopped: the workspace held more than {limits.disk_bytes >> 20} MiB "
                f"or {limits.files} files"
            )
        case "cancelled":
            return "stopped"


def _shown(data: bytes, heading: str) -> str:
    text = data.decode("utf-8", "replace").rstrip("\n")
    if len(text) > LONGEST:
        left_out = len(text) - LONGEST
        half = LONGEST // 2
        text = f"{text[:half]}\n[... {left_out} characters left out ...]\n{text[-half:]}"
    return heading + text if text else ""
