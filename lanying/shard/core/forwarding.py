"""Link messages that arrive where their user or group is no more.

Whoever sent one had an older map, or sent it before the move: it waits in an outbox, and its number on that link is taken. The shard
that the entity left therefore takes the message as usual and owes it to the new owner in the same tick, so it arrives exactly once.
Messages that came this way and others that a third shard sends straight to the new owner have no order among each other.

Only a shard whose map has changed looks. One with an older map than the sender's applies what it gets: it is the new owner.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from msgspec.structs import replace

from lanying.bus.messages import Deliver, GroupDeliver, LinkMessage
from lanying.bus.messages.links import (
    Barred,
    Broadcast,
    GroupPost,
    GroupPosted,
    GroupRead,
    GroupReading,
    Invited,
    NoticeFor,
    PushTokenBound,
    Resign,
    RosterChange,
    Seat,
    Silence,
    Unseat,
)
from lanying.shard.core.work import Work

ADDRESSEE: Final[Mapping[type[LinkMessage], str]] = {
    Deliver: "uid",
    NoticeFor: "uid",
    RosterChange: "uid",
    Barred: "uid",
    Seat: "uid",
    Unseat: "uid",
    Invited: "uid",
    GroupRead: "uid",
    Silence: "uid",
    GroupPost: "gid",
    GroupReading: "gids",
    Resign: "gid",
}
"""The field that names whose owner a link message is for."""
OF_SHARDS: Final = frozenset({GroupDeliver, GroupPosted, Broadcast, PushTokenBound})
"""For a shard, whoever is there: all members of a group or all users, a post that waits in its memory; and the index of push tokens,
where a user's next binding puts right what a move has left behind."""


class Forwarding:
    """Applies link messages for entities of this shard and hands on the others.

    :param here: applies one
    """

    def __init__(self, work: Work, here: Callable[[LinkMessage], None]) -> None:
        self._work = work
        self._here = here

    def apply(self, message: LinkMessage) -> None:
        """Apply here, or send it to the owner."""
        field = ADDRESSEE.get(type(message))
        if field is None:
            self._pass(self._work.index, message)
            return
        whom = getattr(message, field)
        if not isinstance(message, GroupReading):
            self._pass(self._work.shard_of(whom), message)
            return
        by_owner: dict[int, list[int]] = {}
        for gid in message.gids:
            by_owner.setdefault(self._work.shard_of(gid), []).append(gid)
        for owner, gids in by_owner.items():
            self._pass(owner, replace(message, gids=gids))

    def _pass(self, owner: int, message: LinkMessage) -> None:
        work = self._work
        if owner == work.index:
            self._here(message)
        elif isinstance(message, Deliver | GroupPost) and message.live:
            work.live(owner, message)
        else:
            work.tell(owner, message)
