"""A sealed tick as a record of a log elsewhere, and a record as rows of a store.

A log takes messages up to some size, so a record goes there in *parts*, the last of which is the commit mark: a record
without it never happened. What is in a record is what the tick's batch held when it was sealed: bytes to apply, not requests to repeat.
What says only where this copy keeps its rows is no part of it (:func:`~lanying.shard.store.base.local_write`).
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Sequence

import msgspec

from lanying.base import limits
from lanying.base.errors import StoreError
from lanying.shard.store import schema
from lanying.shard.store.base import Change, Store


class Record(msgspec.Struct, frozen=True, array_like=True):
    """What one tick decided.

    :ivar epoch: grows with every owner of the shard
    :ivar number: of the tick, grows within an epoch
    :ivar time_ms: wall time of the tick
    """

    shard: int
    epoch: int
    number: int
    time_ms: int
    changes: Sequence[Change]


class Part(msgspec.Struct, frozen=True, array_like=True):
    """A piece of an encoded record.

    :ivar index: 0, 1, … within the record
    :ivar last: the commit mark
    :ivar crc: CRC-32 of the record up to the end of this piece
    """

    shard: int
    epoch: int
    number: int
    index: int
    last: bool
    crc: int
    piece: bytes


_encode = msgspec.msgpack.Encoder().encode
_decode_part = msgspec.msgpack.Decoder(Part).decode
_decode_record = msgspec.msgpack.Decoder(Record).decode


def parts(record: Record, piece_bytes: int = limits.LOG_PART_BYTES) -> Iterator[bytes]:
    """The messages of a record, in order."""
    whole = memoryview(_encode(record))
    crc = 0
    for index, start in enumerate(range(0, len(whole), piece_bytes)):
        stop = start + piece_bytes
        crc = zlib.crc32(whole[start:stop], crc)
        last = stop >= len(whole)
        yield _encode(Part(record.shard, record.epoch, record.number, index, last, crc, bytes(whole[start:stop])))


class RecordReader:
    """Puts the records of one shard together from the messages of its log, read in order.

    :ivar seen: epoch and number of the last whole record
    """

    def __init__(self, shard: int, seen: tuple[int, int] = (0, 0)) -> None:
        self.seen = seen
        self._shard = shard
        self._pieces: list[Part] = []

    def take(self, message: bytes) -> Record | None:
        """The record this message completes.

        :raises StoreError: not what was written: damaged, a part is missing, or of another shard or time
        """
        try:
            part = _decode_part(message)
        except msgspec.DecodeError as error:
            raise self._damaged(f"no part of a record: {error}") from error
        if part.index == 0:
            self._pieces.clear()  # its writer ended in the middle of the one before
        before = self._pieces[-1] if self._pieces else None
        self._check(part, before)
        self._pieces.append(part)
        if not part.last:
            return None
        whole = b"".join(piece.piece for piece in self._pieces)
        self._pieces.clear()
        try:
            record = _decode_record(whole)
        except msgspec.DecodeError as error:
            raise self._damaged(f"no record: {error}") from error
        self.seen = (record.epoch, record.number)
        return record

    def _check(self, part: Part, before: Part | None) -> None:
        of = (part.epoch, part.number)
        if part.shard != self._shard:
            raise self._damaged(f"a record of shard {part.shard}")
        if of <= self.seen:
            raise self._damaged(f"record {of} behind {self.seen}")
        if before is None:
            follows, crc = part.index == 0, 0
        else:
            follows, crc = (*of, part.index) == (before.epoch, before.number, before.index + 1), before.crc
        if not follows:
            raise self._damaged(f"part {part.index} of record {of} does not follow what came before")
        if zlib.crc32(part.piece, crc) != part.crc:
            raise self._damaged(f"part {part.index} of record {of} is not what was written")

    def _damaged(self, what: str) -> StoreError:
        return StoreError(
            f"the log of shard {self._shard} is damaged ({what}); take another copy of the log, or restore the last backup"
        )


def apply(store: Store, record: Record, position: int) -> None:
    """Have a record in a store, with its position in the log, in one write. Applied again it changes nothing."""
    batch = store.batch()
    for family, key, stop, value in record.changes:
        if value is not None:
            batch.put(family, key, value)
        elif stop is None:
            batch.delete(family, key)
        else:
            batch.delete_range(family, key, stop)
    batch.put(schema.META, schema.LOG_POSITION, schema.pack_u64(position))
    store.write(batch)


def position(store: Store) -> int:
    """Up to where the log is in a store, 0: nothing of it."""
    row = store.get(schema.META, schema.LOG_POSITION)
    return 0 if row is None else int(schema.unpack_u64(row)[0])
