"""The command line: parse, call, print. One file a group of commands, in the order of ``--help``.

What a command needs is imported when it is called, so that ``fairtrial --help`` answers at once.
"""

from __future__ import annotations

import io
import sys

from harness.cli import campaigns, evidence, exchange, reports, suites, transcripts
from harness.cli.app import app
from harness.errors import BadInput, EvidenceDiffers, FairtrialError
from harness.terminal import safe

__all__ = ["app", "campaigns", "evidence", "exchange", "main", "reports", "suites", "transcripts"]


def main() -> None:
    """Run the command line; what a person can mend is one sentence on stderr."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")  # a terminal may not know every character
    try:
        app()
    except FairtrialError as error:
        print(f"fairtrial: {safe(str(error))}", file=sys.stderr)
        sys.exit(_exit_code(error))


def _exit_code(error: FairtrialError) -> int:
    match error:
        case EvidenceDiffers():
            return 1
        case BadInput():
            return 2
        case _:
            return 3
