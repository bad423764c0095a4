"""The shard: events in, one :class:`~lanying.shard.core.tick.Tick` out (pure; the runner performs it).

Events are an admitted login, a client frame, a lost connection and an envelope from the bus. Each changes memory and
the current tick. ``seal`` ends the tick: rows that changed go into its batch, the batch is written, and pull loops
answer from what is written. Over 400 lines: it is the one place where all parts of a shard meet, and each has its own module already.
"""

from __future__ import annotations

import logging
from collections import Counter, deque
from collections.abc import Callable
from functools import partial
from typing import Any, Final

from lanying.base import limits
from lanying.base.errors import CallError, StoreError
from lanying.base.ids import MessageIds
from lanying.base.refusals import Refusal
from lanying.bus.messages import (
    STATE_DELETED,
    STATE_NORMAL,
    AddApp,
    Barred,
    Broadcast,
    Call,
    Deliver,
    GroupDeliver,
    GroupRead,
    GroupReading,
    Joined,
    LinkAck,
    LinkBatch,
    LinkMessage,
    Message,
    NoticeFor,
    Reply,
    Request,
    Resign,
    Seat,
    SetState,
    Silence,
    Unseat,
    decode_bundle,
    encode,
)
from lanying.cluster.runtime import shard_name
from lanying.cluster.shardmap import ShardMap
from lanying.config.runtime import RuntimeSettings
from lanying.config.schema import Config
from lanying.protocol import frame
from lanying.protocol.connection import Connection, goodbye
from lanying.protocol.frame import FrameError, parse_frame
from lanying.protocol.schema.xsync_pb2 import ConversationUnread, Frame, Meta, Provision, Status, SyncUL, UserNotice
from lanying.shard.accounts import accounts, devices, handlers
from lanying.shard.chat import history, marks, message_kinds
from lanying.shard.chat.broadcasts import Broadcasts
from lanying.shard.chat.delivery import Delivery
from lanying.shard.chat.mailbox import Conversation, Mailboxes
from lanying.shard.chat.policy import Policy
from lanying.shard.chat.posting import Posting
from lanying.shard.chat.sync import IDLE, OWED, Entry, PullLoop
from lanying.shard.core.later import Later
from lanying.shard.core.outbox import Outbox
from lanying.shard.core.registry import Registry
from lanying.shard.core.session import Session
from lanying.shard.core.tick import Tick
from lanying.shard.groups import reading
from lanying.shard.groups.timeline import Timelines
from lanying.shard.push import tokens
from lanying.shard.push.orders import PushOrders
from lanying.shard.push.owed import Pushes
from lanying.shard.store import schema
from lanying.shard.store.base import Store
from lanying.shard.store.overlay import Overlay
from lanying.shard.store.tiers import TieredStore
from lanying.shard.upkeep.aging import Aging, Background, at_once
from lanying.shard.upkeep.inspection import Inspection
from lanying.shard.upkeep.retention import Retention

log = logging.getLogger(__name__)

SYNC, UNREAD, PROVISION = Frame.SYNC, Frame.UNREAD, Frame.PROVISION
KICK_BY_SAME_DEVICE, KICKED_BY_OTHER_DEVICE = 4, 5
"""UserNotice types (xsync 5.7)."""
KICKS: Final[dict[int, str]] = {
    UserNotice.PASSWORD_CHANGED: "kicked_password_changed",
    UserNotice.FROZEN: "kicked_frozen",
    UserNotice.REMOVED: "kicked_removed",
    UserNotice.DEVICE_REMOVED: "kicked_device_removed",
}
"""Why a session ended, by what its client was told; of other notices ``kicked``."""

Pull = tuple[Session, int, int]
Page = tuple[Session, int, int, int]
Ask = Callable[[int, Request[object], Callable[[Reply], None]], None]


