"""What a shard decided in one turn: written as one batch, flushed, and only then let out.

A tick has four steps: *decide* (events in, everything lands here), *write* (one atomic batch, not yet flushed),
*deliver* (pull loops read what was written and make frames), and after the flush *release* (one joined write per
socket, one blob per peer). Nothing in ``outs``, ``envelopes`` or ``closing`` leaves the process before the flush
that covers the tick has returned.

Everything an event decides is appended to a list. A *mark* is the lengths of the lists that most events append to: one that fails is
taken back by cutting these there and undoing, latest first, what it noted in ``undo``. What goes into the other lists is noted there, too
(:meth:`Tick.add`): three marks are taken per message, so they measure no more than they must.

:class:`Events` is how everything happens: all of an event or nothing of it. There is one way to write: :attr:`Events.put`,
:attr:`Events.delete` and :attr:`Events.delete_range` are the open batch's own methods (no call in between), and what they put is
durable before anything leaves that the tick decides. What may be late says so: :meth:`Events.put_lazy`.
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Final, TypeVar, TypeVarTuple

from lanying.base.errors import StoreError
from lanying.base.ids import SLOTS
from lanying.bus.messages import Deliver, GroupDeliver, GroupPost, LinkMessage, Message, encode
from lanying.cluster.runtime import shard_name
from lanying.cluster.shardmap import ShardMap
from lanying.shard.core.mailbox import Conversation, Entry, Fetched
from lanying.shard.core.session import Session
from lanying.shard.store.base import Batch, Store
from lanying.shard.store.overlay import Overlay

log = logging.getLogger(__name__)

Arguments = TypeVarTuple("Arguments")
T = TypeVar("T")
CAUSES_LOGGED: Final = 200
"""A failure is logged with its traceback once per place and kind, up to so many; later ones are counted."""
Mark = tuple[int, ...]
"""Lengths of a tick's lists at the beginning of an event, see :meth:`Tick.mark`."""


class Tick:
    """Gathered decisions.

    :ivar outs: wire bytes owed to sessions, in order
    :ivar envelopes: ``(process, envelope)`` for the bus
    :ivar links: ``(shard, encoded link message)``; numbered when the tick is sealed
    :ivar touched: entries appended, with their queue
    :ivar groups: timeline entries for members here
    :ivar pulls: ``(session, peer, key, fetched)`` to answer after the write
    :ivar histories: ``(session, peer, key, amount)``: history pages to make after the write
    :ivar unreads: sessions that asked for their unread list
    :ivar closing: sessions to close behind their last bytes
    :ivar undo: ``(function, *arguments)`` that put memory back to before each change
    :ivar acknowledge: shards whose link messages this tick applies, True to ask them to go back
    :ivar lazy: rows of the batch that no answer depends on
    :ivar awaits_flush: an answer repeats one whose rows may still be on their way to the disk
    :ivar durable: set when the tick is sealed: must be flushed before the release
    :ivar settles: numbers of links, by shard, that are on the disk when this tick is (:meth:`lanying.shard.core.links.Links.settled`)
    """

    __slots__ = (
        "acknowledge",
        "awaits_flush",
        "batch",
        "closing",
        "durable",
        "envelopes",
        "gathered_bytes",
        "groups",
        "histories",
        "lazy",
        "links",
        "now",
        "now_ms",
        "outs",
        "pulls",
        "settles",
        "touched",
        "undo",
        "unreads",
    )

    def __init__(self, batch: Batch) -> None:
        self.batch = batch
        self.now = 0.0
        self.now_ms = 0
        self.outs: list[tuple[Session, bytes]] = []
        self.envelopes: list[tuple[str, Message]] = []
        self.links: list[tuple[int, bytes]] = []
        self.touched: list[tuple[Conversation, Entry]] = []
        self.groups: Sequence[GroupDeliver] = []
        self.pulls: Sequence[tuple[Session, int, int, Fetched | None]] = []
        self.histories: Sequence[tuple[Session, int, int, int]] = []
        self.unreads: Sequence[Session] = []
        self.closing: Sequence[Session] = []
        self.undo: list[tuple[Any, ...]] = []
        self.acknowledge: dict[int, bool] = {}
        self.gathered_bytes = 0
        self.lazy = 0
        self.awaits_flush = False
        self.durable = False
        self.settles: dict[int, int] | None = None

    def send(self, session: Session, frame: bytes) -> None:
        """Owe a session a frame."""
        self.outs.append((session, session.wrap(frame)))

    def send_wrapped(self, session: Session, wire: bytes, frame: bytes) -> None:
        """Owe a session a frame that was wrapped once for many."""
        self.outs.append((session, wire))

    def send_raw(self, session: Session, data: bytes) -> None:
        """Owe a session wire bytes of its connection's own: pongs, a close."""
        self.outs.append((session, data))

    def add(self, to: Sequence[T], item: T) -> None:
        """Append to ``groups``, ``pulls``, ``histories``, ``unreads`` or ``closing``."""
        assert isinstance(to, list)
        to.append(item)
        self.undo.append((to.pop,))

    def mark(self) -> Mark:
        """Where the next event begins."""
        return (
            len(self.outs),
            len(self.touched),
            len(self.links),
            len(self.envelopes),
            len(self.undo),
            len(self.batch.operations),
            self.lazy,
        )

    def cut(self, mark: Mark) -> int:
        """Take back everything since a mark but the rows; how many of those to keep."""
        outs, touched, links, envelopes, undo, rows, self.lazy = mark
        undone = self.undo[undo:]
        undone.reverse()
        for step in undone:
            step[0](*step[1:])
        del self.outs[outs:], self.touched[touched:], self.links[links:], self.envelopes[envelopes:], self.undo[undo:]
        return rows

    def wires(self) -> dict[Session, list[bytes]]:
        """What is owed, by session, in order."""
        found: dict[Session, list[bytes]] = {}
        for session, wire in self.outs:
            out = found.get(session)
            if out is None:
                found[session] = [wire]
            else:
                out.append(wire)
        return found

    @property
    def empty(self) -> bool:
        """Nothing to write, deliver or release."""
        return not (
            self.outs
            or self.pulls
            or self.batch.operations
            or self.envelopes
            or self.links
            or self.unreads
            or self.histories
            or self.closing
            or self.acknowledge
            or self.touched
            or self.groups
        )


