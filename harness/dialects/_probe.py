"""What a chat template can show, found out by letting it show something."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from itertools import product
from typing import Any, Literal, NamedTuple, Protocol

from harness.dialects._conversation import Arguments, Call, Form, Ids, Said, call_id


class Trial(Protocol):
    """Messages and tools -> what the template writes of them; nothing where it refuses them."""

    def __call__(
        self, messages: list[Said], tools: list[dict[str, Any]], form: Form, opens_reply: bool = ...
    ) -> str: ...


_SYSTEM, _USER, _TEXT = "zqsystem", "zquser", "zqtext"
_TOOL = {
    "name": "zqtool",
    "description": "zqdescription",
    "parameters": {
        "type": "object",
        "properties": {"zqkey": {"type": "string", "description": "zqmeaning"}},
        "required": ["zqkey"],
    },
}
_OPENING = [Said("system", _SYSTEM), Said("user", _USER)]
_PLAIN = [*_OPENING, Said("assistant", _TEXT), Said("user", "zqlast")]


class Findings(NamedTuple):
    """The form that shows most of a conversation (the first of those that show as much); what
    the template ends with at any place, where it opens a reply without being asked; what closes
    the user's message and what opens a reply behind it; and some of what it wrote."""

    form: Form
    always: str
    closing: str
    opening: str
    texts: list[str]

    @property
    def hides_user(self) -> bool:
        """Whether the template writes something, but nothing of what the user says."""
        return any(self.texts) and not any(_USER in text for text in self.texts)


def probe(trial: Trial) -> Findings:
    """Let a template show conversations, with calls and without."""
    plain = Form()
    for parts, system in product((False, True), (True, False)):
        form = Form(parts=parts, system=system)
        if _all_in(trial(_PLAIN, [], form), _SYSTEM, _USER, _TEXT, "zqlast"):
            plain = form
            break
    form = max(_forms(plain), key=lambda form: _shown(trial(_calling(form), [_TOOL], form)))
    written = trial(_calling(form), [_TOOL], form)
    null = replace(form, empty=None)
    if _shown(shorter := trial(_calling(form), [_TOOL], null)) == _shown(written):
        # Some templates write an empty reply of its own beside the call where content is "".
        form, written = (null, shorter) if len(shorter) < len(written) else (form, written)
    inside = replace(form, results_inside=True)
    named = trial(_calling(inside), [_TOOL], inside)
    if _shown(named) == _shown(written) and _names(named) > _names(written) == 1:
        form, written = inside, named
    _, calls, results = _shown(written)
    tools = "zqdescription" in trial(_OPENING, [_TOOL], form)
    if not calls and not tools:
        form = replace(plain, tools=False, calls=False, results=False)
        texts = [trial(_PLAIN[:number], [], form) for number in (2, 3)]
        return Findings(form, *_ends(trial, texts, [], form), texts)
    several = trial(_calling(form, 2), [_TOOL], form)
    _, _, reply, result = _calling(form)
    speaking = trial([*_OPENING, replace(reply, content=_TEXT), result], [_TOOL], form)
    thinking = replace(reply, content=_TEXT, reasoning="zqthought")
    form = replace(
        form,
        ids="named" if "functions.zqcalled:" in written else "digits",
        tools=tools,
        calls=calls,
        results=results,
        several=not calls or _all_in(several, "zqvalue1", "zqvalue2", "zqresult1", "zqresult2"),
        text_beside_calls=not calls or "zqvalue1" in speaking,
        thinking_beside_text=bool(trial([*_OPENING, thinking, result], [_TOOL], form)),
    )
    texts = [written, *(trial(_PLAIN[:number], [_TOOL], form) for number in (2, 3))]
    return Findings(form, *_ends(trial, texts, [_TOOL], form), [written, several])


def _forms(plain: Form) -> Iterator[Form]:
    ids: tuple[Ids, ...] = ("digits", "named")
    kinds: tuple[Arguments, ...] = ("object", "text")
    empties: tuple[Literal[""] | None, ...] = ("", None)
    for system in (True, False) if plain.system else (False,):
        for id_, arguments, empty in product(ids, kinds, empties):
            yield replace(plain, system=system, ids=id_, arguments=arguments, empty=empty)


def _calling(form: Form, number: int = 1) -> list[Said]:
    """A conversation with one reply that makes so many calls, and their results. What is called
    and what answers bear other names than the tool, to see which of them is shown."""
    calls = tuple(
        Call(call_id("zqcalled", n, form.ids), "zqcalled", {"zqkey": f"zqvalue{n}"})
        for n in range(1, number + 1)
    )
    results = [
        Said("tool", f"zqresult{n}", answers=replace(call, name="zqanswered"))
        for n, call in enumerate(calls, start=1)
    ]
    return [*_OPENING, Said("assistant", "", calls=calls), *results]


def _shown(text: str) -> tuple[bool, bool, bool]:
    """Whether the system's message, a call and its result are there; a call not as Python spells
    it, nor as JSON within JSON."""
    spoilt = re.search(r"""['"\\]zqkey\\?': 'zqvalue|\\"zqkey\\": ?\\"zqvalue""", text)
    calls = _all_in(text, "zqcalled", "zqkey", "zqvalue1") and not spoilt
    return _SYSTEM in text, calls, "zqresult1" in text


def _names(text: str) -> int:
    """How often it is said which tool was called, or answered."""
    return text.count("zqcalled") + text.count("zqanswered")


def _all_in(text: str, *words: str) -> bool:
    return all(word in text for word in words)


def _ends(
    trial: Trial, texts: list[str], tools: list[dict[str, Any]], form: Form
) -> tuple[str, str, str]:
    closed = trial(_OPENING, tools, form)
    opened = trial(_OPENING, tools, form, opens_reply=True)
    if opened.startswith(closed) and opened != closed:
        return "", closed.rpartition(_USER)[2], opened.removeprefix(closed)
    ends = (texts[0][at:] for at in range(len(texts[0]) + 1))
    return next(end for end in ends if all(text.endswith(end) for text in texts)), "", ""
