"""A shard's log as another process reads it, and records as they are stored: damage is named, and nothing else happens."""

from __future__ import annotations

from typing import Any

import msgspec

from lanying.base.errors import StoreError
from lanying.bus.messages import FileRecord, FileUsage, Invited, OrderPushes, OwedPush, PushTask
from lanying.shard.accounts.accounts import Account
from lanying.shard.accounts.devices import DeviceRecord
from lanying.shard.accounts.one_time_codes import Code
from lanying.shard.accounts.roster import FriendApplication, Relation
from lanying.shard.chat.broadcasts import BroadcastJob
from lanying.shard.groups.records import Group, Member
from lanying.shard.store import schema
from lanying.shard.store.memory import MemoryStore
from lanying.shard.store.records import Part, Record, RecordReader, apply, parts
from tests.fuzz.source import Source, Values
from tests.fuzz.target import Found, Target

STORED: tuple[type[Any], ...] = (
    *(Account, DeviceRecord, Code, FriendApplication, Relation, BroadcastJob, Group, Member),
    *(FileRecord, FileUsage, Invited, OrderPushes, OwedPush, PushTask),
)


class Records(Target):
    """The first byte chooses: parts of a log, some of them damaged; or a stored record."""

    unit = "records"

    def renew(self) -> None:
        self._values = Values({}, 63)

    def seeds(self) -> list[bytes]:
        filled = [bytes([1, at]) + msgspec.msgpack.encode(self._filled(kind)) for at, kind in enumerate(STORED)]
        return [*filled, b"\0" + bytes(range(80)), b"\0" + bytes(range(200, 10, -3)) * 2]

    def _filled(self, kind: type[Any]) -> Any:
        return self._values.struct(kind, Source(bytes(range(1, 90))))

    def judge(self, data: bytes) -> None:
        how, rest = (data[0], data[1:]) if data else (0, b"")
        self.units += 1
        if how % 2 == 0:
            log(Source(rest))
        elif rest:
            try:
                found = msgspec.msgpack.decode(rest[1:], type=STORED[rest[0] % len(STORED)])
            except (msgspec.DecodeError, UnicodeDecodeError):
                return
            msgspec.msgpack.encode(found)


def log(source: Source) -> None:
    """Records through a log that damages some of their parts."""
    reader, store, number = RecordReader(3), MemoryStore(), 0
    while source.left:
        number += 1
        changes = source.some(lambda: change(source), 8)
        record = Record(3, 1, number, 5, changes)
        for part in parts(record, source.byte() + 16):
            try:
                found = reader.take(damaged(part, source))
            except StoreError:
                return
            if found is not None:
                if found != record and source.left:
                    raise Found(f"{found} was read, {record} was written")
                apply(store, found, number)


def change(source: Source) -> Any:
    key = source.bytes(3)
    stop = source.pick((None, None, key + b"\1"))
    return source.pick(schema.FAMILIES), key, stop, None if stop else source.pick((None, source.chunk()))


def damaged(part: bytes, source: Source) -> bytes:
    kind = source.byte()
    if kind < 200:
        return part
    if kind < 230:
        at = source.byte() % len(part)
        return part[:at] + bytes([part[at] ^ (1 << kind % 8)]) + part[at + 1 :]
    if kind < 240:
        return source.chunk()
    one = msgspec.msgpack.decode(part, type=Part)
    return msgspec.msgpack.encode(msgspec.structs.replace(one, number=one.number + kind - 248))
