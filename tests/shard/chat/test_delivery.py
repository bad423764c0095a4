"""From an upload to its answer: every upload is answered once, a refusal says why, and first contacts keep their order."""

from __future__ import annotations

import pytest

from lanying.base import limits
from lanying.base.refusals import Refusal
from lanying.bus.messages import Deliver, Reply
from lanying.protocol import frame
from lanying.protocol.schema.xsync_pb2 import MessageBody, MessageOperation, Meta, Status
from lanying.shard.chat import door
from lanying.shard.store import schema
from lanying.testing.simulation import Device, Simulation, User
from tests.shard.chat.test_chat import pair


@pytest.fixture(params=[1, 2], ids=["same shard", "other shard"])
def people(request: pytest.FixtureRequest) -> tuple[Simulation, User, User]:
    return pair(request.param)


def put(device: Device, client_mid: int, to: int, *, sender: int | None = None, ns: int = 1, **body: object) -> None:
    payload = MessageBody(**({"type": MessageBody.CHAT, "content": "x"} | body)).SerializeToString()  # type: ignore[arg-type]
    uid = device.user.uid if sender is None else sender
    device.put(frame.send_meta(client_mid, uid, device.sn, to, device.simulation.now_ms, ns, payload))


def test_every_upload_that_is_wrong_is_refused_with_what_is_wrong(people: tuple[Simulation, User, User]) -> None:
    _, alice, bob = people
    a = alice.device()
    invalid = Status.INVALID_PARAMETER
    put(a, 1, bob.uid, sender=bob.uid)
    put(a, 2, 0)
    put(a, 3, 4242)
    put(a, 4, bob.uid, type=9)
    put(a, door.LARGEST_ID + 1, bob.uid)
    put(a, 0, bob.uid)
    assert a.refused == {
        0: (invalid, "a sent meta needs an id"),
        1: (invalid, "from is not the logged-in user"),
        2: (invalid, "a message needs a recipient"),
        3: (invalid, "the recipient does not exist"),
        4: (invalid, "message type 9 is not one of CHAT, GROUPCHAT, OPER"),
        door.LARGEST_ID + 1: (invalid, f"ids are at most {door.LARGEST_ID}"),
    }
    assert alice.shard.work.refused == 6 and alice.shard.work.refusals == {invalid: 6}
    put(a, 5, bob.uid, sender=0)
    put(a, door.LARGEST_ID, bob.uid)
    assert a.acknowledged.keys() == {5, door.LARGEST_ID}


def test_a_refused_recall_names_no_message(people: tuple[Simulation, User, User]) -> None:
    """The web client shows the reason of a refused recall only then (5.6)."""
    _, alice, bob = people
    a = alice.device()
    a.send(bob, "hello")
    mid = a.operate(bob, MessageOperation.RECALL, 99)
    edit = a.operate(bob, MessageOperation.REPLACE, 99, content="x")
    assert 0 in a.refused and mid not in a.refused and edit in a.refused


def test_a_message_says_who_sent_it_from_where_and_when(people: tuple[Simulation, User, User]) -> None:
    sim, alice, bob = people
    a, b = alice.device(), bob.device()
    a.send(bob, "hello")
    [meta] = [meta for meta in b.metas if meta.ns == Meta.MESSAGE]
    sender = getattr(meta, "from")
    assert (sender.uid, sender.deviceSN, meta.to.uid, meta.timestamp) == (alice.uid, a.sn, bob.uid, sim.now_ms)
    assert meta.id == next(iter(a.acknowledged.values()))


# --- repetitions -----------------------------------------------------------------------------------------------------


def test_a_repetition_is_one_with_the_same_id_text_and_device(people: tuple[Simulation, User, User]) -> None:
    _, alice, bob = people
    a, second = alice.device(), alice.device("second")
    put(a, 9, bob.uid)
    first = a.acknowledged.pop(9)
    put(a, 9, bob.uid)
    assert a.acknowledged.pop(9) == first
    put(a, 9, bob.uid, content="another")
    put(second, 9, bob.uid)
    assert len({first, a.acknowledged[9], second.acknowledged[9]}) == 3
    assert bob.device().history_texts(alice) == ["x", "another", "x"]


