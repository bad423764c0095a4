"""Short-lived secrets: kept, read, checked, expired, bounded."""

from itertools import islice

import msgspec
import pytest

from lanying.base import limits
from lanying.base.errors import CallError
from lanying.bus.messages import CheckCode, PutCode, ReadCode
from lanying.cluster.shardmap import slot_of_name
from lanying.shard.store import schema
from lanying.testing.shards import NotingSimulation

LIFE = 60_000


@pytest.fixture
def cluster() -> NotingSimulation:
    return NotingSimulation(1)


def ask(cluster, request):
    return msgspec.msgpack.decode(cluster.call(0, request))


def put(cluster, code="c", value="v", *, kind="k", app="app", life=LIFE, attempts=1, peer=""):
    return ask(cluster, PutCode(app, kind, code, value, cluster.now_ms + life, attempts, peer))


def test_a_secret_is_read_until_it_is_taken(cluster):
    assert put(cluster) is True
    assert ask(cluster, ReadCode("app", "k", "c")) == "v"
    assert ask(cluster, ReadCode("app", "k", "c", take=True)) == "v"
    assert ask(cluster, ReadCode("app", "k", "c")) is None


def test_apps_and_kinds_do_not_mix(cluster):
    put(cluster)
    assert ask(cluster, ReadCode("other", "k", "c")) is None
    assert ask(cluster, ReadCode("app", "other", "c")) is None
    assert ask(cluster, CheckCode("other", "k", "c", "v")) is False
    assert ask(cluster, ReadCode("app", "k", "c")) == "v"


def test_it_expires(cluster):
    put(cluster, life=10)
    put(cluster, "long", life=1 << 60)
    cluster.now_ms += 10
    assert ask(cluster, ReadCode("app", "k", "c")) is None
    assert ask(cluster, CheckCode("app", "k", "c", "v")) is False
    cluster.now_ms += limits.CODE_LIFETIME_MS
    assert ask(cluster, ReadCode("app", "k", "long")) is None


def test_a_right_answer_counts_once_and_wrong_ones_are_counted(cluster):
    put(cluster, attempts=2)
    assert [ask(cluster, CheckCode("app", "k", "c", answer)) for answer in ("x", "v", "v")] == [False, True, False]
    put(cluster, attempts=2)
    assert [ask(cluster, CheckCode("app", "k", "c", answer)) for answer in ("x", "ü", "v")] == [False, False, False]


def of_one_slot(count):
    slot = slot_of_name("app", "k:0")
    return list(islice((str(n) for n in range(1 << 20) if slot_of_name("app", f"k:{n}") == slot), count))


def test_a_slot_is_bounded_and_cleans_up_after_itself(cluster):
    codes = of_one_slot(limits.CODES_PER_SLOT + 1)
    for code in codes[:-1]:
        put(cluster, code, peer=f"of {code}")
    put(cluster, codes[0], "again", peer=f"of {codes[0]}")  # takes no place of its own
    with pytest.raises(CallError) as refused:
        put(cluster, codes[-1], peer="one more")
    assert refused.value.code == 503
    cluster.now_ms += LIFE
    put(cluster, codes[-1])
    rows = list(cluster.shards[0].work.store.scan(schema.CODES, b"", b"\xff" * 9))
    assert len(rows) == 1


def test_who_floods_a_slot_makes_room_and_nobody_else(cluster):
    codes = of_one_slot(3 * limits.CODES_PER_SLOT)
    put(cluster, codes[0], peer="honest")
    for n, code in enumerate(codes[1:-1]):
        put(cluster, code, peer="flood", life=LIFE + n)
    put(cluster, codes[-1], peer="newcomer")
    there = [code for code in codes if ask(cluster, ReadCode("app", "k", code))]
    assert there == [codes[0], *codes[-limits.CODES_PER_SLOT + 1 :]]
    other = next(
        str(n) for n in range(200_000) if slot_of_name("app", f"other:{n}") == slot_of_name("app", f"k:{codes[0]}")
    )
    put(cluster, other, kind="other", peer="flood")  # a kind of its own takes no place from others
    assert [code for code in codes if ask(cluster, ReadCode("app", "k", code))] == there


def test_a_secret_has_a_longest_length(cluster):
    with pytest.raises(CallError) as refused:
        put(cluster, value="x" * (limits.CODE_CHARS + 1))
    assert refused.value.code == 10002
