"""What a shard answers about one message: the truth, from all it has, in bounded pieces."""

from __future__ import annotations

import pytest

from lanying.admin.commands.why import story
from lanying.base import limits, watched
from lanying.bus.messages import ExplainMessage, GetReached, ListSlowReaders, MessageTrace, Traced, TraceUser
from lanying.cluster.runtime import PUSH
from lanying.protocol.schema.xsync_pb2 import MessageBody, MessageOperation, Meta
from lanying.shard.store import schema
from lanying.testing.simulation import Simulation, User
from tests.shard.groups.test_timeline import Club, say
from tests.shard.upkeep.test_aging import grown_old


def explain(user: User, mid: int, **fields: int) -> list[MessageTrace]:
    return user.shard.inspection.explain(ExplainMessage(mid, **fields)).traces


def test_a_recalled_message_says_when_and_how() -> None:
    sim = Simulation(1)
    alice, bob = sim.user("alice"), sim.user("bob")
    a = alice.device()
    mid = a.acknowledged[a.send(bob, "oops")]
    assert {(trace.state, trace.removed_how) for trace in explain(alice, mid)} == {("kept", "")}
    sim.advance(5)
    a.operate(bob, MessageOperation.RECALL, mid)
    traces = explain(alice, mid)
    assert [(trace.owner, trace.state, trace.removed_how) for trace in traces] == [
        (alice.uid, "removed", "recalled"),
        (bob.uid, "removed", "recalled"),
    ]
    assert all(trace.removed_ms >= trace.accepted_ms + 5000 for trace in traces)


def test_of_a_recalled_message_it_is_known_who_sent_it_and_who_had_it() -> None:
    sim = Simulation(1)
    alice, bob = sim.user("alice"), sim.user("bob")
    a, b = alice.device(), bob.device()
    away = bob.device("second")
    sim.advance(1)
    away.leave()
    mid = a.acknowledged[a.send(bob, "oops")]
    sim.advance(1)
    a.operate(bob, MessageOperation.RECALL, mid)
    of_bob = next(trace for trace in explain(alice, mid) if trace.owner == bob.uid)
    assert (of_bob.sender, of_bob.sender_sn, of_bob.seq) == (alice.uid, a.session.sn, 1)
    assert of_bob.devices == [(b.session.sn, "acknowledged")]
    told = [step["what"] for step in story(of_bob)]
    assert told == ["committed at position 1", f"device {b.session.sn} has acknowledged it", "recalled"]


def test_a_copy_its_owner_removed_is_gone_for_him_alone() -> None:
    sim = Simulation(1)
    alice, bob = sim.user("alice"), sim.user("bob")
    a, b = alice.device(), bob.device()
    mid = a.acknowledged[a.send(bob, "hello")]
    b.operate(bob, MessageOperation.DELETE, mid, conversation=alice.uid)
    assert {trace.owner: trace.removed_how for trace in explain(alice, mid)} == {
        alice.uid: "",
        bob.uid: "removed by its owner",
    }


@pytest.mark.parametrize(("there", "state"), [(True, "cold"), (False, "cold missing")])
def test_what_moved_to_the_cold_store_is_said(there: bool, state: str) -> None:
    _, store, alice, bob, a = grown_old(messages=3)
    mids = list(a.acknowledged.values())
    if not there:
        store.cold = None
    assert [trace.state for trace in explain(alice, mids[0], owner=bob.uid)] == [state, state]
    assert [trace.state for trace in explain(alice, mids[-1], owner=bob.uid)] == ["kept", "kept"]


def test_a_mailbox_of_many_conversations_is_looked_through_in_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "WHY_CONVERSATIONS", 2)
    sim = Simulation(1)
    alice, *others = (sim.user(f"user{n}") for n in range(8))
    a = alice.device()
    mid = [a.acknowledged[a.send(other, "hello")] for other in others][-1]
    inspection = alice.shard.inspection
    alice.shard.work.recent.accepted.clear()
    found, after, asked = [], 0, 0
    while True:
        answer = inspection.explain(ExplainMessage(mid, alice.uid, after=after))
        found += [trace.peer for trace in answer.traces]
        after, asked = answer.next, asked + 1
        if not after:
            break
    assert found == [others[-1].uid] and asked >= 4
    assert [trace.peer for trace in explain(alice, mid, owner=alice.uid, peer=others[-1].uid)] == found
    assert explain(alice, mid, owner=alice.uid, peer=others[0].uid) == []


