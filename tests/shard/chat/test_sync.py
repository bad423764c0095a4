"""Pull loops alone: every transition of the table, and whatever happens a device gets every entry in order."""

from __future__ import annotations

from types import SimpleNamespace

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lanying.base import limits
from lanying.base.errors import UnexpectedEvent
from lanying.protocol import frame
from lanying.protocol.schema.xsync_pb2 import Frame, Meta, Notice, SyncDL
from lanying.shard.chat import visible
from lanying.shard.chat.sync import (
    AWAITING,
    IDLE,
    NOTICED,
    OWED,
    TRANSITIONS,
    Entry,
    LoopAnswer,
    LoopEvent,
    PullLoop,
)
from lanying.shard.core.mailbox import Fetched

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

    def read(self, data: bytes | None) -> LoopAnswer:
        if data is None:
            return LoopAnswer.NONE
        command, payload = frame.parse_frame(data)
        if command == Frame.NOTICE:
            self.noticed = True
            return LoopAnswer.NOTICE
        sync = SyncDL.FromString(payload)
        assert command == Frame.SYNC and sync.xid.uid == PEER
        self.shown += [meta.id for meta in sync.metas]
        self.key = sync.next_key
        self.noticed = self.noticed and bool(sync.metas or sync.next_key)
        if not sync.metas:
            return LoopAnswer.KEY if sync.next_key else LoopAnswer.END
        return LoopAnswer.EAGER if sync.is_eager_sync else LoopAnswer.BATCH


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


def happen(event: LoopEvent, queue: Queue, loop: PullLoop, phone: Phone) -> LoopAnswer:
    """Let ``event`` happen to the loop; what the device was answered."""
    head = queue.head
    if event is LoopEvent.ENTRIES:
        return phone.read(offer(queue, loop, [queue.add()]))
    if event is LoopEvent.OWN_ENTRIES:
        return phone.read(offer(queue, loop, [queue.add(UID, SN)]))
    if event is LoopEvent.CONGESTED:
        return phone.read(offer(queue, loop, [queue.add()], congested=True))
    if event is LoopEvent.BACKLOG:
        queue.add()
        return phone.read(offer(queue, loop, [queue.add()]))
    if event is LoopEvent.SHARED:
        first = queue.add().seq
        assert loop.share(first, first, 1.0)
        return LoopAnswer.NONE
    if event is LoopEvent.LAST_KEY:
        loop.sent = head.last_seq = max(head.last_seq, 1)
        return LoopAnswer.NONE if loop.acknowledge(queue, head, SN, head.last_seq) else LoopAnswer.PULL
    if event is LoopEvent.DUE:
        return phone.read(loop.end(head, 1.0))
    if event is LoopEvent.FOUND:
        queue.add()
    elif event is LoopEvent.REMOVED:
        for _ in range(limits.PULL_ENTRIES + 1):
            queue.add(removed=True)
    return phone.read(loop.pull(queue, head, SN, head.last_seq if event is LoopEvent.EXHAUSTED else 0, 1.0))


@pytest.mark.parametrize(("pair", "then"), TRANSITIONS.items(), ids=lambda value: repr(value[0]))
def test_every_transition_of_the_table_happens(pair, then):
    state, event = pair
    queue, loop, phone = in_state(state)
    if event is LoopEvent.REMOVED and state is NOTICED:  # what it was noticed of comes first
        loop.pull(queue, queue.head, SN, 0, 1.0)
        loop.cursor, loop.state = queue.head.last_seq, NOTICED
    if event is LoopEvent.REMOVED and state is AWAITING:
        loop.cursor = queue.head.last_seq
    expected = LoopAnswer.NONE if then[0] is LoopAnswer.KEEP else then[0]
    assert (happen(event, queue, loop, phone), loop.state) == (expected, then[1])
    assert loop.cursor <= loop.sent


@pytest.mark.parametrize("event", [LoopEvent.ENTRIES, LoopEvent.BACKLOG, LoopEvent.CONGESTED])
def test_a_loop_that_awaits_keeps_whatever_comes(event):
    """It does not look up which event it is."""
    assert TRANSITIONS[AWAITING, event] == (LoopAnswer.KEEP, AWAITING)


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
    assert loop.state is state and (state, LoopEvent.SHARED) not in TRANSITIONS


