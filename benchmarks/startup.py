"""What it costs to start: processor seconds of commands that do next to nothing.

The least of several tries, in user and system time of the child together, beside a Python that
does nothing at all: on a busy machine time on the wall says little.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from resource import RUSAGE_CHILDREN, getrusage

COMMANDS = {
    "python -c pass": [sys.executable, "-c", "pass"],
    "import harness": [sys.executable, "-c", "import harness"],
    "fairtrial --help": [sys.executable, "-m", "harness", "--help"],
    "import the kind openai": [sys.executable, "-c", "import harness.models.openai"],
}


def cpu_seconds(command: list[str]) -> float:
    """Processor seconds of one child, from its start to its end."""
    before = getrusage(RUSAGE_CHILDREN)
    subprocess.run(command, stdout=subprocess.DEVNULL, check=True)
    after = getrusage(RUSAGE_CHILDREN)
    return after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime


def main() -> None:
    """Print the least of several tries for each command."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tries", type=int, default=7)
    tries = parser.parse_args().tries
    least = {
        name: min(cpu_seconds(command) for _ in range(tries)) for name, command in COMMANDS.items()
    }
    nothing = least["python -c pass"]
    print(f"{'':26}{'CPU seconds':>12}{'above python':>14}   least of {tries}")
    for name, seconds in least.items():
        print(f"{name:26}{seconds:12.3f}{seconds - nothing:14.3f}")


if __name__ == "__main__":
    main()
