"""What an operator asks about a running shard: one message's story, a user's frames, what was slow. Pure.

Nothing here costs an ordinary message more than one append to a bounded list: traces are a tick of another class while somebody looks,
everything else is read from the store.
"""

from __future__ import annotations

import contextlib
import logging
from collections import Counter
from collections.abc import Callable
from heapq import nlargest
from typing import Any, Final

import msgspec
from google.protobuf.message import DecodeError

from lanying.base import limits, watched
from lanying.base.ids import message_time_ms
from lanying.bus.messages import (
    EntryState,
    ExplainMessage,
    GetReached,
    ListSlow,
    ListSlowReaders,
    Message,
    MessageTrace,
    MessageTraces,
    Slow,
    SlowReader,
    Traced,
    TraceUser,
)
from lanying.bus.messages.base import answers
from lanying.protocol.frame import FrameError, parse_frame
from lanying.protocol.schema import xsync_pb2 as pb
from lanying.shard.chat import history, marks, visible
from lanying.shard.chat.progress import progress
from lanying.shard.core.links import Links
from lanying.shard.core.mailbox import Conversation
from lanying.shard.core.session import Session
from lanying.shard.core.tick import Tick
from lanying.shard.core.work import Work
from lanying.shard.push.owed import Pushes
from lanying.shard.store import schema
from lanying.shard.store.tiers import Border

log = logging.getLogger(__name__)

MARKS: Final = (
    (schema.READ_BY_OWNER, "read by owner"),
    (schema.READ_BY_PEER, "read by peer"),
    (schema.DELIVERED, "delivered"),
    (schema.PLAYED, "played"),
)

_unpack: Final = msgspec.msgpack.Decoder(MessageTrace).decode


