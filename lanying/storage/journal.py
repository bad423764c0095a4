"""How far a resharding got: ``reshard.json`` in the data directory, format 2.

``{"format": 2, "before": old number of shards, "shards": new one, "slots": the new shard map's, "version": of that map,
"keep_old": whether old directories stay, "sources": [sequence number of each old database],
"step": "copy" | "verify" | "switch" | "clean",
"shard": old shard being copied, "family": …, "after": hex of the last key copied,
"rows": {family: copied so far}, "sums": {family: …}}``

Replaced as a whole with every entry (old or new, never a part), after what it says is on stable storage. A sum is the
sum of the CRC-32 of key and value of every row, modulo 2^64: the same for the same rows in any order and any number of
databases. Format 1 had neither ``slots`` (they were dealt evenly) nor ``keep_old``.
"""

from __future__ import annotations

import zlib
from pathlib import Path

import msgspec

from lanying.base.errors import ReshardError
from lanying.cluster.shardmap import ShardMap
from lanying.storage.directory import sync_directory, write_file
from lanying.supervisor.datadir import JOURNAL_FILE as FILE_NAME

COPY, VERIFY, SWITCH, CLEAN = "copy", "verify", "switch", "clean"


class Journal(msgspec.Struct, forbid_unknown_fields=True):
    """One entry; the module says what its fields are."""

    before: int
    shards: int
    version: int
    sources: list[int]
    slots: tuple[int, ...] = ()
    keep_old: bool = False
    step: str = COPY
    shard: int = 0
    family: str = ""
    after: str = ""
    rows: dict[str, int] = {}
    sums: dict[str, int] = {}
    format: int = 2

    @classmethod
    def load(cls, data: Path) -> Journal | None:
        """The journal of a data directory, None when no resharding is under way.

        :raises ReshardError: unreadable, or of a newer release
        """
        path = data / FILE_NAME
        try:
            found = msgspec.json.decode(path.read_bytes(), type=cls)
        except FileNotFoundError:
            return None
        except msgspec.DecodeError as error:
            raise ReshardError(f"{path}: damaged ({error}); finish with the release that began") from error
        if found.format not in (1, 2):
            raise ReshardError(f"{path}: format {found.format}; finish with the release that began")
        return found

    @property
    def map(self) -> ShardMap:
        """The new shard map."""
        slots = self.slots or ShardMap.even(self.shards).slots
        return ShardMap(shards=self.shards, slots=slots, version=self.version)

    def save(self, data: Path) -> None:
        """Make this the entry that counts."""
        write_file(data / FILE_NAME, msgspec.json.encode(self))

    @staticmethod
    def remove(data: Path) -> None:
        """Nothing is under way any more."""
        (data / FILE_NAME).unlink(missing_ok=True)
        sync_directory(data)

    def count(self, family: str, rows: int, total: int) -> None:
        """Rows were copied, and their sum."""
        self.rows[family] = self.rows.get(family, 0) + rows
        self.sums[family] = (self.sums.get(family, 0) + total) % (1 << 64)


def row_sum(key: bytes, value: bytes) -> int:
    """What a row adds to the sum of its family."""
    return zlib.crc32(value, zlib.crc32(key))
