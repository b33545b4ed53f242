"""How a conversation becomes a prompt: by the model's chat template, or by its dialect's own
rules."""

from __future__ import annotations

import hashlib
import re
from datetime import date
from typing import Any

from harness import dialects
from harness.dialects._template import ChatTemplate, Rendered
from harness.errors import BadInput
from harness.models.llama_cpp.job import Question
from harness.models.llama_cpp.protocol import Generate, Load
from harness.models.llama_cpp.vocabulary import Vocabulary


class Renderer:
    """Writes the prompts of one model. ``dialect`` names the one that it speaks. Raises
    BadInput where that cannot be told, or the template cannot be read."""

    def __init__(self, load: Load, vocabulary: Vocabulary) -> None:
        self._source, self._source_name = (
            (load.template, "settings")
            if load.template is not None
            else (vocabulary.template, vocabulary.template_name)
        )
        self.dialect = (
            dialects.choose(self._source, load.template_arguments)
            if load.dialect == "auto"
            else load.dialect
        )
        self._dialect = dialects.load(self.dialect, "dialect")
        self._ends = frozenset(
            token for stop in self._dialect.stops if (token := vocabulary.special(stop)) is not None
        )
        # llama.cpp finds user-defined tokens in any text; those that mean something here must
        # not be found in what people, models and tools wrote.
        own = [text for text in vocabulary.user_defined if self._is_delimiter(text.strip())]
        vocabulary.guard(own)
        self._template = (
            None
            if self._dialect.render
            else self._chat_template(load, vocabulary, [*vocabulary.control, *own])
        )

    def facts(self) -> dict[str, Any]:
        """Which template writes the prompts: ``settings`` where they name one, else what the
        model's file calls it. Null where the dialect writes them."""
        if self._template is None or self._source is None:
            return {"template": None, "template_sha256": None}
        digest = hashlib.sha256(self._source.encode()).hexdigest()
        return {"template": self._source_name, "template_sha256": digest}

    def question(self, asked: Generate) -> Question:
        """The prompt of a conversation, and what its reply must keep to; raises BadInput."""
        grammar = self._dialect.grammar
        rendered = self._rendered(asked)
        return Question(
            asked,
            segments=rendered.segments,
            opening=rendered.opening,
            ends=self._ends,
            # By a template's rules a delimiter is a token. As plain characters it is text: a file
            # may well be searched for it.
            stops=() if self._template else self._dialect.stops,
            grammar=grammar(asked.tools, force_call=asked.force_call) if grammar else None,
        )

    def _rendered(self, asked: Generate) -> Rendered:
        if self._template is None:
            assert self._dialect.render is not None
            return Rendered(tuple(self._dialect.render(asked.conversation, asked.tools)), "")
        return self._template.render(asked.conversation, asked.tools)

    def _chat_template(
        self, load: Load, vocabulary: Vocabulary, specials: list[str]
    ) -> ChatTemplate:
        if not self._source:
            raise BadInput(
                f"the dialect {self.dialect} writes by the model's chat template, and its file "
                "has none; set template to a file with one, or dialect to 'fewshot'"
            )
        return ChatTemplate(
            self._source,
            bos=vocabulary.bos,
            eos=vocabulary.eos,
            specials=specials,
            arguments=load.template_arguments,
            today=date.fromisoformat(load.today),
            by_prompt=self._dialect.by_prompt,
        )

    def _is_delimiter(self, text: str) -> bool:
        """Whether a token means something to the template: not white space, nor HTML."""
        in_template = bool(self._source) and text in (self._source or "")
        return bool(text) and (in_template or bool(re.fullmatch(self._dialect.markup, text)))
