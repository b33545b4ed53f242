"""A model's own chat template: a conversation in, the prompt out, cut into segments.

What a template can show is found out by rendering probes, as llama.cpp does; the findings are a
``Form``. What it lacks is put into words by a dialect (``ByPrompt``).

Segments. Each beginning of the conversation is rendered too, and each earlier prompt with what
opened its reply; where that text is a true beginning of the whole, a segment ends. Templates that
rewrite what they showed before (drop earlier reasoning, move the tools to the last message) so
have fewer segments, and none that would change.
"""

from __future__ import annotations

import json
import re
from collections import OrderedDict
from collections.abc import Iterator, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass
from datetime import date
from typing import Any

from jinja2 import TemplateError

from harness.dialects import ByPrompt, Segment
from harness.dialects._conversation import Form, Said, formed, said, variables
from harness.dialects._guard import Guard, cut, delimiters
from harness.dialects._jinja import compiled, environment
from harness.dialects._probe import probe
from harness.errors import BadInput
from harness.records import Message, Prompt, Reply, ToolCall, ToolSchema

TODAY = date(2026, 1, 1)
"""What templates are told the date is, unless somebody says otherwise."""

_OPENING = re.compile(
    r"""(?: <\|open\|>think<\|sep\|>             # Kimi K3
        |   <\|channel>thought\n(?:<channel\|>)? # Gemma 4
        |   <\|START_THINKING\|>(?:<\|END_THINKING\|>)? | \[THINK\]  # Cohere, Mistral
        |   Here\ are\ my\ reasoning\ steps:     # Apriel
        |   (?:<[^<>/]*think[^<>]*>\s*)?</[^<>]*think[^<>]*>
        |   <[^<>/]*think[^<>]*>
        |   >>>                                  # functionary
        )\s*\Z""",
    re.VERBOSE,
)
"""What the end of a prompt may write of the reply itself: thinking that it begins, or leaves out.
That cannot be told from the template alone: many write ``<think>`` in every reply."""

_KEPT = 32_000_000
"""How many characters of rendered beginnings of conversations are kept."""

_REFUSALS = (
    *(TemplateError, ArithmeticError, AttributeError, LookupError, TypeError, ValueError),
    *(MemoryError, RuntimeError),
)
"""What a template raises that cannot show what it was given."""

_GIVEN = {"messages", "tools", "functions", "add_generation_prompt"}
"""The variables that a template has from the conversation."""

_ADDRESS = re.compile(r" at 0x[0-9a-f]+>")
"""The end of what Python writes for an object that has no text of its own, such as a function."""

_WORDS = "zqwords"
_HELLO = Prompt(role="user", content="Hello.")
_CALLING = Reply(
    turn=1,
    tool_calls=(ToolCall(id="call_1_1", name="name", arguments='{"argument": "value"}'),),
    finish_reason="tool_calls",
)


@dataclass(frozen=True)
class Rendered:
    """A prompt. ``opening`` is what its end already wrote of the reply, such as ``<think>``."""

    segments: tuple[Segment, ...]
    opening: str

    @property
    def text(self) -> str:
        """The whole prompt as one text."""
        return "".join(piece.text for segment in self.segments for piece in segment)


