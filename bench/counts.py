"""Figures of a message that do not depend on the machine: rows, bytes, commits, writes to sockets, counted in a simulation.

The server's own shards run over the memory store in one thread with a clock that stands still, so a count is the same
everywhere and changes only when the code does. ``bench/counts.json`` has the limits; a change that needs more says so by
changing that file.
"""

from __future__ import annotations

import json
from collections import deque
from pathlib import Path

from lanying.shard.store.memory import MemoryBatch, MemoryStore
from lanying.testing.simulation import Device, Simulation, User

LIMITS = Path(__file__).resolve().parent / "counts.json"
MESSAGES = 200
BURST = 50
TEXT = "x" * 100


class _Wire(deque[tuple[str, bytes]]):
    """A bus that counts."""

    appended = 0

    def append(self, item: tuple[str, bytes]) -> None:
        self.appended += 1
        super().append(item)


class _Counter:
    """Counts what the shards of a simulation write and send."""

    def __init__(self, simulation: Simulation) -> None:
        self.rows = self.row_bytes = self.writes = self.flushes = 0
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


def count() -> dict[str, float]:
    """All counts, per message, by name."""
    found: dict[str, float] = {}
    for place, cross in (("cross", True), ("same", False)):
        for pace, burst in (("alone", 1), ("burst", BURST)):
            simulation, sender, receiver, _, bob = _pair(cross)
            counter = _Counter(simulation)
            counter.watch(sender)
            counter.watch(receiver)
            before = len(receiver.texts)
            for at in range(MESSAGES):
                sender.send(bob, TEXT, run=False)
                if (at + 1) % burst == 0:
                    simulation.run()
            assert len(receiver.texts) - before == MESSAGES, "a message did not arrive"
            for name in ("rows", "row_bytes", "writes", "flushes", "envelopes", "socket_writes", "socket_bytes"):
                found[f"{place}_{pace}_{name}"] = round(getattr(counter, name) / MESSAGES, 3)
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
    return {name: (value, known[name]) for name, value in found.items() if name in known and value > known[name] + 1e-9}
