"""Whether three copies became one, and every public function gives what it gave.

Measured on syntax trees, where names, values and wording do not count, only the steps taken:
loops, branches, comparisons, arithmetic. What is run, in the sandbox only, is what was measured:
the package as it is written out from those trees.
"""

import ast
from collections.abc import Iterator
from random import Random
from typing import Any

from harness.answers import shortened
from harness.calls import Call, wrong_call
from harness.records import Check, Verdict
from harness.task import FinishedRun

COPY = 5
"""So many steps in a row of one function, taken twice, are a copy; the logic takes thirteen."""

SHARE = 0.65
"""Of the steps at the start, so many may be left. A copy told in other words takes as many steps:
with one of three left it is about half of them, with two about three quarters."""

LONG_TEXT = 40
"""Characters in a text that count as a step, as code may hide in it."""

MOST_CHARACTERS = 60_000
SECONDS = 5.0

BEGIN = "begin"
KINDS = {
    BEGIN: (ast.Module, ast.FunctionDef, ast.AsyncFunctionDef),
    "loop": (ast.For, ast.AsyncFor, ast.While, ast.comprehension),
    "branch": (ast.If, ast.IfExp, ast.match_case),
    "comparison": (ast.Compare,),
    "sum": (ast.Add, ast.Sub),
    "product": (ast.Mult, ast.Div, ast.FloorDiv, ast.Mod),
}

Trees = dict[str, ast.Module]
Pieces = list[tuple[int, int]]


def check(run: FinishedRun) -> Verdict:
    """Accept a package that holds its logic once, behaves as before, and was all that changed.

    What cannot be read is not measured, and a package that was led out of its folder is not run.
    """
    package, changed = f"{run.facts['package']}/", run.changed_files()
    ours = [path for path in changed if path.startswith(package) and path.endswith(".py")]
    ours = [path for path in ours if path in run.variant.files or run.read(path) is not None]
    strays = shortened(", ".join(sorted(set(changed) - set(ours)))) or None
    checks = [_check("only_the_package_changed", strays, "nothing else changed")]
    before = {path: run.pristine(path) for path in run.variant.files if path.startswith(package)}
    after = {path: text for path in {*before, *ours} if (text := run.read(path)) is not None}
    try:
        was, now = _trees(before), _trees(after)
        sources = {path: ast.unparse(tree) for path, tree in now.items()}
        "".join(sources.values()).encode()
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        wrong = f"the package cannot be read: {type(error).__name__}: {shortened(str(error))}"
        return Verdict(checks=(*checks, _check("behaves_as_before", wrong, "")))
    checks += [_no_copies(now), _fewer_steps(was, now)]
    if strays is None:
        answer = wrong_call(run, list(_calls(run.facts)), put=sources, seconds=SECONDS)
        checks.append(_check("behaves_as_before", answer, "every call is right"))
    return Verdict(checks=tuple(checks))


def _check(name: str, wrong: str | None, right: str) -> Check:
    return Check(name=name, passed=wrong is None, detail=wrong or right)


# --- what stands in the package ---------------------------------------------------------------


def _trees(texts: dict[str, str]) -> Trees:
    """The files as syntax trees, without docstrings."""
    if sum(len(path) + len(text) for path, text in texts.items()) > MOST_CHARACTERS:
        raise ValueError(f"it has more than {MOST_CHARACTERS} characters")
    trees = {path: ast.parse(texts[path]) for path in sorted(texts)}
    for tree in trees.values():
        for node in ast.walk(tree):
            holders = ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef
            if isinstance(node, holders) and ast.get_docstring(node, clean=False) is not None:
                node.body = node.body[1:] or [ast.Pass()]
    return trees


