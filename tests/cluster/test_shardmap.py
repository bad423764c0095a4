"""The shard map and its file."""

import msgspec
import pytest

from lanying.base import limits
from lanying.base.errors import DataDirectoryError, ReshardError
from lanying.base.ids import SLOTS
from lanying.cluster.shardmap import FILE_NAME, ShardMap, parse_slots, slot_of_name, wanted_map


@pytest.mark.parametrize("shards", [1, 2, 3, 4, 64])
def test_an_even_map_covers_every_slot_once(shards):
    made = ShardMap.even(shards)
    owned = [made.slots_of(shard) for shard in range(shards)]
    assert sorted(slot for slots in owned for slot in slots) == list(range(SLOTS))
    assert max(map(len, owned)) - min(map(len, owned)) <= 1


def test_ids_and_names_are_owned_by_their_slot():
    made = ShardMap.even(4)
    assert made.shard_of(7 * SLOTS + 6) == made.slots[6] == 2
    assert made.shard_of_name("a", "Bob") == made.shard_of_name("a", "bOB")
    assert slot_of_name("a", "bob") != slot_of_name("b", "bob")
    assert 0 <= slot_of_name("ä", "名") < SLOTS


def test_save_and_load(tmp_path):
    made = ShardMap.even(3)
    assert ShardMap.load(tmp_path) is None
    made.save(tmp_path)
    assert ShardMap.load(tmp_path) == made
    assert [entry.name for entry in tmp_path.iterdir()] == [FILE_NAME]


@pytest.mark.parametrize(
    ("content", "remedy"),
    [
        (b"{", "restore it from a backup"),
        (b"[]", "restore it from a backup"),
        (msgspec.json.encode(ShardMap(2, tuple([0] * SLOTS), format=2)), "upgrade lanying"),
        (msgspec.json.encode(ShardMap(2, (0, 1))), "upgrade lanying"),
        (msgspec.json.encode(ShardMap(2, tuple([2] * SLOTS))), "upgrade lanying"),
    ],
)
def test_a_damaged_or_newer_file_is_refused(tmp_path, content, remedy):
    (tmp_path / FILE_NAME).write_bytes(content)
    with pytest.raises(DataDirectoryError, match=remedy):
        ShardMap.load(tmp_path)


@pytest.mark.parametrize("shards", [0, -1, limits.MAX_SHARDS + 1])
def test_a_number_of_shards_has_bounds(shards):
    with pytest.raises(ReshardError, match=f"between 1 and {limits.MAX_SHARDS}"):
        ShardMap.even(shards)


def test_chosen_slots_move_and_no_others():
    made = ShardMap.even(3)
    moved = made.moved(parse_slots("0-9, 512,3"), 2)
    assert {*moved.slots_of(2)} == {*made.slots_of(2), *range(10), 512}
    assert (moved.shards, moved.version) == (3, made.version)
    assert made.differences(moved) == sum(made.slots[slot] != 2 for slot in (*range(10), 512)) > 0
    assert moved.moved(range(10), 2) == moved, "again is the same"


@pytest.mark.parametrize("shards", [2, 3, 5, 64])
def test_a_drained_shard_has_no_slot_and_the_others_are_even(shards):
    made = ShardMap.even(shards)
    drained = made.drained(1)
    counts = [drained.slots.count(shard) for shard in range(shards)]
    assert counts.pop(1) == 0 and sum(counts) == SLOTS and max(counts) - min(counts) <= 1
    assert all(drained.slots[slot] == owner for slot, owner in enumerate(made.slots) if owner != 1), "others stay"
    assert drained.drained(1) == drained and drained.shards == shards


def test_what_is_drained_stays_so():
    drained = ShardMap.even(4).drained(1).drained(3)
    assert [drained.slots.count(shard) for shard in range(4)] == [512, 0, 512, 0]


def test_a_lopsided_map_is_filled_from_below():
    drained = ShardMap.even(3).moved(range(600), 0).drained(2)
    assert drained.slots.count(1) < drained.slots.count(0), "what is left goes to the emptier one"


@pytest.mark.parametrize(
    ("move", "says"),
    [
        (lambda made: made.drained(0).drained(1), "has all slots"),
        (lambda made: ShardMap.even(1).drained(0), "has all slots"),
        (lambda made: made.drained(2), "there are 0 to 1"),
        (lambda made: made.moved([1], 2), "there are 0 to 1"),
        (lambda made: parse_slots("1024"), "0 to 1023"),
        (lambda made: parse_slots(""), "like 0-99,512"),
        (lambda made: parse_slots("1-"), "like 0-99,512"),
        (lambda made: parse_slots("-1"), "like 0-99,512"),
        (lambda made: parse_slots("9-1"), "like 0-99,512"),
        (lambda made: parse_slots("0-999999999999"), "like 0-99,512"),
    ],
)
def test_refused_moves(move, says):
    with pytest.raises(ReshardError, match=says):
        move(ShardMap.even(2))


def test_what_somebody_asks_for():
    now = ShardMap.even(3)
    assert wanted_map(now) is None
    assert wanted_map(now, shards=2) == ShardMap.even(2)
    assert wanted_map(now, slots="1", to=0) == now.moved({1}, 0)
    assert wanted_map(now, drain=0) == now.drained(0)
    for half in ({"slots": "1"}, {"to": 0}):
        with pytest.raises(ReshardError, match="belong together"):
            wanted_map(now, **half)
    with pytest.raises(ReshardError, match="one thing at a time"):
        wanted_map(now, shards=2, drain=0)
