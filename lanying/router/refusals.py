"""What the log says of refused logins: the first of a peer at once, then one line per peer and ten seconds with their number.

So the log grows by peers and not by what they try. Pure; ``now`` is monotonic seconds.
"""

from __future__ import annotations

from typing import Final

QUIET_S: Final = 10.0
PEERS: Final = 256
"""Peers counted one by one; the refusals of more are counted together, under an empty key."""


class Refusals:
    """Counts what is not logged."""

    __slots__ = ("_since", "_unsaid")

    def __init__(self) -> None:
        self._unsaid: dict[str, int] = {}
        self._since = 0.0

    def first(self, key: str, now: float) -> bool:
        """Note a refusal; True: it is worth a line of its own."""
        if not self._unsaid:
            self._since = now
        if key not in self._unsaid and len(self._unsaid) >= PEERS:
            self._unsaid[""] = self._unsaid.get("", 0) + 1
            return False
        count = self._unsaid.get(key, -1)
        self._unsaid[key] = count + 1
        return count < 0

    def due(self, now: float) -> list[tuple[str, int]]:
        """Key and number of what was not logged, every ten seconds; each peer then has a first again."""
        if now - self._since < QUIET_S:
            return []
        found = [(key, count) for key, count in self._unsaid.items() if count]
        self._unsaid.clear()
        return found
