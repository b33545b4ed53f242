"""The process that holds the engine: lines of the protocol in, lines out, until stdin ends.

It is a process of its own because a failed assertion in the engine ends the process it is in.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys
import time
from typing import IO

from llama_cpp import llama_cpp

from harness.models.llama_cpp.engine import Engine, LoadError
from harness.models.llama_cpp.protocol import FROM_PARENT, Beat, Generate, Load, Ready, Refused
from harness.records import Record

BEAT_SECONDS = 0.5
_ERROR = 4  # of ggml_log_level
_PR_SET_PDEATHSIG = 1


def main() -> None:
    """Serve one parent, and die with it."""
    _die_with_parent()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's to handle
    out = _private_stdout()
    log_errors = llama_cpp.llama_log_callback(_log_errors)
    llama_cpp.llama_log_set(log_errors, ctypes.c_void_p())
    load = FROM_PARENT.validate_json(sys.stdin.buffer.readline())
    assert isinstance(load, Load)
    began = time.monotonic()
    try:
        engine = Engine(load)
    except LoadError as error:
        _say(out, Refused(reason=str(error)))
        return
    facts = engine.facts() | {"load_seconds": round(time.monotonic() - began, 3)}
    _say(out, Ready(facts=facts))
    for line in sys.stdin.buffer:
        request = FROM_PARENT.validate_json(line)
        assert isinstance(request, Generate)
        _say(out, engine.generate(request, _Pulse(out)))


class _Pulse:
    """Tells the parent now and then that work goes on."""

    def __init__(self, out: IO[bytes]) -> None:
        self._out = out
        self._last = time.monotonic()

    def __call__(self) -> None:
        now = time.monotonic()
        if now - self._last >= BEAT_SECONDS:
            self._last = now
            _say(self._out, Beat())


def _say(out: IO[bytes], message: Record) -> None:
    out.write(message.model_dump_json().encode() + b"\n")
    out.flush()


def _private_stdout() -> IO[bytes]:
    """The pipe to the parent, out of reach of whatever the engine prints."""
    private = os.dup(sys.stdout.fileno())
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    return os.fdopen(private, "wb")


def _die_with_parent() -> None:
    parent = os.getppid()
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:  # it died before that took hold
        sys.exit(1)


def _log_errors(level: int, text: bytes, _: object) -> None:
    if level == _ERROR:
        os.write(2, text)


if __name__ == "__main__":
    main()
