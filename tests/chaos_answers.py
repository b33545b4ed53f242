"""What a server or something before it may answer in place of a reply, as the bytes on the wire.

Each is for ``instead`` of a ``tests.chaos_proxy.Fault``: the answers at the point ``request``,
the garbage at the point ``stream``.
"""

from __future__ import annotations

import json
from typing import Any

PAGE = b"<html><head><title>Bad gateway</title></head><body><h1>nginx</h1></body></html>"


def refusal(status: int, message: str = "not now", *, code: str | None = None) -> Any:
    """The body of an error as OpenAI writes it."""
    return {"error": {"message": message, "type": f"error_{status}", "code": code}}


def http(status: int, body: object, **headers: str) -> bytes:
    """A whole answer; ``body`` is sent as JSON, or as it is where it is bytes."""
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    kind = "text/html" if isinstance(body, bytes) else "application/json"
    fields = {"content-type": kind, "content-length": str(len(content)), "connection": "close"}
    return _head(status, fields | {n.replace("_", "-"): v for n, v in headers.items()}) + content


def sse(*chunks: object, done: bool = True) -> bytes:
    """A whole stream of events, in good order whatever is in it."""
    events = (b"data: " + json.dumps(chunk).encode() + b"\n\n" for chunk in chunks)
    return STREAM_HEAD + last_chunk(b"".join(events) + b"data: [DONE]\n\n" * done)


def last_chunk(body: bytes) -> bytes:
    """The end of a chunked body, so that only what is in it is wrong."""
    return b"%x\r\n%b\r\n0\r\n\r\n" % (len(body), body)


def calling(arguments: str, **choice: Any) -> Any:
    """A chunk with a piece of a tool call."""
    function = {"name": "shell", "arguments": arguments}
    call = {"index": 0, "id": "call_1", "type": "function", "function": function}
    return {"choices": [{"index": 0, "delta": {"tool_calls": [call]}, **choice}]}


def _head(status: int, fields: dict[str, str]) -> bytes:
    lines = [f"HTTP/1.1 {status} X", *(f"{name}: {value}" for name, value in fields.items())]
    return "\r\n".join([*lines, "", ""]).encode()


STREAM_HEAD = _head(
    200,
    {
        "content-type": "text/event-stream",
        "transfer-encoding": "chunked",
        "connection": "close",
    },
)

RATE_LIMITED = http(429, refusal(429, "slow down"))
RATE_LIMITED_SHORTLY = http(429, refusal(429, "slow down"), Retry_After="0.2")
NO_QUOTA = http(429, refusal(429, "pay first", code="insufficient_quota"))
SERVER_ERRORS = {status: http(status, refusal(status)) for status in (500, 502, 503, 504)}
SERVER_ERROR_PAGES = {status: http(status, PAGE) for status in (500, 502, 503, 504)}
NOT_ALLOWED = {status: http(status, refusal(status, "no such key")) for status in (401, 403)}
CONTEXT_FULL = http(
    400, refusal(400, "This model's maximum context length.", code="context_length_exceeded")
)
OUR_BUG = http(400, refusal(400, "messages[3]: no such role"))

NO_JSON = STREAM_HEAD + last_chunk(b"data: {nope\n\n")
A_PAGE_WITH_200 = http(200, PAGE)
NOTHING_WITH_200 = http(200, b"")
CUT_SHORT = {
    status: http(status, PAGE).replace(str(len(PAGE)).encode(), b"9999")
    for status in (200, 400, 503)
}
NO_GZIP = http(200, PAGE, content_encoding="gzip")
UNFRAMED = _head(200, {"content-type": "text/event-stream", "connection": "close"}) + (
    b'data: {"choices": [{"index": 0, "delta": {"content": "47"}}]}\n\n'
)
NO_HTTP = b"SSH-2.0-OpenSSH_9.6\r\n"
UNFINISHED_CALL = sse(calling('{"comm'), calling('and": '))
NO_CHOICES = sse({"choices": []}, {"choices": [], "usage": {"completion_tokens": 0}})

GARBAGE_EVENT = last_chunk(b"data: \xff\xfe\x00{]\n\n")
GARBAGE_FRAMES = b"\x00\xffthis is no chunk\r\n\r\n"
ERROR_EVENT = last_chunk(b'data: {"error": {"message": "worker died"}}\n\n')
