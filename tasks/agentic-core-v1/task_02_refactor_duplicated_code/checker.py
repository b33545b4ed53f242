"""Whether three copies became one, and every public function gives what it gave.

Measured on syntax trees, where names, values and wording do not count, only the steps taken. What
each of the three functions needs, and the other two do not, must be little, wherever it stands.
What is called, in the sandbox only, is what was measured: the package as it is written out from
those trees.
"""

import ast
from collections.abc import Iterable, Iterator
from functools import cached_property
from itertools import combinations
from random import Random
from typing import Any, NamedTuple

from harness.answers import shortened
from harness.calls import Call, failed_tests, wrong_call
from harness.records import Check, Verdict
from harness.task import FinishedRun

COPY = 5
"""So many steps in a row of one function, taken twice, are a copy; the logic takes thirteen."""

OWN = 5
"""So many operations each module may have beyond what was always its own, to use what is shared
and for its detail. The logic takes about forty."""

MOST_CHARACTERS = 60_000
CHARACTERS, VALUES = 40, 12
"""So much text, and so many values, count as an operation, as anything could hide in them."""

BEGIN = "begin"
KINDS = {
    BEGIN: (ast.Module, ast.FunctionDef, ast.AsyncFunctionDef),
    "loop": (ast.For, ast.AsyncFor, ast.While, ast.comprehension),
    "branch": (ast.If, ast.IfExp, ast.match_case),
    "comparison": (ast.Compare,),
    "sum": (ast.Add, ast.Sub),
    "product": (ast.Mult, ast.Div, ast.FloorDiv, ast.Mod),
}
OPERATIONS = (
    *(ast.Call, ast.Compare, ast.BinOp, ast.BoolOp, ast.UnaryOp, ast.AugAssign, ast.Subscript),
    *(ast.For, ast.AsyncFor, ast.While, ast.comprehension, ast.If, ast.IfExp, ast.match_case),
    *(ast.Try, ast.TryStar, ast.With, ast.AsyncWith, ast.Delete, ast.Assert, ast.Raise),
    *(ast.Yield, ast.YieldFrom, ast.Await, ast.NamedExpr, ast.Starred, ast.Slice),
)

# What the instruction allows, and what it forbids: by another way in, data could become code.
LIBRARY = """
__future__ abc bisect collections copy dataclasses datetime enum functools heapq itertools math
operator typing
"""
FORBIDDEN = """
exec eval compile getattr setattr delattr globals locals vars attrgetter methodcaller builtins sys
get_type_hints ForwardRef _evaluate __import__ __builtins__ __dict__ __globals__ __code__
__subclasses__ __getattribute__ __loader__ __spec__ f_globals f_locals f_builtins
"""

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
        own = _own_only(run.facts, was, now)
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        wrong = f"the package cannot be read: {type(error).__name__}: {shortened(str(error))}"
        return Verdict(checks=(*checks, _check("behaves_as_before", wrong, "")))
    checks += [_plain_code(run.facts["package"], now), _no_copies(now), own]
    if strays is None:
        tests = {path: run.pristine(path) for path in run.variant.files if path not in before}
        failed = failed_tests(run, put=tests | sources)
        checks.append(_check("tests_pass", failed, "every test passes"))
        answer = wrong_call(run, list(_calls(run.facts)), put=sources)
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


def _plain_code(package: str, trees: Trees) -> Check:
    allowed, forbidden, wrong = {package, *LIBRARY.split()}, FORBIDDEN.split(), None
    for path, tree in trees.items():
        for node in ast.walk(tree):
            used = {name for name in _identifiers(node) if name in forbidden}
            used |= {name for name in _modules(node) if name.split(".")[0] not in allowed}
            if used:
                place = f"{shortened(path)}:{getattr(node, 'lineno', 1)}"
                wrong = f"{place} uses {shortened(', '.join(sorted(used)))}"
    return _check("plain_code", wrong, "nothing is executed but what can be read")


def _identifiers(node: ast.AST) -> list[str]:
    match node:
        case ast.Name():
            return [node.id]
        case ast.Attribute():
            return [node.attr]
        case ast.alias():
            return node.name.split(".")
        case ast.MatchClass():
            return node.kwd_attrs
    return []


def _modules(node: ast.AST) -> list[str]:
    match node:
        case ast.Import():
            return [alias.name for alias in node.names]
        case ast.ImportFrom(level=0):
            return [node.module or ""]
    return []


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
            if kind := kinds.get(type(node)):
                found.append((kind, f"{shortened(path)}:{line}"))
    return found


# --- what each module keeps for itself --------------------------------------------------------


def _own_only(facts: Any, before: Trees, after: Trees) -> Check:
    """What one of the three functions needs alone, and what nothing needs, is little."""
    bare = {m["path"]: m["head"] + m["return"] for m in facts["modules"]}
    least, most = _alone(facts, before | _trees(bare)), _alone(facts, after)
    for name, operations in most.items():
        allowed = least[name] + OWN
        if operations > allowed:
            wrong = f"{name} has {operations} operations of its own, at most {allowed} are allowed"
            return _check("own_only", wrong, "")
    return _check("own_only", None, "each of the three keeps only what is its own")


def _alone(facts: Any, trees: Trees) -> dict[str, int]:
    """How many operations each of the three functions has for itself, and how many are unused."""
    package = Package(trees)
    needs = {m["path"]: package.needed(m["path"], m["function"]) for m in facts["modules"]}
    shared = set[int]().union(*(one & other for one, other in combinations(needs.values(), 2)))
    unused = set(range(len(package.parts))).difference(*needs.values())
    alone = {path: needed - shared for path, needed in needs.items()} | {"what is unused": unused}
    return {name: _size(package.parts[index] for index in each) for name, each in alone.items()}


