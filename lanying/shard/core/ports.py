"""What shard logic may ask of the world: the store, the bus and the sockets, as one narrow port.

Pure modules (``accounts``, ``roster``, ``policy`` …) get a :class:`Work` for the length of one request. Everything
they change through it becomes part of the current tick: one atomic batch, committed before any answer, notice or
link message leaves the process. Reads see everything earlier requests of the tick wrote, but not what the current
request has put itself.
"""

from __future__ import annotations

from typing import Protocol

from lanying.bus.messages import LinkMessage
from lanying.shard.store.base import Store


class Work(Protocol):
    """One request's view of its shard."""

    @property
    def store(self) -> Store:
        """Reads."""

    @property
    def now_ms(self) -> int:
        """Wall time, milliseconds."""

    def put(self, family: str, key: bytes, value: bytes) -> None:
        """Set a key with this tick's commit."""

    def delete(self, family: str, key: bytes) -> None:
        """Remove a key with this tick's commit."""

    def notice(self, uid: int, sender: int, ns: int, payload: bytes) -> None:
        """A GroupNotice or RosterNotice (``ns`` says which) for queue 0 of ``uid``, on whichever shard he lives."""

    def group_notice(self, gid: int, sender: int, payload: bytes) -> None:
        """An encoded GroupNotice into the timeline of a group of this shard: every member's devices get it."""

    def link(self, entity_id: int, message: LinkMessage) -> None:
        """Tell the shard that owns a user or group, exactly once and in order; the own shard gets it in this tick."""

    def kick(self, uid: int, device_sn: int, notice: int, except_sn: int = 0) -> int:
        """Send a UserNotice to live sessions of a user of this shard and close them (0: all). Number of sessions."""

    def inform(self, uid: int, notice: int) -> None:
        """Send a UserNotice that ends nothing to all live sessions of a user of this shard; no device gets it later."""

    def hold_links(self, seconds: float) -> bool:
        """See :class:`~lanying.bus.messages.HoldLinks`."""

    def online(self, uid: int) -> list[int]:
        """Serial numbers of a user's logged-in devices."""
