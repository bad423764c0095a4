"""The table of refusals: complete, unique, and nothing hangs on its sentences."""

from __future__ import annotations

import ast
import json
from importlib.resources import files
from pathlib import Path

import pytest

import lanying
from lanying.base.errors import CallError, Refused
from lanying.base.refusals import DONE, Refusal, WireStatus
from lanying.protocol.schema.xsync_pb2 import Status

PACKAGE = Path(lanying.__file__).parent
DOCUMENTED = json.loads(files("tests.base").joinpath("rest_codes.json").read_text())
"""Codes of the REST reference, with the name each has there."""


@pytest.mark.parametrize("refusal", Refusal)
def test_every_member_says_what_is_wrong_and_what_to_do(refusal: Refusal) -> None:
    assert refusal.text and refusal.remedy and refusal.code != DONE
    for part in (refusal.text, refusal.remedy):
        assert not part.endswith((".", ";", " ")), "they are joined into one line"
    assert refusal.value == refusal.name.lower()


def test_wire_statuses_are_those_of_the_schema() -> None:
    assert {status.name: status.value for status in WireStatus}.items() <= dict(Status.ErrorCode.items()).items()


def test_two_reasons_with_one_text_cannot_be_told_apart() -> None:
    texts = [(refusal.code, refusal.text, refusal.remedy) for refusal in Refusal]
    assert len(texts) == len(set(texts))


def test_every_documented_code_exists() -> None:
    known = {refusal.code for refusal in Refusal} | {DONE}
    assert {int(code) for code in DOCUMENTED} - known == set()


def test_clients_compare_these_texts() -> None:
    """xsync 5.6: the web client looks for them in the reason of a refused upload."""
    assert Refused(Refusal.BLOCKED).reason == "you have been blocked by the recipient"
    assert Refused(Refusal.STRANGERS).reason == "your relation with target does not allow chat"
    assert Refused(Refusal.TOO_LATE_TO_RECALL).reason == "exceed recall time limit"


@pytest.mark.parametrize("refusal", Refusal)
def test_a_text_can_change_without_its_code(refusal: Refusal, monkeypatch: pytest.MonkeyPatch) -> None:
    code, status = refusal.code, refusal.status
    monkeypatch.setattr(refusal, "text", "said better")
    error, refused = CallError(refusal), Refused(refusal)
    assert (error.code, error.message) == (code, f"said better; {refusal.remedy}")
    assert (refused.status, refused.reason) == (status, "said better")
    assert CallError(refused.refusal, refused.message).code == code


def test_a_code_nobody_documents_is_kept_for_whoever_asked() -> None:
    error = CallError(Refusal.of_code(54321), "from a newer server", 54321)
    assert (error.code, error.message) == (54321, "from a newer server")


def test_the_default_of_a_code_is_the_general_reason() -> None:
    for general in (Refusal.INVALID_PARAMETER, Refusal.PERMISSION_DENIED, Refusal.UNAVAILABLE, Refusal.NOT_STORED):
        assert Refusal.of_code(general.code) is general


CODES = {refusal.code for refusal in Refusal}
AREAS = {"gateway": 0, "shard": 0, "bus": 10_000}
"""Codes are looked for from this number on: milliseconds of a socket's options are no codes."""


def numbers(tree: ast.AST) -> list[tuple[int, int]]:
    return [
        (node.lineno, node.value)
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant) and type(node.value) is int and node.value in CODES
    ]


@pytest.mark.parametrize("area", AREAS)
def test_no_code_is_a_number_in_the_program(area: str) -> None:
    found = [
        f"{path.relative_to(PACKAGE)}:{line}: {number}"
        for path in sorted((PACKAGE / area).rglob("*.py"))
        for line, number in numbers(ast.parse(path.read_text()))
        if number >= AREAS[area]
    ]
    assert not found, "write the member of Refusal (or name the limit in limits.py)"


def test_the_walk_finds_a_number() -> None:
    assert numbers(ast.parse("raise CallError(10002)")) == [(1, 10002)]


def test_no_reason_is_a_sentence_in_the_program() -> None:
    """A refusal is made from a member; a sentence as its first argument would be a reason without a code."""
    found = [
        f"{path.relative_to(PACKAGE)}:{node.lineno}"
        for path in sorted(PACKAGE.rglob("*.py"))
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Name)
        and node.func.id in ("CallError", "Refused")
        and node.args
        and isinstance(node.args[0], ast.Constant | ast.JoinedStr)
    ]
    assert not found


def test_a_reason_is_found_by_its_value_and_an_unknown_one_is_a_failure() -> None:
    assert all(Refusal.of_name(refusal.value) is refusal for refusal in Refusal)
    assert Refusal.of_name("of_the_future") is Refusal.SERVER_FAILED
