"""An answer that is not known yet is given once, whichever comes first: it or who takes it."""

from __future__ import annotations

import pytest

from lanying.base.errors import CallError
from lanying.base.refusals import Refusal
from lanying.shard.core.deferred import Deferred


@pytest.mark.parametrize(
    ("result", "known"),
    [(7, False), (7, True), (0, False), (0, True), (CallError(Refusal.UNAVAILABLE), False)],
    ids=["taker first", "answer first", "zero, taker first", "zero, answer first", "refusal"],
)
def test_the_answer_arrives_once(result: int | CallError, known: bool) -> None:
    later, taken = Deferred[int](), []
    if known:
        later.settle(result)
    later.then(taken.append)
    if not known:
        assert not taken
        later.settle(result)
    assert taken == [result]
    with pytest.raises(AssertionError, match="once"):
        later.settle(result)
    assert taken == [result]


def test_a_refusal_that_is_known_is_raised() -> None:
    later, taken = Deferred[int](), []
    later.settle(CallError(Refusal.NAME_TAKEN))
    with pytest.raises(CallError) as raised:
        later.then(taken.append)
    assert raised.value.refusal is Refusal.NAME_TAKEN and not taken
