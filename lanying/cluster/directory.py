"""Who owns what, and where each process is reached: the one place that is asked.

A shard has three names that only look alike: its number (in the map), the name of its process (in logs and figures) and
its addresses (on the bus, for hand-offs). The directory leads from one to the next; nobody else derives them.

The map changes while processes run. A process with an old one asks the wrong shard, which answers *moved* with the owner
and the version it knows (:class:`Moved`); :meth:`Directory.learn` takes that in, and the request is made once more.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import msgspec

from lanying.cluster.launch import Launch
from lanying.cluster.runtime import RunDirectory, shard_name
from lanying.cluster.shardmap import ShardMap


class Moved(msgspec.Struct, frozen=True, array_like=True):
    """The shard that was asked does not own ``slot``; by version ``version`` of the map, ``owner`` does.

    Body of a call that is refused as ``Refusal.MOVED``.
    """

    slot: int
    owner: int
    version: int


class Directory:
    """The shard map as it is now, and addresses.

    :param read: reads the newest map from where it is kept, None: it cannot be read now
    :ivar map: the newest map this process knows
    """

    def __init__(self, shard_map: ShardMap, run: RunDirectory, read: Callable[[], ShardMap | None]) -> None:
        self.map = shard_map
        self._run = run
        self._read = read
        self._watchers: list[Callable[[ShardMap], None]] = []

    @classmethod
    def of(cls, launch: Launch) -> Directory:
        """The directory of a server on one host: the map in the data directory, sockets in its run directory."""
        return cls(launch.shard_map, launch.run, lambda: ShardMap.load(Path(launch.data)))

    def owner(self, entity_id: int) -> int:
        """The shard that owns a user or group."""
        return self.map.shard_of(entity_id)

    def process(self, shard: int) -> str:
        """Name of the process that serves a shard."""
        return shard_name(shard)

    def bus(self, process: str) -> str:
        """Where a process receives envelopes (ZeroMQ endpoint)."""
        return self._run.bus(process)

    def handoff(self, process: str) -> str:
        """Where a process takes client sockets over (path of a Unix socket)."""
        return self._run.handoff(process)

    def moved(self, shard: int, slot: int) -> Moved | None:
        """The answer of ``shard`` to a request for a slot it does not own, None if it does own it."""
        owner = self.map.slots[slot]
        return None if owner == shard else Moved(slot, owner, self.map.version)

    def learn(self, moved: Moved) -> bool:
        """Take in what another shard answered. Whether the slot has another owner here now, so that asking again helps."""
        slot = moved.slot
        before = self.map.slots[slot]
        if moved.version > self.map.version:
            self.refresh()
        if moved.version > self.map.version and moved.owner in self.map.peers:
            # The file is behind; believe it about this slot, and keep the version: the next answer asks the file again.
            self._change(self.map.moved({slot}, moved.owner))
        return self.map.slots[slot] != before

    def refresh(self) -> None:
        """Read the map again; an older one than the known is ignored."""
        found = self._read()
        if found is not None and found.version > self.map.version:
            self._change(found)

    def watch(self, changed: Callable[[ShardMap], None]) -> None:
        """Call ``changed`` with every new map from now on."""
        self._watchers.append(changed)

    def _change(self, new: ShardMap) -> None:
        self.map = new
        for changed in self._watchers:
            changed(new)
