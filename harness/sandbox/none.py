"""No sandbox: commands run on this machine, as you, in the workspace's own folder.

Time, output, memory and disk are bounded and the environment is as bare as in a sandbox. All
else, files, network and processes, is open to what a model writes; a process that leaves its
session outlives its command. There is no ``/workspace`` either: commands start in the workspace,
and one that spells that path out does not find it.
"""

from __future__ import annotations

import platform
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from harness.sandbox import DEFAULT_LIMITS, CommandResult, Limits
from harness.sandbox._base import Base
from harness.sandbox._inside import ENVIRONMENT
from harness.sandbox._process import Launch, Process


class Sandbox(Base):
    """Plain processes. Only for those who asked for it by name."""

    def __init__(self) -> None:
        super().__init__(Process.kill)

    def open(self, hide: Sequence[Path] = ()) -> dict[str, Any]:
        """Nothing is proved: nothing holds."""
        self.make_scratch()
        return {"kind": "none", "python": platform.python_version()}

    def run(
        self,
        argv: Sequence[str],
        workspace: Path,
        *,
        stdin: bytes = b"",
        limits: Limits = DEFAULT_LIMITS,
        read_only: Mapping[str, Path] | None = None,
    ) -> CommandResult:
        """Run ``argv`` in the workspace. A word of it that is one of ``read_only``'s paths becomes
        the host's path, which is as near as one can come to a bind. Raises InfrastructureFault."""
        elsewhere = read_only or {}
        python = Path(sys.base_prefix) / "bin"
        launch = Launch(
            argv=[str(elsewhere.get(word, word)) for word in argv],
            env={
                **ENVIRONMENT,
                "HOME": str(workspace),
                "PATH": f"{python}:{ENVIRONMENT['PATH']}",
            },
            cwd=workspace,
        )
        return self._runner.run(launch, stdin, limits, workspace)
