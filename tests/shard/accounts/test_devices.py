from __future__ import annotations

import msgspec
import pytest

from lanying.base import limits
from lanying.bus import messages as m
from lanying.protocol.connection import XSYNC, Connection
from lanying.shard.accounts import devices
from lanying.shard.core.work import Work
from lanying.shard.store import schema
from lanying.testing import simulation
from lanying.testing.shards import NotingSimulation
from lanying.testing.simulation import Simulation

UID = 1_024_000


@pytest.fixture
def work() -> Work:
    return NotingSimulation(1).shards[0].work


def login(work: Work, guid: str, now_ms: int = 1, uid: int = UID) -> tuple[int, bool]:
    work.tick.now_ms = now_ms
    device, created = devices.admit(work, uid, guid, 6, "Web")
    return device.sn, created


def test_a_device_is_known_by_its_guid(work: Work) -> None:
    assert login(work, "a") == (1, True)
    assert login(work, "b") == (2, True)
    assert login(work, "a", 50) == (1, False)
    found = devices.get(work.store, UID, 1)
    assert found is not None
    assert (found.first_seen_ms, found.last_seen_ms) == (1, 50)
    assert login(work, "a", uid=UID + 1) == (1, True)


def test_a_device_without_guid_is_always_new(work: Work) -> None:
    assert [login(work, "")[0] for _ in range(3)] == [1, 2, 3]


def test_numbers_are_never_given_again(work: Work) -> None:
    login(work, "a")
    login(work, "b")
    assert devices.forget(work, UID, 2)
    assert not devices.forget(work, UID, 2)
    assert login(work, "b") == (3, True)


def test_the_push_token_of_a_login_is_kept_by_one_device(work: Work) -> None:
    def bound() -> dict[int, tuple[str, str]]:
        return {device.sn: (device.notifier, device.push_token) for device in devices.list_all(work.store, UID)}

    def enter(guid: str, *push: str) -> None:
        devices.admit(work, UID, guid, 2, "", push=push)  # type: ignore[arg-type]

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
    session = alice.shard.admit(sim.next_fd(), Connection(XSYNC), simulation.login(alice, "guid", push))
    sim.commit(alice.shard)
    found = devices.get(alice.shard.work.store, alice.uid, session.sn)
    assert found is not None
    assert (found.notifier, found.push_token) == push


def test_the_longest_unseen_makes_room_but_nobody_online(work: Work) -> None:
    most = limits.DEVICE_RECORDS_PER_USER
    for n in range(most):
        login(work, f"g{n}", 100 + n)
    work.tick.now_ms = 10_000
    devices.seen(work, UID, 1)
    work.tick.now_ms = 20_000
    device, _ = devices.admit(work, UID, "new", 6, "Web", online=[2])
    kept = {found.sn for found in devices.list_all(work.store, UID)}
    assert len(kept) == most
    assert {1, 2, device.sn} <= kept
    assert 3 not in kept


def test_forgetting_takes_the_cursors_along(work: Work) -> None:
    login(work, "a")
    login(work, "b")
    for sn in (1, 2):
        work.put(schema.CURSORS, schema.pack_device_peer(UID, sn, 0), schema.pack_u64(7))
    devices.forget(work, UID, 1)
    assert [key for key, _ in work.store.scan(schema.CURSORS, b"", b"\xff" * 20)] == [
        schema.pack_device_peer(UID, 2, 0)
    ]


def test_a_long_guid_is_cut_alike_every_time(work: Work) -> None:
    assert login(work, "x" * 1000) == (1, True)
    assert login(work, "x" * 1000) == (1, False)


def test_the_list_names_those_online_first() -> None:
    cluster = NotingSimulation(1)
    work = cluster.shards[0].work
    cluster.call(0, m.ClaimAccount("app", "alice", "hash"))
    uid = cluster.ask(0, m.FindName("app", "alice"))
    assert isinstance(uid, int)
    for n, guid in enumerate("abc"):
        login(work, guid, n, uid)
    phone = cluster.log_in(uid, "b")
    assert phone.sn == 2
    rows = cluster.ask(uid, m.ListDevices(uid))
    assert isinstance(rows, list)
    assert [(row["device_sn"], row["online"], row["platform"]) for row in rows] == [
        (2, True, 6),
        (3, False, 6),
        (1, False, 6),
    ]
    assert cluster.ask(uid, m.ForgetDevice(uid, 2)) is True
    assert work.online(uid) == []
    assert cluster.ask(uid, m.ForgetDevice(uid, 2)) is False


def test_a_damaged_number_fails_the_login_and_not_the_tick(work: Work) -> None:
    """A cursor of such a device would have no row: what writes it is nobody's event, and the shard would end, again and again."""
    sn, _ = login(work, "a")
    damaged = msgspec.msgpack.encode([1 << 40, "a", 6, "Web"])
    work.put(schema.DEVICES, schema.pack_device(UID, sn), damaged)
    with pytest.raises(msgspec.ValidationError):
        login(work, "a")
