"""Events are all or nothing, what is put is durable, and the server's own failures end no more than one event."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

import pytest

from lanying.base import limits
from lanying.base.errors import CallError
from lanying.base.refusals import Refusal
from lanying.bus import messages as m
from lanying.protocol import frame
from lanying.protocol.schema.xsync_pb2 import MessageBody, MessageOperation, Status
from lanying.shard.shard import Shard
from lanying.shard.store import schema
from lanying.testing import simulation
from lanying.testing.simulation import Device, Simulation, User


def pair(shards: int) -> tuple[Simulation, User, User]:
    """Two users, on different shards when there are two."""
    sim = Simulation(shards)
    alice = sim.user("alice")
    bob = next(u for n in range(50) if (u := sim.user(f"bob{n}")).shard is not alice.shard or shards == 1)
    return sim, alice, bob


def memory(shard: Shard) -> dict[str, object]:
    """What an event may change, as values."""
    boxes, tick = shard.work.mailboxes, shard.tick
    return {
        "heads": {
            key: (head.row, head.stored) for key, head in boxes._heads.items() if head.row != bytes(len(head.row))
        },
        "cursors": dict(boxes._cursors),
        "rows": list(tick.batch.operations),
        "lists": {name: len(held) for name in dir(tick) if isinstance(held := getattr(tick, name), list)},
        "sessions": {(s.uid, s.sn): s.left for s in shard.work.registry},
        "seats": {gid: set(members) for gid, members in shard.memberships._seats.items()},
        "running": set(shard.broadcasts.running),
        "owed": dict(shard.pushes._owed),
    }


def fail_at(monkeypatch: pytest.MonkeyPatch, owner: object, name: str) -> Callable[[], int]:
    """Let a part fail at the end of one of its functions."""
    original = getattr(owner, name)
    calls: list[int] = []

    def failing(*args: Any, **more: Any) -> Any:
        original(*args, **more)
        calls.append(1)
        raise ZeroDivisionError(name)

    monkeypatch.setattr(owner, name, failing)
    return lambda: len(calls)


REQUESTS: dict[str, tuple[Any, tuple[object, ...]]] = {
    "put before refused": (m.BindPush, (1, "fcm", "token")),
    "kick": (m.Kick, (0, 10)),
    "state": (m.SetState, (m.STATE_DELETED,)),
    "state before": (m.SetState, (9,)),
    "block": (m.Block, (4711, True)),
    "friend": (m.ApplyFriend, (4711, "lanying", "hi")),
    "notify": (m.Notify, ("lanying", MessageBody(content="x", is_system=True).SerializeToString())),
}


@pytest.mark.parametrize("name", REQUESTS)
def test_a_call_that_fails_leaves_nothing_behind(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever a request has put, told, kicked or moved: the handler fails behind it, and all of that is taken back."""
    kind, values = REQUESTS[name]
    _, alice, bob = pair(1)
    phone, shard = alice.device(), alice.shard
    shard.pushes.begin()
    phone.send(bob, "hello")
    before = memory(shard)
    handler = shard.dispatch.calls[kind]

    def failing(request: Any) -> object:
        try:
            handler(request)
        except CallError:
            pass
        raise ZeroDivisionError

    monkeypatch.setitem(shard.dispatch.calls, kind, failing)
    shard.dispatch.call(m.Call(1, "gateway", 1000, m.encode(kind(alice.uid, *values))))
    [(_, reply)] = shard.tick.envelopes
    assert isinstance(reply, m.Reply) and reply.refusal is Refusal.SERVER_FAILED
    shard.tick.envelopes.clear()
    assert memory(shard) == before
    assert shard.work.failed_events == 1
    phone.send(bob, "goes on")
    assert len(phone.acknowledged) == 2


