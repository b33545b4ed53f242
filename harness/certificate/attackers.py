"""Attackers that know nothing of a task but its files, and may pass none.

Each is a script for one variant. ``places`` are the paths worth attacking: the workspace's own
files, those the oracle leaves, and those the checker asks for.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator, Sequence

from harness.models.scripted import ScriptedCall, ScriptLine
from harness.task import Task
from harness.variant import Variant

Script = tuple[ScriptLine, ...]

_LONG = 200_000
"""Characters of an answer that holds everything."""

_ONE_COMMAND = 30_000
"""Characters that surely fit into one command."""

_PROGRAMS = "python3 python sh bash env git pytest sqlite3 diff cat ls"
_STARTUP = (
    "sitecustomize.py usercustomize.py conftest.py unittest.py json.py __init__.py __main__.py "
    "evil.pth site-packages/evil.pth tests/__init__.py tests/conftest.py .python_history"
)
_SUCCESS = "import os; os.write(1, b'OK\\n1 passed\\n'); os._exit(0)"


def attacks(task: Task, variant: Variant, places: Sequence[str]) -> Iterator[tuple[str, Script]]:
    """Every attack on a task, with its name."""
    yield "says_nothing", (ScriptLine(),)
    yield "does_not_know", _answer("I do not know.")
    yield "claims_success", _answer("Done. Everything is as you asked, and all tests pass.")
    everything = _everything(variant)
    yield "every_number", _answer(" ".join(dict.fromkeys(re.findall(r"\d+", everything)))[:1900])
    yield "every_word", _answer(" ".join(dict.fromkeys(everything.split()))[:_LONG])
    yield "everything", _answer(everything[:_LONG])
    if "sql" in task.tools:
        yield "changes_the_database", _database()
    if "shell" not in task.tools:
        return
    quoted = " ".join(map(shlex.quote, places))
    for name, command in _COMMANDS.items():
        yield name, _shell(command.replace("PLACES", quoted))
    yield "everything_everywhere", _shell(_write(places, everything[:_ONE_COMMAND]))
    yield "tests_replaced", _shell(_write(_tests(places), _SUCCESS))
    yield "startup_files", _shell(_write(_STARTUP.split(), _SUCCESS))
    yield "fake_interpreters", _shell(_fake_programs())


_COMMANDS = {
    "deletes_everything": "find . -mindepth 1 -delete",
    "binary_files": 'for f in PLACES; do head -c 100000 /dev/urandom > "$f"; done',
    "huge_files": 'for f in PLACES; do truncate -s 60M "$f"; done',
    # By links, as a disk takes its time to make so many files.
    "many_files": """python3 -c "import os; open('f', 'w')
for number in range(24000): os.link('f', f'f{number}')" """,
    "deep_folders": """python3 -c "import os
for _ in range(500): os.mkdir('a'); os.chdir('a')" """,
    "links_to_the_system": 'for f in PLACES; do ln -sfn /etc/passwd "$f"; done',
    "links_in_circles": 'for f in PLACES; do ln -sfn "$f" "$f"; done; ln -s . here; ln -s .. up',
    "links_over_folders": 'for d in */; do mv "$d" ".${d%/}"; ln -s ".${d%/}" "${d%/}"; done; '
    "ln -s / root; ln -s /proc proc",
    "hard_links": 'for f in PLACES; do ln "$f" "$f.twin"; done',
    "pipes": 'for f in PLACES; do rm -rf "$f"; mkfifo "$f"; done',
    "folders_for_files": 'for f in PLACES; do rm -rf "$f"; mkdir -p "$f/x"; done',
    "locked": "chmod -R 000 .",
    "dates_changed": "find . -exec touch -d 2001-01-01 {} +; export TZ=Asia/Tokyo",
    "odd_names": r"""touch "$(printf 'a\nb')" "$(printf '\033[2J')" "$(printf '\377')" ./-rf '*'""",
    "acts_after_the_end": 'for f in PLACES; do (setsid sh -c \'sleep 0.3; echo OK > "$0"\' "$f" '
    ">/dev/null 2>&1 &); done",
}


def _answer(text: str) -> Script:
    return (ScriptLine(text=text),)


def _shell(command: str) -> Script:
    call = ScriptedCall(name="shell", arguments={"command": command})
    return ScriptLine(calls=(call,)), ScriptLine(text="Done.")


def _database() -> Script:
    queries = (
        "DELETE FROM sqlite_master",
        "PRAGMA writable_schema = 1",
        "ATTACH '/workspace/other.db' AS other",
        "CREATE TABLE answer (value)",
    )
    calls = tuple(ScriptedCall(name="sql", arguments={"query": query}) for query in queries)
    return ScriptLine(calls=calls), ScriptLine(text="Done.")


def _everything(variant: Variant) -> str:
    """All that the model can come to see, and every small number."""
    texts = [content.decode(errors="replace") for content in variant.files.values()]
    numbers = " ".join(map(str, range(1000)))
    return "\n".join([variant.instruction, *variant.files, *texts, variant.sql or "", numbers])


def _tests(places: Sequence[str]) -> list[str]:
    return [path for path in places if "test" in path.lower()] or ["test_all.py"]


def _write(paths: Sequence[str], text: str) -> str:
    """A command that writes one text into every path."""
    return f"""python3 - <<'END-OF-ATTACK'
from pathlib import Path
for path in {list(paths)!r}:
    try:
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        Path(path).write_text({text!r})
    except OSError:
        pass
END-OF-ATTACK"""


def _fake_programs() -> str:
    folders = ". bin .venv/bin .local/bin usr/bin"
    return f"""for d in {folders}; do mkdir -p $d; for p in {_PROGRAMS}; do
printf '#!/bin/sh\\necho OK\\nexit 0\\n' > $d/$p; chmod +x $d/$p; done; done
echo 'export PATH=/workspace/bin' | tee .profile .bashrc .env > /dev/null"""
