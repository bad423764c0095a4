"""JSON that others wrote is never walked by ``str``, ``repr``, an encoder or recursion: what comes out of :mod:`lanying.base.jsons` is
asked for its type before it is anything else. A deep or strange value would end an event, or print megabytes into a log."""

from __future__ import annotations

import ast
from functools import cache
from pathlib import Path

import pytest

import lanying

ROOT = Path(lanying.__file__).parent
ROOMS = ("base", "gateway", "protocol", "push", "router", "shard")
READERS = {"jsons.read", "jsons.loads_object"}
WALKS = {"str", "repr", "format", "print", "ascii", "hash", "encode", "dumps", "pformat", "deepcopy"}
LOGS = {"debug", "info", "warning", "error", "exception", "critical", "about"}
TYPES = {"isinstance", "type"}

FINE: dict[str, str] = {
    "shard/chat/edits.py:merge_json": "encodes what jsons has bounded to 32 levels, and catches what no encoder takes",
    "shard/chat/notices.py:merged": "content of the server's own notices, flat",
}
RECURSIVE: dict[str, str] = {
    "bus/messages/base.py:kinds": "classes of this program",
    "gateway/contract/openapi.py:_kind": "types of this program",
    "gateway/http/endpoint.py:read": "calls the function of that name, not itself",
    "gateway/http/pages.py:_walk": "directories of this program",
    "shard/chat/delivery.py:_post_chat": "once more when the peer is known",
    "protocol/frame.py:varint": "a number of at most ten bytes",
}
"""Functions that call themselves, none over what a client sent."""

Function = ast.FunctionDef | ast.AsyncFunctionDef


@cache
def functions() -> tuple[tuple[str, Function], ...]:
    return tuple(
        (f"{path.relative_to(ROOT).as_posix()}:{node.name}", node)
        for room in (*ROOMS, "bus")
        for path in sorted((ROOT / room).rglob("*.py"))
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, Function)
    )


def called(node: ast.Call) -> str:
    return ast.unparse(node.func)


def comes_from(node: ast.AST, tainted: set[str]) -> bool:
    """Is this a value that somebody else wrote, or something in it?"""
    if isinstance(node, ast.Name):
        return node.id in tainted
    if isinstance(node, ast.Call):
        inside = isinstance(node.func, ast.Attribute) and comes_from(node.func.value, tainted)
        return called(node) in READERS or inside
    if isinstance(node, ast.Subscript | ast.Attribute | ast.Await | ast.Starred):
        return comes_from(node.value, tainted)
    if isinstance(node, ast.BoolOp):
        return any(comes_from(value, tainted) for value in node.values)
    if isinstance(node, ast.BinOp):
        return comes_from(node.left, tainted) or comes_from(node.right, tainted)
    if isinstance(node, ast.IfExp):
        return comes_from(node.body, tainted) or comes_from(node.orelse, tainted)
    return False


def names(target: ast.AST) -> set[str]:
    return {node.id for node in ast.walk(target) if isinstance(node, ast.Name)}


def bound(node: ast.AST, tainted: set[str]) -> set[str]:
    """Names this statement binds to what somebody else wrote."""
    if isinstance(node, ast.Assign):
        values = node.value.elts if isinstance(node.value, ast.Tuple) else [node.value]
        return set().union(*map(names, node.targets)) if any(comes_from(it, tainted) for it in values) else set()
    if isinstance(node, ast.AnnAssign | ast.NamedExpr):
        return names(node.target) if node.value and comes_from(node.value, tainted) else set()
    if isinstance(node, ast.For | ast.comprehension):
        return names(node.target) if comes_from(node.iter, tainted) else set()
    return set()


def taint(function: Function) -> set[str]:
    """Names bound to what somebody else wrote, but for those whose type is asked."""
    nodes = list(ast.walk(function))
    tainted: set[str] = set()
    while not (found := set().union(*(bound(node, tainted) for node in nodes))) <= tainted:
        tainted |= found
    for node in nodes:
        if isinstance(node, ast.Call) and called(node) in TYPES and isinstance(node.args[0], ast.Name):
            tainted.discard(node.args[0].id)
    return tainted


def walked(function: Function) -> list[str]:
    tainted = taint(function)
    found = []
    for node in ast.walk(function):
        if isinstance(node, ast.Call):
            name = called(node).rpartition(".")[2]
            if name in WALKS | LOGS and any(comes_from(argument, tainted) for argument in node.args):
                found.append(ast.unparse(node))
        elif isinstance(node, ast.FormattedValue) and comes_from(node.value, tainted):
            found.append(ast.unparse(node.value))
        elif isinstance(node, ast.BinOp) and isinstance(node.op, ast.Mod) and comes_from(node.right, tainted):
            found.append(ast.unparse(node))
    return found


def test_what_others_wrote_is_not_printed_encoded_or_hashed() -> None:
    found = {place: what for place, function in functions() if (what := walked(function))}
    assert found.keys() == FINE.keys(), f"ask for its type first, isinstance(value, str | int): {found}"


@pytest.mark.parametrize(
    "body",
    [
        "x = jsons.read(text)\n    return str(x)",
        "x = jsons.loads_object(text) or {}\n    return f\"{x.get('a')}\"",
        "x = jsons.loads_object(text)\n    y = x['a']\n    log.info('%s', y)",
        "return repr(jsons.read(text))",
        "for k, v in jsons.read(text).items():\n        return msgspec.json.encode(v)",
        "x, y = jsons.read(a), 1\n    return '%s' % x",
        "if (x := jsons.read(text)):\n        return hash(x)",
    ],
)
def test_the_rule_sees(body: str) -> None:
    [function] = ast.parse(f"def f(text):\n    {body}").body
    assert isinstance(function, ast.FunctionDef)
    assert walked(function)


def test_the_rule_lets_pass_what_is_asked_for_its_type() -> None:
    [function] = ast.parse(
        "def f(text):\n    x = jsons.read(text)['a']\n    return str(x) if isinstance(x, int) else ''"
    ).body
    assert isinstance(function, ast.FunctionDef)
    assert not walked(function)


def test_parameters_are_read_into_structs_and_by_nothing_else() -> None:
    """``context.params`` has them as they came."""
    found: list[str] = []
    for path in sorted((ROOT / "gateway").rglob("*.py")):
        tree = ast.parse(path.read_text())
        read = {
            id(argument)
            for node in ast.walk(tree)
            if isinstance(node, ast.Call) and called(node) in ("read", "peek")
            for argument in node.args
        }
        found += [
            f"{path.relative_to(ROOT)}:{node.lineno} {ast.unparse(node)}"
            for node in ast.walk(tree)
            if isinstance(node, ast.Attribute) and node.attr == "params" and isinstance(node.ctx, ast.Load)
            if id(node) not in read
        ]
    assert not found, "read them with read() or peek()"


def test_nothing_calls_itself_over_what_clients_send() -> None:
    found = set()
    for place, function in functions():
        for node in ast.walk(function):
            if isinstance(node, ast.Call) and called(node) in (function.name, f"self.{function.name}"):
                found.add(place)
    assert found == RECURSIVE.keys(), "use a list of what is left to look at, or say why it ends"
