"""What every part of a shard works with: the open tick, reads that see it, ids, who is logged in, who owns what.

There is one way to write: :attr:`Work.put`, :attr:`Work.delete` and :attr:`Work.delete_range` are the open batch's own methods (no
call in between), and what they put is durable before anything leaves that the tick decides. What may be late says so:
:meth:`Work.put_lazy`.

Everything happens in an *event*: all of it or nothing (:meth:`Work.event`). What an event changes in memory besides the tick it
notes in :attr:`Work.undo`.
"""

from __future__ import annotations

import logging
from collections import Counter, deque
from collections.abc import Callable
from typing import Any, Final, Protocol

from lanying.base.budgets import Budgets
from lanying.base.errors import StoreError
from lanying.base.ids import MessageIds
from lanying.bus.messages import (
    Deliver,
    GroupDeliver,
    GroupPost,
    LinkMessage,
    Message,
    NoticeFor,
    Reply,
    Request,
    encode,
)
from lanying.cluster.runtime import shard_name
from lanying.cluster.shardmap import ShardMap
from lanying.config.runtime import RuntimeSettings
from lanying.config.schema import Config
from lanying.protocol import frame
from lanying.shard.core.mailbox import Conversation, Mailboxes
from lanying.shard.core.recent import Recent
from lanying.shard.core.session import Registry
from lanying.shard.core.tick import Mark, Tick
from lanying.shard.store import schema
from lanying.shard.store.base import Store
from lanying.shard.store.overlay import Overlay

log = logging.getLogger(__name__)

Answered = Callable[[Reply], None]
Ask = Callable[[int, Request[object], Answered], None]
"""Calls the shard that owns a user or group, whichever that is by now; the reply comes back as an event."""
CAUSES_LOGGED: Final = 200
"""A failure is logged with its traceback once per place and kind, up to so many; later ones are counted."""


class Kick(Protocol):
    """Sends a UserNotice to live sessions of a user of this shard and closes them (0: all). Number of sessions."""

    def __call__(self, uid: int, device_sn: int, notice: int, except_sn: int = 0) -> int: ...


