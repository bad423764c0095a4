"""Records of a log elsewhere: what is read back is what was written, and nothing else is taken for it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lanying.base.errors import StoreError
from lanying.shard.store import records, schema
from lanying.shard.store.memory import MemoryStore
from lanying.shard.store.records import Record, RecordReader

keys = st.binary(min_size=1, max_size=4)
change = st.tuples(st.sampled_from([schema.QUEUE, schema.META]), keys, st.none(), st.none() | st.binary(max_size=40))
gone = st.tuples(st.just(schema.QUEUE), keys, keys, st.none())
changes = st.lists(change | gone, max_size=8)


def written(number: int, *rows: tuple[str, bytes, bytes | None, bytes | None], epoch: int = 1) -> list[bytes]:
    return [*records.parts(Record(3, epoch, number, 1000 + number, rows), piece_bytes=16)]


@given(st.lists(changes, max_size=4), st.integers(1, 100))
def test_what_is_read_back_is_what_was_written(
    ticks: list[list[tuple[str, bytes, bytes | None, bytes | None]]], size: int
) -> None:
    reader = RecordReader(3)
    for number, rows in enumerate(ticks, 1):
        made = Record(3, 1, number, 5, rows)
        *before, last = records.parts(made, piece_bytes=size)
        assert all(len(part) < size + 40 for part in before)
        assert [reader.take(part) for part in before] == [None] * len(before)
        assert reader.take(last) == made


@given(changes, changes, st.data())
def test_a_message_that_is_missing_changed_or_moved_is_not_taken(first, second, data) -> None:  # type: ignore[no-untyped-def]
    log = [*written(1, *first), *written(2, *second)]
    place = data.draw(st.integers(0, len(log) - 1))
    match data.draw(st.sampled_from(["missing", "bit", "twice"])):
        case "missing":
            del log[place]
        case "twice":
            log.insert(place, log[place])
        case "bit":
            bit = data.draw(st.integers(0, len(log[place]) * 8 - 1))
            damaged = bytearray(log[place])
            damaged[bit // 8] ^= 1 << bit % 8
            log[place] = bytes(damaged)
    reader, found = RecordReader(3), []
    try:
        for message in log:
            record = reader.take(message)
            if record is not None:
                found.append(record.changes)
    except StoreError as error:
        assert "restore the last backup" in str(error)
    wanted = [[*first], [*second]]
    assert all([*rows] in wanted for rows in found)


def test_a_record_without_its_commit_mark_never_happened() -> None:
    reader = RecordReader(3)
    torn = written(1, (schema.META, b"a" * 40, None, b"1"))
    for part in torn[:-1]:
        assert reader.take(part) is None
    [*_, whole] = [reader.take(part) for part in written(1, (schema.META, b"b", None, b"2"), epoch=2)]
    assert whole is not None and whole.changes == [(schema.META, b"b", None, b"2")]
    with pytest.raises(StoreError, match=r"record \(1, 1\) behind \(2, 1\)"):
        reader.take(torn[-1])


def test_a_record_of_another_shard_is_refused() -> None:
    with pytest.raises(StoreError, match="a record of shard 3"):
        RecordReader(2).take(written(1)[0])


def test_a_record_is_applied_with_its_position() -> None:
    store = MemoryStore()
    assert records.position(store) == 0
    rows = [(schema.QUEUE, b"a", None, b"1"), (schema.QUEUE, b"b", None, b"2"), (schema.QUEUE, b"a", b"b", None)]
    record = Record(3, 1, 1, 5, [*rows, (schema.QUEUE, b"c", None, b"3"), (schema.QUEUE, b"b", None, None)])
    for _ in range(2):
        records.apply(store, record, 17)
        assert [*store.scan(schema.QUEUE, b"", b"\xff")] == [(b"c", b"3")]
        assert records.position(store) == 17
    assert store.writes == 2
