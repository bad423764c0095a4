"""What users note about single messages is bounded, and READ_ALL does not walk over it row by row."""

from __future__ import annotations

import pytest

from lanying.base import limits
from lanying.protocol.schema.xsync_pb2 import MessageBody, MessageOperation
from lanying.shard.chat import marking, marks
from lanying.shard.core.mailbox import Conversation
from lanying.shard.store import schema
from lanying.testing.simulation import Simulation, User

READ_ALL, READ_CANCEL, DELETE = MessageOperation.READ_ALL, MessageOperation.READ_CANCEL, MessageOperation.DELETE


def rows(user: User, head: Conversation) -> dict[int, int]:
    return marks.notes(user.shard.work.store, head, 0, 1 << 62)


def test_nothing_is_noted_about_messages_that_never_were() -> None:
    sim = Simulation(2)
    alice, bob = sim.user("alice"), sim.user("bob")
    a = alice.device()
    a.send(bob, "hello")
    gid = sim.group(alice, bob)
    head, group = (alice.shard.work.mailboxes.head(alice.uid, peer) for peer in (bob.uid, gid))
    for n in range(50):
        a.operate(bob, READ_CANCEL, schema.FIRST_MID + n, conversation=bob.uid)
        a.operate(gid, READ_CANCEL, (1 << 62) + n, conversation=gid)
        a.operate(gid, DELETE, (1 << 62) + n, conversation=gid)
        a.operate(bob, READ_CANCEL, n, conversation=bob.uid)
    assert not rows(alice, head)
    assert not rows(alice, group)
    assert len(a.acknowledged) == 201


def test_notes_of_a_conversation_are_bounded_and_the_oldest_go(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "MARKS_PER_CONVERSATION", 20)
    sim = Simulation(1)
    alice, bob = sim.user("alice"), sim.user("bob")
    a, b = alice.device(), bob.device()
    mids = [b.acknowledged[b.send(alice, str(n))] for n in range(60)]
    head = alice.shard.work.mailboxes.head(alice.uid, bob.uid)
    for n, mid in enumerate(mids):
        a.operate(bob, READ_CANCEL, mid, conversation=bob.uid)
        assert len(rows(alice, head)) <= 20
        assert mid in rows(alice, head), n
    assert min(rows(alice, head)) >= mids[40]
    assert head.flags & schema.NOTED


def test_read_all_takes_what_was_marked_unread_with_one_change(monkeypatch: pytest.MonkeyPatch) -> None:
    sim = Simulation(1)
    alice, bob = sim.user("alice"), sim.user("bob")
    a, b = alice.device(), bob.device()
    mids = [b.acknowledged[b.send(alice, str(n))] for n in range(100)]
    work = alice.shard.work
    head = work.mailboxes.head(alice.uid, bob.uid)
    for mid in mids:
        a.operate(bob, READ_CANCEL, mid, conversation=bob.uid)
    marking.note(work, head, mids[3], schema.PLAYED)
    sim.run()
    before = len(work.tick.batch.operations)
    marking.read_up_to(work, head, mids[49])
    assert len(work.tick.batch.operations) - before == 2
    sim.run()
    left = rows(alice, head)
    assert sorted(left) == [mids[3], *mids[50:]]
    assert left[mids[3]] == schema.PLAYED
    a.operate(bob, READ_ALL, 0, conversation=bob.uid)
    assert list(rows(alice, head)) == [mids[3]]
    shown = {meta.id: MessageBody.FromString(meta.payload).status for meta in a.history(bob, amount=100).metas}
    assert set(shown.values()) == {MessageBody.READ}
