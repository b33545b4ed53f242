"""Who may import whom: DESIGN's arrows, read from the source of every file."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
OURS = ("harness", "verification")
FILES = {
    ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): path
    for package in OURS
    for path in sorted((ROOT / package).rglob("*.py"))
}
TREES = {name: ast.parse(path.read_text(encoding="utf-8")) for name, path in FILES.items()}

PARTS = ("harness.models", "harness.dialects", "harness.tools", "harness.sandbox")
ABOVE_THE_PARTS = {
    f"harness.{name}"
    for name in ("loop", "line", "campaign", "sitting", "cli", "store", "attempt", "replay")
}
OPEN_TO_VERIFICATION = {
    "harness",
    *(
        f"harness.{name}"
        for name in ("records", "errors", "store", "predictions", "outcome", "task")
    ),
    "harness.conversation",
    "harness.leaks",
    "harness.terminal",
}


def imports(nodes: Iterator[ast.AST]) -> set[str]:
    """The modules of ours that are imported by any of ``nodes``."""
    found: set[str] = set()
    for node in nodes:
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are absolute"
            module = node.module or ""
            # ``from package import x`` imports the module package.x where there is one.
            found.update(
                f"{module}.{alias.name}" if f"{module}.{alias.name}" in FILES else module
                for alias in node.names
            )
    return {name for name in found if name.split(".")[0] in OURS}


def all_imports(name: str) -> set[str]:
    return imports(ast.walk(TREES[name]))


def module_level(node: ast.AST) -> Iterator[ast.AST]:
    """Every node that runs when the module is imported: no function's body, nothing that is
    only for the type checker."""
    for child in ast.iter_child_nodes(node):
        typing_only = isinstance(child, ast.If) and ast.unparse(child.test) == "TYPE_CHECKING"
        if not typing_only and not isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef):
            yield child
            yield from module_level(child)


def under(name: str, package: str) -> bool:
    return name == package or name.startswith(f"{package}.")


def test_records_import_nothing_of_ours() -> None:
    assert all_imports("harness.records") == set()


def test_errors_import_only_records() -> None:
    assert all_imports("harness.errors") == {"harness.records"}


@pytest.mark.parametrize("part", PARTS)
def test_a_part_does_not_know_who_calls_it(part: str) -> None:
    members = [name for name in FILES if under(name, part)]
    assert {name: all_imports(name) & ABOVE_THE_PARTS for name in members} == {
        name: set() for name in members
    }


def test_the_harness_imports_verification_only_inside_functions_of_its_command_line() -> None:
    importers = {
        name
        for name in FILES
        if under(name, "harness") and any(under(i, "verification") for i in all_imports(name))
    }
    assert all(under(name, "harness.cli") for name in importers)
    for name in importers:
        at_import = imports(module_level(TREES[name]))
        assert not any(under(found, "verification") for found in at_import)


def test_verification_knows_only_what_it_needs_of_the_harness() -> None:
    strays = {
        (name, found)
        for name in FILES
        if under(name, "verification")
        for found in all_imports(name)
        if under(found, "harness") and found not in OPEN_TO_VERIFICATION
    }
    assert strays == set()


def test_no_modules_import_each_other_in_a_circle() -> None:
    graph = {
        name: imports(module_level(tree)) & FILES.keys() - {name} for name, tree in TREES.items()
    }
    order = list(TopologicalSorter(graph).static_order())  # raises CycleError, naming the circle
    assert set(order) == FILES.keys()


def test_the_files_are_found() -> None:
    assert {"harness.records", "harness.models.openai", "verification"} <= FILES.keys()


def test_no_duration_is_measured_with_a_clock_that_people_can_set() -> None:
    settable = {"time.time", "time.time_ns"}
    for name, tree in TREES.items():
        used = {ast.unparse(node) for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
        assert not used & settable, name
        assert "from time import time" not in ast.unparse(tree), name
    # What is left, datetime.now(), only dates what happened: it is subtracted in one place,
    # from the date until which a server asks us to wait.
    subtracting = {
        name
        for name, tree in TREES.items()
        for node in ast.walk(tree)
        if isinstance(node, ast.BinOp) and "datetime.now" in ast.unparse(node)
    }
    assert subtracting == {"harness.models.openai.faults"}