def test_a_refused_call_leaves_nothing_behind() -> None:
    """The token of a user who is not there is bound before that is noticed."""
    sim, alice, _ = pair(1)
    shard = alice.shard
    alice.device()
    shard.work.put(
        schema.DEVICES,
        schema.pack_device(4711, 1),
        shard.work.store.get(schema.DEVICES, schema.pack_device(alice.uid, 1)) or b"",
    )
    sim.run()
    before = memory(shard)
    shard.dispatch.call(m.Call(1, "gateway", 1000, m.encode(m.BindPush(4711, 1, "fcm", "token"))))
    [(_, reply)] = shard.tick.envelopes
    assert isinstance(reply, m.Reply) and reply.refusal is Refusal.NO_SUCH_USER
    shard.tick.envelopes.clear()
    assert memory(shard) == before


@pytest.mark.parametrize("shards", [1, 2])
def test_a_frame_the_server_fails_on_ends_its_session_alone(
    shards: int, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    _, alice, bob = pair(shards)
    phone, desk, other = alice.device("phone"), alice.device("desk"), bob.device()
    phone.send(bob, "before")
    with monkeypatch.context() as broken, caplog.at_level(logging.ERROR):
        failed = fail_at(broken, alice.shard.delivery, "send_to")
        for _ in range(2):
            device = alice.device("fragile")
            device.send(bob, "never was")
            assert device.closed and device.refused == {0: (Status.FAIL, "the server failed on this, its log says why")}
        assert failed() == 2
    assert alice.shard.work.failed_events == 2
    assert len([record for record in caplog.records if record.exc_info]) == 1, "one traceback for one cause"
    desk.send(bob, "after")
    assert other.texts == ["before", "after"]
    assert phone.texts == ["after"] and phone.history_texts(bob) == ["before", "after"]


@pytest.mark.parametrize("fails", ["put", "owe"])
def test_a_link_message_the_server_fails_on_does_not_stop_the_link(fails: str, monkeypatch: pytest.MonkeyPatch) -> None:
    _, alice, bob = pair(2)
    phone, other = alice.device(), bob.device()
    phone.send(bob, "before")
    with monkeypatch.context() as broken:
        if fails == "put":
            fail_at(broken, bob.shard.delivery, "put")
        else:

            def owe(head: object, mid: int) -> None:
                raise ZeroDivisionError

            broken.setattr(bob.shard.work, "owe", owe)
        phone.send(bob, "lost by the defect")
    assert bob.shard.work.failed_events == 1
    phone.send(bob, "after")
    assert other.texts == ["before", "after"]
    assert alice.shard.links.senders[bob.shard.work.index].depth == 0


def test_a_login_that_fails_leaves_no_session_and_no_device(monkeypatch: pytest.MonkeyPatch) -> None:
    sim, alice, _ = pair(1)
    old = alice.device("phone")
    before = memory(alice.shard)
    with monkeypatch.context() as broken:
        fail_at(broken, frame, "provision_ok")
        for guid in ("phone", "new"):
            with pytest.raises(ZeroDivisionError):
                alice.shard.admit(sim.next_fd(), old.session.connection, simulation.login(alice, guid))
    after = memory(alice.shard)
    after["sessions"] = {key: left for key, left in after["sessions"].items() if key[1] == old.sn}  # type: ignore[attr-defined]
    assert after == before
    assert not old.session.left


def test_an_answer_the_server_fails_on_ends_that_session_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """A stored entry that cannot be read any more: who asks for it is sent away, the others get theirs."""
    sim, alice, bob = pair(1)
    phone, other = alice.device(), bob.device()
    phone.send(bob, "hello")
    history = alice.shard.work.mailboxes.head(alice.uid, bob.uid).key
    [(key, _)] = alice.shard.work.store.scan(schema.HISTORY, history, schema.successor(history))
    alice.shard.work.put(schema.HISTORY, key, b"\1")
    sim.run()
    phone.put(b"\x0a\x00", run=True)
    phone.operate(bob, MessageOperation.RECALL, 1)
    phone.put(frame.history_request(bob.uid, 0, 20))
    assert phone.closed and alice.shard.work.failed_events == 1
    assert other.history_texts(alice) == ["hello"]
    assert alice.device().acknowledged == {}


def test_every_delivery_is_counted() -> None:
    """To members of a group as to a peer."""
    sim, alice, bob = pair(2)
    gid = sim.group(alice, bob)
    phone, other = alice.device(), bob.device()
    before = sum(shard.work.deliveries for shard in sim.shards)
    phone.send(bob, "one")
    phone.send(gid, "two", type=MessageBody.GROUPCHAT)
    assert other.texts == ["one", "two"]
    assert sum(shard.work.deliveries for shard in sim.shards) == before + 2


@pytest.mark.parametrize("crashed", ["alice", "bob"])
def test_what_is_acknowledged_survives_a_power_failure(crashed: str) -> None:
    """The simulation flushes what a tick says is durable, as a process does: what was forgotten is lost here, too."""
    sim, alice, bob = pair(2)
    gid = sim.group(alice, bob)
    phone = alice.device()
    phone.send(bob, "one")
    phone.send(gid, "two", type=MessageBody.GROUPCHAT)
    phone.send(gid, "three", type=MessageBody.GROUPCHAT)
    assert len(phone.acknowledged) == 3
    sim.crash({"alice": alice, "bob": bob}[crashed].shard.work.index)
    sim.run()
    sim.advance(2)
    assert sorted(bob.device().texts) == ["one", "three", "two"]
    assert sorted(alice.device("new").history_texts(gid)) == ["three", "two"]


def test_nobody_is_passed_what_is_new_in_a_group_they_have_left() -> None:
    sim, alice, bob = pair(2)
    gid = sim.group(alice, bob)
    phone = alice.device()
    sim.call(sim.map.shard_of(gid), m.LeaveGroup(gid, bob.uid, "lanying", 0))
    before = bob.shard.work.mailboxes.head(gid, gid).last_seq
    phone.send(gid, "for those who stayed", type=MessageBody.GROUPCHAT)
    assert bob.shard.work.mailboxes.head(gid, gid).last_seq == before
    sim.call(sim.map.shard_of(gid), m.InviteMembers(gid, alice.uid, "lanying", 0, [m.Invitee(bob.uid, False)], ""))
    other = bob.device()
    phone.send(gid, "welcome back", type=MessageBody.GROUPCHAT)
    assert other.texts == ["welcome back"]


def test_caches_of_groups_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "GROUPS_CACHED", 10)
    sim, alice, bob = pair(2)
    phone, other = alice.device(), bob.device()
    gids = [sim.group(alice, bob) for _ in range(15)]
    for gid in gids:
        phone.send(gid, f"{gid}", type=MessageBody.GROUPCHAT)
    assert other.texts == [f"{gid}" for gid in gids]
    for shard in sim.shards:
        assert len(shard.memberships._seats) <= 10 and len(shard.timelines._audiences) <= 10


