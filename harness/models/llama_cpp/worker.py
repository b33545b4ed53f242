"""The process that holds the engine: lines of the protocol in, lines out, until stdin ends.

It is a process of its own because a failed assertion in the engine ends the process it is in,
and because a chat template is code that somebody else wrote.
"""

from __future__ import annotations

import ctypes
import os
import queue
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import IO

from llama_cpp import llama_cpp

from harness.errors import BadInput
from harness.models.llama_cpp.engine import Engine
from harness.models.llama_cpp.protocol import (
    FROM_PARENT,
    Beat,
    Cancel,
    Failed,
    Generate,
    Load,
    Ready,
    Refused,
)
from harness.models.llama_cpp.rendering import Renderer
from harness.records import Record

BEAT_SECONDS = 0.5
TEMPLATE_SECONDS = 20.0
"""For a chat template to show what it can do, which those of the known families do in one, or to
write a prompt."""
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
        with _time_for_template(out, lambda reason: Refused(reason=reason)):
            renderer = Renderer(load, engine.vocabulary)
    except BadInput as error:
        _say(out, Refused(reason=str(error)))
        return
    facts = engine.facts() | renderer.facts() | {"load_seconds": round(time.monotonic() - began, 3)}
    _say(out, Ready(dialect=renderer.dialect, facts=facts))
    _serve(engine, renderer, out)


@contextmanager
def _time_for_template(out: IO[bytes], answer: Callable[[str], Record]) -> Iterator[None]:
    """The process gives this answer and ends where what is done in here takes too long. An
    exception would not do: Jinja takes in those that are raised while it folds constants."""

    def end() -> None:
        reason = f"its chat template does not end within {TEMPLATE_SECONDS:g} s"
        _say(out, answer(f"{reason}; set template to a file with one that does"))
        os._exit(1)

    timer = threading.Timer(TEMPLATE_SECONDS, end)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
        timer.join()  # so that it speaks now or never


def _serve(engine: Engine, renderer: Renderer, out: IO[bytes]) -> None:
    """Answer until there is nobody to answer. What came in is looked at between two steps."""
    inbox: queue.SimpleQueue[bytes] = queue.SimpleQueue()
    threading.Thread(target=_listen, args=(inbox,), daemon=True).start()
    spoken = time.monotonic()
    while True:
        for line in _waiting(inbox, block=not engine.busy):
            if not line:
                return
            message = FROM_PARENT.validate_json(line)
            match message:
                case Generate():
                    _begin(message, engine, renderer, out)
                case Cancel():
                    engine.cancel(message.id)
        for generated in engine.step():
            _say(out, generated)
        now = time.monotonic()
        if now - spoken >= BEAT_SECONDS:
            spoken = now
            _say(out, Beat())


def _begin(asked: Generate, engine: Engine, renderer: Renderer, out: IO[bytes]) -> None:
    """Have the engine take up a question, or say why it cannot."""
    try:
        with _time_for_template(out, lambda reason: Failed(id=asked.id, reason=reason)):
            question = renderer.question(asked)
        engine.begin(question)
    except (BadInput, ValueError) as error:
        _say(out, Failed(id=asked.id, reason=str(error)))


def _listen(inbox: queue.SimpleQueue[bytes]) -> None:
    """Take in the parent's lines as they come; an empty one says that it is gone."""
    for line in sys.stdin.buffer:
        inbox.put(line)
    inbox.put(b"")


def _waiting(inbox: queue.SimpleQueue[bytes], *, block: bool) -> Iterator[bytes]:
    """The lines that have come in; with ``block``, at least one."""
    if block:
        yield inbox.get()
    while not inbox.empty():
        yield inbox.get()


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
