"""Arguments: typed as the table says, refused with their name, kept by the audit log without secrets and not at any length."""

from typing import Any

import pytest

from lanying.admin.arguments import audited, bounded, checked
from lanying.admin.context import Argument, Command, CommandContext, Kind
from lanying.admin.errors import CommandError
from lanying.base import limits


async def handler(context: CommandContext) -> object:
    return None


COMMAND = Command(
    "users try",
    "a command",
    handler,
    (
        Argument("user", "who", Kind.USER),
        Argument("--level", "how much", Kind.TEXT, required=False, choices=("low", "high")),
        Argument("--count", "how many", Kind.NUMBER, required=False, default=3),
        Argument("--all", "everything", Kind.FLAG, required=False),
        Argument("--names", "some", required=False, many=True),
    ),
)


@pytest.mark.parametrize(
    ("given", "found"),
    [
        ({"user": "alice"}, {"user": "alice", "count": 3}),
        ({"user": 7, "count": "12"}, {"user": 7, "count": 12}),
        (
            {"user": "alice", "all": True, "names": ["a", "b"]},
            {"user": "alice", "count": 3, "all": True, "names": ["a", "b"]},
        ),
        ({"user": "alice", "level": "high", "names": []}, {"user": "alice", "count": 3, "level": "high"}),
    ],
)
def test_arguments_are_as_the_table_types_them(given: dict[str, Any], found: dict[str, Any]) -> None:
    assert checked(COMMAND, given) == found


@pytest.mark.parametrize(
    ("given", "text"),
    [
        ({}, "users try needs user: who"),
        ({"user": "alice", "colour": "red"}, "takes no colour; `help users try`"),
        ({"user": "alice", "count": "many"}, "--count is a number, not 'many'"),
        ({"user": "alice", "count": [1]}, "--count is a number"),
        ({"user": "alice", "count": 1 << 63}, "--count is too large"),
        ({"user": {"a": 1}}, "user is a text"),
        ({"user": "alice", "level": "deep"}, "--level is one of low, high, not 'deep'"),
    ],
)
def test_a_bad_one_is_refused_by_its_name(given: dict[str, Any], text: str) -> None:
    with pytest.raises(CommandError) as caught:
        checked(COMMAND, given)
    assert caught.value.code == 10002 and text in caught.value.message


def test_secrets_and_what_people_write_are_not_in_the_audit_log() -> None:
    assert audited(Kind.SECRET, "hunter2") == "(hidden)"
    assert audited(Kind.WORDS, "good night") == "(10 characters)"
    assert audited(Kind.USER, "alice") == "alice"


def test_long_arguments_are_cut_for_the_audit_log() -> None:
    assert bounded("short") == "short" and bounded(7) == 7
    assert bounded("x" * 100_000) == "x" * limits.AUDIT_CHARS + "… 100000 characters in all"
    assert bounded(["a"] * 1000) == ["a"] * limits.AUDIT_ITEMS + ["… 1000 in all"]
