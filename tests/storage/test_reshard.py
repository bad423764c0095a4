"""Resharding: everybody finds everything again, whatever happens on the way."""

from __future__ import annotations

import shutil
from pathlib import Path

import msgspec
import pytest

from lanying.base.errors import DataDirectoryError, ReshardError
from lanying.base.ids import SLOTS
from lanying.bus.messages import AddFile, BindPush, FileRecord, StartBroadcast, TakenPushes, TakePushes
from lanying.cluster.shardmap import ShardMap
from lanying.config.schema import Config
from lanying.protocol.schema.xsync_pb2 import MessageBody
from lanying.shard.accounts import files
from lanying.shard.store import placement, schema
from lanying.storage import directory
from lanying.storage.backup import Backup
from lanying.storage.check import check, verify_data
from lanying.storage.drain import under_way
from lanying.storage.forget_cold import forget_cold
from lanying.storage.progress import Point, Silent
from lanying.storage.reshard import Reshard
from lanying.storage.verify import verify_links, verify_store
from lanying.supervisor.datadir import DataDirectory
from lanying.testing.simulation import START_MS
from tests.storage import town

LATER_MS = START_MS + town.LATER_MS


class Interrupted(Exception):
    """A power failure, nearly."""


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("built") / "data"
    town.found(place, 2)
    with town.running(place) as sim:
        town.talk(sim)
        assert town.leave_under_way(sim)
    return place


@pytest.fixture
def data(built: Path, tmp_path: Path) -> Path:
    """Two shards, with messages under way between them."""
    return Path(shutil.copytree(built, tmp_path / "data"))


def interrupted(where: str) -> Point:
    def point(name: str) -> None:
        if name == where:
            raise Interrupted(name)

    return point


def move(data: Path, shards: int, stop_at: str = "") -> None:
    Reshard(data, ShardMap.even(shards), Config(), point=interrupted(stop_at)).run(LATER_MS)


def look(data: Path, later: int) -> dict[str, town.Seen]:
    with town.running(data, later) as sim:
        sim.run()
        return town.state(sim)


def test_every_family_has_its_place() -> None:
    assert set(placement.PLACES) == set(schema.FAMILIES), "say in placement.py what the new family's rows move with"


def test_everybody_finds_everything_again(data: Path, tmp_path: Path) -> None:
    with directory.opened([data / "shard-0", data / "shard-1"]) as stores:
        pending = under_way(stores)
        assert pending
    done = Reshard(data, ShardMap.even(4), Config()).run(LATER_MS)
    assert (done.before, done.after, done.delivered) == (2, 4, pending)
    expected = look(data, 2)
    histories = str(expected)
    assert (
        histories.count("under way from") == 2 * pending and "unread 1" in histories and "unread by some" in histories
    )
    assert {len(pages) for _, _, _, pages in expected.values()} == {len(town.NAMES) + 1}, "and a group"
    for shards in (3, 1, 4):
        Reshard(data, ShardMap.even(shards), Config()).run(LATER_MS)
        assert look(data, 2) == expected
    found = ShardMap.load(data)
    assert found is not None and (found.shards, found.version) == (4, 5)
    assert sorted(path.name for path in data.glob("shard-*")) == [f"shard-{n}" for n in range(4)]
    assert not (data / "reshard.json").exists()
    assert verify_data(data, tmp_path, Silent())[1] == []


def test_what_was_under_way_is_owed_its_push_and_owed_pushes_move_along(tmp_path: Path) -> None:
    data = tmp_path / "data"
    town.found(data, 2)
    with town.running(data) as sim:
        everybody = town.people(sim)
        for name, user in everybody.items():
            device = user.device(name)
            sim.call(sim.map.shard_of(user.uid), BindPush(user.uid, device.sn, "google", name))
            device.leave()
        payload = MessageBody(type=MessageBody.CHAT, content="to all", is_system=True).SerializeToString()
        sim.call(1, StartBroadcast("lanying", payload))
    for shards in (3, 2):
        move(data, shards)
        with town.running(data, shards) as sim:
            found = [
                msgspec.msgpack.decode(sim.call(index, TakePushes(0, 0)), type=TakenPushes) for index in range(shards)
            ]
            for index, taken in enumerate(found):
                assert {sim.map.shard_of(row.uid) for row in taken.rows} <= {index}
            assert {row.uid for taken in found for row in taken.rows} >= {user.uid for user in everybody.values()}


