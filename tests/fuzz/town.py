"""A simulated server with people: an attacker, an accomplice on the other shard, and others whom all that must not touch.

It is founded once; every :class:`Town` is that server started again on a copy of its rows, which takes a third of the time.
"""

from __future__ import annotations

from functools import cache
from typing import Any, NamedTuple

from lanying.bus.messages import Call, Message, Reply, encode
from lanying.config.schema import Config
from lanying.protocol.schema.xsync_pb2 import MessageBody
from lanying.shard.shard import Shard
from lanying.shard.store.memory import MemoryStore
from lanying.testing.simulation import Device, Simulation, User

CALLER = "gateway"


class Answers(Simulation):
    """A simulation that keeps the replies to calls of its own.

    :ivar replies: how many came, by number of the call
    """

    def __init__(self, shards: int, config: Config, **more: Any) -> None:
        self.replies: dict[int, int] = {}
        super().__init__(shards, config, **more)

    def put_call(self, shard: Shard, body: bytes) -> int:
        """Ask as a gateway does; the number of the call."""
        self._call_number += 1
        number = self._call_number
        self.replies[number] = 0

        def replied(reply: Reply) -> None:
            self.replies[number] += 1

        self._calls[number] = replied
        shard.dispatch.arrive(Call(number, CALLER, 5000, body))
        return number

    def put_envelope(self, process: str, message: Message) -> None:
        """Something of another process arrives with the next :meth:`run`."""
        self._wire.append((process, encode(message)))


class Founded(NamedTuple):
    """What every town begins with.

    :ivar people: numbers and names: attacker, accomplice, and the bystanders on the shard of each
    """

    people: list[tuple[int, str]]
    gids: list[int]
    mids: list[int]
    stores: list[MemoryStore]
    now_ms: int


@cache
def founded() -> Founded:
    """Everybody has written to everybody, there is a group of all, and one of the attacker and the accomplice."""
    sim = Answers(2, Config())
    everybody = [sim.user(f"user{number}") for number in range(12)]
    attacker = everybody[0]
    here = [user for user in everybody[1:] if user.shard is attacker.shard]
    away = [user for user in everybody if user.shard is not attacker.shard]
    accomplice, far, near = away[0], away[1], here[0]
    people = [attacker, accomplice, near, far]
    gids = [sim.group(near, attacker, accomplice, far), sim.group(attacker, accomplice)]
    devices = [user.device("before") for user in people]
    mids = [one.acknowledged[one.send(other.user, "x")] for one in devices for other in devices if one is not other]
    mids += [devices[0].acknowledged[devices[0].send(gid, "g", type=MessageBody.GROUPCHAT)] for gid in gids]
    for device in devices:
        device.leave()
    for shard in sim.shards:
        shard.store_cursors()
    sim.advance(1.0)
    stores = [store.crash() for store in sim.stores]
    return Founded([(user.uid, user.name) for user in people], gids, mids, stores, sim.now_ms)


class Town:
    """See the module, and :func:`founded`."""

    def __init__(self) -> None:
        before = founded()
        self.sim = Answers(2, Config(), stores=[store.crash() for store in before.stores], now_ms=before.now_ms + 1000)
        people = [User(self.sim, uid, name, "lanying") for uid, name in before.people]
        self.attacker, self.accomplice, self.near, self.far = people
        self.bystanders = [self.near.device("a"), self.far.device("b")]
        self.phones = [self.attacker.device("phone"), self.accomplice.device("other")]
        self.gids, self.mids = before.gids, before.mids
        self.said = 0

    @property
    def hostile(self) -> list[User]:
        """Who does what the input says."""
        return [self.attacker, self.accomplice]

    @property
    def failed_events(self) -> int:
        """Events of all shards on which the server has failed."""
        return sum(shard.work.failed_events for shard in self.sim.shards)

    @property
    def rows(self) -> int:
        """Of all stores."""
        return sum(len(values) for store in self.sim.stores for values in tables(store).values())

    def phone(self, number: int) -> Device:
        """A device of the attacker or the accomplice; logged in again if it was closed."""
        at = number % 2
        if self.phones[at].closed:
            self.phones[at] = self.hostile[at].device(("phone", "other")[at])
        return self.phones[at]

    def others_talk(self) -> bool:
        """The others are still logged in, and a message of one reaches the other at once."""
        one, other = self.bystanders
        self.said += 1
        text = f"said {self.said}"
        one.send(other.user, text)
        heard = any(text.encode() in meta.payload for meta in other.metas)
        for device in self.bystanders:
            device.metas.clear()
            device.frames.clear()
            device.pages.clear()
        return heard and not one.closed and not other.closed


def tables(store: Any) -> dict[str, dict[bytes, bytes]]:
    """The rows of a store in memory, by family."""
    assert isinstance(store, MemoryStore)
    return store._values
