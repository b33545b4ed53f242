"""The author's prose, notes.md: its citations become the cells they name, and a number that no
cell proves is found.

    The model passed {{ pass_rate_by_task[(all)].effective | k_of_n }} of its own runs.
    It needs {{ source("7.5 GB", "https://example.org/model-card") }} of memory.

What a citation can say is in ``verification.citations``. ``source`` is for facts that are in no
CSV: they are printed with a footnote. docs/claims.md tells authors what counts as a number.

The notes are read as CommonMark by markdown-it-py, so that what counts is what a reader sees: a
number is found in spite of markup or entities inside it, and code is left alone.
"""

from __future__ import annotations

import difflib
import html
import re
import unicodedata
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from itertools import zip_longest

from markdown_it import MarkdownIt
from markdown_it.token import Token

from harness.errors import BadInput
from harness.records import Plan
from harness.store import Manifest
from harness.terminal import one_line
from verification.citations import SHAPE, Sheets
from verification.exhibit import escaped
from verification.tables import Table

_PLACE = 0xF0000
"""The first character of a private plane of Unicode: one stands for each citation, so that the
Markdown around it can be read as if it were a word."""
_PLACES = re.compile("[\U000f0000-\U000fffff]")

_CITATION = re.compile(r"\{\{([^{}\n]*)\}\}")
_SOURCE = re.compile(r'source *\( *"([^"]*)" *, *"([^"]*)" *\)')
_STRAY = re.compile(r"\{\{|\{%|\{#")
_FOOTNOTE = re.compile(r"^ {0,3}(\[\^[^\]\s]+\]):", re.MULTILINE)
_ADDRESS = re.compile(r"https?://[^\s<>()]+")
_TAGS = re.compile(r"<!--.*?-->|<[^<>]*>", re.DOTALL)

_NUMBER = re.compile(r"[^\s\u2014|]*\d[^\s\u2014|]*")
_AROUND = "([{<\"'\u2018\u2019\u201c\u201d>}]).,;:!?*_~^"
"""Punctuation that may stand around a number and is no part of it."""

MOST_COMPARED = 1_000_000
"""Lines on disk times lines derived, up to which the two are aligned; that takes a second."""

_WORD = (
    "(?:one|two|three|four|five|six|seven|eight|nine|ten|eleven|twelve|thirteen|fourteen|fifteen|"
    "sixteen|seventeen|eighteen|nineteen|twenty|thirty|forty|fifty|sixty|seventy|eighty|ninety|"
    "zero|none|half|dozens?|hundreds?|thousands?)"
)
_SPELLED = rf"{_WORD}(?:[-\s]+(?:and\s+)?{_WORD}){{0,5}}"
_PART = "(?:hal[fv]e?|third|quarter|fourth|fifth|sixth|seventh|eighth|ninth|tenth)"
_MODELS = r"(?:(?:the|its|these|those|all|both)\s+)*models?\b"
_COUNTED = r"(?:runs|tasks|passes|failures)\b"
_DID = r"(?:pass(?:es|ed)?|fail(?:s|ed)?)\b"
_IN_WORDS = re.compile(
    # Of how many, and per cent.
    rf"\b{_SPELLED}\s+(?:(?:out\s+of|of|in)\s+(?:(?:the|all|its)\s+)?{_SPELLED}\b(?!\s+models)|"
    r"per\s?cent\b)"
    # Two thirds, a third of.
    rf"|\b{_SPELLED}[-\s]+{_PART}s\b|\b(?:a|one)[-\s]+{_PART}\b(?=\s+(?:of\b(?!\s+{_MODELS})|{_DID}))"
    # Three of its own; one and none of them may be said of anything.
    rf"|\b(?!(?:one|none)\b){_SPELLED}(?=\s+of\b(?!\s+{_MODELS}))"
    rf"|\b(?:one|none)\s+of(?:\s+(?!models?\b)[\w'\u2019-]+){{0,2}}\s+{_COUNTED}"
    # Twenty-two planned runs, one run, none passed.
    rf"|\b(?!(?:one|none)\b){_SPELLED}(?:\s+(?:the|its|these|those|all))?"
    rf"(?:\s+(?!(?:models?|of)\b)[\w'\u2019-]+){{0,2}}\s+{_COUNTED}"
    r"|\bone\s+(?:(?:more|other|single|planned|own|such)\s+)?(?:run|task|pass|failure)\b"
    rf"|\b{_SPELLED}\s+(?:(?:have|has|had|were|was)\s+)?{_DID}"
    # Passed twenty-two, a score of ninety.
    rf"|\b(?:{_DID}|scor(?:es?|ed)\b(?:\s+(?:of|is|was))?)\s+(?:all\s+)?{_SPELLED}\b(?!\s+models?)",
    re.IGNORECASE,
)
"""Number words that say how many: of runs, tasks, passes and failures, of a score, or out of
others. Elsewhere they are prose, as in "the two models"."""


