"""How long a server is away while slots move: ``python -m bench.move --messages 200000``.

Writes 1:1 messages by the code of the shards into a private data directory (no sockets, no flushes: quicker than clients would), starts a
server on it, has ``shards drain`` and then ``shards move`` done over the console, and prints what each says.
"""

from __future__ import annotations

import argparse
import random
import tempfile
from pathlib import Path

from lanying.admin.console.client import Address, Console
from lanying.config.schema import Config
from lanying.storage import directory
from lanying.supervisor.datadir import DataDirectory
from lanying.testing.cluster import Cluster
from lanying.testing.simulation import START_MS, Simulation

TEXT_CHARS = (20, 200)
"""Shortest and longest message."""
ROUND_S = 2.0
"""Between two messages of one user: below every rate limit."""


def main() -> None:
    """Measure."""
    parser = argparse.ArgumentParser(description="How long a server is away while slots move.")
    parser.add_argument("--messages", type=int, default=200_000)
    parser.add_argument("--users", type=int, default=200)
    parser.add_argument("--shards", type=int, default=2)
    parser.add_argument("--directory", type=Path, help="where the private data goes, default the temporary directory")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="lanying-move-", dir=options.directory) as name:
        place = Path(name)
        fill(place / "data", options.shards, options.users, options.messages)
        measure(place, options.shards)


def fill(data: Path, shards: int, users: int, messages: int) -> None:
    """Everybody writes to the ten behind them, in turn."""
    lock = DataDirectory(data)
    lock.prepare(Config(data=str(data)), shards)
    dice = random.Random(1)
    letters = "".join(dice.choices("etaoin shrdlu", k=100_000))
    try:
        with directory.opened([directory.shard_path(data, index) for index in range(shards)]) as stores:
            for store in stores:
                store.flush = lambda: None  # type: ignore[method-assign]
            sim = Simulation(shards, stores=list(stores), now_ms=START_MS)
            people = [sim.user(f"user{number}") for number in range(users)]
            devices = [person.device("phone") for person in people]
            for number in range(messages // users):
                for index, device in enumerate(devices):
                    at = dice.randrange(len(letters) - TEXT_CHARS[1])
                    text = letters[at : at + dice.randint(*TEXT_CHARS)]
                    device.send(people[(index + 1 + number % 10) % users], text, run=False)
                sim.run()
                sim.advance(ROUND_S)
                for device in devices:
                    for seen in (device.metas, device.frames, device.notices, device.pages):
                        seen.clear()
            refused = sum(len(device.refused) for device in devices)
            assert not refused, f"{refused} messages were refused"
    finally:
        lock.close()


def measure(place: Path, shards: int) -> None:
    """Move there and back."""
    with Cluster(place, shards=0) as server, Console(Address(data=server.data)) as console:
        size = sum(directory.tree_bytes(directory.shard_path(server.data, index)) for index in range(shards))
        print(f"{size / 1e6:.0f} MB in {shards} shards")
        for command, arguments in (("shards drain", {"shard": shards - 1}), ("shards move", {"shards": shards})):
            print(console.run(command, arguments, dry=True).value["would"])
            done = console.run(command, arguments, timeout_s=3600).value
            print(
                f"  {done['result']}: {done['moving_seconds']:.1f} s of moving, {done['away_seconds']:.1f} s without service"
            )


if __name__ == "__main__":
    main()
