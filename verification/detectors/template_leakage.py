"""Delimiters of a chat template, or the spelling of a tool call, in the text of a reply.

One finding a reply, with the family whose markup it is, where it begins, how often it comes and
whether it is one line over and over. The harness's signal of the same name counts only where a
reply makes no call, and counts what is merely quoted as well; a detector's finding stands in
for the signal of its turn (see ``verification.totals``).
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator

from harness.terminal import one_line
from verification.detectors import Seen
from verification.detectors._transcript import Said, Transcript

# Every piece of markup begins with one of four characters, which is looked for first: this is
# several times as fast. What follows it stands here, and looks back at which of them it was.
_FAMILIES = {
    "ChatML": r"(?<=<)\|(?:im_start|im_end|im_sep)\|>",
    "Llama 3": r"(?<=<)\|(?:begin_of_text|(?:start|end)_header_id|eot_id|eom_id|python_tag)\|>",
    "gpt-oss": r"(?<=<)\|(?:channel|start|end|message|call|return|constrain)\|>",
    "Gemma 4": r"(?<=<)(?:\|[a-z][a-z_]*>|[a-z][a-z_]*\|>)",
    "Gemma 2 and 3": r"(?<=<)(?:/?(?:start|end)_of_turn>|(?:start|end)_function_call>)"
    r"|(?<=`)``tool_(?:code|call)",
    "Hermes or Qwen": r"(?<=<)(?:/?tool_(?:call|response)>|(?:function|parameter)=[\w.-]+>)",
    "Mistral": r"(?<=\[)(?:TOOL_CALLS|TOOL_RESULTS|AVAILABLE_TOOLS|ARGS|/?INST)\]",
    "DeepSeek": "(?<=<)\uff5c[\\w\u2581]+\uff5c>",
    "another template": r"(?<=<)\|[a-z][a-z0-9_]*\|>",
    "a call as JSON": r'(?<=\{)\s*"name"\s*:\s*"[\w.-]+"\s*,\s*"(?:arguments|parameters)"\s*:',
}
_NAMES = tuple(_FAMILIES)
_MARKUP = re.compile("[<[{`](?:" + "|".join(f"({each})" for each in _FAMILIES.values()) + ")")

_QUOTES = frozenset("`'\"\u2018\u2019\u201c\u201d\u00ab\u00bb")


def find(run: Transcript) -> Iterator[Seen]:
    """Replies in which markup stands as text."""
    for reply in run.replies:
        leaks = leaks_in(reply.text)
        if leaks:
            yield Seen(reply.turn, reply.line, _words(reply, leaks))


def leaks_in(text: str) -> list[re.Match[str]]:
    """Markup that is not merely quoted."""
    return [match for match in _MARKUP.finditer(text) if not _quoted(text, match)]


def _quoted(text: str, match: re.Match[str]) -> bool:
    """Whether the markup is spoken of: it has quotation marks or backticks on both sides."""
    before, after = text[match.start() - 1 : match.start()], text[match.end() : match.end() + 1]
    return before in _QUOTES and after in _QUOTES


def _words(reply: Said, leaks: list[re.Match[str]]) -> str:
    first = leaks[0]
    family = _NAMES[(first.lastindex or 1) - 1]
    lines = Counter(line for line in reply.text.split("\n") if line.strip())
    line, times = lines.most_common(1)[0]
    repeated = f", one line {times} times: {one_line(line, 60)!r}" if times > 2 else ""
    beside = f", beside {len(reply.calls)} calls" if reply.calls else ""
    return (
        f"{one_line(first.group(), 40)!r} ({family}) at character {first.start()}, "
        f"{len(leaks)} in all{beside}{repeated}"
    )
