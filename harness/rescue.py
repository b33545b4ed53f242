"""What becomes of a reply that leaked and made no call, where a campaign does not let it fail.

A rescue changes no score: a run that needed one has failed (``harness.outcome``). It shows what
the same model would have been worth behind a client that reads, or asks, again.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from harness import dialects
from harness.leaks import dialects_of, leaks_in
from harness.records import Event, Message, ModelRecord, OnLeak, Prompt, Recovered, Reply

NUDGE = (
    "Your last reply spelled a tool call, or delimiters of your chat template, as text, so no "
    "tool was called. Call the tools through the tool interface, or give your final answer as "
    "plain text."
)
"""What a model is told, once a run."""

Rescue = Callable[[Reply, Sequence[Message]], Prompt | Recovered | None]
"""A reply that made no call, and the conversation with it -> what goes on with it; None: it is
the run's last."""


def none(reply: Reply, conversation: Sequence[Message]) -> None:
    """Let every leak fail."""


def rescue_of(on_leak: OnLeak, model: ModelRecord) -> Rescue:
    """The rescue that a campaign asks for, of this model."""
    match on_leak:
        case "fail":
            return none
        case "nudge":
            return nudge
        case "recover":
            own = dialect_of(model)
            return lambda reply, conversation: recover(reply, own)


def recorded(events: Sequence[Event]) -> Rescue:
    """The rescues of a run that was played, for it to be played again."""
    then: dict[int, Prompt | Recovered] = {}
    for event in events:
        if isinstance(event, Recovered):
            then[event.turn] = event
        elif isinstance(event, Prompt) and event.nudge_after is not None:
            then[event.nudge_after] = event
    return lambda reply, conversation: then.get(reply.turn)


def nudge(reply: Reply, conversation: Sequence[Message]) -> Prompt | None:
    """Tell the model that it leaked; None where it did not, or was told before."""
    told = any(isinstance(m, Prompt) and m.nudge_after is not None for m in conversation)
    if told or not leaks_in(reply.text):
        return None
    return Prompt(role="user", content=NUDGE, nudge_after=reply.turn)


def recover(reply: Reply, own: str | None = None) -> Recovered | None:
    """The calls that a leak spells, read by the model's own dialect, by name, where it has one
    and that reads any, else by one whose markup leaked; None where no call comes out. What stands
    before the leak is prose, and may speak of calls."""
    leaks = leaks_in(reply.text)
    if not leaks:
        return None
    prose, leaked = reply.text[: leaks[0].start], reply.text[leaks[0].start :]
    for name in dict.fromkeys([*([own] if own else []), *dialects_of(leaks)]):
        dialect = dialects.load(name, name)
        parsed = dialect.parse(leaked, reply.turn)
        if parsed.tool_calls:
            return Recovered(
                turn=reply.turn,
                dialect=name,
                version=dialect.version,
                text=f"{prose}{parsed.text}".strip(),
                tool_calls=parsed.tool_calls,
            )
    return None


def dialect_of(model: ModelRecord) -> str | None:
    """The name of the dialect that a model's replies are read with here; None where a server
    reads them."""
    observed = str(model.observed.get("dialect", ""))
    return next((word for word in observed.split()[:1] if word in dialects.names()), None)