def _size(parts: Iterable["Part"]) -> int:
    nodes = [node for part in parts for root in part.roots for node in ast.walk(root)]
    values = [node.value for node in nodes if isinstance(node, ast.Constant)]
    text = sum(len(value) for value in values if isinstance(value, str | bytes))
    operations = sum(isinstance(node, OPERATIONS) for node in nodes)
    return operations + text // CHARACTERS + len(values) // VALUES


class Part(NamedTuple):
    """A statement at the top of a module, a method, or what is left of a class without them."""

    path: str
    names: frozenset[str]
    roots: list[ast.AST]
    inside: int | None
    """The class that it is a method of."""


class Package:
    """The parts of a package, and which of them need which."""

    def __init__(self, trees: Trees) -> None:
        self.parts: list[Part] = []
        self._trees = trees
        for path, tree in trees.items():
            for statement in tree.body:
                if not isinstance(statement, ast.Import | ast.ImportFrom):
                    self._add(path, statement)

    def _add(self, path: str, node: ast.stmt) -> None:
        if not isinstance(node, ast.ClassDef):
            self.parts.append(Part(path, frozenset(_bound(node)), [node], None))
            return
        functions = ast.FunctionDef | ast.AsyncFunctionDef
        methods = [each for each in node.body if isinstance(each, functions)]
        rest: list[ast.AST] = [*node.bases, *node.keywords, *node.decorator_list]
        rest += [each for each in node.body if each not in methods]
        self.parts.append(Part(path, frozenset({node.name}), rest, None))
        here = len(self.parts) - 1
        self.parts += [Part(path, frozenset({each.name}), [each], here) for each in methods]

    def needed(self, path: str, function: str) -> set[int]:
        """The parts that a function needs: by name, the methods it may call, and so on."""
        found, attributes = set[int](), set[str]()
        # What binds no name is done when the module is imported.
        todo = [n for n, part in enumerate(self.parts) if part.path == path and not part.names]
        todo += self._meant(path, (function,), set())
        while todo:
            index = todo.pop()
            if index in found:
                continue
            found.add(index)
            part = self.parts[index]
            for node in (node for root in part.roots for node in ast.walk(root)):
                if isinstance(node, ast.Attribute):
                    attributes.add(node.attr)
                if chain := _chain(node):
                    todo += self._meant(part.path, chain, set())
            todo += [
                method
                for method, one in enumerate(self.parts)
                if one.inside in found
                and any(name in attributes or name.startswith("__") for name in one.names)
            ]
        return found

    def _meant(self, path: str, chain: tuple[str, ...], seen: set[Any]) -> list[int]:
        """The parts that a name in a module means, or a name after others and dots."""
        if (path, chain) in seen or path not in self._trees:
            return []
        seen.add((path, chain))
        name, rest = chain[0], chain[1:]
        found = [
            index
            for index, part in enumerate(self.parts)
            if part.inside is None and part.path == path and name in part.names
        ]
        for bound, module, original in self._imports[path]:
            if original == "*":
                found += self._meant(module, chain, seen)
            elif bound == name and original:
                found += self._meant(module, (original, *rest), seen)
            elif bound == name and rest:
                found += self._meant(module, rest, seen)
        if rest and (below := self._module(path, name)):
            found += self._meant(below, rest, seen)
        return found

    @cached_property
    def _imports(self) -> dict[str, list[tuple[str, str, str]]]:
        """For each module what it imports: the name it has there, the module it is from, and its
        name in that one, which is empty for a module itself."""
        found: dict[str, list[tuple[str, str, str]]] = {path: [] for path in self._trees}
        for path, tree in self._trees.items():
            for node in ast.walk(tree):
                if isinstance(node, ast.Import):
                    for alias in node.names:
                        whole = alias.name if alias.asname else alias.name.split(".")[0]
                        found[path].append((alias.asname or whole, _file(self._trees, whole), ""))
                elif isinstance(node, ast.ImportFrom):
                    above = path.split("/")[: -node.level] if node.level else []
                    module = ".".join([*above, *filter(None, [node.module])])
                    for alias in node.names:
                        bound, file = alias.asname or alias.name, _file(self._trees, module)
                        found[path].append((bound, file, alias.name))
                        below = _file(self._trees, f"{module}.{alias.name}")
                        found[path].append((bound, below, ""))
        return found

    def _module(self, path: str, name: str) -> str:
        """A module below a package, given the package's own file."""
        return _file(self._trees, path.removesuffix("/__init__.py").replace("/", ".") + f".{name}")


def _file(trees: Trees, module: str) -> str:
    """The file of a module; empty where it is not in the package."""
    path = module.replace(".", "/")
    return next((file for file in (f"{path}.py", f"{path}/__init__.py") if file in trees), "")


def _bound(statement: ast.stmt) -> Iterator[str]:
    """The names that a statement at the top of a module gives something to."""
    if isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef):
        yield statement.name
        return
    for node in ast.walk(statement):
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            yield node.id
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            yield node.name


def _chain(node: ast.AST) -> tuple[str, ...]:
    """``("a", "b", "c")`` for ``a.b.c``; empty for what is no name."""
    names: list[str] = []
    while isinstance(node, ast.Attribute):
        names.insert(0, node.attr)
        node = node.value
    return (node.id, *names) if isinstance(node, ast.Name) else ()


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
            return len(periods), total
        case "lines":
            return [f"{at // 60}:{at % 60:02d}, {minutes} minutes" for at, minutes in periods]
