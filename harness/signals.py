"""What is notable in a reply that is no outcome: a leak, a ceiling, an empty or garbled reply."""

from __future__ import annotations

from collections.abc import Iterator

from harness.leaks import in_words, leaks_in
from harness.records import Reply, Signal


def signals_in(reply: Reply) -> Iterator[Signal]:
    """The signals of one reply, in a fixed order. Leaks count only where no call was made."""
    if reply.malformed is not None:
        yield Signal(turn=reply.turn, name="malformed_tool_call", detail=reply.malformed)
    if reply.finish_reason == "length":
        yield Signal(
            turn=reply.turn, name="token_ceiling", detail="cut off at the budget of tokens"
        )
    if reply.tool_calls or reply.finish_reason == "context":
        return
    if not reply.text.strip():
        yield Signal(turn=reply.turn, name="empty_reply", detail="neither text nor a tool call")
    if leaks := leaks_in(reply.text):
        yield Signal(turn=reply.turn, name="template_leakage", detail=in_words(leaks))
