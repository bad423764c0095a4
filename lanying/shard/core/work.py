"""What every part of a shard works with: its events (:mod:`lanying.shard.core.tick`), ids, who is logged in, what users may cause."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Protocol

from lanying.base.budgets import Budgets
from lanying.base.ids import MessageIds
from lanying.base.refusals import Refusal
from lanying.bus.messages import NoticeFor, Reply, Request
from lanying.cluster.shardmap import ShardMap
from lanying.config.runtime import RuntimeSettings
from lanying.config.schema import Config
from lanying.shard.core.costs import Costs
from lanying.shard.core.listed import PublicGroups
from lanying.shard.core.mailbox import Conversation, Mailboxes
from lanying.shard.core.recent import Recent
from lanying.shard.core.session import Registry
from lanying.shard.core.tick import Events
from lanying.shard.store import schema
from lanying.shard.store.base import Store

Answered = Callable[[Reply], None]
Ask = Callable[[int, Request[object], Answered], None]
"""Calls the shard that owns a user or group, whichever that is by now; the reply comes back as an event."""


class KickPort(Protocol):
    """Sends a UserNotice to live sessions of a user of this shard and closes them (0: all). Number of sessions."""

    def __call__(self, uid: int, device_sn: int, notice: int, except_sn: int = 0) -> int: ...


class Work(Events):
    """One shard as its parts see it.

    :param ask: calls the shard of a user or group and brings back its reply
    :ivar full: the disk has no room: messages are refused
    :ivar kinds: what was accepted, by kind
    :ivar refusals: refused uploads by Status code
    :ivar budgets: what users may cause
    :ivar public_groups: of this shard
    :ivar costs: how long users keep it
    :ivar marks_counted: rows of ``marks`` by conversation, at least as many as there are
    :ivar stored_id: newest id given out that the store knows of
    :ivar kick: port of the logins
    :ivar inform: port of the logins: (uid, notice) sends a UserNotice that ends nothing to all live sessions here; no device gets it later
    :ivar group_notice: port of the timelines: an encoded GroupNotice (gid, sender, payload) to all members of a group of this shard
    :ivar owe: port of the pushes: the newest entry of a queue is a message somebody absent may want to be pushed; None: nobody pushes
    :ivar device_changed: port of the pushes: devices of a user are not what they were
    """

    kick: KickPort
    inform: Callable[[int, int], None]
    group_notice: Callable[[int, int, bytes], None]

    def __init__(
        self, index: int, shard_map: ShardMap, store: Store, config: Config, ask: Ask, kinds: dict[str, int]
    ) -> None:
        super().__init__(index, shard_map, store)
        self.settings = RuntimeSettings(config)
        self.kinds = kinds
        self.full = False
        self.logins = self.deliveries = self.refused = 0
        self.refusals: Counter[int] = Counter()
        self.registry = Registry()
        self.recent = Recent()
        self.owe: Callable[[Conversation, int], None] | None = None
        self.device_changed: Callable[[int], None] = _nobody
        self._ask = ask
        self.budgets = Budgets(config.policy)
        self.marks_counted: dict[bytes, int] = {}
        self.public_groups = PublicGroups()
        self.costs = Costs()
        last = store.get(schema.META, b"last_id")
        self.ids = MessageIds(index, schema.unpack_u64(last)[0] if last else 0)
        self.stored_id = self.ids.last
        self.mailboxes = Mailboxes(self.store, self, self.owns)

    @property
    def config(self) -> Config:
        """The configuration as it is now."""
        return self.settings.config

    def next_mid(self) -> int:
        """A new message id."""
        return self.ids.next(self.tick.now_ms)

    def ask_owner(self, entity_id: int, request: Request[object], done: Answered) -> None:
        """Call the shard of a user or group; ``done`` runs as an event of a later tick.

        If the server fails on the answer, ``done`` gets a refusal instead: whoever waits for it does not wait for ever.
        """

        def answered(reply: Reply) -> None:
            if not self.event(done, reply) and reply.refusal is None:
                self.event(done, Reply(reply.id, Refusal.SERVER_FAILED, Refusal.SERVER_FAILED.message))

        self._ask(entity_id, request, answered)

    def notice(self, uid: int, sender: int, ns: int, payload: bytes) -> None:
        """A GroupNotice or RosterNotice (``ns`` says which) for queue 0 of ``uid``, on whichever shard they live."""
        self.link(uid, NoticeFor(uid, sender, ns, payload))

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
