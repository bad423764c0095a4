"""Every error of ours says what it is: a text for people, a code for REST, a status for the wire."""

from __future__ import annotations

import re
from pathlib import Path

from lanying.base import errors
from lanying.base.errors import CallError, ProtocolError, Refused
from lanying.base.refusals import Refusal


def test_a_refused_call_has_the_code_and_text_of_its_reason_unless_it_says_more() -> None:
    plain, more = CallError(Refusal.NAME_TAKEN), CallError(Refusal.NAME_TAKEN, "why", 77)
    assert (plain.code, plain.message, str(plain)) == (
        Refusal.NAME_TAKEN.code,
        Refusal.NAME_TAKEN.message,
        Refusal.NAME_TAKEN.message,
    )
    assert (more.code, more.message, str(more), more.refusal) == (77, "why", "why", Refusal.NAME_TAKEN)


def test_a_refused_upload_shows_clients_the_text_without_the_remedy() -> None:
    plain, more = Refused(Refusal.BLOCKED), Refused(Refusal.BLOCKED, "why")
    assert (plain.reason, plain.status) == (Refusal.BLOCKED.text, Refusal.BLOCKED.status)
    assert plain.message == Refusal.BLOCKED.message != ""
    assert (more.reason, more.message, str(more)) == ("why", "why", "why")


def test_a_broken_protocol_says_how_to_close() -> None:
    error = ProtocolError(1009, "too large")
    assert (error.close_code, error.reason, str(error)) == (1009, "too large", "1009 too large")


def test_every_error_of_the_package_is_in_the_tree() -> None:
    package = Path(errors.__file__).parents[1]
    bases: dict[str, set[str]] = {}
    for file in package.rglob("*.py"):
        for name, given in re.findall(r"^class (\w+)\(([\w., ]+)\)", file.read_text(), re.M):
            bases.setdefault(name, set()).update(one.strip().rpartition(".")[2] for one in given.split(","))
    found = {"LanyingError"}
    while more := {name for name, of in bases.items() if of & found} - found:
        found |= more
    drawn = set(re.findall(r"[├└]── (\w+)", errors.__doc__ or ""))
    assert found - {"LanyingError"} == drawn - {"of"}, "of the client SDK"