class Events:
    """What happens on one shard: each event completely or not at all, and what it may change.

    What an event changes in memory besides the tick it notes in :attr:`undo`.

    :ivar index: number of this shard
    :ivar peers: all shards there are, this one among them
    :ivar slots: owner of each hash slot
    :ivar replaying: shards whose link is behind what was let out before this start, and the number up to which
    :ivar store: reads; they see everything that was put, by this event too
    :ivar put: family, key, value: set with this tick's commit, which is durable before any answer
    :ivar delete: family and key: removed with this tick's commit
    :ivar delete_range: family, first key, key behind the last
    :ivar undo: ``(function, *arguments)`` that puts memory back when this event fails
    :ivar local: link messages of this event for this very shard
    :ivar between: what waits for the tick's write, see :meth:`between_ticks`
    :ivar failed_events: events that were taken back because the server failed on them
    :ivar prepare: what has to be done to a link message when it is made, by type
    :ivar handlers: who applies a link message for this shard, by type
    :ivar apply: applies a link message for this shard, or hands it on to the one that has its user or group now
    """

    def __init__(self, index: int, shard_map: ShardMap, store: Store) -> None:
        self.index = index
        self.peers = shard_map.peers
        self.slots = shard_map.slots
        self.replaying: dict[int, int] = {}
        self.store = Overlay(store)
        self.failed_events = 0
        self.prepare: dict[type[Message], Callable[[Any], None]] = {}
        self.handlers: dict[type[Message], Callable[[Any], object]] = {}
        self.apply: Callable[[LinkMessage], None] = self.apply_here
        self.local: deque[LinkMessage] = deque()
        self.between: list[Callable[[], None]] = []
        self._causes: set[tuple[str, int, str]] = set()
        self.open(Tick(self.store.batch()))

    @property
    def now_ms(self) -> int:
        """Wall time of this turn, milliseconds."""
        return self.tick.now_ms

    def event(self, act: Callable[[*Arguments], object], *arguments: *Arguments) -> bool:
        """Do something completely or not at all. False: the server failed on it, and it has left nothing behind.

        :raises StoreError: reads fail: nothing can be decided any more
        """
        mark = self.tick.mark()
        try:
            act(*arguments)
            if self.local:
                self.apply_local()
        except Exception as error:  # noqa: BLE001 - whatever it was, only this event ends
            self.take_back(mark)
            self.failed(error, getattr(act, "__qualname__", "event"))
            return False
        return True

    def each(self, act: Callable[[T], object], items: Iterable[T]) -> None:
        """As :meth:`event`, for each of several. Here and not a call per item: link messages come in bundles."""
        mark, local = self.tick.mark, self.local
        for item in items:
            before = mark()
            try:
                act(item)
                if local:
                    self.apply_local()
            except Exception as error:  # noqa: BLE001 - whatever it was, only this event ends
                self.take_back(before)
                self.failed(error, getattr(act, "__qualname__", "event"))

    def take_back(self, mark: Mark) -> None:
        """Forget what was decided since a mark of this tick."""
        self.local.clear()
        self.store.cut(self.tick.cut(mark))

    def failed(self, error: Exception, what: str) -> None:
        """The server failed on an event, which was taken back: counted, and logged once per place and kind."""
        if isinstance(error, StoreError):
            raise error
        self.failed_events += 1
        trace = error.__traceback__
        while trace is not None and trace.tb_next is not None:
            trace = trace.tb_next
        cause = (
            type(error).__name__,
            trace.tb_lineno if trace else 0,
            trace.tb_frame.f_code.co_filename if trace else "",
        )
        if cause not in self._causes and len(self._causes) < CAUSES_LOGGED:
            self._causes.add(cause)
            log.error("event=event_failed what=%s error=%r", what, str(error), exc_info=error)

    def apply_local(self) -> None:
        """Apply what this event has to tell this very shard."""
        local = self.local
        while local:
            self.apply(local.popleft())

    def apply_here(self, message: LinkMessage) -> None:
        """A link message for this shard."""
        self.handlers[type(message)](message)

    # --- what it may change --------------------------------------------------------------------------------------------

    def open(self, tick: Tick) -> None:
        """Gather into this tick from now on."""
        assert not self.local and not tick.durable, "between two events, and not a tick that was sealed"
        batch = tick.batch
        self.tick = tick
        self.put: Callable[[str, bytes, bytes], None] = batch.put
        self.delete: Callable[[str, bytes], None] = batch.delete
        self.delete_range: Callable[[str, bytes, bytes], None] = batch.delete_range
        self.undo: Callable[[tuple[Any, ...]], None] = tick.undo.append

    def put_lazy(self, family: str, key: bytes, value: bytes) -> None:
        """Set a key that a crash may take: nothing waits for its flush."""
        self.put(family, key, value)
        self.tick.lazy += 1

    def delete_range_lazy(self, family: str, start: bytes, stop: bytes) -> None:
        """Remove what will be found and removed again if a crash brings it back."""
        self.delete_range(family, start, stop)
        self.tick.lazy += 1

    def delete_lazy(self, family: str, key: bytes) -> None:
        """As :meth:`delete_range_lazy`, one key."""
        self.delete(family, key)
        self.tick.lazy += 1

    def between_ticks(self, act: Callable[[], None]) -> None:
        """Do something to the store itself when it has everything that memory knows of: now, or behind the tick's write.

        With a log elsewhere that is when nothing is on its way to it and nothing has been decided meanwhile.
        """
        if self.tick.batch.operations or self.store.held is not None:
            self.between.append(act)
        else:
            act()

    def written(self) -> None:
        """The open tick is in the store: the turn of what waited for that."""
        while self.between:
            self.between.pop(0)()

    # --- to other shards -----------------------------------------------------------------------------------------------

    def shard_of(self, entity_id: int) -> int:
        """Shard that owns a user or group."""
        return self.slots[entity_id % SLOTS]

    def owns(self, entity_id: int) -> bool:
        """Is a user or group of this shard?"""
        return self.slots[entity_id % SLOTS] == self.index

    def remap(self, shard_map: ShardMap) -> None:
        """Slots have other owners from now on. There are links to the shards that there were at the start, and to no others."""
        assert shard_map.peers == self.peers, "another number of shards needs another start"
        self.slots = shard_map.slots

    def link(self, entity_id: int, message: LinkMessage) -> None:
        """Tell the shard that owns a user or group, exactly once and in order; the own shard gets it at the end of this event.

        If the entity has moved meanwhile the shard it left hands the message on (:mod:`lanying.shard.core.forwarding`).
        """
        prepare = self.prepare.get(type(message))
        if prepare is not None:
            prepare(message)
        self.tell(self.shard_of(entity_id), message)

    def tell(self, shard: int, message: LinkMessage) -> None:
        """A link message for a shard; the own one gets it at the end of this event."""
        if shard == self.index:
            self.local.append(message)
        else:
            item = encode(message)
            self.tick.links.append((shard, item))
            self.tick.gathered_bytes += len(item)

    def tell_other(self, entity_id: int, message: LinkMessage) -> bool:
        """As :meth:`tell`, the shard that owns a user or group if that is another one. False: it is this one, which gets nothing."""
        shard = self.slots[entity_id % SLOTS]
        if shard == self.index:
            return False
        item, tick = encode(message), self.tick
        tick.links.append((shard, item))
        tick.gathered_bytes += len(item)
        return True

    def live(self, shard: int, message: Deliver | GroupDeliver | GroupPost) -> None:
        """Hand a message for connected devices to another shard: unnumbered, it may get lost."""
        self.tick.envelopes.append((shard_name(shard), message))
