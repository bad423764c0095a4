"""How a command ends without a result: a code for scripts, a text with the remedy for people."""

from __future__ import annotations

from lanying.admin.errors import CommandError, WouldDo
from lanying.base.errors import LanyingError


def test_a_refused_command_has_a_code_and_says_why() -> None:
    error = CommandError(404, "there is no job 7; `jobs list` shows them")
    assert (error.code, error.message, str(error)) == (404, "there is no job 7; `jobs list` shows them", error.message)


def test_a_dry_run_that_gets_to_its_point_is_no_refusal() -> None:
    assert not issubclass(WouldDo, CommandError) and issubclass(WouldDo, LanyingError)
    assert str(WouldDo("restart shard-0")) == "restart shard-0"
