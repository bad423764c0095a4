"""Which shard owns which hash slot: ``shardmap.json`` in the data directory.

Format 1: ``{"format": 1, "version": n, "shards": n, "slots": [shard of slot 0, … of slot 1023]}``. ``version`` grows with every change.
"""

from __future__ import annotations

import os
import zlib
from collections.abc import Collection, Iterable
from pathlib import Path

import msgspec

from lanying.base.errors import DataDirectoryError, ReshardError
from lanying.base.ids import SLOTS
from lanying.base.limits import MAX_SHARDS
from lanying.base.names import compared

FILE_NAME = "shardmap.json"


def slot_of_name(app_id: str, name: str) -> int:
    """Hash slot of a user name of an app. Names are compared as :func:`lanying.base.names.compared` says."""
    return zlib.crc32(f"{app_id}\0{compared(name)}".encode()) % SLOTS


def wanted_map(
    now: ShardMap, shards: int | None = None, slots: str | None = None, to: int | None = None, drain: int | None = None
) -> ShardMap | None:
    """The map somebody asks for: so many shards, or these slots to that shard, or a shard without any; None: nothing.

    :raises ReshardError: two things at once, half of one, or impossible
    """
    if (slots is None) != (to is None):
        raise ReshardError("slots and where they go belong together: --slots 0-99 --to 2")
    asked = [choice is not None for choice in (shards, slots, drain)]
    if sum(asked) > 1:
        raise ReshardError("one thing at a time: --shards, or --slots with --to, or a shard to drain")
    if shards is not None:
        return ShardMap.even(shards)
    if slots is not None and to is not None:
        return now.moved(parse_slots(slots), to)
    return None if drain is None else now.drained(drain)


def parse_slots(text: str) -> set[int]:
    """Slots as somebody writes them: ``0-99,512``. :raises ReshardError: not like that"""
    found: set[int] = set()
    for piece in text.split(","):
        first, dash, last = piece.strip().partition("-")
        if not first.isdecimal() or (dash and not last.isdecimal()):
            raise ReshardError(f"{piece.strip()!r} is no slot and no range of slots; write them like 0-99,512")
        slots = range(int(first), int(last or first) + 1)
        if not slots or slots[-1] >= SLOTS:
            raise ReshardError(f"{piece.strip()} names no slots: they are 0 to {SLOTS - 1}; write them like 0-99,512")
        found.update(slots)
    return found


class ShardMap(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """An immutable map of all slots."""

    shards: int
    slots: tuple[int, ...]
    version: int = 1
    format: int = 1

    @classmethod
    def even(cls, shards: int) -> ShardMap:
        """Slots dealt out in turn, the map of a new data directory. :raises ReshardError: no such number of shards"""
        if not 1 <= shards <= MAX_SHARDS:
            raise ReshardError(f"{shards} shards: between 1 and {MAX_SHARDS}")
        return cls(shards=shards, slots=tuple(slot % shards for slot in range(SLOTS)))

    @property
    def is_whole(self) -> bool:
        """Every slot is on a shard there is."""
        return len(self.slots) == SLOTS and all(0 <= shard < self.shards for shard in self.slots)

    @property
    def peers(self) -> range:
        """All shards there are."""
        return range(self.shards)

    def shard_of(self, entity_id: int) -> int:
        """Shard that owns a user or group."""
        return self.slots[entity_id % SLOTS]

    def shard_of_name(self, app_id: str, name: str) -> int:
        """Shard that keeps the entry of a user name."""
        return self.slots[slot_of_name(app_id, name)]

    def slots_of(self, shard: int) -> list[int]:
        """Slots of one shard."""
        return [slot for slot, owner in enumerate(self.slots) if owner == shard]

    def moved(self, slots: Collection[int], to: int) -> ShardMap:
        """The map with these slots on shard ``to``. :raises ReshardError: there is no such shard"""
        self._need(to)
        return self._with(to if slot in slots else owner for slot, owner in enumerate(self.slots))

    def drained(self, shard: int) -> ShardMap:
        """The map with the slots of ``shard`` dealt to the others, the fewest first; those without any stay empty too.

        :raises ReshardError: there is no such shard, or no other has slots
        """
        self._need(shard)
        counts = {other: self.slots.count(other) for other in {*self.slots} - {shard}}
        if not counts:
            raise ReshardError(f"shard {shard} has all slots: give others some first (--shards, or --slots and --to)")
        slots = list(self.slots)
        for slot in self.slots_of(shard):
            slots[slot] = fewest = min(counts, key=counts.__getitem__)
            counts[fewest] += 1
        return self._with(slots)

    def differences(self, other: ShardMap) -> int:
        """How many slots are on another shard there."""
        return sum(mine != theirs for mine, theirs in zip(self.slots, other.slots, strict=True))

    def _need(self, shard: int) -> None:
        if not 0 <= shard < self.shards:
            raise ReshardError(f"there is no shard {shard}; there are 0 to {self.shards - 1}")

    def _with(self, slots: Iterable[int]) -> ShardMap:
        return msgspec.structs.replace(self, slots=tuple(slots))

    def save(self, data: Path) -> None:
        """Write the file so that a crash leaves the old or the new one, never a part."""
        part = data / (FILE_NAME + ".part")
        with part.open("wb") as file:
            file.write(msgspec.json.encode(self))
            file.flush()
            os.fsync(file.fileno())
        part.replace(data / FILE_NAME)

    @classmethod
    def load(cls, data: Path, name: str = FILE_NAME) -> ShardMap | None:
        """The map of a data directory, None if there is none yet. ``name``: of the file, while a restore makes it.

        :raises DataDirectoryError: the file is damaged or newer than this release
        """
        path = data / name
        try:
            found = msgspec.json.decode(path.read_bytes(), type=cls)
        except FileNotFoundError:
            return None
        except msgspec.DecodeError as error:
            raise DataDirectoryError(f"{path}: damaged ({error}); restore it from a backup") from error
        if found.format != 1 or not found.is_whole:
            raise DataDirectoryError(f"{path}: format {found.format} is not one this release reads; upgrade lanying")
        return found
