"""The shard's ends of all links over the store: numbers what a tick owes other shards, and reads back what has to be
sent again.

What a tick owes a shard is one *bundle* with one number: one row and one item on the wire, whatever it holds, because a row costs
1.5 to 2 µs and a message shares its bundle with all others of the tick (docs/performance.md).

Rows: ``outbox`` keeps every bundle until its shard acknowledged it; ``links`` keeps the highest number given
out and committed per shard (:mod:`lanying.shard.store.schema`).

A power failure below durability ``fsync`` may take our newest numbers while the other shard has kept what came under them. Given out
again they would be taken for repetitions, and the messages be lost. So in these modes nothing is sent after a start until the other
shard has said what it knows, and bundles made meanwhile are numbered anew behind that.
"""

from __future__ import annotations

from lanying.base import limits
from lanying.base.figures import Figure, labelled
from lanying.bus.link import LinkReceiver, LinkSender, bundles
from lanying.bus.messages import LinkAck, LinkBatch
from lanying.cluster.runtime import shard_name
from lanying.shard.core.tick import Tick
from lanying.shard.store import schema
from lanying.shard.store.base import Batch, Store

TRIM_EVERY = 64
"""Acknowledged rows leave the outbox in ranges this large: a range delete costs reads, so few of them."""


class Outbox:
    """Links from and to every other shard.

    :ivar untold: shards whose bundles are committed here and not acknowledged yet, see :meth:`acknowledge`
    """

    def __init__(self, store: Store, index: int, shards: int, *, may_forget: bool = False) -> None:
        """:param may_forget: a power failure may have taken what was sent"""
        self._store = store
        self._found: dict[int, int] = {}
        self._index = index
        self._process = [shard_name(peer) for peer in range(shards)]
        self.senders: dict[int, LinkSender] = {}
        self.receivers: dict[int, LinkReceiver] = {}
        self._told: dict[int, int] = {}
        self.untold: set[int] = set()
        for peer in range(shards):
            if peer == index:
                continue
            last = _number(store, b"out", peer)
            start = schema.pack_outbox(peer, 0)
            rows = list(store.scan(schema.OUTBOX, start, schema.pack_outbox(peer + 1, 0), limit=1))
            oldest = schema.unpack_u64(rows[0][0][2:])[0] if rows else last + 1
            self.senders[peer] = LinkSender(last, oldest, held=may_forget)
            self._found[peer] = last
            self.receivers[peer] = LinkReceiver(_number(store, b"in", peer))

    def greet(self, tick: Tick) -> None:
        """Tell every shard what of its link is committed here, so it sends the rest: the first thing after a start."""
        for peer, receiver in self.receivers.items():
            tick.envelopes.append((self._process[peer], LinkAck(self._index, receiver.seen, rewind=True)))

    def seal(self, tick: Tick) -> None:
        """Number the tick's link messages into its batch, and note what it applied."""
        batch = tick.batch
        # The tick is about to be written: numbers given out from here on are its rows, so no number is ever on the wire without one.
        for peer, rewind in tick.acknowledge.items():
            seen = self.receivers[peer].seen
            if rewind:
                tick.envelopes.append((self._process[peer], LinkAck(self._index, seen, rewind)))
                continue
            batch.put(schema.LINKS, b"in" + schema.pack_u16(peer), schema.pack_u64(seen))
            self.untold.add(peer)
            if seen - self._told.get(peer, 0) >= limits.LINK_WINDOW // 4:
                self._tell(tick, peer)
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
            if direct:
                self._send(tick, peer, first, items[:direct])
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
            items = self._read(peer, first, min(count, limits.LINK_BLOB_BUNDLES))
            if items:
                sender.resent(first, len(items), tick.now)
                self._send(tick, peer, first, items)

    def acknowledge(self, tick: Tick) -> None:
        """Tell what is committed to those who did not hear it along with a bundle within ``LINK_ACK_S``."""
        for peer in tuple(self.untold):
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
        return any(sender.lagging() for sender in self.senders.values())

    def figures(self) -> list[Figure]:
        """Unacknowledged bundles of messages, for ``status``: all, and by shard."""
        depths = {shard_name(peer): float(sender.depth) for peer, sender in self.senders.items()}
        return [Figure("link_depth", sum(depths.values())), *labelled("link_depth", "to", depths)]

    def clock(self, tick: Tick) -> None:
        """Once a second: go back on links that do not move, ask again who has not answered."""
        for peer, sender in self.senders.items():
            if sender.held and tick.now - sender.progress_at > limits.LINK_RESEND_MAX_S:
                sender.progress_at = tick.now
                tick.envelopes.append(
                    (self._process[peer], LinkAck(self._index, self.receivers[peer].seen, rewind=True))
                )
            sender.tick(tick.now)

    def _send(self, tick: Tick, peer: int, first: int, items: list[bytes]) -> None:
        self.untold.discard(peer)
        seen = self._told[peer] = self.receivers[peer].seen
        oldest = self.senders[peer].trimmed + 1
        tick.envelopes.append((self._process[peer], LinkBatch(self._index, first, items, oldest, seen)))

    def _tell(self, tick: Tick, peer: int) -> None:
        self.untold.discard(peer)
        seen = self._told[peer] = self.receivers[peer].seen
        tick.envelopes.append((self._process[peer], LinkAck(self._index, seen)))

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

    def _read(self, peer: int, first: int, count: int) -> list[bytes]:
        rows = self._store.get_many(schema.OUTBOX, [schema.pack_outbox(peer, n) for n in range(first, first + count)])
        items: list[bytes] = []
        size = 0
        for row in rows:
            assert row is not None, f"outbox row {first + len(items)} for shard {peer} is missing"
            size += len(row)
            if size > limits.LINK_BLOB_BYTES and items:
                break
            items.append(row)
        return items


def _number(store: Store, direction: bytes, peer: int) -> int:
    row = store.get(schema.LINKS, direction + schema.pack_u16(peer))
    return int(schema.unpack_u64(row)[0]) if row else 0
