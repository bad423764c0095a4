"""Power failures in a simulation: users who write and read while the power goes at any moment, and what has to be true afterwards.

A run is a seed: which clients write to whom, answer, leave and come back, which shard gets on by how much, and when the power goes: of
one shard or of all, with any number of unflushed batches on the disk nevertheless. Clients outlive it: they know what they have shown,
up to where they have acknowledged each queue, and what they were not answered, which they send again. Once everything has come to
rest:

- what was acknowledged to its sender is in both mailboxes once, and on every device once; what a device shows is there;
- all devices show a conversation in the order of its queue, and each sender's messages in the order they were sent;
- no position of a queue that a device may know of was ever given to another message;
- what was read is marked so with its author, what was recalled is nowhere;
- the invariants of ``lanying-cluster verify``.

``python -m lanying.testing.power_cut --seeds 5000`` is the long form.

Over 400 lines: what happens, who it happens to and what has to be true know each other.
"""

from __future__ import annotations

import argparse
import random
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Final
from unittest.mock import patch

from lanying.base import limits
from lanying.protocol import frame
from lanying.protocol.schema.xsync_pb2 import MessageBody, MessageOperation, Meta, SyncDL
from lanying.shard.core import links
from lanying.shard.core.tick import Tick
from lanying.shard.shard import Shard
from lanying.shard.store import schema
from lanying.shard.store.memory import MemoryStore
from lanying.storage.verify import verify_links, verify_store
from lanying.testing.simulation import Device, Simulation, User

SHARDS: Final = 3
USERS: Final = 4
STEPS: Final = 300
EVERYTHING: Final = b"\xff" * 40


class Broken(AssertionError):
    """The promise was not kept."""


@dataclass
class SentOnce:
    """An upload of a client. ``mid``: what it was acknowledged with, 0: not yet; ``tries``: how often it was sent."""

    number: int
    peer: int
    text: str
    kind: int
    recall: int = 0
    read: int = 0
    all_of: int = 0
    mid: int = 0
    tries: int = 0

    @property
    def waits(self) -> bool:
        """It has to be sent again. An operation may be refused for good: what it is about was recalled."""
        return not self.mid and (self.message or self.tries < 6)

    @property
    def message(self) -> bool:
        """It is no operation."""
        return not (self.recall or self.read or self.all_of)


class HandsetLine(Device):
    """A connection of a client: asks when the run says so, from where the client is."""

    def __init__(self, client: Handset) -> None:
        self.client = client
        self.open: dict[int, int] = {}  # queue -> key to ask with next
        super().__init__(client.user, client.guid, automatic=False, listing=True)

    def _sync(self, sync: SyncDL) -> None:
        if sync.client_mid or sync.status.code != 1:
            super()._sync(sync)
            self.client.answered(sync.client_mid, sync.status.code == 1, sync.server_mid)
        elif sync.is_full_sync:
            super()._sync(sync)
        else:
            peer = sync.xid.uid
            for meta in sync.metas:
                self.client.show(peer, meta)
            if sync.next_key:
                self.client.keys[peer] = max(sync.next_key, self.client.keys.get(peer, 0))
                self.open[peer] = sync.next_key

    def asks(self) -> Iterator[int]:
        """Queues there is something to ask of."""
        for peer in self.notices:
            self.open.setdefault(peer, self.client.keys.get(peer, 0))
        self.notices.clear()
        for peer, count in self.unread.items():
            if count:
                self.open.setdefault(peer, self.client.keys.get(peer, 0))
        self.unread.clear()
        yield from self.open