@pytest.mark.parametrize("state", [IDLE, OWED])
@pytest.mark.parametrize("missing", [0, 1, 2, 3])
def test_entries_with_a_gap_are_not_pushed(state, missing):
    queue, loop, phone = in_state(state)
    entries = [queue.add() for _ in range(5)]
    del entries[missing]
    shown = list(phone.shown)
    assert phone.read(offer(queue, loop, entries)) in (LoopAnswer.NOTICE, LoopAnswer.KEY)
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
    assert phone.read(loop.pull(queue, queue.head, SN, 80, 1.0)) is LoopAnswer.BATCH
    assert (phone.shown, phone.key, queue.cursor) == ([1, 2, 3], 3, 0)
    assert loop.acknowledge(queue, queue.head, SN, phone.key)
    assert queue.cursor == 3


def sync_of(data: bytes | None) -> SyncDL:
    assert data is not None
    return SyncDL.FromString(frame.parse_frame(data)[1])


def test_a_push_nobody_asked_for_says_what_it_follows() -> None:
    """A client that does not have the message before asks for what it has missed (5.5)."""
    queue, loop, _ = in_state(IDLE)
    entries = [msgspec.structs.replace(queue.add(), previous_mid=70 + n) for n in range(2)]
    pushed = sync_of(offer(queue, loop, entries))
    assert (pushed.is_eager_sync, pushed.prev_mid, pushed.next_key) == (True, 70, 2)
    queue, loop, _ = in_state(OWED)
    answered = sync_of(offer(queue, loop, [queue.add()]))
    assert (answered.is_eager_sync, answered.prev_mid, answered.next_key) == (False, 0, 2)


@pytest.mark.parametrize("state", [IDLE, AWAITING, NOTICED, OWED])
def test_what_is_on_its_way_is_not_unread_until_it_took_too_long(state: object) -> None:
    queue, loop, _ = in_state(state)
    queue.add()
    behind = queue.head.last_seq - loop.cursor
    late = 1.0 + limits.IN_FLIGHT_RETRY_S
    assert loop.pending(queue.head, late - 0.1) == (behind if state is IDLE else 0)
    assert loop.pending(queue.head, late) == behind > 0


@pytest.mark.parametrize("how", ["end", "remind", "pull"])
def test_an_answer_without_entries_counts_as_sent_now(how: str) -> None:
    queue, loop, _ = in_state(OWED)
    queue.add(UID, SN)
    if how == "end":
        loop.end(queue.head, 50.0)
    elif how == "remind":
        loop.remind(queue.head, 50.0)
    else:
        queue.add()
        loop.pull(queue, queue.head, SN, 0, 50.0)
    assert loop.state is AWAITING
    assert loop.pending(queue.head, 50.0 + limits.IN_FLIGHT_RETRY_S - 0.1) == 0


def test_what_is_kept_need_not_be_read_from_the_store() -> None:
    queue, loop, _ = in_state(AWAITING)
    assert loop.wants(1, queue.head) is None, "nothing follows"
    entries = [queue.add(), queue.add()]
    assert (loop.wants(0, queue.head), loop.wants(1, queue.head), loop.wants(99, queue.head)) == (1, 2, 1)
    offer(queue, loop, entries)
    assert (loop.wants(0, queue.head), loop.wants(1, queue.head), loop.wants(2, queue.head)) == (1, None, 3)


@pytest.mark.parametrize("kept", [1, 3])
@pytest.mark.parametrize("more", [0, 2])
def test_kept_entries_of_the_device_itself_are_passed_over(kept: int, more: int) -> None:
    queue, loop, phone = in_state(AWAITING)
    offer(queue, loop, [queue.add(UID, SN) for _ in range(kept)])
    later = [queue.add() for _ in range(more)]  # not kept: with a gap before it
    answer = phone.read(loop.pull(queue, queue.head, SN, 1, 1.0))
    assert phone.shown == [1] + [entry.seq for entry in later]
    assert answer is (LoopAnswer.BATCH if more else LoopAnswer.END)
    assert loop.cursor == (1 if more else 1 + kept) and loop.sent == queue.head.last_seq


def test_kept_entries_of_others_are_the_answer_without_the_removed_and_the_devices_own() -> None:
    queue, loop, phone = in_state(AWAITING)
    offer(
        queue,
        loop,
        [queue.add(), queue.add(UID, SN), msgspec.structs.replace(queue.add(), meta=b""), queue.add(UID, OTHER_SN)],
    )
    phone.read(loop.pull(queue, queue.head, SN, 1, 1.0))
    assert phone.shown == [1, 2, 5] and phone.key == 5