class Inspection:
    """The operator's view of one shard.

    :ivar slow: how often what took long
    :ivar watching: somebody is traced, or has a log level of their own: frames of this tick are looked at
    """

    def __init__(self, work: Work, links: Links, pushes: Pushes) -> None:
        self._work = work
        self._links = links
        self._pushes = pushes
        self.traced: dict[int, tuple[float, str]] = {}
        self.watching = False
        self.slow: Counter[str] = Counter()
        self.handlers: dict[type[Message], Callable[[Any], object]] = dict(
            [
                answers(ExplainMessage)(self.explain),
                answers(GetReached)(self.reached),
                answers(TraceUser)(self.trace),
                answers(ListSlow)(lambda request: list(work.recent.slow)),
                answers(ListSlowReaders)(self.slow_readers),
            ]
        )

    def took(self, what: str, seconds: float, detail: str = "") -> None:
        """Something took ``seconds``; kept when that is long."""
        if seconds >= limits.SLOW_S:
            self.slow[what] += 1
            self._work.recent.slow.append(Slow(self._work.now_ms, what, round(seconds * 1000, 1), detail))

    def slow_readers(self, request: ListSlowReaders) -> list[SlowReader]:
        """Whose socket takes too little; a look at each session is all it costs."""
        behind = [session for session in self._work.registry if session.unsent]
        worst = nlargest(min(request.limit, limits.ADMIN_ROWS), behind, key=lambda session: len(session.unsent))
        return [SlowReader(session.uid, session.sn, len(session.unsent)) for session in worst]

    # --- traces ---

    def tick(self, tick: Tick) -> Tick:
        """The tick to gather into: one that reports while a user is watched."""
        if self.traced:
            now = self._work.tick.now
            self.traced = {uid: entry for uid, entry in self.traced.items() if entry[0] > now}
        self.watching = bool(self.traced) or watched.active(self._work.tick.now)
        return _ReportingTick(tick, self) if self.watching else tick

    def trace(self, request: TraceUser) -> int:
        """Begin or end reporting a user's frames."""
        if request.seconds > 0:
            until = self._work.tick.now + min(request.seconds, limits.TRACE_S)
            self.traced[request.uid] = (until, request.to)
        else:
            self.traced.pop(request.uid, None)
        return len(self._work.registry.sessions(request.uid))

    def received(self, session: Session, data: bytes) -> None:
        """A frame came from a watched user (or another one: the caller looks only whether anybody is watched)."""
        self.report(session, "in", data)

    def report(self, session: Session, direction: str, data: bytes) -> None:
        """Report a frame to this user's tracers and, if their log level takes it, to the log."""
        uid, sn, size = session.uid, session.sn, len(data)
        entry, logged = self.traced.get(uid), watched.wants(uid, logging.DEBUG, self._work.tick.now)
        if entry is None and not logged:
            return
        what = describe(data, direction == "in")
        if entry is not None:
            message = Traced(uid, sn, self._work.now_ms, direction, what, size)
            self._work.tick.envelopes.append((entry[1], message))
        if logged:
            watched.log.debug("event=frame uid=%d sn=%d direction=%s bytes=%d what=%r", uid, sn, direction, size, what)

    # --- one message ---

    def explain(self, request: ExplainMessage) -> MessageTraces:
        """Every mailbox and timeline of this shard that is known to have, or to have had, the message."""
        mid, owner, following = request.mid, request.owner, 0
        accepted = {(uid, peer): at for m, uid, peer, at in self._work.recent.accepted if m == mid}
        removed = {
            (one.owner, one.peer): one for m, row in self._work.recent.removed if m == mid for one in (_unpack(row),)
        }
        places = accepted.keys() | removed.keys()
        if owner and self._work.owns(owner):
            peers, following = ([request.peer], 0) if request.peer else self._peers(owner, mid, request.after)
            places |= {(owner, peer) for peer in peers}
        found = []
        for place in sorted(places):
            trace = self._in_queue(*place, mid) or removed.get(place) or MessageTrace(*place, 0, EntryState.REMOVED)
            trace.accepted_ms = accepted.get(place, 0)
            if trace.state is not EntryState.REMOVED or place in accepted or place in removed:
                found.append(trace)
        return MessageTraces(found, following, self._pushes.told(mid))

    def _peers(self, owner: int, mid: int, after: int) -> tuple[list[int], int]:
        """Conversations of a mailbox whose history has the message, among the next ones, and where to go on."""
        store, mailbox = self._work.store, schema.pack_u64(owner)
        start = mailbox + schema.pack_u64(after + 1)
        rows = store.scan(schema.CONVERSATIONS, start, schema.successor(mailbox), limit=limits.WHY_CONVERSATIONS)
        peers = [int(schema.unpack_u64(key[8:])[0]) for key, _ in rows]
        following = peers[-1] if len(peers) == limits.WHY_CONVERSATIONS else 0
        peers = peers or [owner]
        keys = [mailbox + schema.pack_u64(peer) + schema.pack_u64(mid) for peer in peers]
        listed = store.get_many(schema.HISTORY, keys)
        return [peer for peer, row in zip(peers, listed, strict=True) if row is not None], following

    def _in_queue(self, owner: int, peer: int, mid: int) -> MessageTrace | None:
        work = self._work
        head = work.mailboxes.head(owner, peer)
        listed = history.listed(work.store, head.key, mid)
        if listed is None:
            return None
        seq, entry = listed.seq, history.entry(work.store, head.key, listed)
        trace = MessageTrace(owner, peer, seq, self._tier(head, seq, entry))
        trace.marks = [name for bit, name in MARKS if listed.marks & bit]
        noted = marks.notes(work.store, head, mid, mid).get(mid, 0)
        if noted & schema.MARKED_UNREAD:
            trace.marks.append("marked unread")
        elif "read by owner" not in trace.marks and marks.is_read(head, mid, noted):
            trace.marks.append("read by owner")
        trace.devices = [] if owner == peer and head.flags & schema.IS_GROUP else progress(work, head, seq)
        meta = visible.readable(head, entry, seq) if entry else None
        if meta is not None:
            sender = getattr(meta, "from")
            trace.sender, trace.sender_sn, trace.time_ms = sender.uid, sender.deviceSN, meta.timestamp
            with contextlib.suppress(DecodeError):
                trace.edited_ms = pb.MessageBody.FromString(meta.payload).edit_timestamp
        trace.time_ms = trace.time_ms or message_time_ms(mid)
        target = work.shard_of(peer)
        link = self._links.senders.get(target)
        if link is not None and link.acknowledged < link.last:
            trace.owed_to = [target]
        return trace

    def _tier(self, head: Conversation, seq: int, entry: bytes) -> EntryState:
        row = self._work.store.get(schema.BORDERS, head.key)
        if row is not None:
            border = Border.unpack(row)
            if border.first <= seq <= border.last:
                return EntryState.COLD if entry else EntryState.COLD_MISSING
        return EntryState.KEPT if entry else EntryState.REMOVED

    def reached(self, request: GetReached) -> list[tuple[int, str]]:
        """How far a user's devices are with an entry: of a group, whose timeline is elsewhere."""
        head = self._work.mailboxes.head(request.uid, request.peer)
        return progress(self._work, head, request.seq) if head.stored else []


