"""Notices of the server in queue 0 of our users (xsync 7). Pure.

Some say how something is now, and the newest of them makes those before it worthless. While none of a user's devices is there, such a
notice takes the place of the one before it: who changes their profile every minute costs each friend who is away one row. Its id
and position stay; what an INFO_UPDATED says is added to what that one said.

Which notices nobody has seen is in memory, forgotten when the user logs in: a shard that starts again adds a row.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import Any, Final, NamedTuple

import msgspec
from google.protobuf.message import DecodeError

from lanying.base import jsons, limits
from lanying.bus.messages import NoticeFor
from lanying.protocol import frame
from lanying.protocol.schema.xsync_pb2 import GroupNotice, Meta, RosterNotice
from lanying.shard.chat import message_kinds
from lanying.shard.chat.delivery import Delivery
from lanying.shard.core.work import Work
from lanying.shard.store import schema

CHANGES: Final[dict[tuple[int, int], str]] = {
    (Meta.ROSTER_NOTICE, RosterNotice.INFO_UPDATED): "info",
    (Meta.ROSTER_NOTICE, RosterNotice.BLOCKED): "block",
    (Meta.ROSTER_NOTICE, RosterNotice.UNBLOCKED): "block",
    (Meta.ROSTER_NOTICE, RosterNotice.APPLIED): "request",
    (Meta.GROUP_NOTICE, GroupNotice.INFO_UPDATED): "info",
    (Meta.GROUP_NOTICE, GroupNotice.MUTED): "mute",
    (Meta.GROUP_NOTICE, GroupNotice.UNMUTED): "mute",
    (Meta.GROUP_NOTICE, GroupNotice.INVITED): "invitation",
    (Meta.GROUP_NOTICE, GroupNotice.APPLYED): "request",
}
"""Notices of which the newest counts, and what each is about."""


class Topic(NamedTuple):
    """What one notice replaces another of: the same thing, of the same group, from and to the same users; with ``name`` the property."""

    what: str
    gid: int
    sender: int
    to: int
    name: str = ""


class Notices:
    """What users are notified of.

    :ivar _unseen: position in queue 0 of the notice about a topic, by users none of whose devices was here since; the latest at the end
    """

    def __init__(self, work: Work, delivery: Delivery) -> None:
        self._work = work
        self._delivery = delivery
        self._unseen: OrderedDict[int, dict[Topic, int]] = OrderedDict()
        self._kept = 0

    def take(self, message: NoticeFor) -> None:
        """A notice for one of our users, from whichever shard."""
        work = self._work
        uid, payload = message.uid, message.payload
        work.kinds[message_kinds.NOTICE] += 1
        topic = None if work.registry.sessions(uid) else topic_of(message.ns, payload)
        head = work.mailboxes.head(uid, 0)
        if topic is not None:
            seq = self._unseen.get(uid, {}).get(topic, 0)
            key = head.key + schema.pack_u64(seq)
            before = work.store.get(schema.QUEUE, key) if seq else None
            if before:  # not deleted meanwhile, because it was old
                work.put(schema.QUEUE, key, self._stored(message, frame.meta_id(before), merged(before, message)))
                return
        mid = work.next_mid()
        self._delivery.put(head, mid, self._stored(message, mid, payload), listed=False, sn=0)
        if topic is not None:
            self._remember(uid, topic, head.last_seq)

    def arrived(self, uid: int) -> None:
        """A device of a user is here: it may see everything."""
        self._kept -= len(self._unseen.pop(uid, ()))

    def forget(self) -> None:
        """Users may have been elsewhere meanwhile."""
        self._unseen.clear()
        self._kept = 0

    def _stored(self, message: NoticeFor, mid: int, payload: bytes) -> bytes:
        return frame.meta(mid, message.sender, 0, message.uid, self._work.now_ms, message.ns, payload)

    def _remember(self, uid: int, topic: Topic, seq: int) -> None:
        unseen = self._unseen
        topics = unseen.setdefault(uid, {})
        self._kept += topic not in topics
        topics[topic] = seq
        unseen.move_to_end(uid)
        while self._kept > limits.NOTICES_REPLACED:
            self._kept -= len(unseen.popitem(last=False)[1])
        self._work.undo((self.arrived, uid))


def topic_of(ns: int, payload: bytes) -> Topic | None:
    """What a later notice would replace this one by; None: both count."""
    try:
        notice: Any = GroupNotice.FromString(payload) if ns == Meta.GROUP_NOTICE else RosterNotice.FromString(payload)
    except DecodeError:
        return None
    what = CHANGES.get((ns, notice.type))
    if what is None:
        return None
    gid = notice.gid.uid if ns == Meta.GROUP_NOTICE else 0
    name = (jsons.loads_object(notice.content) or {}).get("property") if gid and what == "info" else ""
    to = notice.to[0].uid if notice.to else 0
    return Topic(what, gid, getattr(notice, "from").uid, to, name if isinstance(name, str) else "")


def merged(before: bytes, message: NoticeFor) -> bytes:
    """The payload of a notice with what the one before it said: of changed fields every one, the latest value of each."""
    if message.ns != Meta.ROSTER_NOTICE:
        return message.payload
    notice = RosterNotice.FromString(message.payload)
    earlier = jsons.loads_object(RosterNotice.FromString(Meta.FromString(before).payload).content)
    latest = jsons.loads_object(notice.content)
    if notice.type != RosterNotice.INFO_UPDATED or earlier is None or latest is None:
        return message.payload
    notice.content = msgspec.json.encode(earlier | latest).decode()
    return notice.SerializeToString()
