from __future__ import annotations

import pytest

from lanying.base import limits
from lanying.bus import messages as m
from lanying.protocol.connection import XSYNC, Connection
from lanying.shard.accounts import devices
from lanying.shard.store import schema
from lanying.testing.shards import LocalCluster, LocalShard
from lanying.testing.simulation import Simulation

UID = 1_024_000


@pytest.fixture
def shard() -> LocalShard:
    return LocalCluster(1).shards[0]


def login(shard: LocalShard, guid: str, now_ms: int = 1, uid: int = UID) -> tuple[int, bool]:
    device, created = devices.admit(shard.store, shard, uid, guid, 6, "Web", now_ms)
    shard.commit()
    return device.sn, created


def test_a_device_is_known_by_its_guid(shard: LocalShard) -> None:
    assert login(shard, "a") == (1, True)
    assert login(shard, "b") == (2, True)
    assert login(shard, "a", 50) == (1, False)
    found = devices.get(shard.store, UID, 1)
    assert found is not None
    assert (found.first_seen_ms, found.last_seen_ms) == (1, 50)
    assert login(shard, "a", uid=UID + 1) == (1, True)


def test_a_device_without_guid_is_always_new(shard: LocalShard) -> None:
    assert [login(shard, "")[0] for _ in range(3)] == [1, 2, 3]


def test_numbers_are_never_given_again(shard: LocalShard) -> None:
    login(shard, "a")
    login(shard, "b")
    assert devices.forget(shard.store, shard, UID, 2)
    shard.commit()
    assert not devices.forget(shard.store, shard, UID, 2)
    assert login(shard, "b") == (3, True)


def test_the_push_token_of_a_login_is_kept_by_one_device(shard: LocalShard) -> None:
    def bound() -> dict[int, tuple[str, str]]:
        return {device.sn: (device.notifier, device.push_token) for device in devices.list_all(shard.store, UID)}

    def enter(guid: str, *push: str) -> None:
        devices.admit(shard.store, shard, UID, guid, 2, "", 1, push=push)  # type: ignore[arg-type]
        shard.commit()

    enter("a", "fcm", "t1")
    enter("b", "", "t2")
    assert bound() == {1: ("fcm", "t1"), 2: ("", "")}
    enter("b", "fcm", "t1")
    assert bound() == {1: ("", ""), 2: ("fcm", "t1")}
    enter("a", "fcm", "t3")
    enter("b", "", "")
    assert bound() == {1: ("fcm", "t3"), 2: ("fcm", "t1")}


def test_a_shard_keeps_the_push_token_of_a_login() -> None:
    sim = Simulation(1)
    alice = sim.user("alice")
    push = ("fcm", "t1")
    session = alice.shard.admit(
        sim.next_fd(), Connection(XSYNC), alice.app, alice.uid, alice.epoch, "guid", 2, "", "test", push
    )
    sim.commit(alice.shard)
    found = devices.get(alice.shard.store, alice.uid, session.sn)
    assert found is not None
    assert (found.notifier, found.push_token) == push


def test_the_longest_unseen_makes_room_but_nobody_online(shard: LocalShard) -> None:
    most = limits.DEVICE_RECORDS_PER_USER
    for n in range(most):
        login(shard, f"g{n}", 100 + n)
    devices.seen(shard.store, shard, UID, 1, 10_000)
    shard.commit()
    device, _ = devices.admit(shard.store, shard, UID, "new", 6, "Web", 20_000, online=[2])
    shard.commit()
    kept = {found.sn for found in devices.list_all(shard.store, UID)}
    assert len(kept) == most
    assert {1, 2, device.sn} <= kept
    assert 3 not in kept


def test_forgetting_takes_the_cursors_along(shard: LocalShard) -> None:
    login(shard, "a")
    login(shard, "b")
    for sn in (1, 2):
        shard.put(schema.CURSORS, schema.pack_device_peer(UID, sn, 0), schema.pack_u64(7))
    shard.commit()
    devices.forget(shard.store, shard, UID, 1)
    shard.commit()
    assert [key for key, _ in shard.store.scan(schema.CURSORS, b"", b"\xff" * 20)] == [
        schema.pack_device_peer(UID, 2, 0)
    ]


def test_a_long_guid_is_cut_alike_every_time(shard: LocalShard) -> None:
    assert login(shard, "x" * 1000) == (1, True)
    assert login(shard, "x" * 1000) == (1, False)


def test_the_list_names_those_online_first() -> None:
    cluster = LocalCluster(1)
    shard = cluster.shards[0]
    cluster.call(0, m.ClaimAccount("app", "alice", "hash"))
    uid = cluster.ask(0, m.FindName("app", "alice"))
    assert isinstance(uid, int)
    for n, guid in enumerate("abc"):
        login(shard, guid, n, uid)
    shard.sessions[uid] = [2]
    rows = cluster.ask(uid, m.ListDevices(uid))
    assert isinstance(rows, list)
    assert [(row["device_sn"], row["online"], row["platform"]) for row in rows] == [
        (2, True, 6),
        (3, False, 6),
        (1, False, 6),
    ]
    assert cluster.ask(uid, m.ForgetDevice(uid, 2)) is True
    assert shard.online(uid) == []
    assert cluster.ask(uid, m.ForgetDevice(uid, 2)) is False