@dataclass(frozen=True)
class Unproved:
    """A number in the prose that no citation stands behind. ``line`` counts from 1;
    ``suggestion`` is a citation that would give the same words, where there is one."""

    line: int
    number: str
    suggestion: str | None

    def __str__(self) -> str:
        number = one_line(self.number, 60)
        if self.suggestion:
            return f'"{number}" cites no cell; write {self.suggestion}'
        quoted = number.replace('"', "'")
        return (
            f'"{number}" is proved by no cell: correct it and cite one, or say where it is from: '
            f'{{{{ source("{quoted}", "...") }}}}'
        )


def prose(text: str, tables: Sequence[Table], where: str) -> str:
    """Markdown with its citations replaced by values, each linked to the CSV it is from, and its
    sources as footnotes. Code is left as it is.

    Raises BadInput that opens with ``where`` and the line for a citation that names no cell, and
    for anything else in double braces.
    """
    marked, citations = _marked(text, where)
    _refuse_strays(marked, where)
    literal = set(_PLACES.findall("".join(_code(marked))))
    sheets = Sheets(tables)
    sources: list[str] = []

    def replaced(place: re.Match[str]) -> str:
        citation, line = citations[ord(place[0]) - _PLACE]
        if place[0] in literal:
            return f"{{{{{citation}}}}}"
        try:
            return _replacement(citation.strip(), sheets, sources)
        except BadInput as error:
            raise BadInput(f"{where}:{line}: '{one_line(citation.strip(), 80)}': {error}") from None

    body = _PLACES.sub(replaced, marked).rstrip("\n")
    notes = [f"[^source-{n}]: {source}" for n, source in enumerate(sources, start=1)]
    return "\n".join([body, *(["", *notes] if notes else [])]) + "\n"


def unproved(text: str, tables: Sequence[Table], known: Collection[str]) -> list[Unproved]:
    """Every number in Markdown prose that is neither cited nor inside a name in ``known``, code,
    an address or a footnote's mark. Citations are not looked into; ``prose`` does that."""
    marked, _ = _marked(text, "notes")
    names = _names(known)
    sheets = Sheets(tables)
    found = []

    def nameless(words: str) -> str:
        rest = _ADDRESS.sub(" ", _PLACES.sub(" ", words))
        for name in names:
            rest = name.sub(" ", rest)
        return rest

    visible = [(*line, nameless(line[1])) for line in _visible(marked)]
    for (line, words, paragraph, rest), after in zip_longest(visible, visible[1:]):
        following = after[3] if after and after[0] == line + 1 and after[2] == paragraph else ""
        for number in _numbers(rest, following):
            suggestion = sheets.suggest(number.removesuffix("s"), words, paragraph)
            found.append(Unproved(line, number, suggestion))
    return found


def known_names(plan: Plan, manifest: Manifest | None) -> set[str]:
    """The names of a campaign that numbers may be part of: its own, its suite's, those of its
    models and its tasks and, where there is a manifest, its models' files."""
    names = {plan.campaign, plan.suite, *plan.models, *plan.tasks}
    for model in manifest.models if manifest else ():
        for key in ("path", "model"):
            if isinstance(value := model.settings.get(key), str):
                names.add(value.rpartition("/")[2])
    return names


