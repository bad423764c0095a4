"""What a restore makes new, so that nothing given out after the backup ever comes to mean something else.

A restored server knows nothing of what came after its backup, but clients and other people's servers do: they hold
tokens, ids and phones' addresses. So that none of them is taken for somebody else's:

- counters of user and group ids, message ids, serial numbers of devices, numbers of announcements and shared files go on
  far above everything the lost server can have given out, in this restore and in another one of the same backup;
- all tokens end, those of admins too: one that was revoked after the backup would be good again;
- one-time codes are gone, and so are the addresses of phones: a phone may be somebody else's by now. Whoever logs in
  binds theirs again.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Final

import msgspec

from lanying.base.ids import EPOCH_MS, FIRST_COUNTER, MAX_ENTITY_ID, SLOTS, id_step
from lanying.cluster.shardmap import ShardMap
from lanying.config import apps
from lanying.shard.accounts.devices import MAX_SN, DeviceRecord
from lanying.shard.groups.records import Group
from lanying.shard.store import schema
from lanying.shard.store.base import Batch
from lanying.shard.store.rocks import RocksStore
from lanying.storage import directory
from lanying.storage.verify import BEHIND_ALL

BURST: Final = 1 << 16
"""Ids a slot may have given out besides one in every second since 2024: a counter goes on that far above both the backup's
and the time of the restore, so that two restores never give out the same ones either."""
NUMBERS: Final = 1 << 10
"""How far the small numbers jump: devices of a user, announcements and files of a group."""
_BATCH_ROWS: Final = 1000

_HIGHEST: Final = schema.pack_device(0, 0)[8:]
"""End of the key of a user's highest serial number."""

_Change = tuple[str, bytes, bytes | None]
"""Family, key, and the new row; None: the row goes."""
_encode = msgspec.msgpack.Encoder().encode
_decode_device = msgspec.msgpack.Decoder(DeviceRecord).decode
_decode_group = msgspec.msgpack.Decoder(Group).decode


def renew(data: Path, shard_map: ShardMap, now_ms: int, *, keep_sessions: bool = False) -> None:
    """Make new what has to be in a stopped server's data. Doing it twice does no harm.

    :param now_ms: time of the restore; not before the backup
    :param keep_sessions: tokens, codes and addresses of phones stay as they were
    :raises StoreError: a database cannot be opened or written
    """
    paths = [directory.shard_path(data, index) for index in shard_map.peers]
    with directory.opened(paths) as stores:
        for index, store in enumerate(stores):
            _write(store, _jumps(store, shard_map.slots_of(index), now_ms))
            if not keep_sessions:
                _write(store, _ends(store))
            store.flush()
    if not keep_sessions:
        apps.end_tokens(data, now_ms // 1000)


def _jumps(store: RocksStore, slots: list[int], now_ms: int) -> Iterator[_Change]:
    """Everything that is given out goes on far above."""
    elapsed_s = max(now_ms - EPOCH_MS, 0) // 1000
    for slot in slots:
        key = schema.pack_u16(slot)
        row = store.get(schema.COUNTERS, key)
        last = FIRST_COUNTER if row is None else schema.unpack_u64(row)[0]
        counter = min(max(last, elapsed_s) + BURST, MAX_ENTITY_ID // SLOTS - 1)
        yield schema.COUNTERS, key, schema.pack_u64(max(last, counter))
    row = store.get(schema.META, b"last_id")
    last = int.from_bytes(row, "big") if row else 0
    yield schema.META, b"last_id", schema.pack_u64(max(last, id_step(now_ms)))
    for key, value in store.scan(schema.GROUPS, b"", BEHIND_ALL):
        group = _decode_group(value)
        yield schema.GROUPS, key, _encode(msgspec.structs.replace(group, last_item=group.last_item + NUMBERS))
    for key, value in store.scan(schema.DEVICES, b"", BEHIND_ALL):
        if key[8:] == _HIGHEST:
            yield schema.DEVICES, key, schema.pack_u32(min(int.from_bytes(value, "big") + NUMBERS, MAX_SN - NUMBERS))


def _ends(store: RocksStore) -> Iterator[_Change]:
    """Codes, owed pushes and the addresses of phones are gone."""
    for family in (schema.CODES, schema.PUSHES):
        for key, _ in store.scan(family, b"", BEHIND_ALL):
            yield family, key, None
    for key, value in store.scan(schema.DEVICES, b"", BEHIND_ALL):
        if key[8:] != _HIGHEST and (device := _decode_device(value)).push_token:
            yield schema.DEVICES, key, _encode(msgspec.structs.replace(device, notifier="", push_token=""))


def _write(store: RocksStore, changes: Iterator[_Change]) -> None:
    batch: Batch = store.batch()
    for number, (family, key, row) in enumerate(changes, 1):
        if row is None:
            batch.delete(family, key)
        else:
            batch.put(family, key, row)
        if number % _BATCH_ROWS == 0:
            store.write(batch)
            batch = store.batch()
    store.write(batch)
