"""Links between shards under loss, repetition and power failure: exactly once, in order."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lanying.base import limits
from lanying.base.refusals import Refusal
from lanying.bus.messages import (
    Barred,
    Deliver,
    GroupDeliver,
    GroupPost,
    GroupPosted,
    LinkAck,
    LinkBatch,
    LinkMessage,
    NoticeFor,
    Seat,
    decode_bundle,
    encode,
)
from lanying.config.schema import Config, Storage
from lanying.protocol.schema.xsync_pb2 import MessageOperation
from lanying.shard.core.links import TRIM_EVERY, LinkReceiver, LinkSender, bundles, may_be_late
from lanying.shard.store import schema
from lanying.storage.verify import verify_links, verify_store
from lanying.testing.simulation import Simulation, User
from tests.shard.chat.test_chat import pair


def test_envelopes_lost_on_the_way_are_sent_again() -> None:
    sim, alice, bob = pair(2)
    a, b = alice.device(), bob.device()
    a.send(bob, "known")
    peer = f"shard-{bob.shard.work.index}"
    sim.hold.add(peer)
    a.send(bob, "1")
    a.send(bob, "2")
    assert len(a.acknowledged) == 3, "an acknowledgement waits for the own commit only"
    assert sim.drop(peer) > 0
    sim.hold.clear()
    a.send(bob, "3")
    sim.advance(limits.LINK_RESEND_S + 0.1)
    assert b.texts == ["known", "1", "2", "3"]


def test_a_receiver_that_loses_power_gets_everything_once() -> None:
    sim, alice, bob = pair(2)
    a = alice.device()
    a.send(bob, "known")
    for number in range(10):
        a.send(bob, f"{number}", run=False)
        if number % 3 == 0:
            sim.commit(alice.shard)
    sim.crash(bob.shard.work.index)
    sim.run()
    sim.advance(limits.LINK_RESEND_S + 0.1)
    assert bob.device().texts == ["known"] + [str(n) for n in range(10)]


def test_a_sender_that_loses_power_keeps_what_it_acknowledged() -> None:
    sim, alice, bob = pair(2)
    a = alice.device()
    a.send(bob, "known")
    sim.hold.add(f"shard-{bob.shard.work.index}")
    a.send(bob, "acknowledged")
    a.send(bob, "gathered only", run=False)
    assert len(a.acknowledged) == 2
    sim.drop(f"shard-{bob.shard.work.index}")
    sim.hold.clear()
    sim.crash(alice.shard.work.index)
    sim.advance(limits.LINK_RESEND_S + 0.1)
    assert bob.device().texts == ["known", "acknowledged"]
    assert alice.device("second").history_texts(bob) == ["known", "acknowledged"]


def test_ids_and_positions_go_on_after_a_power_failure() -> None:
    sim, alice, bob = pair(2)
    a = alice.device()
    first = a.acknowledged[a.send(bob, "1")]
    sim.now_ms -= 5_000  # and the clock steps back
    sim.crash(alice.shard.work.index)
    sim.run()
    a = alice.device()
    second = a.acknowledged[a.send(bob, "2")]
    assert second > first
    assert bob.device().texts == ["1", "2"]


def test_an_outbox_longer_than_the_window_drains_from_the_store() -> None:
    sim, alice, bob = pair(2)
    a = alice.device()
    a.send(bob, "known")
    peer = f"shard-{bob.shard.work.index}"
    sim.hold.add(peer)
    count = limits.LINK_WINDOW + 500
    for number in range(count):
        a.session.sends.full_at = 0.0
        a.send(bob, f"{number}", run=False)
        sim.commit(alice.shard)
    sim.run()
    sender = alice.shard.links.senders[bob.shard.work.index]
    assert sender.sent - sender.acknowledged <= limits.LINK_WINDOW
    sim.drop(peer)
    sim.hold.clear()
    sim.advance(limits.LINK_RESEND_S + 0.1)
    sim.advance(1)
    b = bob.device()
    assert b.texts == ["known"] + [str(n) for n in range(count)]
    assert sender.depth == 0


@settings(max_examples=200, deadline=None)
@given(
    st.lists(
        st.sampled_from(["send", "lose", "carry", "repeat", "clock", "sender restarts", "receiver restarts"]),
        max_size=60,
    )
)
def test_a_link_delivers_every_number_once_and_in_order(steps: list[str]) -> None:
    outbox: dict[int, int] = {}
    received: list[int] = []
    sender, receiver = LinkSender(0, 1), LinkReceiver(0)
    wire: list[tuple[int, list[int]]] = []
    now = 0.0

    def pump() -> None:
        lagging = sender.lagging()
        if lagging:
            first, count = lagging
            wire.append((first, [outbox[n] for n in range(first, first + count)]))
            sender.resent(first, count, now)

    def carry(keep: bool) -> None:
        if wire:
            first, items = wire[0] if keep else wire.pop(0)
            skip = receiver.fresh(first, len(items), sender.trimmed + 1)
            if skip is None:
                sender.acknowledge(receiver.seen, True, now)
            else:
                received.extend(items[skip:])
                sender.acknowledge(receiver.seen, False, now)

    for step in steps:
        now += 0.1
        if step == "send":
            number = sender.assign()
            outbox[number] = number
            if sender.committed(number, 1, now):
                wire.append((number, [number]))
        elif step == "lose":
            wire[:1] = []
        elif step == "carry":
            carry(keep=False)
        elif step == "repeat":
            carry(keep=True)
        elif step == "clock":
            now += limits.LINK_RESEND_S + 1
            sender.tick(now)
        elif step == "sender restarts":
            sender = LinkSender(sender.last, sender.trimmed + 1)
            wire.clear()
        else:
            receiver = LinkReceiver(len(received))
            sender.acknowledge(receiver.seen, True, now)
        pump()
    for _ in range(10):
        now += limits.LINK_RESEND_S + 1
        sender.tick(now)
        pump()
        while wire:
            carry(keep=False)
    assert received == list(range(1, sender.last + 1))
    assert sender.depth == 0


def test_a_tick_is_one_row_and_one_number_whatever_it_holds() -> None:
    sim, alice, bob = pair(2)
    a, b = alice.device(), bob.device()
    a.send(bob, "known")
    sender = alice.shard.links.senders[bob.shard.work.index]
    before = sender.last
    for number in range(20):
        a.send(bob, f"{number}", run=False)
    sim.run()
    assert sender.last == before + 1
    assert b.texts == ["known"] + [str(n) for n in range(20)]


def test_bundles_are_bounded_and_keep_order() -> None:
    items = [encode(Barred(n, 7, True, n)) for n in range(20_000)]
    found = bundles(items)
    assert len(found) > 1 and max(map(len, found)) <= limits.LINK_BUNDLE_BYTES + 3
    assert [message.uid for bundle in found for message in decode_bundle(bundle)] == list(range(20_000))
    large = encode(Deliver(1, 2, 3, b"x" * limits.LINK_BUNDLE_BYTES))
    assert [len(decode_bundle(bundle)) for bundle in bundles([items[0], large, items[1]])] == [1, 1, 1]


def test_an_acknowledgement_rides_with_a_bundle_the_other_way() -> None:
    sim, alice, bob = pair(2)
    a, b = alice.device(), bob.device()
    a.send(bob, "known")
    b.send(alice, "known")
    there = alice.shard.links.senders[bob.shard.work.index]
    a.send(bob, "1", run=False)
    b.send(alice, "2", run=False)
    sim.commit(alice.shard)
    assert there.depth == 1
    sim.carry()  # what alice's shard sent arrives at bob's, which has "2" to send in the same tick
    sim.commit(bob.shard)
    assert bob.shard.links.untold == set()
    sim.carry()
    assert there.depth == 0


@pytest.mark.parametrize("lost", [1, 2, 5])
@pytest.mark.parametrize("made", [0, 1, 3])
def test_numbers_lost_with_the_power_are_not_given_out_again(lost: int, made: int) -> None:
    sim, alice, bob = pair(2, Config(storage=Storage(durability="os")))
    a = alice.device()
    a.send(bob, "known")
    index, peer = alice.shard.work.index, bob.shard.work.index
    flush, sim.stores[index].flush = sim.stores[index].flush, lambda: None  # the kernel has not written it yet
    for number in range(lost):
        a.send(bob, f"lost by the sender {number}")
    sim.stores[index].flush = flush
    sim.hold.add(f"shard-{index}")
    sim.now_ms += 5_000
    sim.crash(index)
    a = alice.device()
    for number in range(made):  # before the other shard could say what it knows
        a.send(bob, f"new {number}")
    assert len(a.acknowledged) == made
    sim.hold.clear()
    sim.run()
    a.send(bob, "last")
    expected = ["known", *(f"lost by the sender {n}" for n in range(lost)), *(f"new {n}" for n in range(made)), "last"]
    assert bob.device().texts == expected
    assert verify_links(sim.stores) == []
    assert not [problem for problem in verify_store(sim.stores[index], index) if "outbox" in problem]
    sim.crash(index)  # and again, with rows of before and after in the outbox
    sim.run()
    alice.device().send(bob, "end")
    assert bob.device("second").history_texts(alice) == [*expected, "end"]
    assert alice.shard.links.senders[peer].depth == 0


def test_a_greeting_that_got_lost_is_said_again() -> None:
    sim, alice, bob = pair(2, Config(storage=Storage(durability="interval")))
    alice.device().send(bob, "known")
    index, peer = alice.shard.work.index, f"shard-{bob.shard.work.index}"
    sim.crash(index)
    sim.hold.add(peer)
    sim.commit(alice.shard)
    assert sim.drop(peer) > 0
    sim.hold.clear()
    alice.device().send(bob, "waits")
    assert bob.device().texts == ["known"]
    for _ in range(3):
        sim.advance(limits.LINK_RESEND_MAX_S + 1)
    assert bob.device("second").history_texts(alice) == ["known", "waits"]


def test_a_lost_acknowledgement_is_told_again() -> None:
    sim, alice, bob = pair(2)
    a = alice.device()
    a.send(bob, "known")
    there = alice.shard.links.senders[bob.shard.work.index]
    sim.hold.add(f"shard-{alice.shard.work.index}")
    a.send(bob, "1")
    assert sim.drop(f"shard-{alice.shard.work.index}") > 0
    sim.hold.clear()
    assert there.depth == 1
    sim.advance(limits.LINK_RESEND_S + 0.1)
    assert there.depth == 0
    assert bob.device().texts == ["known", "1"]


def test_a_peer_that_stalls_is_sent_the_same_less_and_less_often() -> None:
    sender = LinkSender(0, 1)
    sender.assign()
    assert sender.committed(1, 1, 0.0) == 1
    resent = []
    for second in range(1, 40):
        sender.tick(float(second))
        if sender.lagging():
            sender.resent(1, 1, float(second))
            resent.append(second)
    assert resent == [2, 5, 10, 19, 28, 37]
    sender.acknowledge(1, False, 40.0)
    sender.assign()
    sender.committed(2, 1, 40.0)
    sender.tick(42.0)
    assert sender.lagging(), "one that answered is given the first wait again"


def test_a_window_has_room_for_what_is_acknowledged_and_no_more() -> None:
    sender, window = LinkSender(0, 1), limits.LINK_WINDOW

    def make(count: int) -> int:
        first = sender.last + 1
        for _ in range(count):
            sender.assign()
        return sender.committed(first, count, 0.0)

    assert make(window) == window, "none is on its way yet"
    assert make(5) == 0 and sender.lagging() is None
    sender.acknowledge(3, False, 0.0)
    assert sender.lagging() == (window + 1, 3)
    sender.acknowledge(window, False, 0.0)
    assert sender.lagging() == (window + 1, 5)
    sender.resent(window + 1, 5, 0.0)
    sender.acknowledge(window + 5, False, 0.0)
    assert make(window + 1) == window, "everything before has arrived"
    assert sender.lagging() is None
    sender.acknowledge(window + 6, False, 0.0)
    assert sender.lagging() == (2 * window + 6, 1)


def test_a_peer_that_gets_on_slowly_is_sent_nothing_twice() -> None:
    sender = LinkSender(0, 1)
    for number in range(1, 4):
        sender.assign()
        sender.committed(number, 1, 0.0)
    for number in range(1, 4):
        sender.tick(number * 0.9 * limits.LINK_RESEND_S)
        assert not sender.lagging()
        sender.acknowledge(number, False, number * 0.9 * limits.LINK_RESEND_S)
    assert sender.depth == 0


def test_an_acknowledgement_gives_a_link_its_first_wait_again() -> None:
    sim, alice, bob = pair(2)
    a = alice.device()
    a.send(bob, "known")
    links, peer = alice.shard.links, bob.shard.work.index
    sim.hold.add(f"shard-{peer}")
    for number in range(2):
        a.send(bob, f"{number}")
    sender = links.senders[peer]
    assert sender.depth == 2
    tick = alice.shard.tick
    tick.now += 0.9 * limits.LINK_RESEND_S
    links.acknowledged(tick, peer, sender.acknowledged + 1, False)
    tick.now += 0.9 * limits.LINK_RESEND_S
    links.clock(tick)
    assert not links.lagging
    tick.now += 0.2 * limits.LINK_RESEND_S
    links.clock(tick)
    assert links.lagging


def read_back(rows: int) -> list[list[int]]:
    """Sizes of what a shard sends again after a start, blob by blob, of rows of 100 bytes."""
    sim, alice, bob = pair(2)
    alice.device().send(bob, "known")
    index, peer = alice.shard.work.index, bob.shard.work.index
    last = alice.shard.links.senders[peer].last
    batch = sim.stores[index].batch()
    for number in range(last + 1, last + rows + 1):
        batch.put(schema.OUTBOX, schema.pack_outbox(peer, number), bytes(100))
    batch.put(schema.LINKS, b"out" + schema.pack_u16(peer), schema.pack_u64(last + rows))
    batch.delete_range(schema.OUTBOX, schema.pack_outbox(peer, 0), schema.pack_outbox(peer, last + 1))
    sim.stores[index].write(batch)
    sim.stores[index].flush()
    sim.crash(index)
    links, tick = alice.shard.links, alice.shard.tick
    found: list[list[int]] = []
    while links.lagging:
        tick.envelopes.clear()
        links.resend(tick)
        [(_, sent)] = tick.envelopes
        found.append([len(item) for item in sent.items])
    return found


@pytest.mark.parametrize(("at_most", "counts"), [(300, [3, 3, 1]), (299, [2, 2, 2, 1]), (99, [1] * 7), (10_000, [7])])
def test_what_lags_is_read_back_in_pieces_of_bounded_size(
    at_most: int, counts: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "LINK_BLOB_BYTES", at_most)
    assert [len(blob) for blob in read_back(7)] == counts


def test_what_lags_is_read_back_in_pieces_of_bounded_number(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "LINK_BLOB_BUNDLES", 4)
    assert [len(blob) for blob in read_back(9)] == [4, 4, 1]


def test_a_receiver_says_how_far_it_is_four_times_in_a_window() -> None:
    """Otherwise the sender would wait for ``LINK_ACK_S`` in the middle of a burst."""
    sim, alice, bob = pair(2)
    alice.device().send(bob, "known")
    sim.advance(1)
    here, there = bob.shard, alice.shard.work.index
    seen = here.links.receivers[there].seen
    bundle = bundles([encode(Barred(bob.uid, 7, True, 1))])[0]
    told = []
    for number in range(seen + 1, seen + 2 * limits.LINK_WINDOW // 4 + 1):
        here.links.arrived(LinkBatch(there, number, [bundle], 1, 0))
        told += [envelope.number for _, envelope in here.seal().envelopes if isinstance(envelope, LinkAck)]
    quarter = limits.LINK_WINDOW // 4
    assert len(told) == 2 and told[1] - told[0] == quarter and told[0] <= seen + quarter
    here.links.acknowledge(here.tick)
    assert not here.links.untold


def test_a_link_that_is_held_asks_again_now_and_then_and_others_never() -> None:
    sim, alice, bob = pair(2, Config(storage=Storage(durability="interval")))
    alice.device().send(bob, "known")
    links, tick, peer = alice.shard.links, alice.shard.tick, bob.shard.work.index

    def asked(seconds: int) -> list[int]:
        found = []
        for second in range(seconds):
            tick.now += 1.0
            tick.envelopes.clear()
            links.clock(tick)
            if any(isinstance(one, LinkAck) and one.rewind for _, one in tick.envelopes):
                found.append(second)
        return found

    every = int(limits.LINK_RESEND_MAX_S) + 1
    assert asked(4 * every) == []
    sim.crash(alice.shard.work.index)
    links, tick = alice.shard.links, alice.shard.tick
    assert links.senders[peer].held
    links.senders[peer].progress_at = tick.now
    assert asked(3 * every) == [every - 1, 2 * every - 1, 3 * every - 1]


@pytest.mark.parametrize(
    ("sizes", "counts"),
    [([9], [1]), ([11, 1], [1, 1]), ([10, 1], [1, 1]), ([5, 5, 1], [2, 1]), ([1, 11, 1], [1, 1, 1])],
)
def test_a_bundle_is_full_or_one_message_and_never_empty(
    sizes: list[int], counts: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "LINK_BUNDLE_BYTES", 10)
    found = bundles([bytes([0xC0]) * size for size in sizes])
    assert [int.from_bytes(one[1:3], "big") for one in found] == counts


def test_what_is_read_back_is_given_time_to_be_acknowledged() -> None:
    sender = LinkSender(3, 1)
    assert sender.lagging() == (1, 3)
    sender.resent(1, 2, 100.0)
    sender.tick(100.0 + limits.LINK_RESEND_S)
    assert sender.lagging() == (3, 1)
    sender.resent(3, 1, 100.9)
    sender.tick(100.1 + limits.LINK_RESEND_S)
    assert sender.lagging() == (1, 3), "measured from the first that is not acknowledged"


def test_what_is_more_than_a_window_has_room_for_goes_in_part() -> None:
    sender, window = LinkSender(0, 1), limits.LINK_WINDOW
    for _ in range(window - 2):
        sender.assign()
    assert sender.committed(1, window - 2, 0.0) == window - 2
    for _ in range(5):
        sender.assign()
    assert sender.committed(window - 1, 5, 0.0) == 2 and sender.lagging() is None


def test_acknowledged_rows_leave_the_outbox_so_many_at_once() -> None:
    _, alice, bob = pair(2)
    a = alice.device()
    a.send(bob, "known")
    sender = alice.shard.links.senders[bob.shard.work.index]
    store = alice.shard.work.store
    kept = []
    for _ in range(2 * TRIM_EVERY + 5):
        a.session.sends.full_at = 0.0
        a.send(bob, "x")
        rows = sum(1 for _ in store.scan(schema.OUTBOX, b"", b"\xff" * 11))
        assert rows == sender.last - sender.trimmed, "a row is there until it is trimmed"
        kept.append(rows)
    assert max(kept) == TRIM_EVERY and min(kept[TRIM_EVERY:]) == 1, kept


def test_numbers_a_power_failure_took_are_known_to_the_next_start_too() -> None:
    sim, alice, bob = pair(2, Config(storage=Storage(durability="interval")))
    alice.device().send(bob, "known")
    index, peer = alice.shard.work.index, bob.shard.work.index
    last = alice.shard.links.senders[peer].last
    sim.crash(index)
    alice.shard.links.acknowledged(alice.shard.tick, peer, last + 5, True)
    sim.commit(alice.shard)
    sim.stores[index].flush()
    sim.crash(index)
    assert alice.shard.links.senders[peer].last == last + 5


def test_what_a_link_owes_is_shown_in_all_and_by_shard() -> None:
    sim, alice, bob = pair(2)
    a = alice.device()
    a.send(bob, "known")
    peer = bob.shard.work.index
    sim.hold.add(f"shard-{peer}")
    for _ in range(3):
        a.send(bob, "x")
    found = {(one.name, *one.labels.values()): one.value for one in alice.shard.links.figures()}
    assert found == {("link_depth",): 3.0, ("link_depth", f"shard-{peer}"): 3.0}


def behind_a_power_failure() -> tuple[Simulation, User, User]:
    """A user whose shard has let out a message of another one's and lost it; the other shard is not heard yet."""
    sim, alice, bob = pair(2)
    alice.device().send(bob, "known")
    b = bob.device()
    alice.device().send(bob, "lost", run=False)
    for _ in range(2):
        sim.commit(alice.shard)
        sim.carry()
        sim.commit(bob.shard)
    assert b.texts == ["known", "lost"], "shown before it is synced"
    sim.hold.add(f"shard-{alice.shard.work.index}")
    sim.crash(bob.shard.work.index)
    return sim, alice, bob


