"""Gives a cold store up that will not come back: what was in it is deleted, and the shards may begin a new one.

Queue by queue, each in one write; the mark of the cold store goes last, so an interrupted run is gone on with by the next.
"""

from __future__ import annotations

from pathlib import Path

from lanying.cluster.runtime import COLD_FILE
from lanying.shard.store import schema
from lanying.shard.store.cold import MARK
from lanying.shard.store.rocks import RocksStore
from lanying.shard.store.tiers import Border
from lanying.shard.upkeep.retention import RETAINED
from lanying.storage import directory
from lanying.storage.progress import ProgressReport, Silent
from lanying.storage.verify import BEHIND_ALL


def forget_cold(data: Path, progress: ProgressReport | None = None) -> int:
    """Forget the cold stores of a stopped server's data directory. How many messages are gone."""
    shards = directory.need_settled(data).peers
    gone = 0
    with directory.opened([directory.shard_path(data, index) for index in shards]) as stores:
        advance = (progress or Silent()).step("forget", len(shards))
        for store in stores:
            if store.get(schema.META, MARK) is not None:
                gone += _forget(store)
            advance(1)
    (data / COLD_FILE).unlink(missing_ok=True)
    return gone


def _forget(store: RocksStore) -> int:
    gone = 0
    for queue, row in list(store.scan(schema.BORDERS, b"", BEHIND_ALL)):
        border = Border.unpack(row)
        batch = store.batch()
        if border.steps:
            batch.delete_range(schema.QUEUE, queue, queue + schema.pack_u64(border.last + 1))
            for key, value in store.scan(schema.HISTORY, queue, schema.successor(queue)):
                if schema.HISTORY_VALUE.unpack_from(value)[0] <= border.last:
                    batch.delete(schema.HISTORY, key)
            retained = int.from_bytes(store.get(schema.META, RETAINED) or b"", "big")
            batch.put(schema.META, RETAINED, schema.pack_u64(max(retained, border.steps[-1][1])))
            gone += border.last - border.first + 1
        batch.delete(schema.BORDERS, queue)
        store.write(batch)
    batch = store.batch()
    batch.delete(schema.META, MARK)
    store.write(batch)
    store.flush()
    return gone
