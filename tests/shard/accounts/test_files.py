"""Records of files and how much somebody has stored: they agree whatever comes and goes."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lanying.base import limits
from lanying.base.errors import CallError
from lanying.base.refusals import Refusal
from lanying.bus.messages import STATE_DELETED, FileRecord, FileUsage, SetState
from lanying.shard.accounts import files
from lanying.testing.simulation import Simulation


def record(number: int, owner: int = 5, size: int = 10, created_ms: int = 100, to_type: int = 1) -> FileRecord:
    return FileRecord(owner, number, "app", "name", size, "image/png", "", 100, to_type, 7, created_ms)


@pytest.fixture
def work() -> Any:
    return Simulation(1).shards[0].work


def refusal(work: Any, new: FileRecord, quota: int) -> CallError:
    with pytest.raises(CallError) as error:
        files.add(work, new, quota)
    return error.value


def test_a_ticket_is_for_one_file(work: Any) -> None:
    files.add(work, record(1), 0)
    refused = refusal(work, record(1), 0)
    assert refused.refusal is Refusal.INVALID_PARAMETER and "ask for a new one" in refused.message
    files.add(work, record(1, owner=6), 0)
    assert files.get(work.store, 5, 1) == record(1) and files.get(work.store, 5, 2) is None


def test_a_quota_is_full_to_the_byte(work: Any) -> None:
    quota = 3 << 20
    files.add(work, record(1, size=2 << 20), quota)
    refused = refusal(work, record(2, size=(1 << 20) + 1), quota)
    assert refused.refusal is Refusal.NOT_STORED
    assert refused.message == "your files take 2 of 3 MB, there is no room for this one"
    files.add(work, record(2, size=1 << 20), quota)
    assert refusal(work, record(3, size=1), quota).refusal is Refusal.NOT_STORED
    files.add(work, record(3, size=1), 0)
    assert files.usage(work.store, 5) == FileUsage(5, quota + 1, 3)


def test_so_many_files_are_kept(work: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "FILES_PER_USER", 2)
    for number in (1, 2):
        files.add(work, record(number), 0)
    assert refusal(work, record(3), 0).message == "you have 2 files, more are not kept"
    files.remove(work, [(5, 1)])
    files.add(work, record(3), 0)


@given(st.lists(st.tuples(st.booleans(), st.integers(5, 6), st.integers(1, 4)), max_size=30))
def test_usage_is_what_there_is(steps: list[tuple[bool, int, int]]) -> None:
    work = Simulation(1).shards[0].work
    kept: dict[tuple[int, int], int] = {}
    for add, owner, number in steps:
        if add and (owner, number) not in kept:
            files.add(work, record(number, owner, size=number * 10), 0)
            kept[owner, number] = number * 10
        elif not add:
            assert files.remove(work, [(owner, number), (owner, number)]) == ((owner, number) in kept)
            kept.pop((owner, number), None)
    for owner in (5, 6):
        mine = [size for (whose, _), size in kept.items() if whose == owner]
        assert files.usage(work.store, owner) == FileUsage(owner, sum(mine), len(mine))
    expected = sorted({owner for owner, _ in kept})
    assert [one.owner for one in files.usages(work.store, -1)] == expected


def test_old_files_go_page_by_page(work: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "FILES_SCANNED", 3)
    for number in range(1, 9):
        files.add(work, record(number, owner=5 + number % 2, created_ms=number * 10), 0)
    found, after, pages = [], (0, 0), 0
    while after is not None:
        rows, after = files.page(work.store, after, 50)
        found += [(row.owner, row.number) for row in rows]
        pages += 1
    assert sorted(found) == [(5, 2), (5, 4), (6, 1), (6, 3)], "made before, not at the time"
    assert pages == 3


def test_what_a_deleted_account_uploaded_goes_but_not_what_it_gave_a_group() -> None:
    sim = Simulation(1)
    ann, work = sim.user("ann"), sim.shards[0].work
    for number, to_type in ((1, 1), (2, 2)):
        files.add(work, record(number, owner=ann.uid, created_ms=10**15, to_type=to_type), 0)
    assert files.page(work.store, (0, 0), 0) == ([], None)
    sim.call(0, SetState(ann.uid, STATE_DELETED))
    assert [row.number for row in files.page(work.store, (0, 0), 0)[0]] == [1]
