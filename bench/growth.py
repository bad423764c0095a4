"""What a message costs as a store grows: ``python -m bench.growth --messages 1000000 --accounts 4000``.

One store of one shard, driven in this process by the code that a shard drives it with (:class:`~lanying.shard.core.tick.Events`,
:class:`~lanying.shard.core.mailbox.Mailboxes`): no sockets, no other process, so a million messages take a minute. Every message is
written as if its two users were on two shards and both shards were this one: the rows of both mailboxes, the one that recognises a
repeated send, the bundle in the outbox with its trims, the positions of the link, and once for every second's messages the heads and
cursors that moved. Everybody writes to the ``--partners`` behind them, in random order. Each tick is one write and one sync.

A line for every window: CPU (all threads of this process, so RocksDB's flushes and compactions too) and how much of it was not on this
thread; bytes of rows and bytes that went to the disk (``/proc/self/io``); the first page of a history, an older page and the heads of a
user, each of random users; what the process takes of memory; files of the database. At the end the database is closed and opened again.
"""

from __future__ import annotations

import argparse
import os
import random
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from bench.measure import memory
from lanying.base.ids import MessageIds
from lanying.bus.messages import Deliver
from lanying.cluster.shardmap import ShardMap
from lanying.config import schema as config
from lanying.protocol import frame
from lanying.protocol.schema.xsync_pb2 import MessageBody, Meta
from lanying.shard.chat import history
from lanying.shard.core.links import TRIM_EVERY, bundles
from lanying.shard.core.mailbox import Mailboxes
from lanying.shard.core.tick import Events, Tick
from lanying.shard.store import schema
from lanying.shard.store.rocks import RocksStore

MIB = 1 << 20
FIRST_UID = 1 << 20
SN = 1
NOW_MS = 1_790_000_000_000
PER_SECOND = 10_000
"""Messages of a second: saturated, as far as a shard gets."""
PER_TICK = 200
"""Messages of a commit, saturated."""
PAYLOADS = 1 << 14
TEXT_CHARS = 100
READS = 300
"""Pages of each kind that are read between two windows."""


@dataclass(frozen=True)
class Point:
    """Counters of this process and of what it wrote."""

    cpu_s: float
    own_s: float
    disk_bytes: int
    row_bytes: int

    def __sub__(self, before: Point) -> Point:
        return Point(
            self.cpu_s - before.cpu_s,
            self.own_s - before.own_s,
            self.disk_bytes - before.disk_bytes,
            self.row_bytes - before.row_bytes,
        )


@dataclass(frozen=True)
class Window:
    """What some messages took, and what reads take behind them.

    :ivar stored: messages in the store at the end of the window
    :ivar cpu_us: CPU per message, ``background_us`` what of it was not on the writing thread
    :ivar row_bytes: keys and values per message, ``disk_bytes`` what the disk got
    :ivar page_us: the newest 20 messages of a conversation, ``old_page_us`` 20 from its middle, ``heads_us`` all heads of a user; CPU
    """

    stored: int
    cpu_us: float
    background_us: float
    row_bytes: float
    disk_bytes: float
    page_us: float
    old_page_us: float
    heads_us: float
    pss: int
    files: int
    size: int

    HEAD = "   messages  µs CPU (behind)  rows B  disk B  ratio  page µs  older  heads  PSS MiB  files     MiB"

    def __str__(self) -> str:
        return (
            f"{self.stored:11,} {self.cpu_us:7.1f} {self.background_us:8.1f} {self.row_bytes:7.0f} {self.disk_bytes:7.0f} "
            f"{self.disk_bytes / self.row_bytes:6.2f} {self.page_us:8.0f} {self.old_page_us:6.0f} {self.heads_us:6.0f} "
            f"{self.pss / MIB:8.1f} {self.files:6} {self.size / MIB:7.0f}"
        )