def differences(on_disk: str, derived: str) -> list[str]:
    """What differs between a file and what the evidence gives anew, a sentence a line: its
    number, and both texts from the first character that differs. None where all is the same."""
    old, new = on_disk.splitlines(), derived.splitlines()
    head = _alike(old, new)
    tail = _alike(old[head:][::-1], new[head:][::-1])
    changes = _changes(old[head : len(old) - tail], new[head : len(new) - tail])
    found = [f"{head + place + 1}: {_both(mine, theirs)}" for place, mine, theirs in changes]
    if not found and on_disk != derived:
        found.append(f"{len(old)}: the line ends differ")
    return found


def _alike(old: Sequence[str], new: Sequence[str]) -> int:
    """How many lines two texts begin with alike."""
    pairs = enumerate(zip(old, new, strict=False))
    return next((n for n, (one, other) in pairs if one != other), min(len(old), len(new)))


def _changes(
    old: Sequence[str], new: Sequence[str]
) -> Iterator[tuple[int, str | None, str | None]]:
    """Each line that is not the same: its place in ``old``, from 0, and both; None where one text
    has no such line. Long texts are not aligned but held against each other line by line."""
    blocks: Sequence[tuple[str, int, int, int, int]] = [("replace", 0, len(old), 0, len(new))]
    if len(old) * len(new) <= MOST_COMPARED:
        blocks = difflib.SequenceMatcher(None, old, new, autojunk=False).get_opcodes()
    for kind, start, end, low, high in blocks:
        pairs = zip_longest(old[start:end], new[low:high])
        for place, (mine, theirs) in enumerate(pairs, start):
            if kind != "equal" and mine != theirs:
                yield place, mine, theirs


def _both(mine: str | None, theirs: str | None) -> str:
    if mine is None:
        return f'missing, derived: "{one_line(theirs or "", 80)}"'
    if theirs is None:
        return f'not derived: "{one_line(mine, 80)}"'
    words, others = mine.split(" "), theirs.split(" ")
    same = next(
        (n for n, pair in enumerate(zip(words, others, strict=False)) if pair[0] != pair[1]),
        min(len(words), len(others)),
    )
    one, other = (one_line(" ".join(each[same:]), 80) for each in (words, others))
    return f'"{one}" on disk, "{other}" derived'


def _marked(text: str, where: str) -> tuple[str, list[tuple[str, int]]]:
    """The text with a private character in place of each citation, and the citations with their
    lines."""
    if stray := _PLACES.search(text):
        raise BadInput(
            f"{where}:{_line(text, stray.start())}: has a private character of Unicode "
            f"(U+{ord(stray[0]):X}); take it out"
        )
    citations: list[tuple[str, int]] = []

    def mark(match: re.Match[str]) -> str:
        citations.append((match[1], _line(text, match.start())))
        return chr(_PLACE + len(citations) - 1)

    return _CITATION.sub(mark, text), citations


def _line(text: str, place: int) -> int:
    return text.count("\n", 0, place) + 1


def _parsed(marked: str) -> list[Token]:
    # CommonMark has no footnotes; the words of one are prose, its marks are none.
    marks = set(_FOOTNOTE.findall(marked))
    words = _FOOTNOTE.sub("", marked)
    for mark in marks:
        words = words.replace(mark, "")
    return MarkdownIt("commonmark").enable("table").parse(words)


def _code(marked: str) -> Iterator[str]:
    for token in _parsed(marked):
        if token.type in ("fence", "code_block"):
            yield token.content
        for child in token.children or ():
            if child.type == "code_inline":
                yield child.content


def _refuse_strays(marked: str, where: str) -> None:
    """Raise BadInput for braces that begin no citation: a statement, or one that never ends."""
    for line, words, _ in _visible(marked):
        if stray := _STRAY.search(words):
            raise BadInput(
                f"{where}:{line}: '{one_line(words[stray.start() :], 60)}': no citation; "
                f"write {SHAPE}, or put it in backquotes"
            )


