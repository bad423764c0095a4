"""What a shard decided in one turn: written as one batch, flushed, and only then let out.

A tick has four steps: *decide* (events in, everything lands here), *write* (one atomic batch, not yet flushed),
*deliver* (pull loops read what was written and make frames), and after the flush *release* (one joined write per
socket, one blob per peer). Nothing in ``outs``, ``envelopes`` or ``closing`` leaves the process before the flush
that covers the tick has returned.

Everything an event decides is appended to a list, so a *mark* is the lengths of the lists: an event that fails is taken back by
cutting them there and undoing, latest first, what it noted in ``undo``.
"""

from __future__ import annotations

from typing import Any

from lanying.bus.messages import GroupDeliver, Message
from lanying.shard.core.mailbox import Conversation, Entry, Fetched
from lanying.shard.core.session import Session
from lanying.shard.store.base import Batch

Mark = tuple[int, ...]
"""Lengths of a tick's lists at the beginning of an event."""


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
        self.groups: list[GroupDeliver] = []
        self.pulls: list[tuple[Session, int, int, Fetched | None]] = []
        self.histories: list[tuple[Session, int, int, int]] = []
        self.unreads: list[Session] = []
        self.closing: list[Session] = []
        self.undo: list[tuple[Any, ...]] = []
        self.acknowledge: dict[int, bool] = {}
        self.gathered_bytes = 0
        self.lazy = 0
        self.awaits_flush = False
        self.durable = False

    def send(self, session: Session, frame: bytes) -> None:
        """Owe a session a frame."""
        self.outs.append((session, session.wrap(frame)))

    def send_wrapped(self, session: Session, wire: bytes, frame: bytes) -> None:
        """Owe a session a frame that was wrapped once for many."""
        self.outs.append((session, wire))

    def send_raw(self, session: Session, data: bytes) -> None:
        """Owe a session wire bytes of its connection's own: pongs, a close."""
        self.outs.append((session, data))

    def mark(self) -> Mark:
        """Where the next event begins."""
        return (
            len(self.outs),
            len(self.touched),
            len(self.links),
            len(self.pulls),
            len(self.undo),
            len(self.batch.operations),
            len(self.envelopes),
            len(self.groups),
            len(self.histories),
            len(self.unreads),
            len(self.closing),
            self.lazy,
        )

    def cut(self, mark: Mark) -> int:
        """Take back everything since a mark but the rows; how many of those to keep."""
        outs, touched, links, pulls, undo, rows, envelopes, groups, histories, unreads, closing, self.lazy = mark
        for act, *arguments in reversed(self.undo[undo:]):
            act(*arguments)
        del self.outs[outs:], self.touched[touched:], self.links[links:], self.pulls[pulls:], self.undo[undo:]
        del self.envelopes[envelopes:], self.groups[groups:], self.histories[histories:]
        del self.unreads[unreads:], self.closing[closing:]
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