class Work:
    """One shard as its parts see it.

    :param ask: calls the shard of a user or group and brings back its reply
    :ivar store: reads; they see everything that was put, by this event too
    :ivar put: family, key, value: set with this tick's commit, which is durable before any answer
    :ivar delete: family and key: removed with this tick's commit
    :ivar delete_range: family, first key, key behind the last
    :ivar undo: ``(function, *arguments)`` that puts memory back when this event fails
    :ivar peers: all shards there are, this one among them
    :ivar full: the disk has no room: messages are refused
    :ivar kinds: what was accepted, by kind
    :ivar refusals: refused uploads by Status code
    :ivar local: link messages of this event for this very shard
    :ivar budgets: what users may cause
    :ivar marks_counted: rows of ``marks`` by conversation, at least as many as there are
    :ivar between: what waits for the tick's write, see :meth:`between_ticks`
    :ivar stored_id: newest id given out that the store knows of
    :ivar failed_events: events that were taken back because the server failed on them
    :ivar kick: port of the logins
    :ivar group_notice: port of the timelines: an encoded GroupNotice (gid, sender, payload) to all members of a group of this shard
    :ivar owe: port of the pushes: the newest entry of a queue is a message somebody absent may want to be pushed; None: nobody pushes
    :ivar device_changed: port of the pushes: devices of a user are not what they were
    :ivar prepare: what has to be done to a link message when it is made, by type
    :ivar apply: applies a link message for this shard
    """

    kick: Kick
    group_notice: Callable[[int, int, bytes], None]
    apply: Callable[[LinkMessage], None]

    def __init__(
        self, index: int, shard_map: ShardMap, store: Store, config: Config, ask: Ask, kinds: dict[str, int]
    ) -> None:
        self.index = index
        self.peers = shard_map.peers
        self.settings = RuntimeSettings(config)
        self.store = Overlay(store)
        self.kinds = kinds
        self.full = False
        self.logins = self.deliveries = self.refused = self.failed_events = 0
        self.refusals: Counter[int] = Counter()
        self.registry = Registry()
        self.recent = Recent()
        self.owe: Callable[[Conversation, int], None] | None = None
        self.device_changed: Callable[[int], None] = _nobody
        self.prepare: dict[type[Message], Callable[[Any], None]] = {}
        self._slots = shard_map.slots
        self._ask = ask
        self.budgets = Budgets(config.policy)
        self.marks_counted: dict[bytes, int] = {}
        self.local: deque[LinkMessage] = deque()
        self.between: list[Callable[[], None]] = []
        self._causes: set[tuple[str, int, str]] = set()
        self.open(Tick(self.store.batch()))
        last = store.get(schema.META, b"last_id")
        self.ids = MessageIds(index, schema.unpack_u64(last)[0] if last else 0)
        self.stored_id = self.ids.last
        self.mailboxes = Mailboxes(self.store, self, self.owns)

    @property
    def config(self) -> Config:
        """The configuration as it is now."""
        return self.settings.config

    # --- the tick ----------------------------------------------------------------------------------------------------

    def open(self, tick: Tick) -> None:
        """Gather into this tick from now on."""
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

    def store_last_id(self) -> None:
        """Ids that were given out are not given out again after a start."""
        self.stored_id = self.ids.last
        self.put(schema.META, b"last_id", schema.pack_u64(self.stored_id))
        self.tick.lazy += 1

    # --- events ------------------------------------------------------------------------------------------------------

    def event(self, act: Callable[..., None], *arguments: Any) -> bool:
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

    # --- to other shards and users -----------------------------------------------------------------------------------

    @property
    def now_ms(self) -> int:
        """Wall time of this turn, milliseconds."""
        return self.tick.now_ms

    def next_mid(self) -> int:
        """A new message id."""
        return self.ids.next(self.tick.now_ms)

    def shard_of(self, entity_id: int) -> int:
        """Shard that owns a user or group."""
        return self._slots[entity_id % len(self._slots)]

    def owns(self, entity_id: int) -> bool:
        """Is a user or group of this shard?"""
        return self._slots[entity_id % len(self._slots)] == self.index

    def remap(self, shard_map: ShardMap) -> None:
        """Slots have other owners from now on. There are links to the shards that there were at the start, and to no others."""
        assert shard_map.peers == self.peers, "another number of shards needs another start"
        self._slots = shard_map.slots

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

    def live(self, shard: int, message: Deliver | GroupDeliver | GroupPost) -> None:
        """Hand a message for connected devices to another shard: unnumbered, it may get lost."""
        self.tick.envelopes.append((shard_name(shard), message))

    def ask_owner(self, entity_id: int, request: Request[object], done: Answered) -> None:
        """Call the shard of a user or group; ``done`` runs as an event of a later tick."""

        def answered(reply: Reply) -> None:
            self.event(done, reply)

        self._ask(entity_id, request, answered)

    def notice(self, uid: int, sender: int, ns: int, payload: bytes) -> None:
        """A GroupNotice or RosterNotice (``ns`` says which) for queue 0 of ``uid``, on whichever shard they live."""
        self.link(uid, NoticeFor(uid, sender, ns, payload))

    def inform(self, uid: int, notice: int) -> None:
        """Send a UserNotice that ends nothing to all live sessions of a user of this shard; no device gets it later."""
        for session in self.registry.sessions(uid):
            self.tick.send(session, frame.user_notice(self.next_mid(), uid, self.tick.now_ms, notice))

    def online(self, uid: int) -> list[int]:
        """Serial numbers of a user's logged-in devices."""
        return [session.sn for session in self.registry.sessions(uid)]

    def skip(self, head: Conversation, sn: int) -> None:
        """A device gets nothing of what is in a queue now."""
        self.mailboxes.skip(head, sn)
        session = self.registry.find(head.uid, sn)
        if session is not None:
            session.loops.pop(head.peer, None)


def _nobody(uid: int) -> None:
    """There are no pushes."""