def test_behind_a_power_failure_the_other_side_of_a_conversation_comes_first() -> None:
    sim, alice, bob = behind_a_power_failure()
    b = bob.device()
    assert b.session.left == ""
    number = b.send(alice, "mine")
    assert b.refused[number][0] == Refusal.RECIPIENT_AWAY.status
    assert b.operate(alice, MessageOperation.READ_ACK, b.metas[0].id) in b.refused, "it would be an entry, too"
    assert b.texts == ["known"], "what was shown is not there yet"
    sim.hold.clear()
    sim.run()
    assert b.texts == ["known", "lost"]
    assert b.send(alice, "mine", client_mid=number) in b.acknowledged
    assert bob.device("second").history_texts(alice) == ["known", "lost", "mine"]


@pytest.mark.parametrize("ended", [True, False])
def test_behind_an_orderly_end_nobody_is_waited_for(ended: bool) -> None:
    sim, alice, bob = pair(2)
    alice.device().send(bob, "known")
    bob.device().send(alice, "known")
    if ended:
        bob.shard.links.end(bob.shard.tick)
        sim.commit(bob.shard)
    sim.hold.add(f"shard-{alice.shard.work.index}")
    sim.crash(bob.shard.work.index)
    b = bob.device()
    assert (b.send(alice, "mine") in b.acknowledged) == ended


