"""A login lasts as long as its token, and of too many the oldest ends and is sent the reason."""

from __future__ import annotations

import msgspec

from lanying.base import limits
from lanying.protocol.connection import XSYNC, Connection
from lanying.protocol.schema.xsync_pb2 import Frame, Meta, Provision, Status, UserNotice
from lanying.shard.accounts import accounts
from lanying.testing import simulation
from lanying.testing.simulation import Simulation


def test_the_end_of_a_token_ends_its_connection(monkeypatch) -> None:  # type: ignore[no-untyped-def]
    sim = Simulation(1)
    alice, bob = sim.user("alice"), sim.user("bob")
    ends = sim.now_ms // 1000 + 8
    usual = simulation.login
    monkeypatch.setattr(
        simulation,
        "login",
        lambda user, guid: msgspec.structs.replace(usual(user, guid), expires=ends if user is alice else 0),
    )
    a, b = alice.device(), bob.device()
    for second in range(1, 12):
        sim.advance(1)
        for shard in sim.shards:
            shard.maintain()
        sim.run()
        assert a.closed == (sim.now_ms >= ends * 1000), second
    assert not b.closed
    command, refused = a.frames[-1]
    assert (command, refused.status.code) == (Frame.PROVISION, Status.INVALID_TOKEN)
    assert isinstance(refused, Provision)
    assert not sim.shards[0].work.registry.sessions(alice.uid)
    b.send(alice, "are you there?")
    assert "are you there?" not in a.texts


def test_the_device_that_makes_them_too_many_ends_the_one_heard_of_longest_ago() -> None:
    sim = Simulation(1)
    alice = sim.user("alice")
    first, *others = [alice.device(f"device {number}") for number in range(limits.DEVICES_PER_USER)]
    sim.advance(1)
    for device in others:
        device.send(alice, "I am here")
    late = alice.device("one more")
    assert first.closed
    assert not any(device.closed for device in (*others, late))
    notices = [meta for _, it in first.frames for meta in getattr(it, "metas", []) if meta.ns == Meta.USER_NOTICE]
    assert UserNotice.FromString(notices[-1].payload).type == UserNotice.KICKED_BY_OTHER_DEVICE


def test_a_login_reads_its_account_once(monkeypatch) -> None:  # type: ignore[no-untyped-def]
    """Everybody logs in at once behind a restart: what is read per login is read so many times."""
    sim = Simulation(1)
    alice = sim.user("alice")
    alice.device()
    login = simulation.login(alice, "first")
    read: list[int] = []
    usual = accounts.load
    monkeypatch.setattr(accounts, "load", lambda store, uid: (read.append(uid), usual(store, uid))[1])
    alice.shard.admit(sim.next_fd(), Connection(XSYNC), login)
    assert read == [alice.uid]
