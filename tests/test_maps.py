"""A package's docstring is its map: it names every module and package in it."""

import ast
import re
from pathlib import Path

import pytest

import lanying

ROOT = Path(lanying.__file__).parent
DATA = {"protocol/schema"}
"""Generated code."""
PACKAGES = sorted(
    str(file.parent.relative_to(ROOT))
    for file in ROOT.rglob("__init__.py")
    if str(file.parent.relative_to(ROOT)) not in DATA
)


LONG = 400
"""Lines; most files have 100 to 300."""


def test_a_long_file_says_why():
    long = [file for file in ROOT.rglob("*.py") if "_pb2" not in file.stem and file.read_text().count("\n") > LONG]
    silent = [file for file in long if "Over 400 lines: " not in (ast.get_docstring(ast.parse(file.read_text())) or "")]
    assert sorted(file.relative_to(ROOT).as_posix() for file in silent) == [], (
        "cut it by meaning, or say why not at its top"
    )


TALLEST = 60
"""Lines of a function: a screen."""


def test_a_function_fits_a_screen():
    files = [file for file in ROOT.rglob("*.py") if "_pb2" not in file.stem]
    tall = [
        f"{file.relative_to(ROOT)}:{node.lineno} {node.name}"
        for file in files
        for node in ast.walk(ast.parse(file.read_text()))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.end_lineno - node.lineno >= TALLEST
    ]
    assert tall == [], "cut it by meaning"


def parts(folder: Path) -> set[str]:
    """What is in a package."""
    modules = {file.stem for file in folder.glob("*.py")} - {"__init__", "__main__"}
    return modules | {one.name for one in folder.iterdir() if (one / "__init__.py").exists()}


@pytest.mark.parametrize("package", PACKAGES)
def test_a_package_names_what_is_in_it(package):
    documentation = ast.get_docstring(ast.parse((ROOT / package / "__init__.py").read_text())) or ""
    words = set(re.findall(r"\w+", documentation))
    assert documentation, "say what the package is for"
    assert sorted(parts(ROOT / package) - words) == [], "on no line of the map"


@pytest.mark.parametrize("package", PACKAGES)
def test_a_map_names_nothing_that_is_gone(package):
    """Names at the beginning of a line of a list or table."""
    documentation = ast.get_docstring(ast.parse((ROOT / package / "__init__.py").read_text())) or ""
    lines = re.findall(r"^(?:- )?((?:``\w+`` ?)+)", documentation, re.MULTILINE)
    named = {name for line in lines for name in re.findall(r"``(\w+)``", line)}
    assert sorted(named - parts(ROOT / package) - {"__main__"}) == []
