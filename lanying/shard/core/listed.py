"""Public groups of this shard, so that a list of them looks at no others. Pure.

They are found once, by looking at every group, a part with each question; from then on what is founded and destroyed is noted.
"""

from __future__ import annotations

from heapq import nsmallest

from lanying.base.ids import MAX_ENTITY_ID


class PublicGroups:
    """Ids by app.

    :ivar looked: groups up to this id were looked at; None: all
    """

    def __init__(self) -> None:
        self._gids: dict[str, set[int]] = {}
        self.looked: int | None = 0

    def add(self, app: str, gid: int) -> None:
        """A public group that is there."""
        self._gids.setdefault(app, set()).add(gid)

    def remove(self, app: str, gid: int) -> None:
        """It is none any more."""
        self._gids.get(app, set()).discard(gid)

    def forget(self) -> None:
        """Look again: groups have come from elsewhere, or an event was taken back."""
        self._gids.clear()
        self.looked = 0

    def page(self, app: str, after: int, most: int) -> tuple[list[int], int]:
        """Those behind an id, ascending, and the id to go on behind; 0: these were all."""
        gids = nsmallest(most, (gid for gid in self._gids.get(app, ()) if gid > min(after, MAX_ENTITY_ID)))
        return gids, gids[-1] if len(gids) == most else 0