def test_an_older_id_is_looked_up_and_a_newer_one_is_not_missed(people: tuple[Simulation, User, User]) -> None:
    _, alice, bob = people
    a = alice.device()
    for client_mid in (9, 3, 7, 3, 9):
        put(a, client_mid, bob.uid, content=str(client_mid))
    assert bob.device().history_texts(alice) == ["9", "3", "7"]


# --- first contact ---------------------------------------------------------------------------------------------------


def waiting(count: int) -> tuple[Simulation, Device, User]:
    """Messages of a first contact whose peer's shard does not answer."""
    sim, alice, bob = pair(2)
    a = alice.device()
    sim.hold.add(f"shard-{bob.shard.work.index}")
    for number in range(count):
        a.send(bob, f"{number}")
    assert not a.acknowledged
    return sim, a, bob


def test_messages_of_a_first_contact_wait_and_keep_their_order() -> None:
    sim, a, bob = waiting(5)
    sim.hold.clear()
    sim.run()
    assert len(a.acknowledged) == 5 and a.session.parked == 0
    assert bob.device().texts == [str(n) for n in range(5)]


def test_a_first_contact_that_is_refused_refuses_all_that_wait() -> None:
    sim, a, bob = waiting(3)
    bob.shard.work.delete(schema.ACCOUNTS, schema.pack_u64(bob.uid))
    sim.hold.clear()
    sim.run()
    assert {reason for _, reason in a.refused.values()} == {"the recipient does not exist"}
    assert len(a.refused) == 3 and not a.acknowledged and a.session.parked == 0


def test_a_peer_whose_shard_does_not_answer_can_be_tried_again() -> None:
    sim, a, bob = waiting(2)
    name = f"shard-{bob.shard.work.index}"
    assert sim.drop(name) == 1, "asked once for all"
    [done] = sim._calls.values()
    sim._calls.clear()
    done(Reply(0, Refusal.UNAVAILABLE, "gone"))
    sim.run()
    assert {status for status, _ in a.refused.values()} == {Refusal.RECIPIENT_AWAY.status}
    assert len(a.refused) == 2 and a.session.parked == 0
    sim.hold.clear()
    assert a.send(bob, "again") in a.acknowledged


def test_only_so_many_messages_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "PARKED_SENDS", 3)
    sim, a, bob = waiting(3)
    refused = a.send(bob, "one too many")
    assert a.refused == {refused: (Status.RATE_LIMIT_EXCEEDED, "too many messages wait for a first contact")}
    sim.hold.clear()
    sim.run()
    assert len(a.acknowledged) == 3
    assert a.send(bob, "there is room again") in a.acknowledged


def test_a_device_that_left_meanwhile_sends_nothing_more() -> None:
    sim, a, bob = waiting(2)
    a.leave()
    sim.hold.clear()
    sim.run()
    assert bob.device().texts == [] and a.session.parked == 0


# --- what is delivered -----------------------------------------------------------------------------------------------


def test_who_was_written_to_needs_no_first_contact_to_answer() -> None:
    sim, alice, bob = pair(2)
    a, b = alice.device(), bob.device()
    a.send(bob, "hello")
    sim.hold.add(f"shard-{alice.shard.work.index}")
    assert b.send(alice, "hi") in b.acknowledged, "nobody had to be asked"


