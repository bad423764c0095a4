"""Rows of a store that are not what was written: whatever is read then, nothing raises out of a shard, and others are served.

A damaged row may fail the event that needs it (it is taken back, and the session that asked ends), but no other one.
"""

from __future__ import annotations

from functools import cache

from lanying.bus.messages import encode
from lanying.protocol import frame
from lanying.shard.store import schema
from tests.fuzz.shards import CALLS
from tests.fuzz.source import Source, Values
from tests.fuzz.target import Found, Target
from tests.fuzz.town import Town, founded, tables

DAMAGED = (
    *(
        schema.QUEUE,
        schema.QUEUE,
        schema.HISTORY,
        schema.MARKS,
        schema.CURSORS,
        schema.SENT,
        schema.READERS,
        schema.CONVERSATIONS,
    ),
    *(
        schema.DEVICES,
        schema.ROSTER,
        schema.APPLICATIONS,
        schema.GROUP_ITEMS,
        schema.MEMBERS,
        schema.INVITATIONS,
        schema.FILES,
    ),
)
"""Families that keep what users write, or what follows from it."""


class Stored(Target):
    """Some rows of the attacker's and the accomplice's are damaged, and everything is asked."""

    unit = "rows"
    may_log = True
    renewed_every = 1

    def renew(self) -> None:
        self.town = Town()
        for phone in self.town.phones:
            phone.leave()

    def seeds(self) -> list[bytes]:
        return [
            bytes((start * 7 + step * at) % 256 for at in range(60)) for start in range(12) for step in (1, 3, 11, 37)
        ]

    def judge(self, data: bytes) -> None:
        town, source = self.town, Source(data)
        while source.left:
            self._damage(source)
            self.units += 1
        for number in range(2):
            self._everything(number)
        town.sim.advance(61.0)
        if not town.others_talk():
            raise Found("others are not served")

    def _damage(self, source: Source) -> None:
        town = self.town
        family = source.pick(DAMAGED)
        user = source.pick(town.hostile)
        rows = tables(town.sim.stores[town.sim.map.shard_of(user.uid)])[family]
        mine = sorted(
            key for key in rows if key.startswith(schema.pack_u64(user.uid)) or key[:8] == schema.pack_u64(town.gids[1])
        )
        if mine:
            key = source.pick(mine)
            rows[key] = source.chunk() if source.byte() % 2 else flipped(rows[key], source)

    def _everything(self, number: int) -> None:
        """Log in, ask for everything."""
        town = self.town
        user = town.hostile[number]
        try:
            phone = user.device("new")
        except Exception as error:
            if "simulation" in str(error):
                raise
            return
        for peer in (*(other.uid for other in town.hostile), *town.gids, 0, town.near.uid):
            for ask in (
                frame.history_request(peer, 0, 20),
                frame.sync_pull(peer),
                frame.sync_pull(peer, 3),
                frame.unread_request(),
            ):
                if not phone.closed:
                    phone.put(ask)
        for request in calls_about(user.uid, user.app):
            town.sim.put_call(user.shard, request)
        for shard in town.sim.shards:
            shard.maintain()
            shard.store_cursors()
        town.sim.run()


@cache
def calls_about(uid: int, app: str) -> list[bytes]:
    """Every call there is, about this user and a group of theirs."""
    town = founded()
    asked = Values(
        {"uid": lambda _: uid, "gid": lambda _: town.gids[1], "app": lambda _: app, "mid": lambda _: town.mids[0]}
    )
    return [encode(asked.struct(kind, Source(b""))) for kind in CALLS]


def flipped(value: bytes, source: Source) -> bytes:
    """A byte of it is another."""
    if not value:
        return b"\xff"
    at = source.byte() % len(value)
    return value[:at] + bytes([source.byte()]) + value[at + 1 :]