def test_a_broadcast_is_finished_and_files_go_with_their_owners(tmp_path: Path) -> None:
    data = tmp_path / "data"
    town.found(data, 2)
    with town.running(data) as sim:
        everybody = town.people(sim)
        for user in everybody.values():
            record = FileRecord(user.uid, 7, "lanying", "a.png", 100, "image/png", "ab" * 32, 102, 1, 1, START_MS)
            sim.call(sim.map.shard_of(user.uid), AddFile(record, 0))
        payload = MessageBody(type=MessageBody.CHAT, content="to all", is_system=True).SerializeToString()
        sim.call(1, StartBroadcast("lanying", payload))
    move(data, 3)
    with town.running(data, 3) as sim:
        for name, user in town.people(sim).items():
            assert user.device(name).history_texts(0) == ["to all"]
            assert files.get(user.shard.work.store, user.uid, 7) is not None
            assert files.usage(user.shard.work.store, user.uid).bytes == 100


def test_messages_under_way_arrive_once_and_the_conversation_goes_on(tmp_path: Path) -> None:
    data = tmp_path / "data"
    town.found(data, 2)
    with town.running(data) as sim:
        town.talk(sim, 1)
        under_way_pair = town.leave_under_way(sim)[0]
    move(data, 3)
    with town.running(data, 3) as sim:
        everybody = town.people(sim)
        alice, bob = (everybody[name] for name in under_way_pair)
        a, b = alice.device("phone"), bob.device("phone")
        before = b.history_texts(alice)
        assert before.count(f"under way from {alice.name}") == 1
        newest = a.history(bob, 0, 1).metas[0].id
        mid = a.acknowledged[a.send(bob, "after the move")]
        assert mid > newest, "ids go on growing"
        assert b.texts[-1] == "after the move"
        assert b.history_texts(alice) == [*before, "after the move"][-20:]


def test_without_messages_under_way_nothing_changes(tmp_path: Path) -> None:
    data = tmp_path / "data"
    town.found(data, 2)
    with town.running(data) as sim:
        town.talk(sim, 1)
        expected = town.state(sim)
    move(data, 3)
    assert look(data, 1) == expected


POINTS = (
    *("delivered", "noted 1", "noted 4", "noted 7", "copied", "verified", "switching", "put away 0", "put away 1"),
    *("put in place 0", "put in place 2", "map saved", "switched", "cleaning"),
)


@pytest.fixture(scope="module")
def moved(built: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, town.Seen]:
    """What everybody sees after a move without interruption, all named points of which are tested below."""
    data = Path(shutil.copytree(built, tmp_path_factory.mktemp("moved") / "data"))
    passed: list[str] = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("lanying.storage.reshard.JOURNAL_EVERY", 40)
        Reshard(data, ShardMap.even(3), Config(), point=passed.append).run(LATER_MS)
    assert {*passed} - {f"noted {n}" for n in range(100)} <= {*POINTS, "put in place 1"}
    assert {*POINTS} <= {*passed}
    return look(data, 2)