def test_how_far_a_members_devices_are_in_a_group() -> None:
    club = Club()
    founder, member = club.people[0], next(user for user in club.people if user.shard is not club.shard)
    member.device("phone")
    member.device("tablet").leave()
    device = founder.device()
    mid = device.acknowledged[say(device, club, "hello")]
    (trace,) = explain(founder, mid, owner=club.gid)
    assert (trace.owner, trace.peer, trace.sender) == (club.gid, club.gid, founder.uid)
    reached = member.shard.inspection.reached(GetReached(member.uid, club.gid, trace.seq))
    assert reached == [(1, "acknowledged"), (2, "offline")]
    stranger = club.sim.user("stranger")
    assert stranger.shard.inspection.reached(GetReached(stranger.uid, club.gid, trace.seq)) == []


@pytest.mark.parametrize("broken", [b"\xff\xff", Meta(id=7, ns=Meta.MESSAGE, payload=b"\xff\xff").SerializeToString()])
def test_a_stored_message_that_cannot_be_read_is_explained_all_the_same(broken: bytes) -> None:
    sim = Simulation(1)
    alice, bob = sim.user("alice"), sim.user("bob")
    device = alice.device()
    mid = device.acknowledged[device.send(bob, "hello")]
    work = bob.shard.work
    work.put(schema.QUEUE, work.mailboxes.head(bob.uid, alice.uid).key + schema.pack_u64(1), broken)
    traces = explain(bob, mid, owner=bob.uid)
    assert [trace.sender for trace in traces if trace.owner == bob.uid] == [0]


def test_the_slowest_readers_come_first() -> None:
    sim = Simulation(1)
    devices = [sim.user(f"user{n}").device() for n in range(4)]
    for device, unsent in zip(devices, (5, 0, 50, 20), strict=True):
        device.session.unsent = bytes(unsent)
    found = sim.shards[0].inspection.slow_readers(ListSlowReaders(2))
    assert [(one.uid, one.unsent) for one in found] == [(devices[2].user.uid, 50), (devices[3].user.uid, 20)]


def test_the_log_of_one_user_has_his_frames_without_what_he_writes(caplog: pytest.LogCaptureFixture) -> None:
    sim = Simulation(1)
    alice, bob, carol = sim.user("alice"), sim.user("bob"), sim.user("carol")
    a, b, c = alice.device(), bob.device(), carol.device()
    watched.watch(alice.uid, "debug", 60, sim.now)
    try:
        a.send(carol, "the tick before begins to look")
        caplog.clear()
        mid = a.acknowledged[a.send(bob, "a secret for bob")]
        b.send(alice, "a secret for alice")
        c.send(bob, "nobody looks")
    finally:
        watched.users.clear()
    lines = [record.getMessage() for record in caplog.records if record.name == "lanying.users"]
    assert lines and all(f"uid={alice.uid} sn={a.session.sn} direction=" in line for line in lines), lines
    told = "\n".join(lines)
    assert f"to {bob.uid}, " in told and f" is {mid}'" in told and f" of {bob.uid}: 1 entries" in told, told
    assert "secret" not in caplog.text and "nobody" not in caplog.text
    a.send(bob, "and it ends with the next tick")
    count = len(caplog.records)
    a.send(bob, "as nothing was")
    assert len(caplog.records) == count and not alice.shard.inspection.watching


def test_a_member_who_is_watched_is_seen_to_get_group_messages(caplog: pytest.LogCaptureFixture) -> None:
    """They come in a frame that is made once for all members."""
    sim = Simulation(2)
    alice, bob = sim.user("alice"), sim.user("bob")
    gid = sim.group(alice, bob)
    a, b = alice.device(), bob.device()
    a.send(gid, "the loops begin", type=MessageBody.GROUPCHAT)
    sim.call(bob.shard.work.index, TraceUser(bob.uid, 60, PUSH))
    watched.watch(bob.uid, "debug", 60, sim.now)
    try:
        a.send(gid, "the tick before begins to look", type=MessageBody.GROUPCHAT)
        sim.to_push.clear()
        caplog.clear()
        a.send(gid, "a secret", type=MessageBody.GROUPCHAT)
    finally:
        watched.users.clear()
    assert b.texts[-1] == "a secret"
    pushed = f"push of {gid}: 1 entries, next key 4"
    traced = [message for message in sim.to_push if isinstance(message, Traced) and message.direction == "out"]
    assert [(message.uid, message.sn, message.what) for message in traced] == [(bob.uid, b.session.sn, pushed)]
    assert [pushed in record.getMessage() for record in caplog.records if "direction=out" in record.getMessage()] == [
        True
    ]
