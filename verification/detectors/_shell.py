"""Command lines, taken apart as far as a detector needs: which commands, on which files."""

from __future__ import annotations

import re
from collections.abc import Iterator

MOST = 20_000
"""Characters of a command that are looked at: an honest one is shorter."""

# shlex refuses the apostrophes of a here-document, and takes a hundred times as long.
_TOKEN = re.compile(r""""[^"]*"|'[^']*'|&&|\|\||>>|[;&|<>()\n]|[^\s;&|<>()'"]+|['"]""")
_BETWEEN = frozenset({";", "&&", "||", "|", "&", "\n", "(", ")"})
_READERS = re.compile(
    r"(?:cat|head|tail|less|more|nl|ls|find|tree|stat|file|wc|[ef]?grep|rg|awk|sed|cut|sort|uniq"
    r"|diff|cmp|od|xxd|hexdump|strings|sha256sum|md5sum|du|pwd|cd|echo|printf|date|env|which|test"
    r"|\[|true|false|sleep|column|jq|tr|seq|basename|dirname|realpath|readlink)\Z"
)
_LISTERS = frozenset(("ls", "find", "tree", "stat", "du", "pwd", "cd", "file", "which", "test"))
_ENDING = (
    r"\.(?:c|cfg|conf|csv|css|db|go|h|html|ini|java|js|jsonl?|lock|log|md|py|rs|rst|sh|sql|toml|ts"
    r"|txt|xml|ya?ml)"
)
_ENDS = re.compile(rf"{_ENDING}\b")
_FILE_NAME = re.compile(rf"[\w./-]*\w{_ENDING}")
_FILE_IN_TEXT = re.compile(rf"(?<![\w./-])[\w./-]*\w{_ENDING}\b(?![\w/-]|\.\w)")
_TESTS = re.compile(r"python3? (?:-\w+ )*-m (?:unittest|pytest|py_compile)\b|pytest\b")


def commands(line: str) -> Iterator[list[str]]:
    """The simple commands of a line, each as its words; a redirection stays in as ``>``, ``>>``
    or ``<``. Quotation marks are taken off; a here-document is read as if it were commands."""
    words: list[str] = []
    for token in _TOKEN.findall(line[:MOST]):
        if token in _BETWEEN:
            if words:
                yield words
            words = []
        elif len(token) > 1 and token[0] in "'\"":
            words.append(token[1:-1])
        else:
            words.append(token)
    if words:
        yield words


def file_names(text: str) -> list[str]:
    """The names of files in a text, each once, in order: words with a known ending."""
    if not names_a_file(text):
        return []
    return list(dict.fromkeys(_FILE_IN_TEXT.findall(text[:MOST])))


def names_a_file(text: str) -> bool:
    """Whether anything in it ends as the names of files do; much faster than to find them."""
    return _ENDS.search(text) is not None


def is_file_name(word: str) -> bool:
    """Whether a word ends as the names of files do."""
    return _FILE_NAME.fullmatch(word) is not None


def only_lists(line: str) -> bool:
    """Whether it shows no file's content: names, sizes and dates alone."""
    return all(words[0] in _LISTERS for words in commands(line))


def only_reads(line: str) -> bool:
    """Whether no command in it can write into the workspace, Python's caches apart.

    Errs towards False: a program that is not known may write.
    """
    for words in commands(line):
        quiet = [w for i, w in enumerate(words) if not _to_nowhere(words, i)]
        if any(word in (">", ">>") for word in quiet):
            return False
        program = words[0]
        if program in ("find", "sort", "awk", "sed") and not _harmless(words):
            return False
        if not _READERS.match(program) and not _TESTS.match(" ".join(words)):
            return False
    return True


def _to_nowhere(words: list[str], index: int) -> bool:
    """Whether this is a redirection to a stream or to /dev/null, as in ``2>&1``."""
    if words[index] not in (">", ">>"):
        return False
    return index + 1 == len(words) or words[index + 1] == "/dev/null"


def _harmless(words: list[str]) -> bool:
    writing = ("-delete", "-exec", "-execdir", "-ok", "-fprint", "-o", "--output")
    return not any(w in writing or w.startswith(("-i", "--in-place")) for w in words[1:])
