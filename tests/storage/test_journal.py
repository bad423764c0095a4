"""The journal of a resharding: replaced as a whole, and sums that do not depend on order."""

import random

import pytest

from lanying.base.errors import ReshardError
from lanying.cluster.shardmap import ShardMap
from lanying.storage.journal import CLEAN, FILE_NAME, Journal, row_sum


def test_what_was_saved_is_loaded(tmp_path):
    assert Journal.load(tmp_path) is None
    journal = Journal(before=2, shards=4, version=7, sources=[1, 2], step=CLEAN)
    journal.count("queue", 3, 5)
    journal.save(tmp_path)
    assert Journal.load(tmp_path) == journal
    Journal.remove(tmp_path)
    assert Journal.load(tmp_path) is None
    Journal.remove(tmp_path)


@pytest.mark.parametrize(
    "content", [b"{", b'{"before":1}', b'{"before":1,"shards":2,"version":1,"sources":[],"more":1}']
)
def test_a_damaged_one_names_the_remedy(tmp_path, content):
    (tmp_path / FILE_NAME).write_bytes(content)
    with pytest.raises(ReshardError, match="finish with the release that began"):
        Journal.load(tmp_path)


def test_one_of_a_later_release_is_refused(tmp_path):
    Journal(2, 4, 7, [], format=3).save(tmp_path)
    with pytest.raises(ReshardError, match="format 3"):
        Journal.load(tmp_path)


def test_a_journal_without_slots_deals_them_evenly():
    assert Journal(2, 4, 7, []).map == ShardMap(shards=4, slots=ShardMap.even(4).slots, version=7)


def test_a_sum_is_the_same_in_any_order_and_wraps():
    rows = [(b"key%d" % number, b"value" * number) for number in range(50)]
    sums = []
    for _ in range(3):
        random.Random(len(sums)).shuffle(rows)
        journal = Journal(1, 1, 1, [])
        for key, value in rows:
            journal.count("queue", 1, row_sum(key, value))
        sums.append(journal.sums)
        assert journal.rows == {"queue": 50}
    assert sums[0] == sums[1] == sums[2]
    journal.count("queue", 0, (1 << 64) - journal.sums["queue"])
    assert journal.sums == {"queue": 0}
    assert row_sum(b"a", b"b") != row_sum(b"b", b"a")
