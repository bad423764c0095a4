"""The newest map wins; an answer of another shard is believed when it is newer than what is known."""

from pathlib import Path

import msgspec

from lanying.cluster.directory import Directory, Moved
from lanying.cluster.runtime import RunDirectory
from lanying.cluster.shardmap import ShardMap

OLD = ShardMap.even(2)


def newer(version: int) -> ShardMap:
    return msgspec.structs.replace(OLD.moved({0}, 1), version=version)


def directory(*kept: ShardMap | None) -> Directory:
    """What is read, time after time."""
    reads = list(kept)
    return Directory(OLD, RunDirectory(Path("/nowhere")), lambda: reads.pop(0) if reads else None)


def test_a_newer_map_is_taken_and_watchers_hear_of_it() -> None:
    heard: list[int] = []
    found = directory(newer(3), newer(2), None)
    found.watch(lambda new: heard.append(new.version))
    for _ in range(3):
        found.refresh()
    assert (found.map.version, heard) == (3, [3])
    assert found.owner(0) == 1


def test_moved_is_answered_for_slots_of_others_alone() -> None:
    found = directory()
    assert found.moved(0, 0) is None
    assert found.moved(1, 0) == Moved(0, 0, 1)


def test_an_answer_makes_it_read_the_map_again() -> None:
    found = directory(newer(2))
    assert found.learn(Moved(0, 1, 2))
    assert found.map == newer(2)


def test_an_answer_newer_than_the_file_is_believed_about_its_slot() -> None:
    found = directory(None, newer(5))
    assert found.learn(Moved(0, 1, 5))
    assert found.map.slots[0] == 1
    assert found.map.slots[1:] == OLD.slots[1:]
    found.refresh()
    assert found.map.version == 5


def test_an_answer_older_than_the_map_changes_nothing() -> None:
    found = directory(OLD)
    assert not found.learn(Moved(0, 1, 1))
    assert not found.learn(Moved(0, 7, 9)), "there is no shard 7"
    assert found.map == OLD
