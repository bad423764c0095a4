"""Who writes to whom: pairs, a group, a school; and how that is dealt to the workers."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from bench import seed
from bench.client import Member, Route
from bench.host import Host


@dataclass(frozen=True)
class Talk:
    """A conversation one user writes to; ``recipients`` are uids."""

    to: int
    recipients: tuple[int, ...]
    group: bool = False
    picture: bool = False


@dataclass
class People:
    """All users of a run.

    :ivar talks: by uid, in the order of route numbers
    :ivar units: users that live in the same worker, dealt out in this order
    :ivar seats: the worker of a unit, by its first user; those that have none are dealt out in turns
    :ivar probes: whose arrivals free a sender in the closed loop; None: everybody's
    """

    talks: dict[int, list[Talk]] = field(default_factory=dict)
    units: list[tuple[int, ...]] = field(default_factory=list)
    probes: set[int] | None = None
    seats: dict[int, int] = field(default_factory=dict)

    def deal(self, tokens: Mapping[int, str], workers: int) -> tuple[list[list[Member]], dict[int, tuple[int, ...]]]:
        """Members by worker, and the indices of the recipients of every stream.

        :param tokens: by uid, of all users; their order gives the indices
        """
        index = {uid: number for number, uid in enumerate(tokens)}
        audience: dict[int, tuple[int, ...]] = {}
        dealt: list[list[Member]] = [[] for _ in range(workers)]
        known: dict[tuple[int, ...], tuple[int, ...]] = {}
        for number, unit in enumerate(self.units):
            worker = self.seats.get(unit[0], number % workers)
            for uid in unit:
                routes = []
                for talk in self.talks.get(uid, ()):
                    stream = len(audience)
                    if talk.recipients not in known:
                        known[talk.recipients] = tuple(index[one] for one in talk.recipients)
                    audience[stream] = known[talk.recipients]
                    routes.append(Route(talk.to, stream, len(talk.recipients), talk.group, talk.picture))
                probe = self.probes is None or uid in self.probes
                dealt[worker].append(Member(index[uid], uid, tokens[uid], tuple(routes), probe))
        return dealt, audience


def _in_pairs(order: Sequence[int], server: Host, how: str) -> People:
    shard_of = seed.shard_function(server.data, server.target.shards)
    people = People()
    for one, other in seed.pairs(order, shard_of, how):
        people.units.append((one, other))
        people.talks[one] = [Talk(other, (other,))]
        people.talks[other] = [Talk(one, (one,))]
    people.units += [(uid,) for uid in order if uid not in people.talks]
    return people


@dataclass(frozen=True)
class Pairs:
    """Everybody has one partner.

    :ivar how: on different shards (``cross``), on the same (``same``), by chance (``any``)
    """

    how: str = "any"

    def arrange(self, server: Host, order: Sequence[int], workers: int, chance: random.Random) -> People:
        """Who writes to whom."""
        return _in_pairs(order, server, self.how)


@dataclass(frozen=True)
class OneGroup:
    """All users are members of one group, the first ``senders`` of them write."""

    senders: int

    def arrange(self, server: Host, order: Sequence[int], workers: int, chance: random.Random) -> People:
        """Founds the group."""
        gid = server.found_group("benchmark", order)
        people = People(units=[(uid,) for uid in order])
        for uid in order[: self.senders]:
            people.talks[uid] = [Talk(gid, tuple(one for one in order if one != uid), group=True)]
        people.probes = set(order[self.senders : self.senders + workers])
        return people


@dataclass(frozen=True)
class School:
    """Classes of ``size``, each a group; everybody has a friend and a class, and takes pictures for it.

    Route 0 is the friend, 1 the class, 2 the class with a picture.
    """

    size: int

    def arrange(self, server: Host, order: Sequence[int], workers: int, chance: random.Random) -> People:
        """Founds the classes; friends are by chance, mostly in other classes."""
        people = _in_pairs(order, server, "any")
        pupils = [uid for uid in order if uid in people.talks]
        chance.shuffle(pupils)
        for number, start in enumerate(range(0, len(pupils), self.size)):
            members = pupils[start : start + self.size]
            if len(members) < 2:
                members = pupils[start - self.size :]
            gid = server.found_group(f"class {number + 1}", members)
            for uid in members:
                mates = tuple(one for one in members if one != uid)
                people.talks[uid] = people.talks[uid][:1]
                people.talks[uid] += [Talk(gid, mates, group=True), Talk(gid, mates, group=True, picture=True)]
        return people


class Arrangement(Protocol):
    """Decides who writes to whom."""

    def arrange(self, server: Host, order: Sequence[int], workers: int, chance: random.Random) -> People:
        """For users in this (random) order."""
