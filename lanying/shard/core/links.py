"""Links: link messages between two shards, exactly once and in order; this shard's ends of all of them, over its store. Pure.

Theory: the sending shard numbers what it owes from 1 and keeps it in its outbox until it is acknowledged. The
receiving shard commits the highest number it has applied together with what the messages did, and acknowledges after
that commit. It ignores numbers it has seen and refuses numbers beyond the next one, so any loss or repetition on the
way, and any restart of either side, ends in the sender going back to the first unacknowledged number (go-back-N; its
states: :mod:`lanying.shard.core.link_states`). The outbox is the queue: memory holds no more than the messages of the current tick.

What a tick owes a shard is one *bundle* with one number: one row and one item on the wire, whatever it holds, because a row costs
1.5 to 2 µs and a message shares its bundle with all others of the tick (docs/performance.md). Rows: ``outbox`` keeps every bundle,
``links`` the highest number given out and committed per shard (:mod:`lanying.shard.store.schema`).

**One sync for a message.** A bundle is durable with its sender before it leaves, so its receiver need not sync before its devices see
what was in it: such a tick is let out as soon as it is written, and only the acknowledgement waits for a sync, which is that of the next
tick that needs one, or the ticker's own after ``LINK_ACK_S``. What a power failure takes of a shard is the end of its log. So:

- *Nothing is lost.* What is acknowledged over a link (:meth:`Links.settled`) is on the disk; everything behind that is still in the
  sender's outbox and comes again. Nothing that was decided here later survives without it: it is behind it in the log, and whatever a
  client, another shard or a back end is answered has waited for its own sync, which covers everything before.
- *Nothing comes twice.* The link's number and what the messages did are one batch: both are there after the failure or neither.
- *No position is given to two messages.* A queue between two users gets entries from two sides: what the other one writes comes
  over one link, in the order and bundles of their shard's outbox, so it gets the same positions again; and what its owner writes
  waits for a sync. Only in between could something slip in: behind a start that follows no orderly end nothing is put into these
  queues here (:attr:`~lanying.shard.core.tick.Events.replaying`) until the link has brought again all that can have been let out: up
  to the other shard's highest number, and no further than a window behind what is here. So a device that has acknowledged what was
  lost, acknowledges the same when it asks again.
- *Groups:* positions are those of the group's shard, which has synced them. A member's shard has nothing to sync at all.
- *Everything else waits for the sync*, in whatever tick it is (:func:`may_be_late` is the list): queue 0 is fed by all links, and
  what changes accounts, relations, members or a timeline is answered, passed on, or decides about what others may do.

Read marks, recalls and edits come like messages, of the same link, and do the same to the same rows again. A push that is owed has the
key of its message: it is given again as when the push process dies before it says that it is done. Cursors of devices are behind the
entries in the log, so none survives what it points to; a lost one repeats a delivery, which devices recognise.

A power failure below durability ``fsync`` may take our newest numbers while the other shard has kept what came under them. Given out
again they would be taken for repetitions, and the messages be lost. So in these modes nothing is sent after a start until the other
shard has said what it knows, and bundles made meanwhile are numbered anew behind that.

Over 400 lines: both ends of a link share their numbers, so they are read together.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from lanying.base import limits
from lanying.base.failpoints import failpoint
from lanying.base.figures import Figure, labelled
from lanying.base.ids import SLOTS
from lanying.bus.messages import Deliver, GroupDeliver, GroupPosted, LinkAck, LinkBatch, LinkMessage, decode_bundle
from lanying.cluster.runtime import shard_name
from lanying.shard.core import outbox
from lanying.shard.core.link_states import HELD, IDLE, LAGGING, MOVING, LinkEvent
from lanying.shard.core.tick import Tick
from lanying.shard.core.work import Work
from lanying.shard.store import schema
from lanying.shard.store.base import Batch

TRIM_EVERY = 64
"""Acknowledged rows leave the outbox in ranges this large: a range delete costs reads, so few of them."""


class LinkSender:
    """Numbers of one outgoing link; see the module for what they mean."""

    __slots__ = ("acknowledged", "last", "patience", "progress_at", "sent", "state", "trimmed")

    def __init__(self, last: int, oldest: int, *, held: bool = False) -> None:
        """:param last: highest number ever assigned, :param oldest: lowest number still in the outbox (``last + 1`` when empty)
        :param held: send nothing until the peer has said what it knows"""
        assert oldest <= last + 1
        self.last = last
        self.acknowledged = self.sent = self.trimmed = oldest - 1
        self.state = HELD if held else IDLE if self.sent == last else LAGGING
        self.progress_at = 0.0
        self.patience = limits.LINK_RESEND_S

    @property
    def held(self) -> bool:
        """Nothing may be sent yet."""
        return self.state is HELD

    @held.setter
    def held(self, held: bool) -> None:
        assert self.state is HELD and not held, "a link is held from its start or never"
        self._move(LinkEvent.MET if self.sent == self.last else LinkEvent.MET_BEHIND)

    def assign(self) -> int:
        """The number of a new message."""
        self.last += 1
        return self.last

    def committed(self, first: int, count: int, now: float) -> int:
        """``count`` new messages from number ``first`` on are in the outbox. How many of them may be sent from memory now."""
        assert first + count == self.last + 1, "numbers are assigned without gap"
        direct = 0
        if self.sent == first - 1 and self.state is not HELD:
            room = limits.LINK_WINDOW - (self.sent - self.acknowledged)
            direct = count if count <= room else max(0, room)
            if direct and self.sent == self.acknowledged:
                self.progress_at = now
            self.sent += direct
        self._move(LinkEvent.SENT if direct == count else LinkEvent.LEFT)
        return direct

    def lagging(self) -> tuple[int, int] | None:
        """First number and count to read from the outbox and send, if anything may be sent."""
        if self.state is not LAGGING:
            return None
        room = limits.LINK_WINDOW - (self.sent - self.acknowledged)
        count = min(self.last - self.sent, room)
        return (self.sent + 1, count) if count > 0 else None

    def resent(self, first: int, count: int, now: float) -> None:
        """``count`` messages from ``first`` on were read from the outbox and given to the transport."""
        assert first == self.sent + 1
        if self.sent == self.acknowledged:
            self.progress_at = now
        self.sent += count
        self._move(LinkEvent.CAUGHT_UP if self.sent == self.last else LinkEvent.READ_BACK)

    def acknowledge(self, number: int, rewind: bool, now: float) -> None:
        """The peer has committed everything up to ``number``.

        It can know numbers we do not: a power failure took our newest batches (durability ``interval`` or ``os``).
        Numbering goes on behind them.
        """
        if number <= self.acknowledged and not rewind:
            return  # it says nothing new
        if number > self.last:
            self.last = number
        if number > self.acknowledged:
            self.acknowledged = number
            self.progress_at = now
            self.patience = limits.LINK_RESEND_S
            if number > self.sent:
                self.sent = number
        if rewind:
            # The peer may have lost what it acknowledged (power failure, durability below fsync): give it again what is still there.
            self.acknowledged = min(self.acknowledged, max(number, self.trimmed))
            self.sent = self.acknowledged
            self.patience = limits.LINK_RESEND_S
        if self.acknowledged == self.last:
            self._move(LinkEvent.COMPLETED)
        else:
            self._move(LinkEvent.WENT_BACK if rewind else LinkEvent.CONFIRMED)

    def tick(self, now: float) -> None:
        """Go back when nothing moved for too long."""
        if self.sent > self.acknowledged and now - self.progress_at > self.patience:
            self.sent = self.acknowledged
            self.patience = min(2 * self.patience, limits.LINK_RESEND_MAX_S)
            self._move(LinkEvent.WENT_BACK)

    @property
    def depth(self) -> int:
        """Messages the peer has not acknowledged."""
        return self.last - self.acknowledged

    def _move(self, event: LinkEvent) -> None:
        _, state = self.state.on[event]
        self.state = state
        last, sent, acknowledged = self.last, self.sent, self.acknowledged
        assert self.trimmed <= acknowledged <= sent <= last, self
        assert sent - acknowledged <= limits.LINK_WINDOW, "more is on its way than the peer has room for"
        # No call of its own: this is once per message that travels alone.
        standing = LAGGING if sent < last else IDLE if acknowledged == last else MOVING
        assert state is standing or state is HELD, self

    def __repr__(self) -> str:
        return f"{self.state} {self.trimmed} <= {self.acknowledged} <= {self.sent} <= {self.last}"


class LinkReceiver:
    """Numbers of one incoming link.

    :ivar seen: highest number applied in this or an earlier tick
    """

    __slots__ = ("seen",)

    def __init__(self, committed: int) -> None:
        self.seen = committed

    def fresh(self, first: int, count: int, oldest: int) -> int | None:
        """How many messages of a batch to skip because they were seen; None: the batch begins beyond the next
        number, ask to go back.

        :param oldest: lowest number the sender still has; what came before and was not seen is lost for good and
            passed over
        """
        if oldest > self.seen + 1:
            self.seen = oldest - 1
        if first > self.seen + 1:
            return None
        skip = min(count, self.seen + 1 - first)
        self.seen += count - skip
        assert 0 <= skip <= count
        return skip


def bundles(items: list[bytes]) -> list[bytes]:
    """Encoded link messages as few MessagePack arrays of at most ``LINK_BUNDLE_BYTES`` (a larger message goes alone)."""
    found: list[bytes] = []
    start = size = 0
    for at, item in enumerate(items):
        size += len(item)
        if size > limits.LINK_BUNDLE_BYTES and at > start:
            found.append(_array(items[start:at]))
            start, size = at, len(item)
    found.append(_array(items[start:]))
    return found


def _array(items: list[bytes]) -> bytes:
    """MessagePack array 16 of encoded items. By hand: a :class:`msgspec.Raw` for each message costs 0.3 us more."""
    return b"\xdc%b%b" % (len(items).to_bytes(2, "big"), b"".join(items))


def may_be_late(bundle: Sequence[LinkMessage], source: int, slots: Sequence[int]) -> bool:
    """May what these link messages of shard ``source`` do be let out before it is on the disk? See the module."""
    for message in bundle:
        if isinstance(message, Deliver):  # into a queue that nobody else feeds but its owner
            if not message.peer or slots[message.peer % SLOTS] != source:
                return False
        elif isinstance(message, GroupDeliver):
            if slots[message.gid % SLOTS] != source:
                return False
        elif not isinstance(message, GroupPosted):  # that one changes nothing that is kept
            return False
    return True


class Links:
    """Links from and to every other shard.

    :ivar untold: shards whose bundles are applied here and not acknowledged yet, see :meth:`acknowledge`
    :ivar written: the highest numbers of bundles that are in the store and may not be on the disk, by shard
    :ivar greeted: port of the runner: a shard has started again
    """

    def __init__(self, work: Work, *, may_forget: bool) -> None:
        """:param may_forget: a power failure may have taken what was sent"""
        store = work.store
        self._work = work
        self._store = store
        self._index = work.index
        self._found: dict[int, int] = {}
        self._process = {peer: shard_name(peer) for peer in work.peers if peer != work.index}
        self.senders: dict[int, LinkSender] = {}
        self.receivers: dict[int, LinkReceiver] = {}
        self._told: dict[int, int] = {}
        self.untold: set[int] = set()
        self.written: dict[int, int] = {}
        self._held_until = 0.0
        self.greeted: Callable[[int], None] = _nothing
        for peer in self._process:
            last = outbox.number(store, b"out", peer)
            start = schema.pack_outbox(peer, 0)
            rows = list(store.scan(schema.OUTBOX, start, schema.pack_outbox(peer + 1, 0), limit=1))
            oldest = schema.unpack_u64(rows[0][0][2:])[0] if rows else last + 1
            self.senders[peer] = LinkSender(last, oldest, held=may_forget)
            self._found[peer] = last
            self.receivers[peer] = LinkReceiver(outbox.number(store, b"in", peer))
        self._settled = {peer: receiver.seen for peer, receiver in self.receivers.items()}
        self._serving = store.get(schema.META, schema.SERVING) is not None
        if self._serving and not may_forget:
            work.replaying.update({peer: seen + limits.LINK_WINDOW for peer, seen in self._settled.items()})

    def greet(self, tick: Tick) -> None:
        """Tell every shard what of its link is committed here, so it sends the rest: the first thing after a start."""
        tick.awaits_flush = True  # what an earlier process wrote need not be on the disk
        if not self._serving and self.receivers:
            tick.batch.put(schema.META, schema.SERVING, b"")
        for peer in self.receivers:
            self._tell(tick, peer, rewind=True)

    def end(self, tick: Tick) -> None:
        """The last tick is sealed now, and nothing is let out behind it: with it everything is on the disk."""
        if self.receivers:
            tick.batch.delete(schema.META, schema.SERVING)

    def seal(self, tick: Tick) -> None:
        """Number the tick's link messages into its batch, and note what it applied."""
        batch = tick.batch
        # The tick is about to be written: numbers given out from here on are its rows, so no number is ever on the wire without one.
        for peer, rewind in tick.acknowledge.items():
            if rewind:
                self._tell(tick, peer, rewind=True)
                continue
            seen = self.written[peer] = self.receivers[peer].seen
            batch.put(schema.LINKS, b"in" + schema.pack_u16(peer), schema.pack_u64(seen))
            tick.lazy += 1
            self.untold.add(peer)
            if seen - self._told.get(peer, 0) >= limits.LINK_WINDOW // 4:
                tick.awaits_flush = True  # the sender is to go on
                self._tell(tick, peer, seen)
        by_peer: dict[int, list[bytes]] = {}
        for peer, item in tick.links:
            messages = by_peer.get(peer)
            if messages is None:
                by_peer[peer] = [item]
            else:
                messages.append(item)
        for peer, messages in by_peer.items():
            sender = self.senders[peer]
            first = sender.last + 1
            items = bundles(messages)
            assert sender.last >= sender.acknowledged, "nobody acknowledges what was not sent"
            for item in items:
                batch.put(schema.OUTBOX, schema.pack_outbox(peer, sender.assign()), item)
            batch.put(schema.LINKS, b"out" + schema.pack_u16(peer), schema.pack_u64(sender.last))
            direct = sender.committed(first, len(items), tick.now)
            if direct:  # the tick has rows to flush, and what it has applied of the link the other way is among them
                self._send(tick, peer, first, items[:direct], self.receivers[peer].seen)
        for peer, sender in self.senders.items():
            if sender.acknowledged - sender.trimmed >= TRIM_EVERY:
                self._trim(batch, peer, sender)

    def resend(self, tick: Tick) -> None:
        """Read back and send what lags (after the tick's write)."""
        for peer, sender in self.senders.items():
            lagging = sender.lagging()
            if lagging is None:
                continue
            first, count = lagging
            items = outbox.read(self._store, peer, first, min(count, limits.LINK_BLOB_BUNDLES))
            if items:
                sender.resent(first, len(items), tick.now)
                self._send(tick, peer, first, items, self._settled[peer])

    def take_written(self) -> dict[int, int]:
        """The numbers that are in the store now: they are :meth:`settled` when a flush that begins behind this has returned."""
        written, self.written = self.written, {}
        return written

    def settled(self, numbers: dict[int, int]) -> None:
        """Everything up to these numbers is on the disk: it may be acknowledged."""
        self._settled.update(numbers)

    def acknowledge(self, tick: Tick) -> None:
        """Tell what is on the disk to those who did not hear it along with a bundle within ``LINK_ACK_S``."""
        for peer in tuple(self.untold):
            settled = self._settled[peer]
            if settled == self.receivers[peer].seen or settled > self._told.get(peer, 0):
                self._tell(tick, peer)

    def acknowledged(self, tick: Tick, peer: int, number: int, rewind: bool) -> None:
        """A shard has committed what it was sent up to ``number``; ``rewind`` is also the greeting that wants an answer."""
        sender = self.senders[peer]
        if sender.held:
            sender.held = False
            if number > self._found[peer]:
                self._renumber(tick.batch, peer, number)
        sender.acknowledge(number, rewind, tick.now)
        if rewind:
            self._tell(tick, peer)

    @property
    def lagging(self) -> bool:
        """Something is on disk that could be sent now."""
        # Asked in every turn, so a link that does not lag costs no call.
        for sender in self.senders.values():  # noqa: SIM110
            if sender.state is LAGGING and sender.lagging():
                return True
        return False

    @property
    def held(self) -> bool:
        """A backup is being taken: what other shards send is ignored, they send it again."""
        return self._work.tick.now < self._held_until

    def hold(self, seconds: float) -> bool:
        """See :class:`~lanying.bus.messages.HoldLinks`. Whether they were held before."""
        held, tick = self.held, self._work.tick
        self._held_until = tick.now + seconds
        if not seconds:
            for peer in self.receivers:  # what was ignored is sent again at once
                tick.acknowledge.setdefault(peer, True)
        return held

    def arrived(self, message: LinkBatch) -> None:
        """Link messages of another shard: each applied once, acknowledged after the commit."""
        failpoint("shard.link_received")
        work, source = self._work, message.source
        tick = work.tick
        self.acknowledged(tick, source, message.committed, False)
        if tick.now < self._held_until:
            return  # they come again
        skip = self.receivers[source].fresh(message.first, len(message.items), message.oldest)
        if skip is None:
            tick.acknowledge.setdefault(source, True)
            return
        # From here on the numbers count as seen: each message is applied in this tick, or taken back alone and counted.
        apply, slots, late = work.apply, work.slots, True
        lazy, rows = tick.lazy, len(tick.batch.operations)
        for item in message.items[skip:] if skip else message.items:
            tick.gathered_bytes += len(item)
            bundle = decode_bundle(item)
            late = late and may_be_late(bundle, source, slots)
            work.each(apply, bundle)
        if late:
            tick.lazy = lazy + len(tick.batch.operations) - rows
        else:
            tick.awaits_flush = True
        tick.acknowledge[source] = False
        if work.replaying:
            self._replayed(source)
        failpoint("shard.link_applied")

    def confirmed(self, message: LinkAck) -> None:
        """Another shard has committed what we sent."""
        source, replaying = message.source, self._work.replaying
        self.acknowledged(self._work.tick, source, message.number, message.rewind)
        if source in replaying and message.last >= 0:
            replaying[source] = min(replaying[source], message.last)
            self._replayed(source)
        if message.rewind:  # the first thing a shard says after its start
            self.greeted(source)
        failpoint("shard.link_acknowledged")

    def figures(self) -> list[Figure]:
        """Unacknowledged bundles of messages, for ``status``: all, and by shard."""
        depths = {shard_name(peer): float(sender.depth) for peer, sender in self.senders.items()}
        return [Figure("link_depth", sum(depths.values())), *labelled("link_depth", "to", depths)]

    def clock(self, tick: Tick) -> None:
        """Once a second: go back on links that do not move, ask again who has not answered."""
        for peer, sender in self.senders.items():
            if sender.held and tick.now - sender.progress_at > limits.LINK_RESEND_MAX_S:
                sender.progress_at = tick.now
                self._tell(tick, peer, rewind=True)
            sender.tick(tick.now)

    def _send(self, tick: Tick, peer: int, first: int, items: list[bytes], settled: int) -> None:
        self._note(peer, settled)
        oldest = self.senders[peer].trimmed + 1
        tick.envelopes.append((self._process[peer], LinkBatch(self._index, first, items, oldest, settled)))

    def _tell(self, tick: Tick, peer: int, settled: int = 0, *, rewind: bool = False) -> None:
        """:param settled: a number that is on the disk when the tick is let out, 0: the one that is there now"""
        settled = settled or self._settled[peer]
        self._note(peer, settled)
        ack = LinkAck(self._index, settled, rewind, self.senders[peer].last)
        tick.envelopes.append((self._process[peer], ack))

    def _note(self, peer: int, told: int) -> None:
        self._told[peer] = told
        if told == self.receivers[peer].seen:
            self.untold.discard(peer)

    def _replayed(self, peer: int) -> None:
        """Is everything here again that can have been let out before the start?"""
        replaying = self._work.replaying
        if self.receivers[peer].seen >= replaying.get(peer, 0):
            replaying.pop(peer, None)

    def _trim(self, batch: Batch, peer: int, sender: LinkSender) -> None:
        start, stop = schema.pack_outbox(peer, sender.trimmed + 1), schema.pack_outbox(peer, sender.acknowledged + 1)
        batch.delete_range(schema.OUTBOX, start, stop)
        sender.trimmed = sender.acknowledged

    def _renumber(self, batch: Batch, peer: int, known: int) -> None:
        """What was made since the start goes behind ``known``; what was there before is known to the other shard."""
        sender = self.senders[peer]
        first, shift = self._found[peer] + 1, known - self._found[peer]
        keys = [schema.pack_outbox(peer, number) for number in range(first, sender.last + 1)]
        rows = self._store.get_many(schema.OUTBOX, keys)
        batch.delete_range(schema.OUTBOX, schema.pack_outbox(peer, 0), schema.pack_outbox(peer, known + 1))
        for number, row in enumerate(rows, known + 1):
            assert row is not None
            batch.put(schema.OUTBOX, schema.pack_outbox(peer, number), row)
        sender.last += shift
        sender.trimmed = known
        batch.put(schema.LINKS, b"out" + schema.pack_u16(peer), schema.pack_u64(sender.last))


def _nothing(shard: int) -> None:
    """Nobody has asked it anything."""