@dataclass(eq=False)
class Handset:
    """A device of a user, whatever becomes of its connections.

    :ivar keys: up to where it has each queue
    :ivar shown: ids by queue, in the order they came first
    :ivar sent: uploads in order
    """

    user: User
    guid: str
    phone: HandsetLine | None = None
    keys: dict[int, int] = field(default_factory=dict)
    shown: dict[int, list[int]] = field(default_factory=dict)
    texts: dict[int, str] = field(default_factory=dict)
    recalled: set[int] = field(default_factory=set)
    sent: list[SentOnce] = field(default_factory=list)

    def show(self, peer: int, meta: Meta) -> None:
        """Something came; what it knows it shows no second time."""
        shown = self.shown.setdefault(peer, [])
        if meta.id in shown:
            return
        shown.append(meta.id)
        body = MessageBody.FromString(meta.payload) if meta.ns == Meta.MESSAGE else MessageBody()
        if body.type == MessageBody.OPER and body.operation.type == MessageOperation.RECALL:
            self.recalled.add(body.operation.mid)
        elif body.type != MessageBody.OPER and meta.ns == Meta.MESSAGE:
            self.texts[meta.id] = body.content

    def answered(self, number: int, accepted: bool, mid: int) -> None:
        """An upload was acknowledged; what is refused is sent again."""
        for one in self.sent:
            if one.number == number and accepted:
                if one.mid and one.mid != mid and (one.message or one.recall):  # to read once more does no harm
                    raise Broken(f"{self} was acknowledged {number} as {one.mid} and as {mid}")
                one.mid = mid

    def say(self, one: SentOnce) -> None:
        """SentOnce it, for the first time or again."""
        assert self.phone is not None
        one.tries += 1
        fields: dict[str, Any] = {}
        if one.recall:
            fields["operation"] = {"type": MessageOperation.RECALL, "mid": one.recall}
        elif one.read:
            fields["operation"] = {"type": MessageOperation.READ_ACK, "mid": one.read}
        elif one.all_of:
            fields["operation"] = {"type": MessageOperation.READ_ALL, "xid": {"uid": one.all_of}}
        self.phone.session.sends.full_at = 0.0
        self.phone.send(one.peer, one.text, client_mid=one.number, run=False, type=one.kind, **fields)

    def __repr__(self) -> str:
        return f"{self.user.name}'s {self.guid}"


