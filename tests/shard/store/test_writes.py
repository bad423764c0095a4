"""A shard has one way to write: what a tick decided. What is written past it says so by its name."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import lanying.shard

ROOM = Path(lanying.shard.__file__).parent
ALLOWED = {
    ("shard.py", "Shard.seal"): "the tick",
    ("store/overlay.py", "Overlay.write"): "an engine hands on",
    ("store/overlay.py", "Overlay.settle"): "the tick that a log elsewhere has",
    ("store/tiers.py", "TieredStore.write"): "an engine hands on",
    ("store/rocks.py", "RocksStore.write"): "an engine writes",
    ("store/base.py", "local_write"): "past the tick, by name",
    ("store/records.py", "apply"): "a copy of the shard",
}
NOT_STORES = {"os", "self._clients"}
LOCAL = {
    ("store/rocks.py", "RocksStore._check_schema"): "the schema of these files",
    ("store/cold.py", "put_mark"): "which files belong together",
    ("store/tiers.py", "copy"): "the cold tier",
    ("store/tiers.py", "discard"): "the cold tier",
    ("upkeep/aging.py", "Aging._evict"): "which tier an entry is in",
}


def calls(node: ast.AST, inside: str = "") -> Iterator[tuple[str, ast.Call]]:
    """All calls below a node, with the class and function they are in."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.Call):
            yield inside, child
        name = child.name if isinstance(child, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef) else ""
        yield from calls(child, ".".join(filter(None, (inside, name))))


def found() -> tuple[set[tuple[str, str]], set[tuple[str, str]]]:
    writes, local = set(), set()
    for path in ROOM.rglob("*.py"):
        name = path.relative_to(ROOM).as_posix()
        for inside, call in calls(ast.parse(path.read_text())):
            match call.func:
                case ast.Attribute(attr="write", value=store) if ast.unparse(store) not in NOT_STORES:
                    writes.add((name, inside))
                case ast.Name(id="local_write"):
                    local.add((name, inside))
    return writes, local


def test_nothing_but_the_tick_writes_and_what_is_local_is_named() -> None:
    writes, local = found()
    assert writes == set(ALLOWED), (
        "put it into the tick (Work.put); local_write if another copy of the shard must not have it"
    )
    assert local == set(LOCAL)


def test_no_part_of_a_shard_takes_the_writing_away_from_its_store() -> None:
    """A bound ``write`` that is stored or handed on would be called where the test above does not look."""
    for path in ROOM.rglob("*.py"):
        tree = ast.parse(path.read_text())
        called = {id(call.func) for _, call in calls(tree)}
        for node in ast.walk(tree):
            if isinstance(node, ast.Attribute) and node.attr == "write" and id(node) not in called:
                raise AssertionError(f"{path.name}:{node.lineno}: {ast.unparse(node)}")