def test_a_link_has_come_again_when_it_is_where_its_sender_is_or_a_window_further() -> None:
    _, alice, bob = behind_a_power_failure()
    there, replaying = alice.shard.work.index, bob.shard.work.replaying
    seen = bob.shard.links.receivers[there].seen
    assert replaying == {there: seen + limits.LINK_WINDOW}
    bob.shard.links.confirmed(LinkAck(there, 0))
    assert replaying == {there: seen + limits.LINK_WINDOW}, "it does not say"
    bob.shard.links.confirmed(LinkAck(there, 0, last=seen + 1))
    assert replaying == {there: seen + 1}
    bundle = bundles([encode(Barred(bob.uid, 7, True, 1))])[0]
    bob.shard.links.arrived(LinkBatch(there, seen + 1, [bundle], 1, 0))
    assert replaying == {}


def test_with_less_than_fsync_nothing_is_waited_for() -> None:
    sim, alice, bob = pair(2, Config(storage=Storage(durability="os")))
    alice.device().send(bob, "known")
    sim.stores[bob.shard.work.index].flush()
    sim.crash(bob.shard.work.index)
    assert bob.shard.work.replaying == {}


SOURCE, SLOTS_OF = 1, [0, 1] * 512


@pytest.mark.parametrize(
    ("message", "late"),
    [
        (Deliver(2, 1, 9, b""), True),
        (Deliver(2, 1, 9, b"", listed=False, operation=1, target=8), True),
        (Deliver(2, 0, 9, b""), False),
        (Deliver(2, 4, 9, b""), False),
        (GroupDeliver(1, 5, 9, b"", 2, 1, True, 0), True),
        (GroupDeliver(4, 5, 9, b"", 2, 1, True, 0), False),
        (GroupPosted(9, 2), True),
        (Barred(2, 7, True, 1), False),
        (Seat(2, 1), False),
        (NoticeFor(2, 1, 2, b""), False),
        (GroupPost(2, 1, 1, "", 5, b""), False),
    ],
)
def test_late_is_what_one_link_alone_decides(message: LinkMessage, late: bool) -> None:
    assert may_be_late([message], SOURCE, SLOTS_OF) is late
    assert may_be_late([Deliver(2, 1, 9, b""), message], SOURCE, SLOTS_OF) is late
