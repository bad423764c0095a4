"""Imports point one way: the contracts of ``.importlinter`` hold, and they cover every module they are about."""

import configparser
import os
import subprocess
import sys
from pathlib import Path

import pytest

import lanying
from lanying.supervisor.plan import SHARED

PACKAGE = Path(lanying.__file__).parent
CONTRACTS = Path(__file__).parents[1] / ".importlinter"
EDGES = {
    "router": {"__main__", "listener"},
    "push.vendors": {"sender"},
    "shard": {"__main__", "runner", "sockets", "ticker", "worker", "store.rocks", "store.rocks_options", "store.cold"},
}
"""Modules of these packages that have loops, sockets, threads or clocks; all others are pure."""


def test_the_contracts_of_imports_hold():
    # In a process of its own: it configures logging, and disables the loggers it finds. Without COLUMNS it wraps lines
    # where there is no terminal, in the middle of module names.
    program = (
        "import sys; from importlinter.cli import lint_imports; sys.exit(lint_imports(no_cache=True, no_logo=True))"
    )
    environment = {**os.environ, "COLUMNS": "200", "PYTHONPATH": str(CONTRACTS.parent)}
    command = [sys.executable, "-c", program]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, cwd=CONTRACTS.parent, timeout=100)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("package", EDGES)
def test_every_module_is_pure_by_contract_or_a_named_edge(package):
    contracts = configparser.ConfigParser()
    contracts.read(CONTRACTS)
    pure = contracts["importlinter:contract:pure"]["source_modules"].split()
    root = PACKAGE / package.replace(".", "/")
    names = {
        ".".join(file.relative_to(root).with_suffix("").parts)
        for file in root.rglob("*.py")
        if file.name != "__init__.py"
    }
    edges = EDGES[package]
    assert edges <= names, "an edge is gone: take it off the list"
    prefix = f"lanying.{package}."
    listed = {name.removeprefix(prefix) for name in pure if name.startswith(prefix)}
    unlisted = {name for name in names - edges if not any(name == one or name.startswith(f"{one}.") for one in listed)}
    assert unlisted == set(), "neither in the contract of pure modules nor an edge"


@pytest.mark.parametrize(
    "modules", [*((module,) for module in ("lanying.shard.__main__", "lanying.admin.__main__")), SHARED]
)
def test_a_process_loads_what_it_needs_and_not_ciphers_pictures_or_pages(modules: tuple[str, ...]) -> None:
    """Each is megabytes, in every one of these processes; and what the fork server loads all of them have."""
    dear = {"cryptography", "jwt", "PIL", "httpx", "starlette", "uvicorn", "segno", "acme", "pytest"}
    code = f"import sys, {', '.join(modules)}; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert not dear & set(loaded.stdout.split())
