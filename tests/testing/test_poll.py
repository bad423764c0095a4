"""Waiting for a named condition."""

import asyncio

import pytest

from lanying.testing.poll import eventually, until


def counter(values):
    left = iter(values)
    return lambda: next(left)


def test_the_first_true_value_is_the_result():
    assert until("it is there", counter([None, 0, "", "x"])) == "x"


def test_a_condition_that_does_not_come_true_is_named_with_what_was_seen():
    with pytest.raises(AssertionError, match="not within 0 s: it is there; saw: 0"):
        until("it is there", lambda: 0, 0)
    with pytest.raises(AssertionError, match=r"saw: .'a log'"):
        until("it is there", lambda: 0, 0, lambda: ["a log"])


def test_the_loop_runs_on_and_a_condition_may_be_awaited():
    async def scene():
        happened = []
        asyncio.get_running_loop().call_soon(happened.append, 1)
        assert await eventually("it happened", lambda: happened) == [1]

        async def asked():
            await asyncio.sleep(0)
            return len(happened)

        assert await eventually("it is told", asked) == 1
        with pytest.raises(AssertionError, match="not within 0 s: never; saw: None"):
            await eventually("never", lambda: None, 0)

    asyncio.run(scene())
