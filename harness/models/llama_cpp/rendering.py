"""How a conversation becomes a prompt: by the model's chat template, and its dialect."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from typing import Any

from harness import dialects
from harness.dialects import Dialect
from harness.errors import BadInput
from harness.models.llama_cpp.engine import Question
from harness.models.llama_cpp.protocol import Generate, Load
from harness.models.llama_cpp.vocabulary import Vocabulary


class Renderer:
    """Writes the prompts of one model. ``dialect`` names the one that it speaks."""

    def __init__(self, load: Load, vocabulary: Vocabulary) -> None:
        self._template = load.template or vocabulary.template
        known = dialects.every()
        self.dialect = _chosen(self._template, known) if load.dialect == "auto" else load.dialect
        self._dialect = known[self.dialect]
        vocabulary.guard(
            text for text in vocabulary.user_defined if self._is_delimiter(text.strip())
        )

    def facts(self) -> dict[str, Any]:
        """Which template writes the prompts."""
        digest = hashlib.sha256(self._template.encode()).hexdigest() if self._template else None
        return {"template_sha256": digest}

    def question(self, asked: Generate) -> Question:
        """The prompt of a conversation, and what its reply must keep to; raises BadInput."""
        dialect = self._dialect
        if dialect.render is None:
            raise BadInput(f"the dialect {self.dialect} has no prompts of its own")
        grammar = dialect.grammar
        return Question(
            asked,
            segments=dialect.render(asked.conversation, asked.tools),
            opening="",
            stops=dialect.stops,
            grammar=grammar(asked.tools, force_call=asked.force_call) if grammar else None,
        )

    def _is_delimiter(self, text: str) -> bool:
        """Whether a token means something to the template: not white space, nor HTML."""
        in_template = bool(self._template) and text in (self._template or "")
        return bool(text) and (in_template or bool(re.fullmatch(self._dialect.markup, text)))


def _chosen(template: str | None, known: Mapping[str, Dialect]) -> str:
    """The dialect whose mark is in a template; raises BadInput where none is, or several."""
    found = [
        name
        for name, dialect in known.items()
        if dialect.in_template and template and re.search(dialect.in_template, template)
    ]
    if len(found) != 1:
        what = f"that of {' and '.join(found)}" if found else "no tool call that is known here"
        raise BadInput(
            f"its chat template spells {what if template else 'nothing: it has none'}; "
            f"set dialect to one of {', '.join(known)}"
        )
    return found[0]
