"""Imports point one way: this test reads every import of the package and refuses the reverse."""

import ast
from pathlib import Path

import pytest

import lanying

PACKAGE = Path(lanying.__file__).parent
FOUNDATION = {
    "lanying",
    *(
        f"lanying.{name}"
        for name in (
            "base.errors",
            "base.ids",
            "base.limits",
            "base.clock",
            "base.names",
            "base.tokens",
            "base.logs",
            "base.failpoints",
            "base.private",
            "base.histogram",
            "base.lag",
            "base.words",
            "base",
            "config",
            "config.schema",
            "config.profiles",
            "config.apps",
            "cluster",
            "cluster.shardmap",
            "cluster.runtime",
        )
    ),
}
"""No package; they import only each other."""
PROCESSES = ("router", "shard", "gateway", "push", "services", "admin")
"""They meet on the bus and never import each other."""
PURE = (
    "protocol",
    "bus.messages",
    "bus.handoff.records",
    "bus.link",
    "supervisor.children",
    "client.session",
    "push.decision",
    "push.letters",
)
"""No loop, no sockets, no processes, no clock."""
IMPURE = {"asyncio", "uvloop", "zmq", "socket", "select", "selectors", "subprocess", "threading", "time", "httpx"}
EDGES = {
    "router": {"__main__", "listener"},
    "push.vendors": {"sender"},
    "shard": {"__main__", "commit", "runner", "worker", "store.rocks", "store.cold"},
}
"""Everything else in these packages is pure."""
WITH_TEST_HELPERS = {"lanying.cli"}
"""Has a command that starts a server of its own."""


def module_name(file: Path) -> str:
    name = ".".join(("lanying", *file.relative_to(PACKAGE).with_suffix("").parts))
    return name.removesuffix(".__init__")


FILES = {module_name(file): file for file in sorted(PACKAGE.rglob("*.py")) if not file.stem.endswith("_pb2")}


def is_type_checking(node: ast.AST) -> bool:
    return isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING"


def imports(name: str) -> set[str]:
    """Every module one imports, also inside functions, but not for type checking only."""
    found: set[str] = set()
    left: list[ast.AST] = [ast.parse(FILES[name].read_text())]
    while left:
        node = left.pop()
        if is_type_checking(node):
            continue
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            assert node.level == 0, f"{name}: relative import"
            submodules = {f"{node.module}.{alias.name}" for alias in node.names} & (
                FILES.keys() | {"lanying.protocol.schema.xsync_pb2"}
            )
            found |= submodules or {node.module}
        left += ast.iter_child_nodes(node)
    return found


IMPORTS = {name: imports(name) for name in FILES}


def within(name: str, package: str) -> bool:
    return name == f"lanying.{package}" or name.startswith(f"lanying.{package}.")


def ours(name: str) -> set[str]:
    return {found for found in IMPORTS[name] if found.split(".")[0] == "lanying"}


def refused(rule):
    return sorted(f"{name} imports {found}" for name in FILES for found in IMPORTS[name] if rule(name, found))


def test_the_foundation_imports_only_itself():
    assert (
        refused(lambda name, found: name in FOUNDATION and found.startswith("lanying") and found not in FOUNDATION)
        == []
    )


def test_processes_never_import_each_other():
    def crosses(name, found):
        return any(within(name, a) and within(found, b) for a in PROCESSES for b in PROCESSES if a != b)

    assert refused(crosses) == []


def test_the_protocol_knows_only_errors_and_limits():
    allowed = {"lanying", "lanying.base.errors", "lanying.base.limits"}
    assert (
        refused(
            lambda name, found: (
                within(name, "protocol")
                and found.startswith("lanying")
                and found not in allowed
                and not within(found, "protocol")
            )
        )
        == []
    )


def test_the_client_knows_only_the_protocol():
    allowed = {"lanying", "lanying.base.errors", "lanying.base.limits", "lanying.base.clock"}
    assert (
        refused(
            lambda name, found: (
                within(name, "client")
                and found.startswith("lanying")
                and found not in allowed
                and not (within(found, "client") or within(found, "protocol"))
            )
        )
        == []
    )


def test_nothing_of_the_server_imports_test_helpers_or_the_supervisor():
    above = ("testing", "supervisor", "cli")
    below = (*PROCESSES, "bus", "protocol", "client")
    # The console and the admin page ask the supervisor and show what it says, like the command line.
    shared = {f"supervisor.{part}" for part in ("control", "report", "machine", "move")}

    def upwards(name, found):
        return any(within(name, b) for b in below) and any(
            within(found, a) and not any(within(found, part) for part in shared) for a in above
        )

    assert refused(upwards) == []
    # The crash test is a test helper that users run.
    allowed = {("lanying.cli.main", "lanying.testing.crash_test")}
    helped = refused(lambda name, found: not within(name, "testing") and within(found, "testing"))
    assert [pair for pair in helped if tuple(pair.split(" imports ")) not in allowed] == []


def test_the_supervisor_knows_no_process():
    for name in FILES:
        if within(name, "supervisor"):
            assert not [found for found in ours(name) if any(within(found, process) for process in PROCESSES)], name


@pytest.mark.parametrize("package", PURE)
def test_pure_modules_have_no_loop_no_sockets_and_no_clock(package):
    names = [name for name in FILES if within(name, package)]
    assert names, f"lanying.{package} is gone: take it off the list"
    assert [(name, found) for name in names for found in IMPORTS[name] if found.split(".")[0] in IMPURE] == []


@pytest.mark.parametrize("package", EDGES)
def test_only_the_named_edges_of_a_process_have_loops_sockets_and_clocks(package):
    edges = {f"lanying.{package}.{edge}" for edge in EDGES[package]}
    assert edges <= FILES.keys()
    names = {name for name in FILES if within(name, package)} - edges
    assert [(name, found) for name in sorted(names) for found in IMPORTS[name] if found.split(".")[0] in IMPURE] == []


def test_there_are_no_cycles():
    done: set[str] = set()

    def visit(name: str, path: tuple[str, ...]) -> None:
        assert name not in path, " -> ".join((*path[path.index(name) :], name))
        if name in done:
            return
        for found in sorted(ours(name) & FILES.keys() - {"lanying"}):
            if not found.startswith(name + ".") and found != name:
                visit(found, (*path, name))
        done.add(name)

    for name in FILES:
        visit(name, ())