@pytest.mark.parametrize(("size", "shown"), [(10, 10), (9, 9), (1, 1), (1 << 20, 12)])
def test_a_batch_has_a_largest_size_and_at_least_one_entry(
    size: int, shown: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    queue, loop, phone = Queue(), PullLoop(0), Phone()
    for _ in range(12):
        queue.add()
    one = len(queue.entries(None, 1, 1)[0])
    monkeypatch.setattr(limits, "BATCH_BYTES", size * one if size > 1 else 1)
    phone.read(loop.pull(queue, queue.head, SN, 0, 1.0))
    assert phone.shown == [*range(1, shown + 1)] and loop.sent == shown


@pytest.mark.parametrize("total", [limits.BATCH_METAS - 1, limits.BATCH_METAS, limits.BATCH_METAS + 1])
def test_a_batch_has_a_largest_number_pushed_or_asked_for(total: int) -> None:
    queue, loop, phone = Queue(), PullLoop(0), Phone()
    pushed = phone.read(offer(queue, loop, [queue.add() for _ in range(total)]))
    assert pushed is (LoopAnswer.EAGER if total <= limits.BATCH_METAS else LoopAnswer.NOTICE)
    asked = PullLoop(0)
    assert len(sync_of(asked.pull(queue, queue.head, SN, 0, 1.0)).metas) == min(total, limits.BATCH_METAS)


@pytest.mark.parametrize(("before", "then", "kept"), [(0, 64, True), (0, 65, False), (60, 4, True), (60, 5, False)])
def test_only_so_many_entries_are_kept(before: int, then: int, kept: bool) -> None:
    assert limits.TAIL_METAS == 64
    queue, loop, _ = in_state(AWAITING)
    if before:
        offer(queue, loop, [queue.add() for _ in range(before)])
    offer(queue, loop, [queue.add() for _ in range(then)])
    tail = len(loop.tail or ())
    assert tail == (before + then if kept else before)


@pytest.mark.parametrize(("key", "shown", "cursor"), [(1, [2], 1), (2, [], 2), (3, [1, 2], 0)])
def test_a_key_acknowledges_what_there_is_and_one_from_beyond_the_end_nothing(
    key: int, shown: list[int], cursor: int
) -> None:
    queue, loop, phone = in_state(NOTICED)
    phone.read(loop.pull(queue, queue.head, SN, key, 1.0))
    assert (phone.shown, loop.cursor, queue.cursor) == (shown, cursor, cursor)


def test_an_older_key_does_not_move_a_cursor_back() -> None:
    queue, loop, phone = in_state(OWED)
    queue.add()
    phone.read(loop.pull(queue, queue.head, SN, 0, 1.0))
    assert loop.cursor == 1 and phone.shown == [1, 2]


def test_entries_that_were_fetched_are_used_where_they_begin() -> None:
    queue, loop, phone = Queue(), PullLoop(0), Phone()
    for _ in range(4):
        queue.add()
    there = [frame.meta(100 + n, PEER, 1, UID, 0, Meta.USER_NOTICE, b"") for n in range(4)]
    phone.read(loop.pull(queue, queue.head, SN, 0, 1.0, fetched=Fetched(1, there[:2])))
    assert phone.shown == [100, 101] and loop.sent == 2
    phone.read(loop.pull(queue, queue.head, SN, 2, 1.0, fetched=Fetched(2, there[1:])))
    assert phone.shown == [100, 101, 3, 4], "they begin elsewhere"
    queue.entries = lambda head, first, count: []  # type: ignore[method-assign]
    again = PullLoop(0)
    assert phone.read(again.pull(queue, queue.head, SN, 0, 1.0)) is LoopAnswer.END
    assert again.sent == again.cursor == 0, "not asked for: the device asks again"


@pytest.mark.parametrize("state", [IDLE])
def test_a_notice_names_the_queue(state: object) -> None:
    queue, loop, _ = in_state(state)
    queue.add()
    data = offer(queue, loop, [queue.add()])
    assert data is not None
    command, payload = frame.parse_frame(data)
    assert command == Frame.NOTICE and Notice.FromString(payload).xid.uid == PEER


@pytest.mark.parametrize("since_ms", [0, 5])
def test_a_pull_looks_at_entries_with_the_time_it_is_given(since_ms: int, monkeypatch: pytest.MonkeyPatch) -> None:
    queue, loop, phone = Queue(), PullLoop(0), Phone()
    queue.add()
    seen: list[object] = []

    def shown(*given: object) -> bytes:
        _, _, _, entries, place, now_ms, *_ = given
        seen.append(now_ms)
        return entries[place]  # type: ignore[index]

    monkeypatch.setattr(visible, "for_device", shown)
    phone.read(loop.pull(queue, queue.head, SN, 0, 1.0, since_ms))
    assert seen == [since_ms] and phone.shown == [1]
