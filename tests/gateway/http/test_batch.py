"""Rows of one call: in their order, some at a time, each with its own outcome."""

from __future__ import annotations

import asyncio

import pytest

from lanying.base import limits
from lanying.base.errors import CallError
from lanying.base.refusals import Refusal
from lanying.gateway.http.batch import each


def test_rows_keep_their_order_and_a_refused_one_is_its_error() -> None:
    async def work(row: int) -> str:
        await asyncio.sleep(0 if row % 2 else 0.001)
        if row == 3:
            raise CallError(Refusal.NO_SUCH_USER)
        return str(row)

    found = asyncio.run(each(range(6), work))
    assert [str(one) if not isinstance(one, CallError) else one.refusal for one in found] == [
        "0",
        "1",
        "2",
        Refusal.NO_SUCH_USER,
        "4",
        "5",
    ]
    assert asyncio.run(each([], work)) == []


def test_only_so_many_are_worked_on_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "REST_AT_ONCE", 3)
    running, most = 0, 0

    async def work(row: int) -> None:
        nonlocal running, most
        running += 1
        most = max(most, running)
        await asyncio.sleep(0)
        running -= 1

    asyncio.run(each(range(20), work))
    assert most == 3


def test_a_defect_is_no_outcome_of_a_row() -> None:
    async def work(row: int) -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        asyncio.run(each([1], work))
