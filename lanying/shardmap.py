"""Which shard owns which hash slot: ``shardmap.json`` in the data directory.

Format 1: ``{"format": 1, "version": n, "shards": n, "slots": [shard of slot 0, … of slot 1023]}``. ``version`` grows with every change.
"""

from __future__ import annotations

import os
import zlib
from pathlib import Path

import msgspec

from lanying.errors import DataDirectoryError
from lanying.ids import SLOTS

FILE_NAME = "shardmap.json"


def slot_of_name(app_id: str, name: str) -> int:
    """Hash slot of a user name of an app. Names are compared case-insensitively."""
    return zlib.crc32(f"{app_id}\0{name.casefold()}".encode()) % SLOTS


class ShardMap(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """An immutable map of all slots."""

    shards: int
    slots: tuple[int, ...]
    version: int = 1
    format: int = 1

    @classmethod
    def even(cls, shards: int) -> ShardMap:
        """Slots dealt out in turn, the map of a new data directory."""
        return cls(shards=shards, slots=tuple(slot % shards for slot in range(SLOTS)))

    def shard_of(self, entity_id: int) -> int:
        """Shard that owns a user or group."""
        return self.slots[entity_id % SLOTS]

    def shard_of_name(self, app_id: str, name: str) -> int:
        """Shard that keeps the entry of a user name."""
        return self.slots[slot_of_name(app_id, name)]

    def slots_of(self, shard: int) -> list[int]:
        """Slots of one shard."""
        return [slot for slot, owner in enumerate(self.slots) if owner == shard]

    def save(self, data: Path) -> None:
        """Write the file so that a crash leaves the old or the new one, never a part."""
        part = data / (FILE_NAME + ".part")
        with part.open("wb") as file:
            file.write(msgspec.json.encode(self))
            file.flush()
            os.fsync(file.fileno())
        part.replace(data / FILE_NAME)

    @classmethod
    def load(cls, data: Path) -> ShardMap | None:
        """The map of a data directory, None if there is none yet.

        :raises DataDirectoryError: the file is damaged or newer than this release
        """
        path = data / FILE_NAME
        try:
            found = msgspec.json.decode(path.read_bytes(), type=cls)
        except FileNotFoundError:
            return None
        except msgspec.DecodeError as error:
            raise DataDirectoryError(f"{path}: damaged ({error}); restore it from a backup") from error
        if found.format != 1 or len(found.slots) != SLOTS or not all(0 <= s < found.shards for s in found.slots):
            raise DataDirectoryError(f"{path}: format {found.format} is not one this release reads; upgrade lanying")
        return found
