"""Jinja as chat templates are written for it: the environment of Hugging Face's transformers,
whose templates the files of models carry.

A template is code by whoever made the file. It runs in Jinja's sandbox, in a process that can be
killed; lists and dictionaries it may change are copies (Kimi K2's appends to its own), and
nothing is drawn by chance, so that it writes the same each time.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import date, datetime, time
from typing import Any

from jinja2 import Environment, Template, TemplateError, TemplateSyntaxError, Undefined, nodes
from jinja2.ext import Extension
from jinja2.parser import Parser
from jinja2.sandbox import SandboxedEnvironment

from harness.errors import BadInput


class _Generation(Extension):
    """``{% generation %}``, which marks what a model is trained on: here, its body."""

    tags = {"generation"}  # noqa: RUF012 - as Jinja declares it

    def parse(self, parser: Parser) -> list[nodes.Node]:
        next(parser.stream)
        return parser.parse_statements(("name:endgeneration",), drop_needle=True)


def environment(today: date) -> Environment:
    """Where chat templates run; ``today`` is the date that they are told, at midnight."""
    jinja = SandboxedEnvironment(
        trim_blocks=True,
        lstrip_blocks=True,
        extensions=[_Generation, "jinja2.ext.loopcontrols"],
    )
    # Prompts are no HTML: what Jinja holds safe would escape all that is added to it.
    jinja.filters |= {"tojson": _to_json, "from_json": json.loads, "safe": str}
    del jinja.filters["random"], jinja.globals["lipsum"]
    jinja.globals |= {
        "raise_exception": _raise,
        "strftime_now": datetime.combine(today, time()).strftime,
    }
    return jinja


def compiled(jinja: Environment, source: str) -> tuple[Template, list[str]]:
    """A template, and the texts that it holds; raises BadInput where it is no template."""
    try:
        tree = jinja.parse(source)
        template = jinja.from_string(tree)
    except TemplateSyntaxError as error:
        raise BadInput(
            f"the chat template, line {error.lineno}: {(error.message or '').rstrip('.')}; "
            "set template to a file with one that Jinja can read"
        ) from None
    except (RecursionError, SyntaxError, MemoryError):
        # Of Jinja's parser, and of Python's, for which it writes the template anew.
        raise BadInput("the chat template is nested too deep; set template to a file") from None
    except ValueError as error:
        raise BadInput(
            f"the chat template cannot be read: {str(error)[:300]}; set template to a file"
        ) from None
    texts = [node.data for node in tree.find_all(nodes.TemplateData)]
    constants = [node.value for node in tree.find_all(nodes.Const)]
    return template, texts + [value for value in constants if isinstance(value, str)]


def _to_json(
    value: Any,
    indent: int | None = None,
    *,
    ensure_ascii: bool = False,
    separators: tuple[str, str] | None = None,
    sort_keys: bool = False,
) -> str:
    """JSON without the escapes of HTML, as transformers' own filter writes it. ``ensure_ascii``
    is not heeded: no template of the families that are known asks for it, and a guard must stay
    the character it is."""
    return json.dumps(
        value,
        ensure_ascii=False,
        indent=indent,
        separators=separators,
        sort_keys=sort_keys,
        default=_listed,
    )


def _listed(value: Any) -> list[Any]:
    if isinstance(value, Iterator):
        return list(value)  # of map and its like, which Jinja makes lazy
    kind = "an undefined value" if isinstance(value, Undefined) else type(value).__name__
    raise TypeError(f"{kind} cannot be written as JSON")


def _raise(message: str) -> None:
    raise TemplateError(message)
