"""The suite runs on a minimal Debian: what a test starts besides Python is a program that is always there, or is asked for first."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
ALWAYS = {"sh", "/bin/sh", "git", "make"}
"""In every Debian, or named by the README."""
ASKED = {
    "node": "tests/web/node.py, tests/compat/test_node.py",
    "node_modules/.bin/tsc": "tests/web/node.py",
    "tmux": "tests/admin/console/test_cli.py",
    "shellcheck": "tests/tools/test_pi_tune.py",
    "systemd-analyze": "tests/cli/test_unit.py",
    "nginx": "tests/cluster/test_proxies.py",
    "haproxy": "tests/cluster/test_proxies.py",
    "openssl": "tests/tls/test_terminator.py",
    "certutil": "tests/web/node.py",
    "unshare": "tests/cluster/test_strangers.py",
    "ip": "tests/cluster/test_strangers.py",
    "mount": "tests/adversity/disks.py",
    "umount": "tests/adversity/disks.py",
    "mkfs.ext4": "tests/adversity/disks.py",
    "e2fsck": "tests/adversity/disks.py",
}
"""Programs of other packages, and where a test without them is skipped with the reason."""
STARTERS = {
    "run",
    "Popen",
    "check_output",
    "check_call",
    "call",
    "create_subprocess_exec",
    "create_subprocess_shell",
    "system",
    "popen",
}


def programs(module: Path) -> set[tuple[int, str]]:
    """(line, program) of lists and tuples that begin with a text, in functions that start processes or in a value named for one."""
    found, text = set(), module.read_text()
    starts = "import subprocess" in text
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Call) and _starts(node.func) and node.args:
            found |= {(node.lineno, it) for it in _begins(node.args[0])}
        elif starts and isinstance(node, ast.Assign) and any("command" in _name(it).lower() for it in node.targets):
            found |= {(node.lineno, it) for it in _begins(node.value)}
    return found


def _starts(node: ast.AST) -> bool:
    return (
        isinstance(node, ast.Attribute)
        and _name(node.value) in ("subprocess", "asyncio", "os")
        and node.attr in STARTERS
    )


def _name(node: ast.AST) -> str:
    return node.attr if isinstance(node, ast.Attribute) else node.id if isinstance(node, ast.Name) else ""


def _begins(node: ast.AST) -> set[str]:
    first = node.elts[0] if isinstance(node, ast.List | ast.Tuple) and node.elts else node
    return (
        {first.value.split()[0]}
        if isinstance(first, ast.Constant) and isinstance(first.value, str) and first.value
        else set()
    )


def test_programs_are_always_there_or_asked_for() -> None:
    found = {
        f"{module.relative_to(ROOT)}:{line} {program}"
        for module in (ROOT / "tests").rglob("*.py")
        if "node_modules" not in module.parts
        for line, program in programs(module)
        if program not in ALWAYS and program not in ASKED
    }
    assert not found, "do it in Python (os.kill, /proc), or skip the test without the program and name it above"


@pytest.mark.parametrize("program", ASKED)
def test_who_needs_a_program_asks_for_it(program: str) -> None:
    for file in ASKED[program].split(", "):
        text = (ROOT / file).read_text()
        assert "which(" in text or "FileNotFoundError" in text, file
        assert "skip" in text, file


def test_what_the_scan_sees(tmp_path: Path) -> None:
    module = tmp_path / "module.py"
    module.write_text(
        'import subprocess; subprocess.run(["kill", pid])\nos.system("ps aux")\ncommand = ("lsof", "-i")\nrun([sys.executable])\n'
    )
    assert programs(module) == {(1, "kill"), (2, "ps"), (3, "lsof")}