class Shard:
    """All users and groups of one shard's slots.

    :param ask: calls another shard and brings back its reply as an event
    :param background: runs what has to wait for a slow disk
    :param find_cold: opens a cold store that was not there
    :ivar full: the disk has no room: messages are refused
    """

    def __init__(
        self,
        index: int,
        shard_map: ShardMap,
        store: Store,
        config: Config,
        ask: Ask,
        background: Background = at_once,
        find_cold: Callable[[], Store] | None = None,
    ) -> None:
        self.index = index
        self.store = Overlay(store)
        self.settings = RuntimeSettings(config)
        self.full = False
        self.kinds = message_kinds.none_yet()
        self.logins = 0
        self.deliveries = 0
        self.refused = 0
        self.refusals: Counter[int] = Counter()
        self.shards = shard_map.shards
        self._slots = shard_map.slots
        self._ask = ask
        last = store.get(schema.META, b"last_id")
        self.ids = MessageIds(index, schema.unpack_u64(last)[0] if last else 0)
        self._stored_id = self.ids.last
        self._links_held_until = 0.0
        self.registry = Registry()
        self.mailboxes = Mailboxes(self.store, lambda gid: self.shard_of(gid) == index)
        self.outbox = Outbox(self.store, index, shard_map.shards, may_forget=config.storage.durability != "fsync")
        self.tick = Tick(store.batch())
        self.delivery = Delivery(self)
        self.policy = Policy(self, self.settings)
        self.timelines = Timelines(self)
        self.inspection = Inspection(self)
        self.posting = Posting(self)
        self.pushes = Pushes(self)
        self.push_orders = PushOrders(self)
        self.broadcasts = Broadcasts(self)
        self._handlers: dict[type[Message], Callable[[Any], object]] = {
            **self.timelines.handlers,
            **self.posting.handlers,
            **self.broadcasts.handlers,
            **self.inspection.handlers,
            **self.pushes.handlers,
            **self.push_orders.handlers,
            Joined: lambda request: self.timelines.joined(request.uid),
            SetState: self._set_state,
            AddApp: self.policy.add_app,
        }
        self.retention = Retention(self.store, self.mailboxes, config.storage.retention_days)
        self.aging: Aging | None = None
        if isinstance(store, TieredStore):
            storage = config.storage
            self.aging = Aging(self, store, storage.hot_days if storage.cold_path else 0, background, find_cold)
        self._local: deque[LinkMessage] = deque()
        self._between_ticks: list[Callable[[], None]] = []
        self._owed: dict[Session, list[int]] = {}

    @property
    def config(self) -> Config:
        """The configuration as it is now."""
        return self.settings.config

    # --- events ----------------------------------------------------------------------------------------------------

    def turn(self, now: float, now_ms: int) -> None:
        """A loop turn begins: monotonic seconds and wall milliseconds of everything that follows."""
        self.tick.now = now
        self.tick.now_ms = now_ms

    def admit(
        self,
        fd: int,
        connection: Connection,
        app: str,
        uid: int,
        epoch: int,
        guid: str,
        os_type: int,
        info: str,
        address: str,
        push: tuple[str, str] = ("", ""),
    ) -> Session:
        """A client whose token is good logs in (xsync 5.1). ``push``: notifier and token vendor pushes go to.

        :raises Refused: the account does not allow it
        """
        tick = self.tick
        self.settle()
        self.policy.check_login(app, uid, epoch)
        online = self.online(uid)
        fresh = all(push) and not devices.has_push(self.store, uid, guid, push)
        device, created = devices.admit(self.store, self, uid, guid, os_type, info, tick.now_ms, online, push)
        if created:
            self.mailboxes.start_device(tick.batch, uid, device.sn)
        if fresh:
            tokens.bound(self, app, uid, *push)
            self.apply_local()
        tick.durable = True
        session = Session(fd, connection, app, uid, device.sn, address, tick.now)
        if not created:
            session.highest_client_mid = self._highest_client_mid(uid, device.sn)
            old = self.registry.find(uid, device.sn)
            if old is not None:
                # Directly and only to the old connection; a bare close lets that page come back as a new device (5.7).
                self._dismiss(old, KICK_BY_SAME_DEVICE, b"", "replaced")
        sessions = self.registry.sessions(uid)
        if len(sessions) >= limits.DEVICES_PER_USER:
            oldest = min(sessions, key=lambda s: s.last_read)
            self._dismiss(oldest, KICKED_BY_OTHER_DEVICE, goodbye(oldest.connection.kind), "too_many_devices")
        self.registry.add(session)
        self.logins += 1
        tick.send(session, frame.provision_ok(uid, device.sn))
        return session

    def received(self, session: Session, data: bytes) -> None:
        """A frame of a client."""
        if session.left:
            return
        if self.inspection.watching:
            self.inspection.received(session, data)
        try:
            command, payload = parse_frame(data)
            if command == SYNC:
                self._sync(session, payload)
            elif command == UNREAD:
                self.tick.unreads.append(session)
            elif command == PROVISION:
                self._provision_again(session, payload)
            else:
                raise FrameError(Status.UNKNOWN_COMMAND, f"command {command} is not for the server")
        except FrameError as error:
            self.refused += 1
            self.refusals[error.status_code] += 1
            self.tick.send(session, frame.refusal(0, error.status_code, error.reason))

    def left(self, session: Session, why: str = "disconnected", *, dismissed: bool = False) -> None:
        """The connection is gone, or goes. ``why``: a word for the log; ``dismissed``: we ended it for good."""
        if not session.left:
            session.left = why
            self._owed.pop(session, None)
            self.registry.remove(session)
            self.settle()
            devices.seen(self.store, self, session.uid, session.sn, self.tick.now_ms)
            if self.pushes.on and not dismissed:
                self.pushes.abandoned(session)

    def drained(self, session: Session) -> None:
        """A session that did not read has read: tell it of the queues it was spared."""
        for peer, loop in session.loops.items():
            head = self.mailboxes.head(session.uid, peer)
            if loop.state in (IDLE, OWED) and loop.cursor < head.last_seq:
                self.tick.send(session, loop.remind(head, self.tick.now))

    def link_batch(self, message: LinkBatch) -> None:
        """Link messages of another shard: each applied once, acknowledged after the commit."""
        self.outbox.acknowledged(self.tick, message.source, message.committed, False)
        if self.tick.now < self._links_held_until:
            return  # they come again
        skip = self.outbox.receivers[message.source].fresh(message.first, len(message.items), message.oldest)
        if skip is None:
            self.tick.acknowledge.setdefault(message.source, True)
            return
        for item in message.items[skip:] if skip else message.items:
            self.tick.gathered_bytes += len(item)
            for one in decode_bundle(item):
                self._apply(one)
        self.tick.durable = True
        self.tick.acknowledge[message.source] = False
        self.apply_local()

    def link_ack(self, message: LinkAck) -> None:
        """Another shard has committed what we sent."""
        self.outbox.acknowledged(self.tick, message.source, message.number, message.rewind)

    def call(self, message: Call) -> None:
        """A request; its reply leaves after this tick's commit."""
        self.settle()
        result: bytes | CallError | Later
        try:
            result = handlers.handle(self, message.body, self._handlers)
        except CallError as error:
            result = error
        except StoreError:
            raise  # nothing can be decided any more: the process starts again
        except Exception:
            log.exception("event=call_failed caller=%s", message.caller)
            result = CallError(Refusal.SERVER_FAILED, "the server failed on this request, its log says why")
        self.apply_local()
        if isinstance(result, Later):
            result.then(partial(self._reply, message))
        else:
            self._reply(message, result)

    def _reply(self, message: Call, result: bytes | CallError) -> None:
        if self.tick.batch.operations:
            self.tick.durable = True
        if isinstance(result, CallError):
            reply = Reply(message.id, result.refusal, result.message)
        else:
            reply = Reply(message.id, None, "", result)
        self.tick.envelopes.append((message.caller, reply))

    # --- what the parts of a shard ask of it -------------------------------------------------------------------------

    @property
    def now_ms(self) -> int:
        """Wall time of this turn."""
        return self.tick.now_ms

    def put(self, family: str, key: bytes, value: bytes) -> None:
        """See :class:`~lanying.shard.core.ports.Work`."""
        self.tick.batch.put(family, key, value)
        if family == schema.DEVICES:
            self.pushes.device_changed(key)

    def delete(self, family: str, key: bytes) -> None:
        """See :class:`~lanying.shard.core.ports.Work`."""
        self.tick.batch.delete(family, key)
        if family == schema.DEVICES:
            self.pushes.device_changed(key)

    def notice(self, uid: int, sender: int, ns: int, payload: bytes) -> None:
        """See :class:`~lanying.shard.core.ports.Work`."""
        self.link(uid, NoticeFor(uid, sender, ns, payload))

    def group_notice(self, gid: int, sender: int, payload: bytes) -> None:
        """See :class:`~lanying.shard.core.ports.Work`."""
        mid = self.next_mid()
        meta = frame.meta(mid, sender, 0, gid, self.tick.now_ms, Meta.GROUP_NOTICE, payload)
        self.timelines.put(self.mailboxes.head(gid, gid), mid, meta, listed=False)

    def link(self, entity_id: int, message: LinkMessage) -> None:
        """See :class:`~lanying.shard.core.ports.Work`."""
        if isinstance(message, Seat | Unseat):
            self.timelines.seating(message)
        self.tell(self.shard_of(entity_id), message)

    def tell(self, shard: int, message: LinkMessage) -> None:
        """A link message for a shard; the own one gets it when the current event is done."""
        if shard == self.index:
            self._local.append(message)
        else:
            item = encode(message)
            self.tick.links.setdefault(shard, []).append(item)
            self.tick.gathered_bytes += len(item)
            self.tick.durable = True

    def kick(self, uid: int, device_sn: int, notice: int, except_sn: int = 0) -> int:
        """See :class:`~lanying.shard.core.ports.Work`."""
        victims = [
            session
            for session in self.registry.sessions(uid)
            if session.sn != except_sn and device_sn in (0, session.sn)
        ]
        for session in victims:
            self._dismiss(session, notice, goodbye(session.connection.kind), KICKS.get(notice, "kicked"))
        return len(victims)

    def inform(self, uid: int, notice: int) -> None:
        """See :class:`~lanying.shard.core.ports.Work`."""
        for session in self.registry.sessions(uid):
            self.tick.send(session, frame.user_notice(self.next_mid(), uid, self.tick.now_ms, notice))

    def hold_links(self, seconds: float) -> bool:
        """See :class:`~lanying.bus.messages.HoldLinks`."""
        held = self.tick.now < self._links_held_until
        self._links_held_until = self.tick.now + seconds
        if not seconds:
            for peer in self.outbox.receivers:  # what was ignored is sent again at once
                self.tick.acknowledge.setdefault(peer, True)
        return held

    def online(self, uid: int) -> list[int]:
        """See :class:`~lanying.shard.core.ports.Work`."""
        return [session.sn for session in self.registry.sessions(uid)]

    def shard_of(self, entity_id: int) -> int:
        """Shard that owns a user or group."""
        return self._slots[entity_id % len(self._slots)]

    def ask(self, shard: int, request: Request[object], done: Callable[[Reply], None]) -> None:
        """Call another shard; ``done`` runs as an event of a later tick."""
        self._ask(shard, request, done)

    def live(self, shard: int, message: Deliver | GroupDeliver) -> None:
        """Hand a message for connected devices to another shard: unnumbered, it may get lost."""
        self.tick.envelopes.append((shard_name(shard), message))

    def skip(self, head: Conversation, sn: int) -> None:
        """A device gets nothing of what is in a queue now."""
        if head.last_seq:
            self.mailboxes.move_cursor(head, sn, head.last_seq, at_once=True)
        session = self.registry.find(head.uid, sn)
        if session is not None:
            session.loops.pop(head.peer, None)

    def next_mid(self) -> int:
        """A new message id."""
        return self.ids.next(self.tick.now_ms)

    def settle(self) -> None:
        """Let reads see what the tick has gathered; it is written as a whole, when it is sealed."""
        if self.tick.batch.operations:
            self.store.reveal(self.tick.batch)
            self.tick.durable = True

    def between_ticks(self, work: Callable[[], None]) -> None:
        """Do something to the store itself when it has everything that memory knows of: now, or behind the tick's write."""
        if self.tick.batch.operations:
            self._between_ticks.append(work)
        else:
            work()

    # --- the end of a tick -------------------------------------------------------------------------------------------

    def seal(self) -> Tick:
        """Write the tick and let pull loops answer. The sealed tick; a new one begins."""
        tick = self.tick
        if tick.durable or tick.batch.operations or tick.links or self.mailboxes.hasty:
            if self.ids.last != self._stored_id:
                self._stored_id = self.ids.last
                tick.batch.put(schema.META, b"last_id", schema.pack_u64(self._stored_id))
            self.mailboxes.seal(tick.batch)
        if tick.links or tick.acknowledge:
            self.outbox.seal(tick)
        if tick.batch.operations:
            self.store.write(tick.batch)
        while self._between_ticks:
            self._between_ticks.pop(0)()
        for head, entries in tick.touched.items():
            self._offer(head, entries)
        for gid, messages in tick.groups.items():
            self.timelines.offer(gid, messages)
        pulls, histories = self._answer(tick)
        for session in tick.unreads:
            if not session.left:
                tick.send(session, self._unread_list(session))
        if not pulls:
            self.mailboxes.forget_lent()
        for session in self._owed.keys() & tick.outs.keys():
            self._end_loops(session)
        if self.outbox.lagging:
            self.outbox.resend(tick)
        self.tick = self.inspection.tick(Tick(self.store.batch()))
        self.tick.pulls, self.tick.histories = pulls, histories
        self.turn(tick.now, tick.now_ms)
        return tick

    def _answer(self, tick: Tick) -> tuple[list[Pull], list[Page]]:
        """Answer pulls and requests for history, up to ``TICK_ANSWER_BYTES``; those left for the next tick."""
        room = limits.TICK_ANSWER_BYTES
        for done, (session, peer, key) in enumerate(tick.pulls):
            if room <= 0:
                return tick.pulls[done:], tick.histories
            if not session.left:
                head = self.timelines.refresh(self.mailboxes.head(session.uid, peer))
                if self.timelines.elsewhere(session, head, key):
                    continue
                answer = self.loop(session, head).pull(self.mailboxes, head, session.sn, key, tick.now, tick.now_ms)
                room -= len(answer)
                tick.send(session, answer)
        for done, (session, peer, key, amount) in enumerate(tick.histories):
            if room <= 0:
                return [], tick.histories[done:]
            if not session.left:
                head = self.mailboxes.head(session.uid, peer)
                if head.flags & schema.IS_GROUP:
                    self.timelines.history(session, head, key, amount)
                    continue
                answer = history.page(self.store, head, key, amount)
                room -= len(answer)
                tick.send(session, answer)
        return [], []

    def store_cursors(self) -> None:
        """Write positions and cursors that could wait; they need no flush. Memory lets go of them, so reads have to see them at once."""
        if self.mailboxes.unsettled:
            self.mailboxes.settle(self.tick.batch)
            self.store.reveal(self.tick.batch)

    def end_loops(self) -> None:
        """Once a second: the ends of pull loops that found nothing to go along with (:data:`~lanying.shard.chat.sync.OWED`)."""
        for session in list(self._owed):
            self._end_loops(session)

    def maintain(self) -> None:
        """A small step of what has time: deletes what is older than the retention allows, moves what is old."""
        self.retention.step(self.tick.batch, self.tick.now_ms)
        self.broadcasts.step()
        self.push_orders.step()
        if self.aging is not None and self.tick.now >= self._links_held_until:  # a backup pictures both tiers then
            self.aging.step(self.tick.now_ms)

    def _set_state(self, request: SetState) -> bool:
        """As the table has it; and whoever is deleted leaves his groups."""
        accounts.set_state(self, request.uid, request.state)
        if request.state != STATE_NORMAL:
            devices.unbind_pushes(self, request.uid)
        if request.state == STATE_DELETED:
            for gid in self.timelines.joined(request.uid):
                self.link(gid, Resign(gid, request.uid))
        return True

    # --- inside -------------------------------------------------------------------------------------------------------

    def _sync(self, session: Session, payload: bytes) -> None:
        try:
            sync = SyncUL.FromString(payload)
        except Exception as error:
            raise FrameError(Status.PB_PARSER_ERROR, "payload is not a SyncUL") from error
        if sync.HasField("meta"):
            self.delivery.upload(session, sync.meta)
        elif sync.is_full_sync:
            self.tick.histories.append((session, sync.xid.uid, sync.key, sync.full_sync_num))
        else:
            self._pull(session, sync.xid.uid, sync.key)

    def _pull(self, session: Session, peer: int, key: int) -> None:
        loop = session.loops.get(peer)
        if loop is not None and key:
            head = self.mailboxes.head(session.uid, peer)
            if head.flags & schema.IS_GROUP:
                self.timelines.refresh(head)
            if loop.acknowledge(self.mailboxes, head, session.sn, key):
                owed = self._owed.get(session)
                if owed is None:
                    self._owed[session] = [peer]
                else:
                    owed.append(peer)
                return
        self.tick.pulls.append((session, peer, key))

    def _end_loops(self, session: Session) -> None:
        for peer in self._owed.pop(session):
            loop = session.loops.get(peer)
            if loop is None:
                self.tick.send(session, frame.batch(peer, []))
            elif loop.state == OWED:  # else it has had its answer
                self.tick.send(session, loop.end(self.mailboxes.head(session.uid, peer), self.tick.now))

    def _provision_again(self, session: Session, payload: bytes) -> None:
        try:
            wanted = Provision.FromString(payload).xid.uid
        except Exception as error:
            raise FrameError(Status.PB_PARSER_ERROR, "payload is not a Provision") from error
        if wanted == session.uid:
            self.tick.send(session, frame.provision_ok(session.uid, session.sn))
        else:
            reason = "this connection is logged in, open another one for another user"
            self.tick.send(session, frame.provision_refused(Status.FAIL, reason, wanted))

    def _apply(self, message: LinkMessage) -> None:
        if isinstance(message, Deliver):
            self.delivery.delivered(message)
        elif isinstance(message, GroupDeliver):
            self.timelines.deliver(message)
        elif isinstance(message, NoticeFor):
            self._put_notice(message)
        elif isinstance(message, Seat):
            self.timelines.seat(message)
        elif isinstance(message, Unseat):
            self.timelines.unseat(message)
        elif isinstance(message, Broadcast):
            self.broadcasts.begin(message)
        elif isinstance(message, Silence):
            self.timelines.silence(message)
        else:
            self.settle()
            if isinstance(message, GroupReading):
                reading.reading(self, message)
            elif isinstance(message, GroupRead):
                reading.read(self, message)
            if isinstance(message, Barred):
                self._bar(message)
            handlers.apply_link(self, message)

    def apply_local(self) -> None:
        """Apply what this event has to tell this very shard."""
        while self._local:
            self._apply(self._local.popleft())

    def _put_notice(self, message: NoticeFor) -> None:
        mid = self.next_mid()
        meta = frame.meta(mid, message.sender, 0, message.uid, self.tick.now_ms, message.ns, message.payload)
        self.delivery.put(self.mailboxes.head(message.uid, 0), mid, meta, listed=False, sn=0)
        self.kinds[message_kinds.NOTICE] += 1

    def _bar(self, message: Barred) -> None:
        head = self.mailboxes.head(message.uid, message.other)
        if head.flags & schema.KNOWN:
            head.flags = head.flags | schema.BARRED if message.barred else head.flags & ~schema.BARRED
            if head.stored:
                self.mailboxes.changed(head)

    def _dismiss(self, session: Session, notice: int, farewell: bytes, why: str) -> None:
        self.tick.send(session, frame.user_notice(self.next_mid(), session.uid, self.tick.now_ms, notice))
        if farewell:
            self.tick.send_raw(session, farewell)
        self.left(session, why, dismissed=True)
        self.tick.closing.append(session)

    def _offer(self, head: Conversation, entries: list[Entry]) -> None:
        for session in self.registry.sessions(head.uid):
            loop = session.loops.get(head.peer)
            if loop is None:
                loop = self.loop(session, head)
            congested = len(session.unsent) > limits.OUT_SOFT_BYTES
            out = loop.offer(self.mailboxes, head, session.sn, entries, self.tick.now, congested)
            if out is not None:
                self.deliveries += 1
                self.tick.send(session, out)

    def loop(self, session: Session, head: Conversation) -> PullLoop:
        loop = session.loops.get(head.peer)
        if loop is None:
            loop = session.loops[head.peer] = PullLoop(self.mailboxes.cursor(session.uid, session.sn, head.peer))
        return loop

    def _unread_list(self, session: Session) -> bytes:
        """First after a login: all conversations, ``n`` beyond this device's cursor. Later: only what is pending (xsync 5.2)."""
        now = self.tick.now
        entries: list[tuple[int, int, int]] = []
        if session.listed:
            session.forget_idle_loops()
            for peer, loop in session.loops.items():
                head = self.timelines.refresh(self.mailboxes.head(session.uid, peer))
                pending = loop.pending(head, now)
                if pending > 0:
                    entries.append((peer, pending, _conversation_type(head)))
            return frame.unread_list(entries)
        session.listed = True
        cursors = self.mailboxes.cursors(session.uid, session.sn)
        known = map(self.timelines.refresh, self.mailboxes.heads(session.uid))
        heads = sorted(known, key=lambda head: head.last_mid, reverse=True)
        for head in heads[: limits.UNREAD_CONVERSATIONS]:
            pending = head.last_seq - cursors.get(head.peer, 0)
            if pending > 0:
                loop = self.loop(session, head)
                pending = loop.pending(head, now)
            if pending > 0 or not (head.flags & schema.UNLISTED or marks.dropped(self.store, head, session.sn)):
                entries.append((head.peer, max(pending, 0), _conversation_type(head)))
        # Devices ask in this order: a conversation that was dropped elsewhere goes before what came into it afterwards.
        entries.sort(key=lambda entry: entry[0] != 0)
        return frame.unread_list(entries)

    def _highest_client_mid(self, uid: int, sn: int) -> int:
        prefix = schema.pack_device(uid, sn)
        for key, _ in self.store.scan(schema.SENT, prefix, schema.successor(prefix), limit=1, reverse=True):
            return int(schema.unpack_u64(key[12:])[0])
        return 0


def _conversation_type(head: Conversation) -> int:
    if head.flags & schema.IS_GROUP:
        return ConversationUnread.GROUPCHAT
    # Queue 0 is a conversation once it has a system message (6.6); notices alone never show (5.2).
    return ConversationUnread.CHAT if head.peer or head.last_mid else ConversationUnread.UNKNOWN
