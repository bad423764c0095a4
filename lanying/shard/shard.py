"""The shard: events in, one :class:`~lanying.shard.core.tick.Tick` out (pure; the runner performs it).

Events are an admitted login, a client frame, a lost connection and an envelope from the bus. Each changes memory and
the current tick. :meth:`Shard.seal` ends the tick: rows that changed go into its batch, the batch is written, and pull loops
answer from what is written.

Here the parts are put together, each with :class:`~lanying.shard.core.work.Work` and the parts below it. What a part needs of one above it
is a port, a callable that the part above fills in; who handles which message is in the tables of
:class:`~lanying.shard.core.dispatch.Dispatcher`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from lanying.base import watched
from lanying.bus.handoff.records import Login
from lanying.bus.messages import AddApp, Broadcast, Checked, Deliver, HoldLinks, Joined, LinkAck, LinkBatch, NoticeFor
from lanying.cluster.shardmap import ShardMap
from lanying.config.schema import Config
from lanying.protocol.connection import Connection
from lanying.protocol.schema.xsync_pb2 import MessageBody
from lanying.shard.accounts import accounts
from lanying.shard.accounts import handlers as account_handlers
from lanying.shard.accounts.logins import Logins
from lanying.shard.chat import message_kinds
from lanying.shard.chat.broadcasts import Broadcasts
from lanying.shard.chat.delivery import Delivery
from lanying.shard.chat.frames import Frames, Pulls
from lanying.shard.chat.notices import Notices
from lanying.shard.chat.operations import Operations
from lanying.shard.chat.policy import Policy
from lanying.shard.chat.posting import Posting
from lanying.shard.core.dispatch import Dispatcher, Handlers, bound
from lanying.shard.core.links import Links
from lanying.shard.core.session import Session
from lanying.shard.core.tick import Tick
from lanying.shard.core.work import Ask, Work
from lanying.shard.groups import handlers as group_handlers
from lanying.shard.groups.awaited import AwaitedPosts
from lanying.shard.groups.membership import Memberships
from lanying.shard.groups.reading import Reading
from lanying.shard.groups.timeline import Timelines
from lanying.shard.push.orders import PushOrders
from lanying.shard.push.owed import Pushes
from lanying.shard.store import schema
from lanying.shard.store.base import Store
from lanying.shard.store.tiers import TieredStore
from lanying.shard.upkeep import removal
from lanying.shard.upkeep.aging import Aging, Background, at_once
from lanying.shard.upkeep.inspection import Inspection
from lanying.shard.upkeep.retention import Retention


class Shard:
    """All users and groups of one shard's slots.

    :param ask: calls the shard of a user or group and brings back its reply
    :param background: runs what has to wait for a slow disk
    :param find_cold: opens a cold store that was not there
    :ivar tick: the open tick
    :ivar received: takes a session and a frame of its client
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
        work = self.work = Work(index, shard_map, store, config, ask, message_kinds.none_yet())
        self.links = Links(work, may_forget=config.storage.durability != "fsync")
        self.dispatch = Dispatcher(work)
        self.logins = Logins(work)
        self.policy = Policy(work)
        self.delivery = Delivery(work, self.policy)
        self.operations = Operations(work, self.delivery)
        self.notices = Notices(work, self.delivery)
        self.pulls = Pulls(work)
        self.posting = Posting(work, self.delivery, self.policy)
        self.broadcasts = Broadcasts(work, self.posting)
        self.frames = Frames(work, self.logins, self.delivery, self.pulls)
        self.timelines = Timelines(work, self.policy)
        self.awaited = AwaitedPosts(work)
        self.memberships = Memberships(work, self.delivery, self.pulls, self.timelines, self.awaited)
        self.reading = Reading(work, self.delivery, self.policy)
        self.pushes = Pushes(work, self.logins, self.memberships)
        self.push_orders = PushOrders(work, self.pushes)
        self.inspection = Inspection(work, self.links, self.pushes)
        self.retention = Retention(work, config.storage.retention_days)
        self.aging = _aging(work, store, config, background, find_cold)
        self.received = self.frames.received
        self.tick = work.tick
        self._connect()

    def _connect(self) -> None:
        """Ports and tables."""
        work, delivery, dispatch = self.work, self.delivery, self.dispatch
        delivery.kinds[MessageBody.OPER] = self.operations.take
        delivery.kinds[MessageBody.GROUPCHAT] = self.memberships.submit
        delivery.other_namespace = self.operations.other_namespace
        self.logins.arrived = self.notices.arrived
        self.logins.ended = self.awaited.forget
        delivery.operated = self.operations.apply
        self.operations.in_groups = self.memberships.submit
        self.operations.acknowledged_elsewhere = self.reading.acknowledge
        own: Handlers = {
            AddApp: self.policy.add_app,
            Checked: self._checked,
            HoldLinks: lambda request: self.links.hold(request.seconds),
            Joined: lambda request: work.mailboxes.joined(request.uid),
        }
        for handlers in (
            own,
            bound(work, account_handlers.HANDLERS),
            bound(work, group_handlers.HANDLERS),
            self.posting.handlers,
            self.broadcasts.handlers,
            self.timelines.handlers,
            self.pushes.handlers,
            self.push_orders.handlers,
            self.inspection.handlers,
            bound(work, removal.HANDLERS),
        ):
            dispatch.add(dispatch.calls, handlers)
        arriving: Handlers = {
            Deliver: delivery.delivered,
            NoticeFor: self.notices.take,
            Broadcast: self.broadcasts.begin,
        }
        for links in (
            arriving,
            bound(work, account_handlers.LINK_CHANGES),
            bound(work, group_handlers.LINK_CHANGES),
            self.memberships.links,
            self.timelines.links,
            self.awaited.links,
            self.reading.links,
        ):
            dispatch.add(dispatch.links, links)
        dispatch.add(dispatch.envelopes, {LinkBatch: self.links.arrived, LinkAck: self.links.confirmed})

    def _checked(self, request: Checked) -> object:
        """A request with the token of whoever makes it. :raises CallError: refused, or the token is no good"""
        accounts.check_token(self.work.store, request.app, request.uid, request.epoch)
        return self.dispatch.answer(request.request)

    # --- events ----------------------------------------------------------------------------------------------------

    def turn(self, now: float, now_ms: int) -> None:
        """A loop turn begins: monotonic seconds and wall milliseconds of everything that follows."""
        tick = self.tick
        tick.now = now
        tick.now_ms = now_ms

    def admit(self, fd: int, connection: Connection, login: Login) -> Session:
        """A client whose token is good logs in. :raises Refused: the account does not allow it; nothing is left of it"""
        work = self.work
        mark = work.tick.mark()
        try:
            session = self.logins.admit(fd, connection, login)
            work.apply_local()
        except Exception:
            work.take_back(mark)
            raise
        return session

    def left(self, session: Session, why: str = "disconnected") -> None:
        """The connection is gone, or goes. ``why``: a word for the log."""
        if not session.left and not self.work.event(self.logins.left, session, why):
            session.left = why  # gone it is, whatever could not be noted
            self.work.registry.remove(session)

    # --- the end of a tick -------------------------------------------------------------------------------------------

    def seal(self, *, hold: bool = False) -> Tick:
        """Write the tick and let pull loops answer. The sealed tick; a new one begins.

        :param hold: a log elsewhere decides whether the tick counts: it is written when that has it, see :meth:`committed`
        """
        work, pulls = self.work, self.pulls
        tick = work.tick
        assert not work.local, "what an event has to tell its own shard it has told"
        batch = tick.batch
        if batch.operations or tick.links or tick.awaits_flush or work.mailboxes.hurried:
            if work.ids.last != work.stored_id:  # what was given out is not given out again after a start
                work.stored_id = work.ids.last
                batch.put(schema.META, b"last_id", schema.pack_u64(work.stored_id))
                tick.lazy += 1
            work.mailboxes.seal()
        if tick.links or tick.acknowledge:
            self.links.seal(tick)
        rows = len(batch.operations)
        if hold:  # a copy of this shard gets every row, also one that an answer does not wait for
            tick.durable = rows > 0
            if rows:
                work.store.hold(batch)
        else:
            tick.durable = tick.awaits_flush or rows > tick.lazy
            if rows:
                work.store.write(batch)
            if work.between:
                work.written()
        if tick.durable and self.links.written:
            tick.settles = self.links.take_written()
        rows = len(batch.operations)
        if tick.touched:
            pulls.offer(tick.touched)
        if tick.groups:
            self.memberships.offer(tick.groups)
        left_over = pulls.answer(tick)
        if tick.unreads:
            pulls.answer_unread(tick)
        if pulls.owed:
            pulls.end_along(tick)
        if self.links.lagging:
            self.links.resend(tick)
        assert len(batch.operations) == rows, "nothing is put into a tick that is written"
        self._open(tick)
        work.tick.pulls, work.tick.histories = left_over
        return tick

    def committed(self, position: int) -> None:
        """A log elsewhere has the sealed tick, at this position: the store gets it."""
        work = self.work
        work.store.settle(position)
        if work.between and not work.tick.batch.operations:
            work.written()

    def remap(self, shard_map: ShardMap) -> None:
        """Slots have other owners from now on; what arrives for those that have left is handed on."""
        self.work.remap(shard_map)
        self.timelines.recount()
        self.notices.forget()
        self.work.public_groups.forget()
        self.dispatch.forward()

    def store_cursors(self) -> None:
        """Write positions and cursors that could wait."""
        self.work.mailboxes.store_positions()

    def maintain(self) -> None:
        """Once a second, a small step of what has time: deletes what is older than the retention allows, moves what is old."""
        for _ in self.chores():
            pass

    def chores(self) -> Iterator[str]:
        """The steps of :meth:`maintain` one by one: the name of each when it is done."""
        now_ms = self.work.now_ms
        event = self.work.event
        for step in (
            self.pulls.end_loops,
            self.logins.end_expired,
            self.broadcasts.step,
            self.awaited.step,
            self.push_orders.step,
        ):
            event(step)
            yield step.__qualname__
        ages = [self.retention.step]
        if self.aging is not None and not self.links.held:  # a backup pictures both tiers then
            ages.append(self.aging.step)
        for age in ages:
            event(age, now_ms)
            yield age.__qualname__

    def _open(self, sealed: Tick) -> None:
        """A new tick begins."""
        work = self.work
        inspection = self.inspection
        tick = Tick(work.store.batch())
        if inspection.traced or watched.users or inspection.watching:
            tick = inspection.tick(tick)
            self.frames.watch = inspection.received if inspection.watching else None
        tick.now, tick.now_ms = sealed.now, sealed.now_ms
        self.tick = tick
        work.open(tick)
        if not self.pulls.broken:
            return
        broken, self.pulls.broken = self.pulls.broken, []
        for session in broken:
            if not session.left:
                work.event(self.frames.give_up, session)


def _aging(
    work: Work, store: Store, config: Config, background: Background, find_cold: Callable[[], Store] | None
) -> Aging | None:
    if not isinstance(store, TieredStore):
        return None
    storage = config.storage
    days = storage.hot_days if storage.cold_path else 0
    return Aging(work, store, days, background, find_cold)
