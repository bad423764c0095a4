"""What a shard decided in one turn: written as one batch, flushed, and only then let out.

A tick has four steps: *decide* (events in, everything lands here), *write* (one atomic batch, not yet flushed),
*deliver* (pull loops read what was written and make frames), and after the flush *release* (one joined write per
socket, one blob per peer). Nothing in ``outs``, ``envelopes`` or ``closing`` leaves the process before the flush
that covers the tick has returned.
"""

from __future__ import annotations

from lanying.bus.messages import GroupDeliver, Message
from lanying.shard.chat.mailbox import Conversation
from lanying.shard.chat.sync import Entry
from lanying.shard.core.session import Session
from lanying.shard.store.base import Batch


class Tick:
    """Gathered decisions.

    :ivar outs: wire bytes owed to sessions, in order
    :ivar envelopes: ``(process, envelope)`` for the bus
    :ivar links: encoded link messages by destination shard; numbered when the tick is sealed
    :ivar acknowledge: shards whose link messages this tick applies, True to ask them to go back
    :ivar touched: entries appended, by queue
    :ivar groups: timeline entries for members here, by group
    :ivar pulls: ``(session, peer, key)`` to answer after the write
    :ivar histories: ``(session, peer, key, amount)``: history pages to make after the write
    :ivar unreads: sessions that asked for their unread list
    :ivar closing: sessions to close behind their last bytes
    :ivar durable: has written something an answer depends on: must be flushed before the release
    """

    __slots__ = (
        "acknowledge",
        "batch",
        "closing",
        "durable",
        "envelopes",
        "gathered_bytes",
        "groups",
        "histories",
        "links",
        "now",
        "now_ms",
        "outs",
        "pulls",
        "touched",
        "unreads",
    )

    def __init__(self, batch: Batch) -> None:
        self.batch = batch
        self.now = 0.0
        self.now_ms = 0
        self.outs: dict[Session, list[bytes]] = {}
        self.envelopes: list[tuple[str, Message]] = []
        self.links: dict[int, list[bytes]] = {}
        self.acknowledge: dict[int, bool] = {}
        self.touched: dict[Conversation, list[Entry]] = {}
        self.groups: dict[int, list[GroupDeliver]] = {}
        self.pulls: list[tuple[Session, int, int]] = []
        self.unreads: list[Session] = []
        self.histories: list[tuple[Session, int, int, int]] = []
        self.closing: list[Session] = []
        self.gathered_bytes = 0
        self.durable = False

    def send(self, session: Session, frame: bytes) -> None:
        """Owe a session a frame."""
        wire = session.wrap(frame)
        out = self.outs.get(session)
        if out is None:
            self.outs[session] = [wire]
        else:
            out.append(wire)

    def send_raw(self, session: Session, data: bytes) -> None:
        """Owe a session wire bytes: of its connection's own (pongs), or wrapped once for many."""
        out = self.outs.get(session)
        if out is None:
            self.outs[session] = [data]
        else:
            out.append(data)

    @property
    def empty(self) -> bool:
        """Nothing to write, deliver or release."""
        return not (
            self.durable
            or self.outs
            or self.pulls
            or self.envelopes
            or self.unreads
            or self.histories
            or self.closing
            or self.acknowledge
            or self.batch.operations
        )
