"""A small town on disk: real shards over RocksDB in a data directory, with people who have written to each other."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec

from lanying.base.ids import slot_of
from lanying.bus.messages import GroupInfo, Seat
from lanying.cluster.shardmap import ShardMap
from lanying.config.apps import App
from lanying.protocol import frame
from lanying.protocol.schema.xsync_pb2 import MessageBody, MessageOperation
from lanying.shard.accounts import accounts
from lanying.shard.groups import records
from lanying.storage import directory
from lanying.testing.simulation import START_MS, Simulation, User

NAMES = tuple(f"user{number}" for number in range(12))
LATER_MS = 60_000

Seen = tuple[int, int, dict[int, int], dict[int, list[tuple[int, str, int]]]]
"""What a user sees: their uid and device, what is unread, and the messages (id, text, status) of every conversation."""


def found(data: Path, shards: int) -> None:
    """An empty data directory, as a first start leaves it."""
    data.mkdir(mode=0o700)
    (data / "apps.json").write_bytes(msgspec.json.encode([App("lanying", "Lanying", "ab" * 32)]))
    (data / "admin-token").write_text("token\n")
    ShardMap.even(shards).save(data)


@contextmanager
def running(data: Path, later: int = 0) -> Iterator[Simulation]:
    """The server of a data directory, ``later`` minutes after the first start."""
    shard_map = directory.need_map(data)
    paths = [directory.shard_path(data, index) for index in range(shard_map.shards)]
    with directory.opened(paths) as stores:
        for store in stores:
            store.flush = lambda: None  # type: ignore[method-assign]  # nobody pulls the plug here
        sim = Simulation(shard_map.shards, stores=list(stores), shard_map=shard_map, now_ms=START_MS + later * LATER_MS)
        yield sim
        for shard in sim.shards:
            shard.store_cursors()
        sim.run()


def people(sim: Simulation) -> dict[str, User]:
    """Everybody by name: registered, or found again."""
    everybody = {}
    for name in NAMES:
        shard = sim.shards[sim.map.shard_of_name("lanying", name)]
        uid = accounts.find_name(shard.work.store, "lanying", name)
        everybody[name] = User(sim, uid, name, "lanying") if uid else sim.user(name)
    return everybody


def club(sim: Simulation) -> int:
    """A group of everybody; its id."""
    everybody = list(people(sim).values())
    founder, shard = everybody[0], everybody[0].shard.work
    gid = accounts.next_id(shard, slot_of(founder.uid))
    records.save(shard, records.Group(GroupInfo(gid, "lanying", founder.uid, 0, 100, sim.now_ms, sim.now_ms)))
    for user in everybody:
        records.save_member(shard, gid, user.uid, records.Member(sim.now_ms))
        shard.link(user.uid, Seat(user.uid, gid))
        shard.apply_local()
        sim.run()
    return gid


def talk(sim: Simulation, rounds: int = 3) -> None:
    """Everybody writes to the next three and to a group; some messages are recalled or marked, some devices stay behind."""
    everybody = list(people(sim).values())
    devices = [user.device("phone") for user in everybody]
    gid = club(sim)
    for number in range(rounds):
        for index, device in enumerate(devices):
            device.send(gid, f"all {index}-{number}", type=MessageBody.GROUPCHAT)
            for step in (1, 2, 3):
                peer = everybody[(index + step) % len(everybody)]
                mid = device.acknowledged[device.send(peer, f"{index}-{number}-{step}")]
                if step == 1 and number == 0:
                    device.operate(peer, MessageOperation.RECALL, mid)
                if step == 2:
                    reader = devices[(index + 2) % len(devices)]
                    reader.operate(everybody[index], MessageOperation.READ_ACK, mid)
    for device in devices[::2]:
        device.leave()
    for index, device in enumerate(devices):
        if not device.closed:
            device.send(everybody[(index + 1) % len(everybody)], f"unread {index}")
            device.send(gid, f"unread by some {index}", type=MessageBody.GROUPCHAT)


def leave_under_way(sim: Simulation) -> list[tuple[str, str]]:
    """Send messages that are committed by their senders and lost on the way to other shards; names from and to."""
    everybody = list(people(sim).values())
    names = {f"shard-{shard.work.index}" for shard in sim.shards}
    sent = []
    for user, peer in zip(everybody, [*everybody[1:], everybody[0]], strict=True):
        device = user.device("phone")
        if user.shard is not peer.shard:
            sim.hold |= names
            device.send(peer, f"under way from {user.name}")
            sim.hold.clear()
            for name in names:
                sim.drop(name)
            sent.append((user.name, peer.name))
    return sent


def state(sim: Simulation) -> dict[str, Seen]:
    """What everybody sees: history of every conversation with marks, and what is unread on their phone."""
    seen: dict[str, Seen] = {}
    everybody = people(sim)
    for name, user in everybody.items():
        device = user.device("phone", automatic=False, listing=False)
        device.put(frame.unread_request())
        pages = {}
        for peer in (*(peer.uid for peer in everybody.values()), *user.shard.work.mailboxes.joined(user.uid)):
            bodies = [(meta.id, MessageBody.FromString(meta.payload)) for meta in device.history(peer, 0, 100).metas]
            pages[peer] = [(mid, body.content, body.status) for mid, body in bodies]
        seen[name] = (user.uid, device.sn, dict(sorted(device.unread.items())), pages)
        device.leave()
    return seen
