"""What a shard answers to requests for slots it does not own: *moved*, never "no such user"."""

from __future__ import annotations

from lanying.base.ids import slot_of
from lanying.base.refusals import Refusal
from lanying.bus.messages import Call, Reply, encode
from lanying.cluster.directory import Directory, Moved


class Ownership:
    """The slots of one shard, by the newest map it can get."""

    def __init__(self, directory: Directory, shard: int) -> None:
        self._directory = directory
        self._shard = shard

    def login(self, uid: int) -> Moved | None:
        """Why the shard does not take a user's connection; None: the user is its own."""
        return self._moved(slot_of(uid))

    def call(self, call: Call) -> Reply | None:
        """The refusal of a call, which has done nothing; None: it is for this shard."""
        moved = next(filter(None, map(self._moved, call.slots)), None)
        return None if moved is None else Reply(call.id, Refusal.MOVED, Refusal.MOVED.message, encode(moved))

    def _moved(self, slot: int) -> Moved | None:
        moved = self._directory.moved(self._shard, slot)
        if moved is not None:  # whoever asks may know a newer map
            self._directory.refresh()
            moved = self._directory.moved(self._shard, slot)
        return moved