def test_live_messages_reach_connected_devices_and_are_kept_nowhere(people: tuple[Simulation, User, User]) -> None:
    _, alice, bob = people
    a, other, b = alice.device(), alice.device("other"), bob.device()
    a.send(bob, "known")
    sent = a.send(bob, "typing", qos=MessageBody.AT_MOST_ONCE)
    _, shown = b.frames[-1]
    sender = getattr(b.metas[-1], "from")
    assert a.acknowledged[sent] == b.metas[-1].id
    assert (shown.xid.uid, sender.uid, sender.deviceSN) == (alice.uid, alice.uid, a.sn)
    assert b.texts == ["known", "typing"] and other.texts == ["known"]
    assert b.history_texts(alice) == ["known"] and bob.device("later").texts == []
    a.send(bob, "typing", qos=MessageBody.AT_MOST_ONCE)
    assert (alice.shard.work.kinds["live"], alice.shard.work.kinds["chat"]) == (2, 1)


def test_a_live_message_is_not_for_a_device_that_does_not_read() -> None:
    _, alice, bob = pair(1)
    a, b = alice.device(), bob.device()
    a.send(bob, "known")
    b.session.unsent = b"full"
    a.send(bob, "typing", qos=MessageBody.AT_MOST_ONCE)
    assert b.texts == ["known"]


def test_ids_of_other_shards_count_for_ours() -> None:
    sim, alice, bob = pair(2)
    ahead = bob.shard.work.next_mid() + (1 << 40)
    meta = frame.meta(ahead, alice.uid, 0, bob.uid, sim.now_ms, 1, b"")
    bob.shard.delivery.delivered(Deliver(bob.uid, alice.uid, ahead, meta))
    assert bob.shard.work.next_mid() > ahead, "an answer has a larger id than what it answers"


def test_a_message_to_oneself_is_there_once() -> None:
    _, alice, _ = pair(1)
    a, other = alice.device(), alice.device("other")
    a.send(alice, "note")
    assert other.texts == ["note"] and a.texts == [] and a.history_texts(alice) == ["note"]


def test_what_was_known_of_a_conversation_stays_known_at_a_first_contact(people: tuple[Simulation, User, User]) -> None:
    _, alice, bob = people
    head = alice.shard.work.mailboxes.head(alice.uid, bob.uid)
    head.flags |= schema.NOTED
    alice.device().send(bob, "hello")
    assert head.flags == schema.NOTED | schema.KNOWN


def test_a_push_names_the_message_before_it(people: tuple[Simulation, User, User]) -> None:
    """By that a client sees that it has missed one (5.5)."""
    sim, alice, bob = people
    a, b = alice.device(), bob.device()
    mids = []
    for number in range(3):
        mids.append(a.acknowledged[a.send(bob, f"{number}")])
        sim.advance(2)  # the device is up to date again
    pushed = [sync for _, sync in b.frames if getattr(sync, "is_eager_sync", False)]
    assert [(sync.prev_mid, sync.metas[0].id) for sync in pushed] == [
        (0, mids[0]),
        (mids[0], mids[1]),
        (mids[1], mids[2]),
    ]


def test_what_is_put_counts_for_the_size_of_the_tick() -> None:
    """By that a shard stops reading when its disk is behind."""
    _, alice, bob = pair(1)
    a = alice.device()
    a.send(bob, "known")
    tick = alice.shard.tick
    before = tick.gathered_bytes
    a.send(bob, "x" * 1000, run=False)
    assert tick.gathered_bytes - before >= 2000, "two queues have it"


@pytest.mark.parametrize("answer", [b"", b"\xc1", b"\x91\xa1x"], ids=["empty", "no MessagePack", "another type"])
def test_an_answer_about_a_peer_that_nobody_understands_leaves_nobody_waiting(
    answer: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, alice, bob = pair(2)
    a, delivery = alice.device(), alice.shard.delivery
    understand = delivery._policy.decode_peer
    with monkeypatch.context() as patched:
        patched.setattr(delivery._policy, "decode_peer", lambda body: understand(answer), raising=False)
        put(a, 1, bob.uid)
    assert a.refused[1] == (Status.FAIL, Refusal.RECIPIENT_AWAY.message)
    assert alice.shard.work.failed_events == 1 and not delivery._parked
    put(a, 2, bob.uid)
    assert a.acknowledged.keys() == {2}
