"""Tests mirror the tree: every module has its test file at the mirrored place, or is listed with the reason it has none. Modules that
only declare (classes of fields, constants, tables) need none."""

import ast
from pathlib import Path

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "lanying"
LISTED = Path(__file__).with_name("without_tests.txt")


def modules() -> set[str]:
    """Modules with code of their own, as paths without ending: ``shard/chat/sync``."""
    return {
        str(file.relative_to(PACKAGE).with_suffix(""))
        for file in PACKAGE.rglob("*.py")
        if file.stem not in ("__init__", "__main__") and not file.stem.endswith("_pb2") and does_something(file)
    }


def does_something(file: Path) -> bool:
    """Has a module a function with more than a docstring, or a lambda?"""
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Lambda):
            return True
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            body = [one for one in node.body if not (isinstance(one, ast.Expr) and isinstance(one.value, ast.Constant))]
            if body:
                return True
    return False


def mirrored(module: str) -> bool:
    """``tests/shard/chat/test_sync.py``, or a folder ``tests/shard/chat/sync/``."""
    folder, _, name = module.rpartition("/")
    return (ROOT / "tests" / folder / f"test_{name}.py").exists() or (ROOT / "tests" / module).is_dir()


def listed() -> dict[str, str]:
    """By module, what exercises it instead."""
    lines = [line.strip() for line in LISTED.read_text().splitlines() if line.strip() and not line.startswith("#")]
    return dict(line.split(": ", 1) for line in lines)


def test_every_module_has_its_test_file_or_is_listed():
    missing = sorted(module for module in modules() - listed().keys() if not mirrored(module))
    assert missing == [], "write tests/…/test_NAME.py"


def test_the_list_only_shrinks():
    assert sorted(listed().keys() - modules()) == [], "gone: take it off tests/without_tests.txt"
    assert sorted(module for module in listed() if mirrored(module)) == [], (
        "tested: take it off tests/without_tests.txt"
    )


def test_what_exercises_a_listed_module_exists():
    named = {why for why in listed().values() if why.startswith("tests/")}
    assert sorted(why for why in named if not (ROOT / why).exists()) == []
