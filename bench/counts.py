"""Figures of a message that do not depend on the machine, counted in a simulation: rows and bytes for RocksDB, commits,
flushes, envelopes on the bus, writes to sockets and their bytes, calls of Python functions.

The server's own shards run over the memory store in one thread with a clock that stands still, so a count is the same
everywhere and changes only when the code does. ``bench/counts.json`` has the limits, which ``lanying-bench quick --accept``
writes: a change that needs more says so by changing that file, one that needs less lowers it. Calls were recorded with
Python 3.11; later versions make fewer (comprehensions are not calls there).
"""

from __future__ import annotations

import json
import sys
from collections import deque
from pathlib import Path
from types import FrameType

from lanying.protocol.schema.xsync_pb2 import MessageBody
from lanying.shard.store.memory import MemoryBatch, MemoryStore
from lanying.testing.simulation import Device, Simulation, User

LIMITS = Path(__file__).resolve().parent / "counts.json"
MESSAGES = 200
BURST = 50
SETTLED = 50
"""Links are acknowledged, and what they brought is synced, every so many messages: every ``LINK_ACK_S`` at 200 messages/s."""
MEMBERS = 40
"""Of the group; its figures are per copy."""
TEXT = "x" * 100
CALLS_MARGIN = 1.1
"""A call more is no regression by itself; a tenth more is one somebody should have meant."""
NAMES = ("rows", "row_bytes", "writes", "flushes", "envelopes", "socket_writes", "socket_bytes", "calls")
_SOURCES = str(Path(sys.modules["lanying"].__path__[0]))
_OURS = (f"{_SOURCES}/testing/", f"{_SOURCES}/shard/store/memory.py")
"""Only of the simulation: their calls do not count."""


class _Wire(deque[tuple[str, bytes]]):
    """A bus that counts."""

    appended = 0

    def append(self, item: tuple[str, bytes]) -> None:
        self.appended += 1
        super().append(item)


class _Counter:
    """Counts what the shards of a simulation write and send."""

    def __init__(self, simulation: Simulation) -> None:
        self.rows = self.row_bytes = self.writes = self.flushes = self.calls = 0
        self.socket_writes = self.socket_bytes = 0
        for store in simulation.stores:
            self._watch(store)
        simulation._wire = self._wire = _Wire(simulation._wire)

    @property
    def envelopes(self) -> int:
        """What went over the bus."""
        return self._wire.appended

    def _watch(self, store: MemoryStore) -> None:
        write, flush = store.write, store.flush

        def counted_write(batch: MemoryBatch) -> None:
            self.writes += 1
            self.rows += len(batch.operations)
            self.row_bytes += batch.size
            write(batch)

        def counted_flush() -> None:
            self.flushes += 1
            flush()

        setattr(store, "write", counted_write)  # noqa: B010 - a method of one object
        setattr(store, "flush", counted_flush)  # noqa: B010

    def watch(self, device: Device) -> None:
        """Count what a device is written."""
        read = device.read

        def counted_read(data: bytes) -> None:
            self.socket_writes += 1
            self.socket_bytes += len(data)
            read(data)

        setattr(device, "read", counted_read)  # noqa: B010

    def called(self, frame: FrameType, event: str, argument: object) -> None:
        """For ``sys.setprofile``."""
        if event == "call":
            file = frame.f_code.co_filename
            if file.startswith(_SOURCES) and not file.startswith(_OURS):
                self.calls += 1


def _pair(cross: bool) -> tuple[Simulation, Device, Device, User, User]:
    simulation = Simulation(2)
    alice = simulation.user("alice")
    wanted = (simulation.map.shard_of(alice.uid) == 1) != cross
    number = 0
    while True:
        bob = simulation.user(f"bob{number}")
        if (simulation.map.shard_of(bob.uid) == 1) == wanted:
            break
        number += 1
    first, second = alice.device(), bob.device()
    first.send(bob, "first contact")
    return simulation, first, second, alice, bob


def _group() -> tuple[Simulation, list[Device], int]:
    simulation = Simulation(2)
    users = [simulation.user(f"member{number}") for number in range(MEMBERS)]
    devices = [user.device() for user in users]
    return simulation, devices, simulation.group(*users)


def _measure(simulation: Simulation, devices: list[Device], to: User | int, burst: int, kind: int) -> dict[str, int]:
    """Counts of :data:`MESSAGES` messages of the first device, in bursts; one burst before is not counted."""
    sender, *receivers = devices
    send = {"type": kind}

    def run(messages: int) -> None:
        for at in range(messages):
            sender.send(to, TEXT, run=False, **send)
            if (at + 1) % burst == 0:
                simulation.run(settle=(at + 1) % SETTLED == 0)

    run(BURST)
    counter = _Counter(simulation)
    for device in devices:
        counter.watch(device)
    before = sum(len(receiver.texts) for receiver in receivers)
    sys.setprofile(counter.called)
    try:
        run(MESSAGES)
    finally:
        sys.setprofile(None)
    arrived = sum(len(receiver.texts) for receiver in receivers) - before
    assert arrived == MESSAGES * len(receivers), "a message did not arrive"
    return {name: getattr(counter, name) for name in NAMES}


def count() -> dict[str, float]:
    """All counts, per message or copy, by name."""
    found: dict[str, float] = {}
    for pace, burst in (("alone", 1), ("burst", BURST)):
        for place, cross in (("cross", True), ("same", False)):
            simulation, sender, receiver, _, bob = _pair(cross)
            counted = _measure(simulation, [sender, receiver], bob, burst, MessageBody.CHAT)
            found |= {f"{place}_{pace}_{name}": round(value / MESSAGES, 3) for name, value in counted.items()}
        simulation, devices, gid = _group()
        counted = _measure(simulation, devices, gid, burst, MessageBody.GROUPCHAT)
        copies = MESSAGES * (MEMBERS - 1)
        found |= {f"group_{pace}_{name}": round(value / copies, 4) for name, value in counted.items()}
    return found


def limits() -> dict[str, float]:
    """The limits; empty when there are none yet."""
    return dict(json.loads(LIMITS.read_text())) if LIMITS.exists() else {}


def accept(found: dict[str, float]) -> None:
    """Make these counts the limits."""
    LIMITS.write_text(json.dumps(found, indent=1) + "\n")


def exceeded(found: dict[str, float]) -> dict[str, tuple[float, float]]:
    """Counts above their limit: ``(count, limit)`` by name."""
    known = limits()
    return {
        name: (value, known[name])
        for name, value in found.items()
        if name in known and value > known[name] * (CALLS_MARGIN if name.endswith("_calls") else 1) + 1e-9
    }
