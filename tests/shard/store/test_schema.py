"""The key layout: byte order is logical order, and a scan of a prefix finds that prefix alone."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lanying.shard.store import schema

numbers = st.integers(0, (1 << 64) - 1)


@given(st.lists(st.tuples(numbers, numbers, numbers)))
def test_keys_sort_as_what_they_say(triples: list[tuple[int, int, int]]) -> None:
    assert sorted(schema.pack_triple(*one) for one in triples) == [schema.pack_triple(*one) for one in sorted(triples)]


@given(st.binary(min_size=1, max_size=4).filter(lambda prefix: prefix.strip(b"\xff")), st.binary(max_size=6))
def test_the_successor_is_right_behind_all_keys_with_the_prefix(prefix: bytes, rest: bytes) -> None:
    stop = schema.successor(prefix)
    assert prefix + rest < stop
    other = rest[:4]
    assert (prefix <= other < stop) == other.startswith(prefix)


@pytest.mark.parametrize(
    ("prefix", "stop"), [(b"a", b"b"), (b"a\xff\xff", b"b"), (b"\xff", b"\xff\xff"), (b"", b"\xff"), (b"\0", b"\x01")]
)
def test_the_successor_at_its_edges(prefix: bytes, stop: bytes) -> None:
    assert schema.successor(prefix) == stop


def test_a_name_is_found_however_it_is_written_and_in_its_app_alone() -> None:
    key = schema.name_key(3, "app", "Ann")
    assert key == b"\0\x03app\0" + b"ann" == schema.name_key(3, "app", "aNN")
    assert (
        len({key, schema.name_key(4, "app", "ann"), schema.name_key(3, "ap", "ann"), schema.name_key(3, "app", "an")})
        == 4
    )


def test_every_family_is_listed_and_described() -> None:
    named = {value for name, value in vars(schema).items() if name.isupper() and isinstance(value, str)}
    assert named == set(schema.FAMILIES) and len(schema.FAMILIES) == len(named)
    table, _, _ = (schema.__doc__ or "").rpartition("\n====")
    described = set(re.findall(r"^``(\w+)``", table, re.M))
    assert described == named


def test_marks_and_flags_do_not_overlap() -> None:
    for bits in (
        (
            schema.READ_BY_OWNER,
            schema.READ_BY_PEER,
            schema.DELIVERED,
            schema.PLAYED,
            schema.MARKED_UNREAD,
            schema.REMOVED,
        ),
        (schema.IS_GROUP, schema.UNLISTED, schema.BARRED, schema.KNOWN, schema.SILENT, schema.NOTED),
    ):
        assert sum(bits) == (1 << len(bits)) - 1 and all(bit.bit_count() == 1 for bit in bits)