def _visible(marked: str) -> Iterator[tuple[int, str, str]]:
    """The words that a reader of Markdown sees, line by line, without code: each line's number,
    from 1, its words, and the whole paragraph, or row of a table, as it is in the source."""
    source = marked.split("\n")
    for token in _parsed(marked):
        if token.type == "html_block":
            # A tag may go over several lines; each line feed in it stays where it was.
            bare = _TAGS.sub(lambda tag: "\n" * tag[0].count("\n"), token.content)
            words = html.unescape(bare)
        elif token.type == "inline":
            words = "".join(_inline(token.children or ()))
        else:
            continue
        first, end = token.map or (0, 1)
        paragraph = "\n".join(source[first:end])
        for number, line in enumerate(words.split("\n"), start=first + 1):
            yield number, line, paragraph


def _inline(children: Sequence[Token]) -> Iterator[str]:
    for child in children:
        if child.type == "text":
            yield child.content
        elif child.type in ("softbreak", "hardbreak"):
            yield "\n"
        elif child.type == "code_inline":
            yield " "
        elif child.type == "image":
            yield from _inline(child.children or ())
        elif child.type == "html_inline":
            yield "\n" * child.content.count("\n")
        if title := child.attrs.get("title"):
            yield f" {title} "


def _names(known: Collection[str]) -> list[re.Pattern[str]]:
    """Patterns of the names that hold a letter and a digit, longest first.

    A name may be written with spaces for its hyphens, and be cut after any word from its first
    number on; a word of letters and digits, such as 12B, may stand alone. A name that begins with
    a digit, such as a dated campaign's, has to be whole.
    """
    split = [re.findall(r"[^\W_]+", name) for name in sorted(known, key=len, reverse=True)]
    split = [
        words for words in split if any(map(_has_digit, words)) and not "".join(words).isdigit()
    ]
    mixed = {word for words in split for word in words if _has_digit(word) and not word.isdigit()}
    patterns = [*map(_name, split), *map(re.escape, sorted(mixed))]
    return [re.compile(rf"(?<![^\W_]){one}(?![^\W_])", re.IGNORECASE) for one in patterns]


def _name(words: Sequence[str]) -> str:
    """The pattern of one name; task_05 is also "task 5"."""
    between = "[-_ ./:]?"
    parts = [rf"0*{int(word)}" if word.isdecimal() else re.escape(word) for word in words]
    least = 1 + next(n for n, word in enumerate(words) if _has_digit(word))
    if words[0][0].isdecimal():
        least = len(words)
    rest = parts[least:]
    return (
        between.join(parts[:least]) + "".join(f"(?:{between}{w}" for w in rest) + ")?" * len(rest)
    )


def _has_digit(word: str) -> bool:
    return any(map(str.isdecimal, word))


def _numbers(words: str, following: str = "") -> Iterator[str]:
    """The numbers in a line, as they are written: whatever stands between spaces and holds a
    digit of any script, a fraction or a Roman numeral's own character; and what is in words."""
    shadow = "".join("0" if unicodedata.category(c).startswith("N") else c for c in words)
    for match in _NUMBER.finditer(shadow):
        yield words[match.start() : match.end()].strip(_AROUND)
    for match in _IN_WORDS.finditer(f"{words} {following}"):
        if match.start() < len(words):
            yield match[0]


def _replacement(citation: str, sheets: Sheets, sources: list[str]) -> str:
    if source := _SOURCE.fullmatch(citation):
        fact, origin = source[1], source[2]
        if not fact.strip() or not origin.strip():
            raise BadInput('write source("the fact", "where it is from")')
        if origin not in sources:
            sources.append(origin)
        return f"{escaped(fact)}[^source-{sources.index(origin) + 1}]"
    cell, how = sheets.cite(citation)
    return f"[{escaped(sheets.words(cell, how))}](verification/{cell.table}.csv)"
