"""Pull loops alone: every transition of the table, and whatever happens a device gets every entry in order."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lanying.base import limits
from lanying.base.errors import UnexpectedEvent
from lanying.protocol import frame
from lanying.protocol.schema.xsync_pb2 import Frame, Meta, SyncDL
from lanying.shard.chat.sync import (
    AWAITING,
    IDLE,
    NOTICED,
    OWED,
    TRANSITIONS,
    Answer,
    Entry,
    Event,
    PullLoop,
)

UID, PEER, SN, OTHER_SN = 5, 7, 3, 4
STATES = (IDLE, AWAITING, NOTICED, OWED)


class Queue:
    """One queue, as a loop sees mailboxes and head; entries are appended by :meth:`add`, empty ones are removed."""

    def __init__(self) -> None:
        self.head = SimpleNamespace(uid=UID, peer=PEER, flags=0, last_seq=0, read_mid=0)
        self.store = None
        self.cursor = 0
        self._metas: list[bytes] = []

    def add(self, sender: int = PEER, sn: int = 1, removed: bool = False) -> Entry:
        seq = self.head.last_seq = self.head.last_seq + 1
        meta = frame.meta(seq, sender, sn, UID, 0, Meta.USER_NOTICE, b"")
        self._metas.append(b"" if removed else meta)
        return Entry(seq, meta, sn if sender == UID else 0, seq - 1)

    def entries(self, head: object, first: int, count: int) -> list[bytes]:
        return self._metas[first - 1 : first - 1 + count]

    def move_cursor(self, head: object, sn: int, seq: int) -> None:
        assert seq > self.cursor, "a cursor goes forward"
        self.cursor = seq


class Phone:
    """The device: shows entries, knows the last key it was given."""

    def __init__(self) -> None:
        self.shown: list[int] = []
        self.key = 0
        self.noticed = False

    def read(self, data: bytes | None) -> Answer:
        if data is None:
            return Answer.NONE
        command, payload = frame.parse_frame(data)
        if command == Frame.NOTICE:
            self.noticed = True
            return Answer.NOTICE
        sync = SyncDL.FromString(payload)
        assert command == Frame.SYNC and sync.xid.uid == PEER
        self.shown += [meta.id for meta in sync.metas]
        self.key = sync.next_key
        self.noticed = self.noticed and bool(sync.metas or sync.next_key)
        if not sync.metas:
            return Answer.KEY if sync.next_key else Answer.END
        return Answer.EAGER if sync.is_eager_sync else Answer.BATCH


def in_state(state: object) -> tuple[Queue, PullLoop, Phone]:
    """A loop that came into this state the usual way."""
    queue, loop, phone = Queue(), PullLoop(0), Phone()
    if state is NOTICED:
        queue.add()
        phone.read(offer(queue, loop, [queue.add()]))
    elif state is not IDLE:
        phone.read(offer(queue, loop, [queue.add()]))
        if state is OWED:
            assert loop.acknowledge(queue, queue.head, SN, 1)
    assert loop.state is state
    return queue, loop, phone


def offer(queue: Queue, loop: PullLoop, entries: list[Entry], congested: bool = False) -> bytes | None:
    return loop.offer(queue, queue.head, SN, entries, 1.0, congested)


def happen(event: Event, queue: Queue, loop: PullLoop, phone: Phone) -> Answer:
    """Let ``event`` happen to the loop; what the device was answered."""
    head = queue.head
    if event is Event.ENTRIES:
        return phone.read(offer(queue, loop, [queue.add()]))
    if event is Event.OWN_ENTRIES:
        return phone.read(offer(queue, loop, [queue.add(UID, SN)]))
    if event is Event.CONGESTED:
        return phone.read(offer(queue, loop, [queue.add()], congested=True))
    if event is Event.BACKLOG:
        queue.add()
        return phone.read(offer(queue, loop, [queue.add()]))
    if event is Event.SHARED:
        first = queue.add().seq
        assert loop.share(first, first, 1.0)
        return Answer.NONE
    if event is Event.LAST_KEY:
        loop.sent = head.last_seq = max(head.last_seq, 1)
        return Answer.NONE if loop.acknowledge(queue, head, SN, head.last_seq) else Answer.PULL
    if event is Event.DUE:
        return phone.read(loop.end(head, 1.0))
    if event is Event.FOUND:
        queue.add()
    elif event is Event.REMOVED:
        for _ in range(limits.PULL_ENTRIES + 1):
            queue.add(removed=True)
    return phone.read(loop.pull(queue, head, SN, head.last_seq if event is Event.EXHAUSTED else 0, 1.0))


@pytest.mark.parametrize(("pair", "then"), TRANSITIONS.items(), ids=lambda value: repr(value[0]))
def test_every_transition_of_the_table_happens(pair, then):
    state, event = pair
    queue, loop, phone = in_state(state)
    if event is Event.REMOVED and state is NOTICED:  # what it was noticed of comes first
        loop.pull(queue, queue.head, SN, 0, 1.0)
        loop.cursor, loop.state = queue.head.last_seq, NOTICED
    if event is Event.REMOVED and state is AWAITING:
        loop.cursor = queue.head.last_seq
    expected = Answer.NONE if then[0] is Answer.KEEP else then[0]
    assert (happen(event, queue, loop, phone), loop.state) == (expected, then[1])
    assert loop.cursor <= loop.sent


@pytest.mark.parametrize("state", [IDLE, AWAITING, NOTICED])
def test_an_end_that_is_not_owed_is_a_defect(state):
    queue, loop, _ = in_state(state)
    loop.cursor = queue.head.last_seq
    with pytest.raises(UnexpectedEvent, match=f"DUE in state {state.name}"):
        loop.end(queue.head, 1.0)


@pytest.mark.parametrize("state", [AWAITING, NOTICED])
def test_a_frame_for_all_is_not_pushed_to_a_device_that_has_to_ask(state):
    queue, loop, _ = in_state(state)
    first = queue.add().seq
    assert not loop.share(first, first, 1.0)
    assert loop.state is state and (state, Event.SHARED) not in TRANSITIONS


@pytest.mark.parametrize("state", [IDLE, OWED])
def test_entries_with_a_gap_are_not_pushed(state):
    queue, loop, phone = in_state(state)
    first, _, third = queue.add(), queue.add(), queue.add()
    shown = list(phone.shown)
    assert phone.read(offer(queue, loop, [first, third])) in (Answer.NOTICE, Answer.KEY)
    assert phone.shown == shown, "the device asks and gets the one between, too"


def test_entries_with_a_gap_are_not_kept():
    queue, loop, phone = in_state(AWAITING)
    first, _, third = queue.add(), queue.add(), queue.add()
    offer(queue, loop, [first, third])
    phone.read(loop.pull(queue, queue.head, SN, 1, 1.0))
    assert phone.shown == [1, 2, 3, 4]


ACTIONS = st.lists(
    st.one_of(
        st.tuples(st.just("offer"), st.integers(1, 3), st.booleans()),
        st.tuples(st.just("own"), st.integers(1, 2), st.booleans()),
        st.tuples(st.just("other device"), st.just(1), st.booleans()),
        st.tuples(st.just("shared"), st.just(1), st.just(False)),
        st.tuples(st.just("many"), st.just(limits.BATCH_METAS + 1), st.booleans()),
        st.tuples(st.just("lost"), st.integers(1, 2), st.just(False)),
        st.tuples(st.sampled_from(["ask", "ask again", "due", "drained"]), st.just(0), st.just(False)),
    ),
    max_size=40,
)


@given(ACTIONS)
@settings(max_examples=300, deadline=None)
def test_whatever_happens_a_device_shows_every_entry_in_order(actions):
    queue, loop, phone = Queue(), PullLoop(0), Phone()
    head = queue.head
    wanted: list[int] = []

    def ask(key: int) -> None:
        if not (key and loop.acknowledge(queue, head, SN, key)):
            phone.read(loop.pull(queue, head, SN, key, 1.0))

    for action, count, flag in actions:
        if action in ("offer", "own", "other device", "many", "shared", "lost"):
            mine = action == "own"
            sender, sn = (UID, SN if mine else OTHER_SN) if action in ("own", "other device") else (PEER, 1)
            entries = [queue.add(sender, sn) for _ in range(count)]
            wanted += [entry.seq for entry in entries if not mine]
            if action == "shared" and loop.share(entries[0].seq, entries[-1].seq, 1.0):
                phone.read(frame.batch(PEER, [entry.meta for entry in entries], entries[-1].seq, eager=True))
            elif action != "lost":
                phone.read(offer(queue, loop, entries, congested=flag))
        elif action == "ask":
            if phone.key or phone.noticed:
                ask(phone.key)
        elif action == "ask again":
            loop.pull(queue, head, SN, phone.key, 1.0)  # nobody reads the answer
            phone.read(loop.pull(queue, head, SN, phone.key, 1.0))
        elif action == "due" and loop.state is OWED:
            phone.read(loop.end(head, 1.0))
        elif action == "drained" and loop.state in (IDLE, OWED) and loop.cursor < head.last_seq:
            phone.read(loop.remind(head, 1.0))
        assert loop.cursor <= loop.sent <= head.last_seq
    while loop.state is not IDLE or loop.cursor < head.last_seq:
        if loop.state is OWED:
            phone.read(loop.end(head, 1.0))
        else:
            ask(phone.key)
    shown = list(dict.fromkeys(phone.shown))
    assert shown == sorted(shown) == wanted


def test_a_key_from_before_a_restore_acknowledges_nothing() -> None:
    queue, loop, phone = Queue(), PullLoop(0), Phone()
    for _ in range(3):
        queue.add()
    assert loop.wants(80, queue.head) == 1
    assert phone.read(loop.pull(queue, queue.head, SN, 80, 1.0)) is Answer.BATCH
    assert (phone.shown, phone.key, queue.cursor) == ([1, 2, 3], 3, 0)
    assert loop.acknowledge(queue, queue.head, SN, phone.key)
    assert queue.cursor == 3