class _ReportingTick(Tick):
    """A tick that reports what watched users are sent."""

    __slots__ = ("_inspection",)

    def __init__(self, tick: Tick, inspection: Inspection) -> None:
        super().__init__(tick.batch)
        self._inspection = inspection

    def send(self, session: Session, frame: bytes) -> None:
        super().send(session, frame)
        self._inspection.report(session, "out", frame)

    def send_wrapped(self, session: Session, wire: bytes, frame: bytes) -> None:
        super().send_wrapped(session, wire, frame)
        self._inspection.report(session, "out", frame)


def describe(data: bytes, incoming: bool) -> str:
    """A frame in words, without what people wrote."""
    try:
        command, payload = parse_frame(data)
        if command == pb.Frame.SYNC:
            return _upload(pb.SyncUL.FromString(payload)) if incoming else _download(pb.SyncDL.FromString(payload))
        if command == pb.Frame.NOTICE:
            return f"notice: something new with {pb.Notice.FromString(payload).xid.uid}"
        if command == pb.Frame.UNREAD:
            return "unread list asked" if incoming else f"unread list of {len(pb.UnreadDL.FromString(payload).unread)}"
        return "provision" if command == pb.Frame.PROVISION else f"command {command}"
    except (FrameError, ValueError) as error:
        return f"not a frame: {error}"
    except Exception as error:  # noqa: BLE001 - protobuf's DecodeError is another class per implementation
        return f"not a frame: {error!r}"


def _upload(sync: pb.SyncUL) -> str:
    if sync.HasField("meta"):
        return f"send {_meta(sync.meta)}"
    if sync.is_full_sync:
        return f"history with {sync.xid.uid} before {sync.key or 'now'}, {sync.full_sync_num} messages"
    return f"pull {sync.xid.uid}" + (f", acknowledges {sync.key}" if sync.key else "")


def _download(sync: pb.SyncDL) -> str:
    if sync.status.code != pb.Status.OK:
        return f"refusal {sync.client_mid}: {sync.status.code} {sync.status.reason}"
    if sync.client_mid:
        return f"acknowledgement {sync.client_mid} is {sync.server_mid}"
    kind = "history page" if sync.is_full_sync else "push" if sync.is_eager_sync else "batch"
    return f"{kind} of {sync.xid.uid}: {len(sync.metas)} entries, next key {sync.next_key}"


def _meta(meta: pb.Meta) -> str:
    name = pb.Meta.NameSpace.Name(meta.ns) if meta.ns in pb.Meta.NameSpace.values() else str(meta.ns)
    return f"{name} {meta.id} to {meta.to.uid}, {len(meta.payload)} bytes"