def _steps(trees: Trees) -> list[tuple[str, str]]:
    """Each step with its place, in order, and where functions begin."""
    kinds: dict[type, str] = {node: kind for kind, nodes in KINDS.items() for node in nodes}
    found = []
    for path, tree in trees.items():
        todo: list[tuple[ast.AST, int]] = [(tree, 1)]
        while todo:
            node, line = todo.pop()
            line = getattr(node, "lineno", line)
            todo.extend((child, line) for child in reversed(list(ast.iter_child_nodes(node))))
            place = f"{shortened(path)}:{line}"
            if isinstance(node, ast.Constant) and isinstance(node.value, str | bytes):
                found += [("text", place)] * (len(node.value) // LONG_TEXT)
            elif kind := kinds.get(type(node)):
                found.append((kind, place))
    return found


def _no_copies(trees: Trees) -> Check:
    steps, wrong = _steps(trees), None
    first: dict[tuple[str, ...], int] = {}
    for index in range(len(steps) - COPY + 1):
        row = tuple(kind for kind, _ in steps[index : index + COPY])
        if BEGIN not in row and index - first.setdefault(row, index) >= COPY:
            this, that = steps[index][1], steps[first[row]][1]
            wrong = f"from {this} on it does what it does from {that} on: {', '.join(row)}"
            break
    return _check("no_copies", wrong, f"no {COPY} steps in a row are taken twice")


def _fewer_steps(before: Trees, after: Trees) -> Check:
    was, now = (sum(kind != BEGIN for kind, _ in _steps(trees)) for trees in (before, after))
    most = int(was * SHARE)
    told = f"{now} loops, branches, comparisons, sums and products, of {was}; at most {most}"
    return Check(name="fewer_steps", passed=now <= most, detail=told)


# --- how it behaves ---------------------------------------------------------------------------


def _calls(facts: Any) -> Iterator[tuple[Call, Any]]:
    """The same calls every time, with what they must give; many pauses are just at the limit."""
    package, draw = facts["package"], Random(20260610)
    for m in facts["modules"]:
        function = f"{package}.{m['module']}:{m['function']}"
        for _ in range(80):
            pieces = _pieces(draw, *m["numbers"])
            yield Call(function, (pieces,)), _given(m, _periods(m, pieces))
    for minutes in range(0, 1440, 7):
        text = f"{minutes // 60}:{minutes % 60:02d}"
        yield Call(f"{package}.clock:to_text", (minutes,)), text
        yield Call(f"{package}.clock:to_minutes", (text,)), minutes


def _pieces(draw: Random, gap: int, step: int, minimum: int, long: int, rest: int) -> Pieces:
    pieces, now = [], draw.randint(0, 300)
    for _ in range(draw.randint(0, 6)):
        length = draw.choice([-7, 0, 1, step - 1, step, 2 * step, minimum, long - step, long, rest])
        pieces.append((now, now + length))
        now += max(length, 0) + draw.choice([-step, 0, gap - 1, gap, gap, gap + 1, 3 * gap])
    draw.shuffle(pieces)
    return pieces


def _periods(m: Any, pieces: Pieces) -> Pieces:
    """What is billed, as start and minutes. In whole minutes, every detail of a copy comes to a
    limit that lies one further, or to a minimum that is rounded as well."""
    gap, step, minimum, long, rest = m["numbers"]
    pause = gap - (m["detail"] == "joins")
    shortest = 0 if m["detail"] == "empty" else 1
    least = _rounded(minimum, step) if m["detail"] == "minimum" else minimum
    without_rest = long - (m["detail"] == "break")
    billed, todo = [], sorted(piece for piece in pieces if piece[1] - piece[0] >= shortest)
    while todo:
        start, end = todo.pop(0)
        while todo and todo[0][0] - end <= pause:
            end = max(end, todo.pop(0)[1])
        minutes = max(_rounded(end - start, step), least)
        billed.append((start, minutes - rest if minutes > without_rest else minutes))
    return billed


def _rounded(minutes: int, step: int) -> int:
    return minutes + -minutes % step


def _given(m: Any, periods: Pieces) -> Any:
    total = sum(minutes for _, minutes in periods)
    match m["use"]:
        case "charge":
            return total * m["rate"] // 60
        case "totals":
            return [len(periods), total]
        case "lines":
            return [f"{at // 60}:{at % 60:02d}, {minutes} minutes" for at, minutes in periods]
