"""Events -> what the model is told next, and what the calls of a run were.

A conversation follows from a run's events alone: while it is played, when it is replayed, and
when it is exported.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from harness.records import Earlier, Event, Message, Prompt, Recovered, Reply, ToolResult


def take_in(conversation: list[Message], event: Event) -> None:
    """Add to a conversation what ``event`` tells the model; most events tell it nothing."""
    match event:
        case Earlier():
            conversation.extend(event.messages)
        case Prompt() | Reply() | ToolResult():
            conversation.append(event)
        case Recovered():
            conversation[-1] = _with_calls(conversation[-1], event)


def as_carried_out(events: Iterable[Event]) -> Iterator[Event]:
    """The events of a run as if its recovered calls had been made: for what asks which calls led
    to the state that was left, not whose they were."""
    events = list(events)
    calls = {event.turn: event for event in events if isinstance(event, Recovered)}
    for event in events:
        if isinstance(event, Reply) and event.turn in calls:
            yield _with_calls(event, calls[event.turn])
        elif not isinstance(event, Recovered):
            yield event


def final_answer(events: Iterable[Event]) -> str:
    """The text of the last reply, if no call was carried out for it; else there was no answer."""
    replies = [event for event in as_carried_out(events) if isinstance(event, Reply)]
    return replies[-1].text if replies and not replies[-1].tool_calls else ""


def _with_calls(reply: Message, recovered: Recovered) -> Reply:
    assert isinstance(reply, Reply)  # the loop lets nothing come between the two
    calls = {"text": recovered.text, "tool_calls": recovered.tool_calls}
    return reply.model_copy(update={**calls, "malformed": None, "raw": None})
