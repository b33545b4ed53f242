"""Markup in the text of a reply: delimiters of chat templates, and calls that were never made.

This is the one place that says what leaked. The families' own delimiters come from their dialects;
what stands here beside them belongs to no call, or to no family in particular. Markup that is
quoted, or stands in a sample of something (``harness.quoted``), is spoken of and is no leak.

What is looked at may be hostile: all of it takes time linear in the text's length, as long as the
families' patterns do.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from functools import cache, lru_cache
from typing import NamedTuple

from harness import dialects
from harness.quoted import spoken_of
from harness.terminal import one_line

_CALLS = {
    "gpt-oss": r"<\|(?:channel|start|end|message|call|return|constrain)\|>|\bto=functions\.\w"
    r"|\A\s*+assistant(?:analysis|commentary|final)",
    "Gemma 4": r'<\|[a-z][a-z_]*+>|<[a-z][a-z_]*+\|>|<\|"\|>',
    "FunctionGemma": r"</?(?:start|end)_function_(?:declaration|call|response)>",
    "Gemma 3 by prompt": r"```tool_(?:code|call)",
    "Hermes or Qwen": r"</?tool_(?:call|response)s?>|</?(?:function|parameter)=[\w.-]++>"
    r"|<tools>(?=\s*+\{)",
    "GLM": r"</?tool_call>|</?arg_(?:key|value)>",
    "Mistral": r"\[(?:/?TOOL_(?:CALLS|RESULTS|CONTENT)|/?AVAILABLE_TOOLS|ARGS|CALL_ID)\]",
    "DeepSeek": "</?\uff5c[\\w\u2581]+\uff5c",
    "calls as XML": r"</?[a-z][a-z_]*+:tool_call>|</?(?:antml:)?function_calls>"
    r"|<invoke\s++\w++=[^<>\n]{1,200}+>(?=\s*+<)|</?TOOLCALL>",
}
_JSON = "a call as JSON"
_OTHERS = {
    "ChatML": r"<\|im_(?:start|end|sep)\|>|</\|im_end\|>",
    "Llama 3": r"<\|(?:(?:begin|end)_of_text|(?:start|end)_header_id|e[om][tm]_id|python_tag)\|>",
    "Gemma 2 and 3": r"</?(?:start|end)_of_turn>",
    "Mistral": r"\[/?INST\]",
    "another template": r"<\|/?[A-Za-z][\w-]*+\|>"
    # What also stands in prose and in HTML leaks only where it begins or ends a reply or a thought.
    r"|\A\s*+(?:</s>|<[be]os>|</think>)|(?<![^\W\d_][ \t])(?:</s>|<eos>)(?=\s*+\Z)"
    r"|</think>(?=[ \t]*+\n[ \t]*+\n)|(?<=\n)</think>(?=[ \t]*+(?:\n|\Z))",
    _JSON: r'\{\s*+(?:"type"\s*+:\s*+"function"\s*+,\s*+)?"name"\s*+:\s*+"[\w.-]++"\s*+,'
    r'\s*+"(?:arguments|parameters)"\s*+:\s*+\{',
}
"""Of families that have no dialect here, or beside it: spellings of calls; and what tells little
of its family, delimiters of turns and bare JSON."""

# fmt: off
SIGNS = (
    "<", '"name"', '"tool_name"', "Call: ", "```tool_", "functools[", ">>>", "to=functions",
    "assistant", "]~", "[e~[", "TOOL_", "_TOOLS]", "ARGS]", "CALL_ID]", "INST]", "THINK]",
    "FINAL RESPONSE]",
)
# fmt: on
"""What all markup has one of. Most answers have none, even those that hold code, and are done with
at once: the patterns of all families take a hundred times as long as these."""

_HONEST = re.compile(
    r"""
      \[ARGS\](?!\s*+\{)                      # as a program's usage spells it
    | \{[^{}]{0,200}"parameters"\s*+:\s*+     # the schema of a tool
      \{\s*+(?:"type"\s*+:\s*+"object"|"properties"|"\$schema")
    """,
    re.VERBOSE,
)
"""What only looks like markup."""

_SAMPLE_GOES_ON = re.compile(r"\{%|\{\{-?[ \t]*+\w|\(\.|\(\?|\(\[|\\s|\.[*+]|\[\^")
_SAMPLE_STOOD = re.compile(r"[.\]][*+]\??\)\Z")
"""What follows markup, or comes before it, in the source of a template or a regular expression."""

_LISTED = re.compile(r"(?:\A|\n)[ \t]*(?:[-*+\u2022]|\d{1,2}[.)])[ \t]+\Z")
_EXPLAINED = re.compile(r"[ \t]*+(?:[:=\u2013\u2014]|->|- )")
"""Around what is explained in a list."""

_NAMED = re.compile(r"\b(?:token|delimiter|tag|marker|separator)s?[ \t]\Z", re.IGNORECASE)
_TO_BE_NAMED = re.compile(r"[ \t](?:token|delimiter|tag|marker|separator)s?\b", re.IGNORECASE)
"""Around what is called by its name."""

_ALONE = re.compile(r"\s*+(?:(`{3,}+|~{3,}+)[ \t]*+[\w+.#-]*+[ \t]*+\n|(`{1,2}+)(?!`))")
"""The beginning of a reply that is one fence, or one piece of code, and nothing beside it."""

_PAIRS = {"</think>": "<think>", "</s>": "<s>"}
"""What closes something that was opened is no leak."""

_ENUMERATED = re.compile(r"[,;.!?](?:\s|\Z)")
"""What follows a word of a sentence, if a blank stands before it."""

_APART = frozenset({"()", "**", "__", "||"})
"""What sets a word apart, before it and behind it."""


class Leak(NamedTuple):
    """A piece of markup that stands in a text: what it is, whose it may be (names of dialects or,
    for what belongs to none, in words), and at which character it begins and has ended."""

    text: str
    families: tuple[str, ...]
    start: int
    end: int


@lru_cache(maxsize=8)  # several ask of one reply, one after the other
def leaks_in(text: str) -> Sequence[Leak]:
    """The markup in a reply's text that is not merely spoken of, in its order."""
    if not any(map(text.__contains__, SIGNS)) or not (found := markup_in(text)):
        return []
    if _all_a_call(text, found):
        return found  # by prompt that is how calls are spelled
    spoken = spoken_of(text)
    return [
        leak
        for leak in found
        if (end := spoken.end_around(leak.start)) is None or end < leak.end
        if not _set_apart(text, leak)
    ]


def family_of(leaks: Sequence[Leak]) -> str:
    """Whose markup leaked, for people: that of a call before that of a turn, and of several
    families the one that explains most of it. Of those that explain as much it is the one that
    has the fewest other delimiters: whose pattern is the shortest."""
    if all(leak.text.startswith("{") for leak in leaks):
        return _JSON  # as several families call, and many a model that was never told how
    known, counts = dialects.every(), _counted(leaks)
    calls = {name: count for name, count in counts.items() if name in known or name in _CALLS}
    likely = calls or counts
    alike = [name for name, count in likely.items() if count == max(likely.values())]
    spelled = {name: len(pattern.pattern) for name, pattern in patterns()}
    # In the order in which they were found: dialects, which know what they mean, come first.
    family = min(alike, key=lambda name: (name not in known, spelled[name]) if calls else 0)
    return known[family].family if family in known else family


def in_words(leaks: Sequence[Leak]) -> str:
    """What leaked first, whose it is, where, and how much more of it there is."""
    first = leaks[0]
    return (
        f"{one_line(first.text, 40)!r} ({family_of(leaks)}) at character {first.start}, "
        f"{len(leaks)} in all"
    )


def dialects_of(leaks: Sequence[Leak]) -> list[str]:
    """The names of the dialects whose markup leaked, the likeliest first."""
    known = dialects.every()
    return [name for name, _ in _counted(leaks).most_common() if name in known]


def _counted(leaks: Sequence[Leak]) -> Counter[str]:
    """How many leaks each family explains."""
    return Counter(family for leak in leaks for family in dict.fromkeys(leak.families))


def markup_in(text: str) -> list[Leak]:
    """Every piece of markup, spoken of or not; where several begin at one place, the longest, of
    all of them."""
    at: dict[int, tuple[int, list[str]]] = {}
    for family, pattern in patterns():
        for match in pattern.finditer(text):
            end, families = at.setdefault(match.start(), (match.end(), []))
            families.append(family)
            at[match.start()] = (max(end, match.end()), families)
    return list(_apart(text, at))


def _apart(text: str, at: dict[int, tuple[int, list[str]]]) -> Iterator[Leak]:
    """What was found, without what overlaps something before it or is none."""
    opened = {closing: text.find(opening) for closing, opening in _PAIRS.items()}
    last = 0
    for start in sorted(at):
        end, families = at[start]
        if start < last or end == start or _HONEST.match(text, start):
            continue
        if 0 <= opened.get(text[start:end].strip(), start) < start:
            continue
        last = end
        yield Leak(text[start:end], tuple(families), start, end)


def _all_a_call(text: str, found: Sequence[Leak]) -> bool:
    """Whether one fence, or what stands in one pair of backticks, is the whole reply and all of it
    is calls."""
    alone, text = _ALONE.match(text), text.rstrip()
    ticks = (alone[1] or alone[2]) if alone else ""
    if not alone or len(text) < alone.end() + len(ticks) or not text.endswith(ticks):
        return False
    inside = text[alone.end() : -len(ticks)]
    read = (dialects.load(name, name).parse(inside, 1) for name in dialects_of(found))
    return any(parsed.tool_calls and not parsed.text for parsed in read)


def _set_apart(text: str, leak: Leak) -> bool:
    """Whether what stands directly around it says that it is spoken of."""
    before, after = text[max(0, leak.start - 12) : leak.start], text[leak.end : leak.end + 12]
    return bool(
        before[-1:] + after[:1] in _APART
        or _SAMPLE_GOES_ON.match(after)
        or _SAMPLE_STOOD.search(before)
        or _NAMED.search(before)
        or _TO_BE_NAMED.match(after)
        or (_LISTED.search(before) and _EXPLAINED.match(after))
        or (before[-1:] in (" ", "\t") and _ENUMERATED.match(after))
    )


@cache
def patterns() -> tuple[tuple[str, re.Pattern[str]], ...]:
    """Each family's delimiters; of dialects first, which can tell what they mean."""
    theirs = [(name, re.compile(dialect.markup)) for name, dialect in dialects.every().items()]
    return (
        *theirs,
        *((name, re.compile(markup)) for name, markup in [*_CALLS.items(), *_OTHERS.items()]),
    )