def test_a_first_message_over_rest_to_somebody_who_has_blocked_its_sender_is_refused() -> None:
    """On another shard: the answer about the recipient comes in a later tick."""
    sim, alice, bob = pair(2)
    sim.call(bob.shard.work.index, m.Block(bob.uid, alice.uid, True))
    sim.run()
    payload = MessageBody(type=MessageBody.CHAT, content="x").SerializeToString()
    alice.shard.work.delete(schema.ROSTER, schema.pack_pair(alice.uid, bob.uid))
    with pytest.raises(CallError):
        sim.call(alice.shard.work.index, m.Post(alice.uid, alice.app, bob.uid, payload))
    assert alice.shard.work.failed_events == 0
    device: Device = alice.device()
    assert not device.closed


def test_those_who_wait_for_an_answer_the_server_fails_on_get_a_refusal() -> None:
    sim, alice, bob = pair(2)
    work, replies = alice.shard.work, []

    def done(reply: m.Reply) -> None:
        work.put(schema.META, b"left", b"behind")
        replies.append(reply.refusal)
        raise ValueError("nobody understands it")

    work.ask_owner(bob.uid, m.PeerQuery(bob.uid, alice.uid, "lanying"), done)
    sim.run()
    assert replies == [None, Refusal.SERVER_FAILED] and work.failed_events == 2
    assert work.store.get(schema.META, b"left") is None
    work.ask_owner(bob.uid, m.PeerQuery(bob.uid, alice.uid, "lanying"), lambda reply: replies.append(reply.refusal))
    sim.run()
    assert replies[2:] == [None]