@pytest.mark.parametrize("name", POINTS)
def test_interrupted_anywhere_it_goes_on(
    data: Path, tmp_path: Path, moved: dict[str, town.Seen], name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lanying.storage.reshard.JOURNAL_EVERY", 40)
    with pytest.raises(Interrupted):
        move(data, 3, stop_at=name)
    move(data, 3)
    assert look(data, 2) == moved
    assert verify_data(data, tmp_path, Silent())[1] == []


def test_interrupted_before_the_switch_the_server_starts_and_what_it_changes_is_moved(data: Path) -> None:
    with pytest.raises(Interrupted):
        move(data, 4, stop_at="copied")
    directory_ = DataDirectory(data)
    directory_.prepare(Config(), 2)
    directory_.close()
    with town.running(data, 1) as sim:
        everybody = list(town.people(sim).values())
        everybody[0].device("phone").send(everybody[1], "in between")
    move(data, 4)
    with town.running(data, 2) as sim:
        everybody = list(town.people(sim).values())
        assert "in between" in everybody[1].device("phone").history_texts(everybody[0])


def test_interrupted_during_the_switch_a_start_is_refused(data: Path) -> None:
    with pytest.raises(Interrupted):
        move(data, 4, stop_at="put away 0")
    lock = DataDirectory(data)
    with pytest.raises(DataDirectoryError, match="reshard"):
        lock.prepare(Config(), 2)
    lock.close()
    with pytest.raises(ReshardError, match=r"taking its place; .lanying-cluster reshard. finishes"):
        Reshard(data, ShardMap.even(4), Config()).cancel()
    move(data, 4)
    lock = DataDirectory(data)
    assert lock.prepare(Config(), 4)[0].shards == 4
    lock.close()


@pytest.mark.parametrize("stop", ["put away 1", "put in place 0", "put in place 1"])
def test_data_that_fits_no_map_is_not_backed_up(data: Path, tmp_path: Path, stop: str) -> None:
    good = Backup(data, tmp_path / "backup").run(LATER_MS)
    with pytest.raises(Interrupted):
        Reshard(data, ShardMap.even(2).drained(1), Config(), point=interrupted(stop)).run(LATER_MS)
    with pytest.raises(DataDirectoryError, match="a start of the server finishes it"):
        Backup(data, tmp_path / "backup").run(LATER_MS)
    with pytest.raises(DataDirectoryError, match="finishes it"):
        verify_data(data, tmp_path, Silent())
    with pytest.raises(DataDirectoryError, match="finishes it"):
        forget_cold(data)
    assert check(tmp_path / "backup").files == good.files, "the older one is still there"


def test_interrupted_right_before_the_switch_what_a_server_changes_is_moved_too(data: Path) -> None:
    with pytest.raises(Interrupted):
        move(data, 4, stop_at="verified")
    assert not (data / "reshard.switching").exists()
    with town.running(data, 1) as sim:
        everybody = list(town.people(sim).values())
        everybody[0].device("phone").send(everybody[1], "at the last moment")
    Reshard(data, None, Config()).run(LATER_MS)
    with town.running(data, 2) as sim:
        everybody = list(town.people(sim).values())
        assert "at the last moment" in everybody[1].device("phone").history_texts(everybody[0])


def test_a_shard_is_drained_serves_without_slots_and_is_filled_again(data: Path, tmp_path: Path) -> None:
    move(data, 3)
    expected = look(data, 2)
    drained = directory.need_map(data).drained(1)
    with pytest.raises(Interrupted):
        Reshard(data, drained, Config(), point=interrupted("put in place 1")).run(LATER_MS)
    Reshard(data, None, Config()).run(LATER_MS)
    assert (directory.need_map(data).slots, directory.need_map(data).version) == (drained.slots, 3)
    assert look(data, 3) == expected
    assert verify_data(data, tmp_path, Silent())[1] == []
    with directory.opened([data / "shard-1"]) as (empty,):
        assert not [family for family in placement.OWNED for _ in empty.scan(family, b"", b"\xff" * 40)]
    with town.running(data, 4) as sim:
        alice, bob = (town.people(sim)[name] for name in town.NAMES[:2])
        strangers = [sim.user(f"later{number}") for number in range(30)]
        assert {user.shard.work.index for user in strangers} == {0, 2}, "new users are where slots are"
        alice.device("phone").send(strangers[0], "hello")
        gid = sim.group(bob, *strangers[:5])
        bob.device("phone").send(gid, "hello all", type=MessageBody.GROUPCHAT)
        sim.call(1, StartBroadcast("lanying", MessageBody(type=MessageBody.CHAT, content="to all").SerializeToString()))
        sim.run()
        for shard in sim.shards:
            while shard.broadcasts.running:
                shard.broadcasts.step()
                sim.run()
        assert "hello" in strangers[0].device("phone").history_texts(alice)
        assert alice.device("phone").history_texts(0) == ["to all"], "a broadcast begun by a shard without users"
    assert verify_data(data, tmp_path, Silent())[1] == []
    expected = look(data, 5)
    move(data, 3)
    assert directory.need_map(data).slots == ShardMap.even(3).slots
    assert look(data, 6) == expected
    assert verify_data(data, tmp_path, Silent())[1] == []


def test_chosen_slots_go_where_they_are_sent(data: Path, tmp_path: Path) -> None:
    with town.running(data) as sim:
        alice = town.people(sim)["user0"].uid
    before = directory.need_map(data)
    wanted = before.moved({alice % SLOTS}, 1 - before.shard_of(alice))
    expected = None
    for slots in (wanted, before):
        Reshard(data, slots, Config()).run(LATER_MS)
        assert directory.need_map(data).shard_of(alice) == slots.shard_of(alice)
        expected = expected or look(data, 2)
        assert look(data, 2) == expected
        assert verify_data(data, tmp_path, Silent())[1] == []


def test_a_journal_of_the_release_before_is_gone_on_with(data: Path) -> None:
    with pytest.raises(Interrupted):
        move(data, 3, stop_at="put away 0")
    file = data / "reshard.json"
    old = msgspec.json.decode(file.read_bytes()) | {"format": 1}
    del old["slots"], old["keep_old"]
    file.write_bytes(msgspec.json.encode(old))
    Reshard(data, None, Config()).run(LATER_MS)
    assert directory.need_map(data).slots == ShardMap.even(3).slots


def test_it_can_be_given_up(data: Path) -> None:
    with pytest.raises(Interrupted):
        move(data, 4, stop_at="copied")
    with pytest.raises(ReshardError, match=r"to 4 shards is under way.*--cancel"):
        Reshard(data, ShardMap.even(3), Config())
    Reshard(data, ShardMap.even(4), Config()).cancel()
    assert not list(data.glob("*reshard*"))
    with pytest.raises(ReshardError, match="no resharding"):
        Reshard(data, ShardMap.even(4), Config()).cancel()
    move(data, 3)


def test_refusals_name_the_remedy(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ReshardError, match="is there already, on 2 shards"):
        Reshard(data, ShardMap.even(2), Config())
    with pytest.raises(ReshardError, match="no resharding is under way"):
        Reshard(data, None, Config())
    for broken in (ShardMap(1, ShardMap.even(2).slots), ShardMap(2, (0, 1))):
        with pytest.raises(ReshardError, match="not every slot"):
            Reshard(data, broken, Config())
    monkeypatch.setattr(directory, "free_bytes", lambda path: 1000)
    with pytest.raises(ReshardError, match="make room"):
        move(data, 4)
    monkeypatch.undo()
    move(data, 4)


def test_a_copy_that_differs_is_not_used(data: Path) -> None:
    with pytest.raises(Interrupted):
        move(data, 3, stop_at="copied")
    place = data / "shard-1.reshard-2"
    with directory.opened([place]) as (store,):
        key, _ = next(iter(store.scan(schema.QUEUE, b"", b"\xff" * 32)))
        batch = store.batch()
        batch.put(schema.QUEUE, key, b"other")
        store.write(batch)
    with pytest.raises(ReshardError, match=r"queue: .* the old data is untouched"):
        move(data, 3)
    Reshard(data, ShardMap.even(3), Config()).cancel()
    move(data, 3)


def test_old_directories_can_be_kept(data: Path) -> None:
    with pytest.raises(Interrupted):
        Reshard(data, ShardMap.even(3), Config(), keep_old=True, point=interrupted("cleaning")).run(LATER_MS)
    Reshard(data, None, Config()).run(LATER_MS)
    assert sorted(path.name for path in data.glob("*before*")) == ["shard-0.before-2", "shard-1.before-2"]
    with directory.opened([data / "shard-0.before-2", data / "shard-1.before-2"]) as stores:
        assert [verify_store(store, index) for index, store in enumerate(stores)] == [[], []]
        assert verify_links(stores) == []
