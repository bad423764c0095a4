"""Tests that can fail: each asserts something, itself or through a helper that does."""

import ast
from pathlib import Path

from tests.conftest import LONGEST

ROOT = Path(__file__).parents[1]
SOURCES = {
    file: ast.parse(file.read_text())
    for folder in ("tests", "lanying/testing")
    for file in sorted((ROOT / folder).rglob("*.py"))
    if "node_modules" not in file.parts
}
HELPERS = {"check", "eventually", "play", "until", "verify", "verify_history"}
"""Functions and methods of other files that assert what they are called for."""
LIBRARY = {"raises", "run_state_machine_as_test"}
Function = ast.FunctionDef | ast.AsyncFunctionDef


def functions(tree: ast.AST) -> list[Function]:
    return [node for node in ast.walk(tree) if isinstance(node, Function)]


def calls(function: Function) -> set[str]:
    """Last names of what is called in a function, in functions inside it, too."""
    called = (node.func for node in ast.walk(function) if isinstance(node, ast.Call))
    return {one.attr if isinstance(one, ast.Attribute) else getattr(one, "id", "") for one in called}


def asserts(function: Function) -> bool:
    return any(isinstance(node, ast.Assert | ast.Raise) for node in ast.walk(function)) or bool(
        calls(function) & LIBRARY
    )


def silent(tree: ast.AST) -> list[Function]:
    """Functions of a file that assert nothing, neither themselves nor through others of the file or a helper."""
    left = functions(tree)
    loud = set(HELPERS)
    while True:
        more = {one.name for one in left if asserts(one) or calls(one) & loud}
        if not more:
            return left
        loud |= more
        left = [one for one in left if one.name not in more]


def test_every_test_asserts_something():
    found = [
        f"{file.relative_to(ROOT)}:{function.lineno} {function.name}"
        for file, tree in SOURCES.items()
        if file.name.startswith("test_")
        for function in silent(tree)
        if function.name.startswith("test_")
    ]
    assert found == [], "assert what the name of the test says"


def test_every_helper_named_here_asserts():
    loud = {one.name for tree in SOURCES.values() for one in functions(tree) if asserts(one)}
    assert loud >= HELPERS, "take it off the list"


def test_the_files_that_are_begun_first_exist():
    assert [name for name in LONGEST if not (ROOT / "tests" / name).exists()] == []


def test_what_only_sources_can_run_exists():
    listed = {line for line in (ROOT / "tests/interpreted.txt").read_text().splitlines() if not line.startswith("#")}
    there = {f"{file.relative_to(ROOT)}::{one.name}" for file, tree in SOURCES.items() for one in functions(tree)}
    assert sorted(listed - there) == [], "gone or renamed: mend tests/interpreted.txt"
