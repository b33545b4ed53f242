"""The program's own log: JSON lines in the campaign's folder, beside a quiet terminal."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import structlog

from harness.secrets import redacted


@contextmanager
def logging_to(path: Path) -> Iterator[None]:
    """Append everything that is logged inside the block to ``path``, one JSON object a line."""
    # Unbuffered, so that a disk that is full is met where a line is written, not at the close.
    with path.open("ab", buffering=0) as file:
        structlog.configure(
            processors=[
                structlog.contextvars.merge_contextvars,
                structlog.processors.add_log_level,
                structlog.processors.TimeStamper(fmt="iso", utc=True),
                structlog.processors.format_exc_info,
                structlog.processors.JSONRenderer(serializer=_json),
            ],
            logger_factory=structlog.BytesLoggerFactory(file=file),
        )
        try:
            yield
        finally:
            structlog.reset_defaults()


def _json(event: Any, **options: Any) -> bytes:
    return redacted(json.dumps(event, **options)).encode()  # ASCII, whatever the event holds