class Town:
    """Accounts that write to each other, over one store.

    :param partners: conversations of each that they write in
    """

    def __init__(self, store: RocksStore, accounts: int, partners: int) -> None:
        self.store = store
        self.events = Events(0, ShardMap.even(1), store)
        self.mailboxes = Mailboxes(self.events.store, self.events)
        self._ids = MessageIds(0, 0)
        self._dice = random.Random(1)
        self._accounts = accounts
        self._partners = partners
        self._payloads = payloads(self._dice)
        self._bundle = self._trimmed = 0
        self.stored = self.row_bytes = 0

    def pair(self) -> tuple[int, int]:
        """Who writes to whom."""
        dice = self._dice
        index = dice.randrange(self._accounts)
        other = (index + 1 + dice.randrange(self._partners)) % self._accounts
        return FIRST_UID + index, FIRST_UID + other

    def write(self, count: int) -> None:
        """So many messages."""
        stop = self.stored + count
        while self.stored < stop:
            self._tick(min(PER_TICK, stop - self.stored))

    def _tick(self, count: int) -> None:
        events, mailboxes, store = self.events, self.mailboxes, self.events.store
        tick = events.tick
        for _ in range(count):
            self._message(*self.pair(), NOW_MS + self.stored * 1000 // PER_SECOND)
            self.stored += 1
        batch = tick.batch
        for item in bundles([item for _, item in tick.links]):
            self._bundle += 1
            batch.put(schema.OUTBOX, schema.pack_outbox(1, self._bundle), item)
        batch.put(schema.LINKS, b"out" + schema.pack_u16(1), schema.pack_u64(self._bundle))
        batch.put(schema.LINKS, b"in" + schema.pack_u16(1), schema.pack_u64(self._bundle))
        if self._bundle - self._trimmed >= 2 * TRIM_EVERY:
            first, self._trimmed = self._trimmed, self._bundle - TRIM_EVERY
            batch.delete_range(schema.OUTBOX, schema.pack_outbox(1, first), schema.pack_outbox(1, self._trimmed + 1))
        mailboxes.seal()
        if self.stored % PER_SECOND < PER_TICK:
            mailboxes.store_positions()
        self.row_bytes += batch.size
        store.write(batch)
        events.open(Tick(store.batch()))
        store.flush()

    def _message(self, uid: int, peer: int, now_ms: int) -> None:
        """The rows of both sides."""
        events, mailboxes = self.events, self.mailboxes
        mid = self._ids.next(now_ms)
        meta = frame.meta(mid, uid, SN, peer, now_ms, Meta.MESSAGE, self._payloads[mid % PAYLOADS])
        events.put(schema.SENT, schema.pack_device_peer(uid, SN, now_ms), schema.SENT_VALUE.pack(mid, mid & 0xFFFFFFFF))
        mailboxes.append(mailboxes.head(uid, peer), mid, meta, listed=True)
        events.tell(1, Deliver(peer, uid, mid, meta, True, False, 0, 0))
        head = mailboxes.head(peer, uid)
        mailboxes.append(head, mid, meta, listed=True)
        mailboxes.move_cursor(head, SN, head.last_seq)

    # --- reads --------------------------------------------------------------------------------------------------------

    def page(self) -> None:
        """The newest messages of a conversation."""
        history.page(self.store, self.mailboxes.head(*self.pair()), 0, history.DEFAULT_PAGE)

    def old_page(self) -> None:
        """From the middle of what time there is."""
        newest = self._ids.last
        oldest = MessageIds(0, 0).next(NOW_MS)
        history.page(
            self.store, self.mailboxes.head(*self.pair()), oldest + (newest - oldest) // 2, history.DEFAULT_PAGE
        )

    def heads(self) -> None:
        """What an unread list is made of."""
        for _ in self.mailboxes.heads(self.pair()[0]):
            pass

    def point(self) -> Point:
        """Now."""
        return Point(time.process_time(), time.thread_time(), disk_bytes(), self.row_bytes)


def payloads(dice: random.Random) -> list[bytes]:
    """Bodies of text messages, in words that come as often as words do."""
    letters = "etaoinshrdlucmfwygpbvk"
    words = ["".join(dice.choices(letters, k=dice.randint(2, 9))) for _ in range(4000)]
    weights = [1 / (rank + 3) for rank in range(len(words))]
    found = []
    for _ in range(PAYLOADS):
        text = " ".join(dice.choices(words, weights, k=TEXT_CHARS // 4))[:TEXT_CHARS]
        body = MessageBody(type=MessageBody.CHAT, ctype=MessageBody.TEXT, content=text)
        found.append(body.SerializeToString())
    return found


def disk_bytes() -> int:
    """What this process caused to be written."""
    fields = dict(line.split(": ") for line in Path("/proc/self/io").read_text().splitlines())
    return int(fields["write_bytes"])


def timed(act: Callable[[], None]) -> float:
    """Median CPU of one call, µs."""
    took = []
    for _ in range(READS):
        began = time.thread_time_ns()
        act()
        took.append(time.thread_time_ns() - began)
    return sorted(took)[READS // 2] / 1000


def measure(town: Town, count: int) -> Window:
    """Write a window of messages, then read."""
    before = town.point()
    town.write(count)
    spent = town.point() - before
    files = [entry.stat().st_size for entry in os.scandir(town.store.path)]
    return Window(
        town.stored,
        spent.cpu_s / count * 1e6,
        (spent.cpu_s - spent.own_s) / count * 1e6,
        spent.row_bytes / count,
        spent.disk_bytes / count,
        timed(town.page),
        timed(town.old_page),
        timed(town.heads),
        memory(os.getpid()).pss,
        len(files),
        sum(files),
    )


def settle(town: Town, quiet_s: float = 1.0) -> Point:
    """Wait until RocksDB has nothing to do behind the last message. What it took."""
    before = town.point()
    last = before
    while True:
        time.sleep(quiet_s)
        now = town.point()
        if now.disk_bytes == last.disk_bytes and now.cpu_s - last.cpu_s < 0.05 * quiet_s:
            return now - before
        last = now


def run(place: Path, options: argparse.Namespace) -> list[Window]:
    """All windows."""
    caches = {"cache_bytes": options.cache_mb * MIB, "buffer_bytes": options.buffer_mb * MIB}
    store = RocksStore(place, **caches)
    town = Town(store, options.accounts, options.partners)
    windows = []
    print(Window.HEAD, flush=True)
    for _ in range(options.messages // options.window):
        windows.append(measure(town, options.window))
        print(windows[-1], flush=True)
    rest = settle(town)
    written = sum(window.disk_bytes for window in windows) * options.window + rest.disk_bytes
    print(
        f"behind the last message {rest.cpu_s:.1f} s of CPU and {rest.disk_bytes / MIB:.0f} MiB; over all "
        f"{written / town.row_bytes:.2f} bytes on the disk for a byte of rows"
    )
    store.close()
    began = time.perf_counter()
    store = RocksStore(place, **caches)
    print(f"opened again in {(time.perf_counter() - began) * 1000:.0f} ms")
    store.close()
    return windows


def main() -> None:
    """Measure."""
    defaults = config.Storage()
    parser = argparse.ArgumentParser(description="What a message costs as a store grows.")
    parser.add_argument("--messages", type=int, default=1_000_000)
    parser.add_argument("--window", type=int, default=100_000, help="messages of a line")
    parser.add_argument("--accounts", type=int, default=4000)
    parser.add_argument("--partners", type=int, default=10, help="conversations of an account that it writes in")
    parser.add_argument("--cache-mb", type=int, default=defaults.block_cache_mb)
    parser.add_argument("--buffer-mb", type=int, default=defaults.write_buffer_mb)
    parser.add_argument("--directory", type=Path, help="where the private data goes, default the temporary directory")
    options = parser.parse_args()
    options.window = min(options.window, options.messages)
    with tempfile.TemporaryDirectory(prefix="lanying-growth-", dir=options.directory) as place:
        run(Path(place) / "store", options)


if __name__ == "__main__":
    main()
