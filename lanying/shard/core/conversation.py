"""The head of a queue, and what is appended to one."""

from __future__ import annotations

from typing import NamedTuple

from lanying.shard.store import schema


class Entry(NamedTuple):
    """An entry appended in this tick.

    :ivar meta: empty: not for this user's devices
    :ivar sn: serial number of the device of the mailbox's owner that made it, 0 for another user's
    :ivar previous_mid: newest listed message before it
    """

    seq: int
    meta: bytes
    sn: int
    previous_mid: int


class Fetched(NamedTuple):
    """Entries of a timeline on another shard that a pull has waited for, from position ``first`` on; empty bytes: removed."""

    first: int
    entries: list[bytes]


class Conversation:
    """Head of one queue of a user.

    :ivar last_seq: position of the newest entry, 0 for none
    :ivar last_mid: newest message listed in history
    :ivar acknowledged: furthest position any device has acknowledged; where a new device starts
    :ivar read_mid: everything up to here was read at once (READ_ALL)
    """

    __slots__ = ("acknowledged", "flags", "key", "last_mid", "last_seq", "peer", "read_mid", "stored", "uid")

    def __init__(self, uid: int, peer: int, row: bytes | None) -> None:
        self.uid = uid
        self.peer = peer
        self.key = schema.pack_pair(uid, peer)
        self.stored = row is not None
        if row is None:
            self.last_seq = self.last_mid = self.acknowledged = self.read_mid = self.flags = 0
        else:
            self.last_seq, self.last_mid, self.acknowledged, self.read_mid, self.flags = schema.CONVERSATION.unpack(row)

    @property
    def row(self) -> bytes:
        """The stored form."""
        return schema.CONVERSATION.pack(self.last_seq, self.last_mid, self.acknowledged, self.read_mid, self.flags)


def restore(head: Conversation, last_seq: int, last_mid: int, acknowledged: int, read_mid: int, flags: int) -> None:
    """Undo: the head as it was before an event."""
    head.last_seq, head.last_mid, head.acknowledged = last_seq, last_mid, acknowledged
    head.read_mid, head.flags = read_mid, flags
