"""The shard map and its file."""

import msgspec
import pytest

from lanying.errors import DataDirectoryError
from lanying.ids import SLOTS
from lanying.shardmap import FILE_NAME, ShardMap, slot_of_name


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
