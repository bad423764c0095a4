"""Key layout of a shard's store, schema 1. Integers are big-endian, so byte order is logical order.

=============== ============================== =====================================================================
family          key                            value
=============== ============================== =====================================================================
``meta``        ASCII name                     ``schema_version``, ``schema_compat_version``, ``shard``: u32;
                                               ``last_id``: u64 (:attr:`lanying.base.ids.MessageIds.last`);
                                               ``retained_ms``: u64 (:mod:`lanying.shard.upkeep.retention`);
                                               ``cold``: 16 bytes (:mod:`lanying.shard.store.cold`);
                                               ``log_position``: u64, up to where a log elsewhere is in this store
                                               (:mod:`lanying.shard.store.records`)
``counters``    slot u16                       u64, last counter of the ids of this slot
``names``       slot u16, app, 0, folded name  uid u64: user names, phone numbers, aliases, :mod:`lanying.shard.push.tokens`
``codes``       slot u16, app, 0, kind:code    record: :class:`lanying.shard.accounts.one_time_codes.Code`; gone when it expires
``accounts``    uid u64                        record: :class:`lanying.shard.accounts.accounts.Account`
``devices``     uid u64, sn u32                record: :class:`lanying.shard.accounts.devices.DeviceRecord`; sn 0: u32, the highest number
                                               given out (none is ever given again)
``roster``      uid u64, other u64             record: :class:`lanying.shard.accounts.roster.Relation`
``applications`` uid u64, applicant u64        record: :class:`lanying.shard.accounts.roster.FriendApplication`
``groups``      gid u64                        record: :class:`lanying.shard.groups.records.Group`
``members``     gid u64, uid u64               record: :class:`lanying.shard.groups.records.Member`
``group_items`` gid u64, kind u8, id u64       what belongs to a group, by ``GROUP_…`` kind: announcements and shared files by number,
                                               block list, applications, invitations, kicks and bans by uid (records: the modules
                                               ``group_items``, ``group_members``, ``group_entry``)
``invitations`` uid u64, gid u64               record: :class:`lanying.bus.messages.Invited`, the invitee's copy
``queue``       uid u64, peer u64, seq u64     encoded Meta; empty: removed, the number stays used
``borders``     uid u64, peer u64              first seq u64, then (last seq u64, ms u64)…: which part of a queue is in the cold
                                               store (:mod:`lanying.shard.store.tiers`)
``history``     uid u64, peer u64, mid u64     seq u64, marks u8 (1 read by owner, 2 read by peer, 4 delivered,
                                               8 played), then the encoded Meta if it was edited
``marks``       uid u64, peer u64, mid u64     u8: what a user noted about one message, if the history row is not theirs alone (groups:
                                               1 read, 8 played, 32 removed from their history) or for a while (16 marked unread);
                                               with the serial number of a device in place of mid: u64, the newest message when
                                               that device dropped the conversation from its list
``readers``     gid u64, mid u64, uid u64      u64: when (ms) a member said that they have read a group message
``conversations`` uid u64, peer u64            last seq u64, last mid u64, furthest acknowledged seq u64, read mid u64, flags u8
                                               (1 group, 2 removed from the unread list, 4 blocked by the peer, 8 peer known to exist,
                                               16 group's messages are not delivered, 32 there are ``marks``,
                                               64 somebody put them into the group without asking)
``cursors``     uid u64, sn u32, peer u64      seq u64: the device has acknowledged everything up to here
``sent``        uid u64, sn u32, client mid u64 mid u64, CRC-32 of the payload u32: recognises a repeated send
``seats``       gid u64, uid u64               empty: the user, of this shard, is a member of the group
``files``       uid u64, number u64            record: :class:`lanying.bus.messages.FileRecord`, of the user who uploaded it
``file_usage``  uid u64                        record: :class:`lanying.bus.messages.FileUsage`
``broadcasts``  id u64                         record: :class:`lanying.shard.chat.broadcasts.BroadcastJob`, this shard's part of it
``pushes``      uid u64, mid u64               record: :class:`lanying.bus.messages.OwedPush`, until the push process is done with it
``push_tasks``  task id u64                    record: :class:`lanying.bus.messages.PushTask`
``push_orders`` task id u64                    record: :class:`lanying.bus.messages.OrderPushes`, until all it means are owed a push
``outbox``      shard u16, number u64          MessagePack array of link messages owed to that shard
``links``       b"in"/b"out", shard u16        u64: highest number committed from / given to that shard
=============== ============================== =====================================================================

``uid`` is the owner of a mailbox; in a group's own timeline owner and peer are both the group id. Records are
MessagePack arrays (fields are only ever added at the end, with a default). ``schema_compat_version`` is the oldest
release schema that can still read the data.
"""

