"""The tool that runs a command in the sandbox."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from harness.sandbox import LONGEST_ARGUMENT, CommandResult, Limits
from harness.tools import Bench, ToolError

MOST = 16 * 1024
"""Characters of stdout, and of stderr, that one call shows."""


def shell(
    bench: Bench,
    command: Annotated[str, Field(description="command line for sh, run in the workspace")],
) -> str:
    """Run a shell command in the workspace; gives its exit code, stdout and stderr.

    Every command starts in the top folder of the workspace, in a new shell, without a network.
    What it leaves running is stopped.
    """
    if "\0" in command:
        raise ToolError("a command cannot contain a NUL character")
    size = len(command.encode())
    if size > LONGEST_ARGUMENT:
        raise ToolError(
            f"the command is {size} bytes long, more than the {LONGEST_ARGUMENT} that can be run; "
            "write long content into a file in several steps"
        )
    result = bench.sandbox.run(["sh", "-c", command], bench.workspace, limits=bench.limits)
    if result.stopped:
        raise ToolError(f"{why_stopped(result, bench.limits)}\n{_printed(result)}")
    return f"exit code: {result.exit_code}\n{_printed(result)}"


def why_stopped(result: CommandResult, limits: Limits) -> str:
    """Which limit ended a command, in words."""
    return {
        "time": f"stopped after {limits.seconds:g} seconds",
        "output": f"stopped: it printed more than {limits.output_bytes} bytes",
        "memory": f"stopped: it used more than {limits.memory_bytes >> 20} MiB of memory",
        "disk": f"stopped: the workspace grew over {limits.disk_bytes >> 20} MiB or "
        f"{limits.files} files",
        "cancelled": "stopped: the run is being ended",
        None: "",
    }[result.stopped]


def _printed(result: CommandResult) -> str:
    streams = (("stdout", result.stdout), ("stderr", result.stderr))
    shown = [f"{name}:\n{_shorten(output)}" for name, output in streams if output]
    return "\n".join(shown) or "(no output)"


def _shorten(output: bytes) -> str:
    """Output as text; of long output the beginning and the end."""
    text = output.decode(errors="replace")
    left_out = len(text) - MOST
    if left_out <= 0:
        return text.removesuffix("\n")
    half = MOST // 2
    return f"{text[:half]}\n[{left_out} characters left out]\n{text[-half:]}".removesuffix("\n")
