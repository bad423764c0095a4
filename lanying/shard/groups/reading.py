"""Who has read a group's messages (xsync 6.4 READ_ACK). Pure.

A client addresses the acknowledgement of a group message to its author and names no group, so the reader's shard asks the shards of
their latest groups (``READ_GROUPS``); the one that has the message marks it, passes the acknowledgement to the author's devices, and
lets the reader's shard know. Both go through queue 0: clients look at what is in a meta, not at the queue that brought it (5.8), and a
queue with the author would be a conversation the two never had.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import islice
from typing import Any

from lanying.base import limits
from lanying.bus.messages import GroupRead, GroupReading, Message
from lanying.protocol.schema.xsync_pb2 import MessageOperation
from lanying.shard.chat import history, marking, visible
from lanying.shard.chat.author import Author
from lanying.shard.chat.delivery import Delivery
from lanying.shard.chat.policy import Policy
from lanying.shard.core.work import Work
from lanying.shard.groups import records
from lanying.shard.store import schema

READ_ACK = MessageOperation.READ_ACK
PLAY_ACK = MessageOperation.PLAY_ACK
DELIVER_ACK = MessageOperation.DELIVER_ACK
_MARKS: dict[int, int] = {READ_ACK: schema.READ_BY_PEER, PLAY_ACK: schema.PLAYED, DELIVER_ACK: schema.DELIVERED}


class Reading:
    """Acknowledgements of group messages."""

    def __init__(self, work: Work, delivery: Delivery, policy: Policy) -> None:
        self._work = work
        self._policy = policy
        self._delivery = delivery
        self.links: dict[type[Message], Callable[[Any], object]] = {GroupReading: self.reading, GroupRead: self.read}

    def acknowledge(self, reader: Author, author: int, operation: MessageOperation, mid: int, meta: bytes) -> None:
        """Our user acknowledges something that is in none of their 1:1 conversations."""
        if not operation.mid or not author:
            return
        work = self._work
        gids = self._candidates(reader, operation)
        by_shard: dict[int, list[int]] = {}
        for gid in gids:
            by_shard.setdefault(work.shard_of(gid), []).append(gid)
        for owner, part in by_shard.items():
            asked = GroupReading(reader.uid, reader.sn, part, operation.mid, operation.type, author, mid, meta)
            work.tell(owner, asked)

    def _candidates(self, reader: Author, operation: MessageOperation) -> list[int]:
        """Groups the message may be in: the one that is named, or the latest of those that have anything as new.

        Looking at the reader's conversations is charged like sending.
        :raises Refused: they have sent too much in this second
        """
        mailboxes = self._work.mailboxes
        named = operation.xid.uid
        if named and mailboxes.head(reader.uid, named).flags & schema.IS_GROUP:
            return [named]
        heads = list(islice(mailboxes.heads_of(reader.uid), limits.READ_CONVERSATIONS))
        self._policy.charge(reader.uid, len(heads) // limits.READ_CONVERSATIONS_PER_TOKEN)
        found = [head for head in heads if head.flags & schema.IS_GROUP and head.last_mid >= operation.mid]
        found.sort(key=lambda head: head.last_mid, reverse=True)
        return [head.peer for head in found[: limits.READ_GROUPS]]

    def reading(self, message: GroupReading) -> None:
        """On the group's shard: is the message here, and does the reader belong to the group?"""
        work, target = self._work, message.target
        for gid in message.gids:
            queue = schema.pack_pair(gid, gid)
            listed = history.listed(work.store, queue, target)
            if listed is None or records.member(work.store, gid, message.uid) is None:
                continue
            stored = history.entry(work.store, queue, listed)
            author = visible.sender(work.mailboxes.head(gid, gid), stored) if stored else 0
            if author == message.author != message.uid:
                self._acknowledged(gid, message)
            return

    def read(self, message: GroupRead) -> None:
        """On the reader's shard: the message was a group's."""
        work = self._work
        head = work.mailboxes.head(message.uid, message.gid)
        if message.operation == PLAY_ACK:
            marking.note(work, head, message.target, schema.PLAYED)
        elif message.target > head.read_mid or head.flags & schema.NOTED:
            marking.note(work, head, message.target, schema.READ_BY_OWNER, clear=schema.MARKED_UNREAD)
        queue = work.mailboxes.head(message.uid, 0)
        self._delivery.put(queue, message.mid, message.meta, listed=False, sn=message.sn)

    def _acknowledged(self, gid: int, message: GroupReading) -> None:
        work, uid, mid, meta = self._work, message.uid, message.mid, message.meta
        marking.mark(work, work.mailboxes.head(gid, gid), message.target, _MARKS[message.operation])
        self._delivery.send_to(message.author, 0, mid, meta, listed=False)
        if message.operation != DELIVER_ACK:
            read = GroupRead(uid, message.sn, gid, message.target, message.operation, mid, meta)
            work.tell(work.shard_of(uid), read)