from __future__ import annotations

import struct
from typing import Final

from lanying.base.names import compared

SCHEMA_VERSION: Final = 1
SCHEMA_COMPAT_VERSION: Final = 1

META: Final = "meta"
LOG_POSITION: Final = b"log_position"
SERVING: Final = b"serving"
"""There while a shard serves: who finds it at a start follows one that did not end by itself (:mod:`lanying.shard.core.links`)."""
COUNTERS: Final = "counters"
NAMES: Final = "names"
ACCOUNTS: Final = "accounts"
DEVICES: Final = "devices"
ROSTER: Final = "roster"
APPLICATIONS: Final = "applications"
GROUPS: Final = "groups"
MEMBERS: Final = "members"
GROUP_ITEMS: Final = "group_items"
INVITATIONS: Final = "invitations"
QUEUE: Final = "queue"
BORDERS: Final = "borders"
HISTORY: Final = "history"
CONVERSATIONS: Final = "conversations"
CURSORS: Final = "cursors"
SENT: Final = "sent"
SEATS: Final = "seats"
MARKS: Final = "marks"
READERS: Final = "readers"
FILES: Final = "files"
FILE_USAGE: Final = "file_usage"
CODES: Final = "codes"
BROADCASTS: Final = "broadcasts"
PUSHES: Final = "pushes"
PUSH_TASKS: Final = "push_tasks"
PUSH_ORDERS: Final = "push_orders"
OUTBOX: Final = "outbox"
LINKS: Final = "links"

FAMILIES: Final = (
    META,
    COUNTERS,
    NAMES,
    ACCOUNTS,
    DEVICES,
    ROSTER,
    APPLICATIONS,
    GROUPS,
    MEMBERS,
    GROUP_ITEMS,
    INVITATIONS,
    QUEUE,
    HISTORY,
    CONVERSATIONS,
    CURSORS,
    SENT,
    OUTBOX,
    LINKS,
    SEATS,
    MARKS,
    READERS,
    BORDERS,
    FILES,
    FILE_USAGE,
    CODES,
    BROADCASTS,
    PUSHES,
    PUSH_TASKS,
    PUSH_ORDERS,
)

pack_u16 = struct.Struct(">H").pack
pack_u32 = struct.Struct(">I").pack
pack_u64 = struct.Struct(">Q").pack
pack_pair = struct.Struct(">QQ").pack
"""uid, peer"""
pack_triple = struct.Struct(">QQQ").pack
"""uid, peer, seq or mid"""
pack_device = struct.Struct(">QI").pack
"""uid, sn"""
pack_device_peer = struct.Struct(">QIQ").pack
"""uid, sn, peer or client mid"""
pack_outbox = struct.Struct(">HQ").pack
pack_item = struct.Struct(">QBQ").pack
"""gid, kind, id"""
unpack_u64 = struct.Struct(">Q").unpack
CONVERSATION: Final = struct.Struct(">QQQQB")
HISTORY_VALUE: Final = struct.Struct(">QB")
"""The beginning of a ``history`` value: use ``unpack_from``."""
SENT_VALUE: Final = struct.Struct(">QI")

READ_BY_OWNER: Final = 1
READ_BY_PEER: Final = 2
DELIVERED: Final = 4
PLAYED: Final = 8
MARKED_UNREAD: Final = 16
REMOVED: Final = 32

FIRST_MID: Final = 1 << 32
"""Message ids are larger (from the first second of 2024 on), serial numbers of devices smaller."""

IS_GROUP: Final = 1
UNLISTED: Final = 2
BARRED: Final = 4
KNOWN: Final = 8
SILENT: Final = 16
NOTED: Final = 32
UNASKED: Final = 64

GROUP_ANNOUNCEMENT: Final = 1
GROUP_FILE: Final = 2
GROUP_BLOCKED: Final = 3
GROUP_APPLICATION: Final = 4
GROUP_INVITATION: Final = 5
GROUP_KICKS: Final = 6
GROUP_BAN: Final = 7


def name_key(slot: int, app_id: str, name: str) -> bytes:
    """Key in ``names``."""
    return pack_u16(slot) + app_id.encode() + b"\0" + compared(name).encode()


def successor(prefix: bytes) -> bytes:
    """The first key behind all keys with this prefix: the ``stop`` of a scan. No prefix is ``0xff`` alone: ids are smaller."""
    stripped = prefix.rstrip(b"\xff")
    return stripped[:-1] + bytes([stripped[-1] + 1]) if stripped else b"\xff" * (len(prefix) + 1)
