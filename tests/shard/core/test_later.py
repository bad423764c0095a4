"""An answer that is not known yet is given once, whichever comes first: it or who takes it."""

from __future__ import annotations

import pytest

from lanying.base.errors import CallError
from lanying.base.refusals import Refusal
from lanying.shard.core.later import Later


@pytest.mark.parametrize("result", [b"answer", b"", CallError(Refusal.UNAVAILABLE)], ids=["answer", "empty", "error"])
@pytest.mark.parametrize("known", [False, True], ids=["taker first", "answer first"])
def test_the_answer_arrives_once(result: bytes | CallError, known: bool) -> None:
    later, taken = Later(), []
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