class Run(Simulation):
    """One seed.

    :param stores: makes the store of a shard
    :ivar given: what was at each position when a device could learn of it
    :ivar stepping: nothing happens by itself
    """

    stepping = False

    def __init__(self, seed: int, make: Callable[[int], Any] = lambda index: MemoryStore()) -> None:
        super().__init__(SHARDS, stores=[make(index) for index in range(SHARDS)])
        self.random = random.Random(seed)
        self.given: dict[tuple[int, int, int], int] = {}
        self.number = 0
        self.users = [self.user(f"user{number}") for number in range(USERS)]
        groups = [self.group(self.users[at], *self.users) for at in range(2)]
        self.peers = [user.uid for user in self.users] + groups
        self.groups = set(groups)
        self.clients = [Handset(user, guid) for user in self.users for guid in ("phone", "desk")]
        for client in self.clients:
            client.phone = HandsetLine(client)
        for user in self.users:  # everybody knows everybody: a first contact is a step of its own
            client = next(one for one in self.clients if one.user is user)
            for peer in self.peers:
                if peer != user.uid:
                    self.say(client, peer)
                    self.run()
        self.rest()

    # --- what happens ---------------------------------------------------------------------------------------------

    def steps(self, count: int = STEPS) -> None:
        """So many steps at random."""
        acts = (
            (30, self.write),
            (25, self.pull),
            (40, self.turn_of_one),
            (30, self.carry_some),
            (12, self.operate),
            (2, self.settle_one),
            (6, self.leave_or_come),
            (3, self.cut_one),
            (5, self.cut_all),
        )
        weights = [weight for weight, _ in acts]
        self.stepping = True
        for _ in range(count):
            [(_, act)] = self.random.choices(acts, weights)
            self.pass_time(0.001)
            act()
        self.stepping = False

    def pass_time(self, seconds: float) -> None:
        """The clock goes on."""
        self.now += seconds
        self.now_ms += max(1, int(seconds * 1000))
        for shard in self.shards:
            shard.turn(self.now, self.now_ms)

    def any_online(self) -> Handset | None:
        """One of the clients that are connected."""
        online = [client for client in self.clients if client.phone is not None and not client.phone.closed]
        return self.random.choice(online) if online else None

    def say(self, client: Handset, peer: int, **fields: int) -> None:
        """Write something new."""
        self.number += 1
        kind = MessageBody.OPER if fields else MessageBody.GROUPCHAT if peer in self.groups else MessageBody.CHAT
        one = SentOnce(1_700_000_000_000 + self.number, peer, f"{self.number}", kind, **fields)
        client.sent.append(one)
        client.say(one)

    def write(self, client: Handset | None = None) -> None:
        """A message, unless the last one to the same conversation is not answered yet."""
        client = client or self.any_online()
        if client is None:
            return
        peer = self.random.choice(self.peers)
        if peer == client.user.uid or any(one.waits and one.peer == peer for one in client.sent):
            return
        self.say(client, peer)

    def operate(self, client: Handset | None = None) -> None:
        """A recall of an own message, or "read" of somebody else's, or of all of them."""
        client = client or self.any_online()
        if client is None:
            return
        if self.random.random() < 0.3:
            self.say(client, client.user.uid, all_of=self.random.choice(self.peers))
            return
        own = [one for one in client.sent if one.mid and one.message]
        theirs = [(peer, mid) for peer, mids in client.shown.items() for mid in mids if mid in client.texts]
        if self.random.random() < 0.2 and own:
            one = self.random.choice(own)
            self.say(client, one.peer, recall=one.mid)
        elif theirs:
            peer, mid = self.random.choice(theirs)
            author = self.author(mid)
            if author and author != client.user.uid and not (peer in self.groups and author == peer):
                self.say(client, author if peer in self.groups else peer, read=mid)

    def author(self, mid: int) -> int:
        """Who was acknowledged this id; 0: nobody yet."""
        return next((c.user.uid for c in self.clients for one in c.sent if one.mid == mid), 0)

    def pull(self) -> None:
        """A client asks for what is behind what it has."""
        client = self.any_online()
        if client is None or client.phone is None:
            return
        asks = list(client.phone.asks())
        if asks:
            peer = self.random.choice(asks)
            client.phone.pull(peer, client.phone.open.pop(peer) or None, run=False)

    def turn_of_one(self) -> None:
        """A shard commits and lets out."""
        self.commit(self.random.choice(self.shards))

    def carry_some(self) -> None:
        """Envelopes to some processes arrive."""
        for index in range(SHARDS):
            if self.random.random() < 0.4:
                self.hold.add(f"shard-{index}")
        self.carry()
        self.hold.clear()

    def settle_one(self) -> None:
        """A shard syncs what it has let out, and acknowledges it."""
        self.settle(self.random.choice(self.shards))

    def leave_or_come(self) -> None:
        """A connection ends, or begins."""
        client = self.random.choice(self.clients)
        if client.phone is not None and not client.phone.closed:
            client.phone.leave()
            client.phone = None
        else:
            self.come(client)

    def come(self, client: Handset) -> None:
        """Connect, and send again what was not answered."""
        client.phone = HandsetLine(client)
        for one in client.sent:
            if one.waits:
                client.say(one)

    def cut_one(self) -> None:
        """One shard loses its power."""
        self.cut([self.random.randrange(SHARDS)])

    def cut_all(self) -> None:
        """All do, and what was on its way between them is gone."""
        self._wire.clear()
        self.cut(range(SHARDS))

    def cut(self, indexes: Sequence[int]) -> None:
        """A tick may be written and its flush under way."""
        for index in indexes:
            shard = self.shards[index]
            if self.random.random() < 0.3 and not shard.tick.empty:
                shard.seal()
            for client in self.clients:
                if self.map.shard_of(client.user.uid) == index:
                    client.phone = None
            unflushed = self.stores[index].unflushed
            self.crash(index, self.random.randint(0, unflushed) if self.random.random() < 0.4 else 0)
        for client in self.clients:
            if client.phone is None and self.random.random() < 0.6:
                self.come(client)
                if self.random.random() < 0.6:  # before the other shards have said what they know
                    self.write(client)
                if self.random.random() < 0.3:
                    self.operate(client)
        for shard in self.shards:
            if self.random.random() < 0.7:
                self.commit(shard)

    def run(self, *, settle: bool = True) -> None:
        """Until nothing moves; while steps are taken one by one, what is decided is let out and nothing more."""
        if not self.stepping:
            super().run(settle=settle)
            return
        for shard in self.shards:
            self.commit(shard)

    # --- what is watched --------------------------------------------------------------------------------------------

    def commit(self, shard: Shard) -> bool:
        """As ever; what is let out may be known to a device."""
        tick = shard.tick
        moved = super().commit(shard)
        if moved:
            self.released(tick)
        return moved

    def released(self, tick: Tick) -> None:
        """Entries that were let out keep their positions."""
        for head, entry in tick.touched:
            if entry.meta:
                self.give((head.uid, head.peer, entry.seq), Meta.FromString(entry.meta).id)
        for message in tick.groups:
            if message.seq:
                self.give((message.gid, message.gid, message.seq), message.mid)

    def give(self, place: tuple[int, int, int], mid: int) -> None:
        """A position has a message."""
        before = self.given.setdefault(place, mid)
        if before != mid:
            raise Broken(f"position {place} was {before}, and is {mid}")

    # --- and at the end ------------------------------------------------------------------------------------------------

    def rest(self) -> None:
        """Everybody comes, sends and asks until nothing is left."""
        for _ in range(200):
            self.run()
            busy = False
            for client in self.clients:
                if client.phone is None or client.phone.closed:
                    self.come(client)
                    busy = True
                phone = client.phone
                assert phone is not None
                for one in client.sent:
                    if one.waits:
                        client.say(one)
                        busy = True
                for peer in list(phone.asks()):
                    phone.pull(peer, phone.open.pop(peer) or None, run=False)
                    busy = True
            self.run()
            self.pass_time(limits.IN_FLIGHT_RETRY_S + 1)
            for shard in self.shards:
                shard.pulls.end_loops()
                shard.links.clock(shard.tick)
                shard.store_cursors()
            for client in self.clients:  # the heartbeat: what a client was not given it hears of again
                if client.phone is not None:
                    client.phone.put(frame.unread_request(), run=False)
            self.run()
            if not busy and not any(list(client.phone.asks()) for client in self.clients if client.phone):
                return
        raise Broken("it does not come to rest")

    def check(self) -> None:
        """Is the promise kept? :raises Broken: it is not"""
        self.rest()
        problems = verify_links(self.stores)
        for index, store in enumerate(self.stores):
            problems += verify_store(store, index)
        if problems:
            raise Broken("; ".join(map(str, problems)))
        # Whoever was not answered does not know whether it was recalled.
        recalls = {one.recall: bool(one.mid) for client in self.clients for one in client.sent if one.recall}
        for user in self.users:
            for peer in self.peers:
                if peer != user.uid:
                    self.check_queue(user, peer, recalls)
            self.check_order(user, 0, self.queue(user.uid, 0))

    def queue(self, uid: int, peer: int) -> list[Meta]:
        """What is in a queue, in order."""
        owner = peer if peer in self.groups else uid
        store = self.stores[self.map.shard_of(owner)]
        prefix = schema.pack_pair(owner, peer)
        rows = store.scan(schema.QUEUE, prefix, prefix + EVERYTHING)
        return [Meta.FromString(row) for _, row in rows if row]

    def check_queue(self, user: User, peer: int, recalls: dict[int, bool]) -> None:
        """One conversation of one user."""
        entries = self.queue(user.uid, peer)
        mids = [meta.id for meta in entries]
        if len(set(mids)) != len(mids):
            raise Broken(f"{user.name} has a message of {peer} twice: {mids}")
        senders = [c for c in self.clients if c.user is user or (peer in self.groups) or c.user.uid == peer]
        for client in senders:
            to = {peer} if client.user is user or peer in self.groups else {user.uid}
            sent = [one.mid for one in client.sent if one.peer in to and one.message]
            there = [mid for mid in mids if mid in set(sent)]
            expected = [mid for mid in sent if mid not in recalls or (not recalls[mid] and mid in there)]
            if there != expected:
                raise Broken(f"{client} sent {expected}, {user.name} has {there} with {peer}")
        self.check_order(user, peer, entries)

    def check_order(self, user: User, peer: int, entries: list[Meta]) -> None:
        """What the devices show is what is in the queue, in its order; their own they show without being given it."""
        places = {meta.id: place for place, meta in enumerate(entries)}
        for client in self.clients:
            if client.user is not user:
                continue
            shown = [mid for mid in client.shown.get(peer, []) if mid in places]
            if shown != sorted(shown, key=places.__getitem__):
                raise Broken(f"{client} shows {shown} with {peer}, in the queue is {list(places)}")
            assert client.phone is not None
            sn = client.phone.sn
            own = {
                meta.id
                for meta in entries
                if (getattr(meta, "from").uid, getattr(meta, "from").deviceSN) == (user.uid, sn)
            }
            missing = [mid for mid in places if mid not in own and mid not in shown]
            if missing and peer:
                raise Broken(f"{client} does not show {missing} with {peer}")
            unknown = [mid for mid in client.shown.get(peer, []) if mid not in places and mid in client.texts]
            if [mid for mid in unknown if mid not in client.recalled]:
                raise Broken(f"{client} shows {unknown} with {peer}, which is nowhere")


def one(seed: int, make: Callable[[int], Any] = lambda index: MemoryStore(), steps: int = STEPS) -> int:
    """Run a seed: how many uploads were acknowledged. :raises Broken: the promise was not kept"""
    with patch.object(links, "TRIM_EVERY", 1):  # what is acknowledged too early is missed at once
        run = Run(seed, make)
        run.steps(steps)
        run.check()
    return sum(1 for client in run.clients for one in client.sent if one.mid)


def main() -> int:
    """The long form: seeds one after the other, each that breaks the promise is printed."""
    parser = argparse.ArgumentParser(prog="python -m lanying.testing.power_cut", description=__doc__.split("\n")[0])
    parser.add_argument("--seeds", type=int, default=1000, help="how many (default 1000)")
    parser.add_argument("--first", type=int, default=0, help="the first one (default 0)")
    parser.add_argument("--steps", type=int, default=STEPS, help=f"of each run (default {STEPS})")
    options = parser.parse_args()
    broken = 0
    for seed in range(options.first, options.first + options.seeds):
        try:
            one(seed, steps=options.steps)
        except AssertionError as error:
            broken += 1
            print(f"seed {seed}: {error}")
    print(f"{options.seeds} seeds, {broken} broken")
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