class ChatTemplate:
    """One template. Raises BadInput where its source cannot be read.

    ``bos`` and ``eos`` are what it writes for these tokens; an engine that puts a BOS token there
    itself gives none. ``specials`` are the texts of the vocabulary's control tokens. ``arguments``
    are the variables that the person sets, such as ``enable_thinking``. ``by_prompt`` has words
    for what the template has none for.
    """

    def __init__(
        self,
        source: str,
        *,
        bos: str = "",
        eos: str = "",
        specials: Sequence[str] = (),
        arguments: Mapping[str, Any] | None = None,
        today: date = TODAY,
        by_prompt: ByPrompt | None = None,
    ) -> None:
        if taken := _GIVEN & set(arguments or {}):
            raise BadInput(
                f"template_arguments: {sorted(taken)[0]!r} is what the conversation gives the "
                "template; leave it out"
            )
        self._template, texts = compiled(environment(today), source)
        self._fixed = {
            "bos_token": bos,
            "eos_token": eos,
            "datetime": f"{today:%b %d %Y}",  # Firefunction asks for it so, Llama 3 so:
            "date_string": f"{today:%d %b %Y}",
            **(arguments or {}),
        }
        self._words = by_prompt
        self._found = probe(self._trial)
        if any(map(_ADDRESS.search, self._found.texts)):
            raise BadInput(
                "the chat template writes where in memory an object lies, which is never the same; "
                "set template to a file with one that does not"
            )
        if self._found.hides_user:
            # Where a file has none, llama.cpp may say the name of one: "mistral-v7-tekken".
            raise BadInput(
                "the chat template does not show what the user says; set template to a file with "
                "one that does"
            )
        self.form = self._found.form
        asked = by_prompt.describe([]) if by_prompt else ""
        self._guard = Guard(specials, delimiters([*texts, *self._found.texts, asked]))
        self._beginnings: OrderedDict[int, str | None] = OrderedDict()
        self._kept = 0
        self._example = ""
        if self.form.calls and not self.form.tools:
            self._example = self.written([_HELLO], _CALLING, []).strip()

    def render(self, conversation: Sequence[Message], tools: Sequence[ToolSchema]) -> Rendered:
        """The prompt for the model's next reply; raises BadInput where the template refuses it."""
        messages, shown, guard = self._guarded(conversation, tools)
        whole = self._whole(messages, shown, guard, opens_reply=True)
        ends = list(self._ends(conversation, shown, guard, whole))
        segments = tuple(
            cut(whole[start:end], guard)
            for start, end in zip([0, *ends], [*ends, len(whole)], strict=True)
            if end > start
        )
        if not segments:
            raise BadInput("the chat template writes nothing; set template to a file")
        opening = _OPENING.search(segments[-1][-1].text)
        return Rendered(segments, opening[0] if opening else "")

    def text(self, conversation: Sequence[Message], tools: Sequence[ToolSchema]) -> str:
        """The conversation as it stands, with nothing that opens a reply; raises BadInput."""
        messages, shown, guard = self._guarded(conversation, tools)
        return self._whole(messages, shown, guard, opens_reply=False).replace(guard, "")

    def written(
        self, conversation: Sequence[Message], reply: Reply, tools: Sequence[ToolSchema]
    ) -> str:
        """What a model must have written after ``conversation`` for the template to show
        ``reply``: what that adds, from what opens a reply to what ends one; raises BadInput."""
        asked = self.render(conversation, tools)
        before = asked.text.removesuffix(asked.opening)
        words = reply.model_copy(update={"tool_calls": (), "text": _WORDS})
        ending = self.text([*conversation, words], tools).rpartition(_WORDS)[2]
        whole = self.text([*conversation, reply], tools)
        return whole[_same(before, whole) :].removesuffix(ending)

    def _guarded(
        self, conversation: Sequence[Message], tools: Sequence[ToolSchema]
    ) -> tuple[list[Said], list[dict[str, Any]], str]:
        """Messages and tools as nobody has marked them, and the character to do it with."""
        if tools and not self.form.calls and self._words is None:
            raise BadInput(
                "the chat template has no words for tool calls, nor has the dialect; "
                "set dialect to 'hermes' or 'gemma3', which ask for them in the prompt"
            )
        messages = said(conversation, self.form)
        shown = [tool.model_dump() for tool in tools]
        written = [text for message in messages for text in message.strings()]
        return (
            messages,
            shown,
            self._guard.character([*written, json.dumps(shown, ensure_ascii=False)]),
        )

    def _whole(
        self, messages: list[Said], shown: list[dict[str, Any]], guard: str, *, opens_reply: bool
    ) -> str:
        try:
            return self._text(messages, shown, guard, opens_reply=opens_reply)
        except _REFUSALS as error:
            raise BadInput(
                "the chat template refuses the conversation: "
                f"{str(error)[:300] or type(error).__name__}; "
                "set template to a file with one that takes it"
            ) from None

    def _ends(
        self, conversation: Sequence[Message], shown: list[dict[str, Any]], guard: str, whole: str
    ) -> Iterator[int]:
        """Where segments end in ``whole``: after each beginning of the conversation that renders
        to a beginning of it."""
        end = 0
        for text in self._rendered_beginnings(conversation, shown, guard):
            at = _end_of(text, whole, self._found.always) if text else 0
            if at > end:
                end = at
                yield end

    def _rendered_beginnings(
        self, conversation: Sequence[Message], shown: list[dict[str, Any]], guard: str
    ) -> list[str | None]:
        """What the template writes of the first message, the first two, and so on; and before a
        reply, of the prompt that it answered."""
        texts = []
        key = hash((guard, json.dumps(shown)))
        for number, message in enumerate(conversation):
            if isinstance(message, Reply):
                asked = hash((key, "reply"))
                texts.append(self._beginning(asked, conversation[:number], shown, guard, True))
            key = hash((key, _content(message)))
            texts.append(self._beginning(key, conversation[: number + 1], shown, guard, False))
        while self._kept > _KEPT:
            _, text = self._beginnings.popitem(last=False)
            self._kept -= len(text or "")
        return texts

    def _beginning(
        self,
        key: int,
        conversation: Sequence[Message],
        shown: list[dict[str, Any]],
        guard: str,
        opens_reply: bool,
    ) -> str | None:
        """What the template writes of a beginning, kept by ``key``; None where no conversation
        may end there, so that no segment does."""
        if key not in self._beginnings:
            try:
                messages = said(conversation, self.form)
                text = self._text(messages, shown, guard, opens_reply=opens_reply)
            except _REFUSALS:
                text = None
            self._beginnings[key] = text
            self._kept += len(text or "")
        self._beginnings.move_to_end(key)
        return self._beginnings[key]

    def _text(
        self, messages: list[Said], shown: list[dict[str, Any]], guard: str, *, opens_reply: bool
    ) -> str:
        """The prompt with guards in it; raises what templates raise."""
        marked = [message.map(lambda value: self._guard.mark(value, guard)) for message in messages]
        tools = [self._guard.mark(tool, guard, inside=False) for tool in shown]
        about = "" if self.form.tools else self._about(tools)
        text = self._run(
            formed(marked, self.form, self._words, about),
            tools if self.form.tools else [],
            self.form,
            opens_reply=opens_reply,
        )
        closing, opening = self._found.closing, self._found.opening
        if opens_reply and closing and text.endswith(closing) and not opening.endswith(closing):
            # Gemma 4's template forgets it behind results that a text follows.
            text += opening
        return text

    def _about(self, tools: list[dict[str, Any]]) -> str:
        if not tools:
            return ""
        schemas = [ToolSchema.model_construct(**tool) for tool in tools]
        return self._words.describe(schemas) if self._words else self._describe(schemas)

    def _describe(self, tools: Sequence[ToolSchema]) -> str:
        """Tools in words, for a model whose template shows how it calls them."""
        lines = [json.dumps(tool.model_dump(), ensure_ascii=False) for tool in tools]
        return (
            "# Tools\n\nThese functions can be called; each line describes one:\n"
            + "\n".join(lines)
            + f"\n\nTo call one, write its name and arguments like this:\n{self._example}"
        )

    def _run(
        self, messages: list[Said], tools: list[dict[str, Any]], form: Form, *, opens_reply: bool
    ) -> str:
        offered: dict[str, Any] = {}
        if tools:
            offered["tools"] = [{"type": "function", "function": tool} for tool in tools]
        # Firefunction has them as a text.
        offered["functions"] = json.dumps(tools, indent=2, ensure_ascii=False) if tools else ""
        return self._template.render(
            # Copies: what it changes must not be there in the next prompt.
            deepcopy(self._fixed | offered)
            | {"messages": variables(messages, form), "add_generation_prompt": opens_reply}
        )

    def _trial(
        self,
        messages: list[Said],
        tools: list[dict[str, Any]],
        form: Form,
        opens_reply: bool = False,
    ) -> str:
        """What the template writes of probes in a form; nothing where it refuses them."""
        try:
            messages = formed(messages, form, None, "")
            return self._run(messages, tools, form, opens_reply=opens_reply)
        except _REFUSALS:
            return ""


def _end_of(beginning: str, whole: str, always: str) -> int:
    """Where a beginning of the conversation ends in the whole, or 0. What a template ``always``
    ends with, whatever it writes, is no part of a beginning."""
    if whole.startswith(beginning):
        return len(beginning)
    at = _same(beginning, whole)
    return at if always.endswith(beginning[at:]) else 0


def _same(one: str, other: str) -> int:
    """How many characters both begin with, but for a delimiter that only begins alike."""
    low, high = 0, min(len(one), len(other))
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if other.startswith(one[:middle]) else (low, middle - 1)
    opened = one.rfind("<", 0, low)
    return opened if low < len(one) and opened > one.rfind(">", 0, low) else low


def _content(message: Message) -> tuple[object, ...]:
    """What of a message a prompt depends on."""
    match message:
        case Prompt():
            return (message.role, message.content)
        case Reply():
            calls = tuple((call.id, call.name, call.arguments) for call in message.tool_calls)
            return (message.text, message.reasoning, calls)
    return (message.call_id, message.name, message.content)
