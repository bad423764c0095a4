"""requirements/server.lock has every dependency of pyproject.toml, in a version that its bound allows, with hashes."""

import importlib.util
import json
import re
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement

ROOT = Path(__file__).parents[1]
LOCK = ROOT / "requirements/server.lock"


def locked() -> dict[str, set[str]]:
    """Versions by name: one for each kind of Python and machine where they differ."""
    found: dict[str, set[str]] = {}
    for name, version in re.findall(r"^([a-z0-9._-]+)==([^ ;]+)", LOCK.read_text(), re.MULTILINE):
        found.setdefault(name, set()).add(version)
    return found


def declared() -> list[Requirement]:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    return [Requirement(text) for text in (*project["dependencies"], *project["optional-dependencies"]["s3"])]


@pytest.mark.parametrize("needed", declared(), ids=lambda it: it.name)
def test_the_lock_is_in_step_with_the_project(needed: Requirement) -> None:
    versions = locked().get(needed.name.lower(), set())
    assert versions, "run `make lock`"
    assert all(needed.specifier.contains(version) for version in versions), "run `make lock`"


def test_everything_locked_has_its_hashes() -> None:
    entries = re.split(r"^(?=[a-z0-9._-]+==)", LOCK.read_text(), flags=re.MULTILINE)[1:]
    assert len(entries) > 30
    assert [entry.split()[0] for entry in entries if "--hash=sha256:" not in entry] == []


def audit():
    spec = importlib.util.spec_from_file_location("audit", ROOT / "tools/audit.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_audit_fails_for_a_finding_and_for_nothing_else() -> None:
    judge = audit().judge
    good = {"name": "a", "version": "1", "vulns": []}
    bad = {"name": "b", "version": "2", "vulns": [{"id": "PYSEC-1"}]}
    assert judge(json.dumps({"dependencies": [good]}), "")[0] == 0
    code, line = judge(json.dumps({"dependencies": [good, bad]}), "")
    assert code == 1 and "b 2: PYSEC-1" in line
    unknown = {"name": "c", "version": "3", "skip_reason": "not found"}
    code, line = judge(json.dumps({"dependencies": [good, unknown]}), "")
    assert code == 0 and "SKIPPED for 1 of 2" in line
    code, line = judge("", "Traceback\nConnectionError: no route")
    assert code == 0 and "SKIPPED" in line and "no route" in line
