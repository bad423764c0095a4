"""Power failures at random: nothing acknowledged is lost, nothing comes twice or in another order, no position has two messages."""

from __future__ import annotations

import itertools
import random
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from lanying.shard.chat.delivery import Delivery
from lanying.shard.core import links
from lanying.shard.core.links import Links
from lanying.shard.core.tick import Tick
from lanying.shard.store.base import Batch
from lanying.shard.store.rocks import RocksStore
from lanying.testing.power_cut import Broken, Run, one


@pytest.mark.parametrize("seed", range(30))
def test_what_was_acknowledged_is_there_once_and_in_order(seed: int) -> None:
    assert one(seed) > 30


@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("thousand", range(5))
def test_thousands_of_runs(thousand: int) -> None:
    for seed in range(1000 * thousand, 1000 * thousand + 1000):
        assert one(seed) > 30


class Plugged(RocksStore):
    """A database whose log can be put back to what was synced.

    A write of RocksDB is at the end of its log file and a flush syncs that, so what a power failure leaves is the file cut somewhere behind
    the last flush, also in the middle of a batch. The databases here are too small for anything else to be written.
    """

    def __init__(self, path: Path, chance: random.Random) -> None:
        self._lengths: list[int] = []
        super().__init__(path, buffer_bytes=64 << 20)
        self._chance = chance
        self._numbers = itertools.count(1)
        self.flush()

    def _length(self) -> int:
        return self._log(self.path).stat().st_size

    @staticmethod
    def _log(path: Path) -> Path:
        return max(path.glob("*.log"), key=lambda found: int(found.stem))

    @property
    def unflushed(self) -> int:
        return len(self._lengths)

    def write(self, batch: Batch) -> None:
        super().write(batch)
        self._lengths.append(self._length())

    def flush(self) -> None:
        super().flush()
        self._synced = self._length()
        self._lengths.clear()

    def crash(self, kept: int = 0) -> Plugged:
        length = self._lengths[kept - 1] if kept else self._synced
        if kept < len(self._lengths):  # and some of the next batch
            length += self._chance.randrange(self._lengths[kept] - length)
        copy = self.path.with_name(f"{self.path.name}.{next(self._numbers)}")
        shutil.copytree(self.path, copy, ignore=shutil.ignore_patterns("LOCK", "LOG*"))
        with self._log(copy).open("r+b") as file:
            file.truncate(length)
        self.close()
        shutil.rmtree(self.path)
        return Plugged(copy, self._chance)


@pytest.mark.parametrize("seed", [1, 2])
def test_a_log_cut_behind_what_was_synced_keeps_the_promise(seed: int, tmp_path: Path) -> None:
    chance = random.Random(seed)
    run = Run(seed, lambda index: Plugged(tmp_path / f"{index}", chance))
    try:
        run.steps(120)
        run.check()
    finally:
        for store in run.stores:
            store.close()


def no_gate(monkeypatch: pytest.MonkeyPatch) -> None:
    """Behind a start local messages do not wait for what was there before them."""
    monkeypatch.setattr(Delivery, "must_follow", lambda self, head: None)


def everything_late(monkeypatch: pytest.MonkeyPatch) -> None:
    """Queue 0, which all links feed, is let out before the sync, too."""
    monkeypatch.setattr(links, "may_be_late", lambda *_: True)


def too_early(monkeypatch: pytest.MonkeyPatch) -> None:
    """A link is acknowledged before the sync."""
    seal = Links.seal

    def sealed(self: Links, tick: Tick) -> None:
        seal(self, tick)
        self.settled(self.written)

    monkeypatch.setattr(Links, "seal", sealed)


@pytest.mark.parametrize("spoil", [no_gate, everything_late, too_early])
def test_the_check_finds_what_is_missing(
    spoil: Callable[[pytest.MonkeyPatch], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    spoil(monkeypatch)
    with pytest.raises(Broken):
        for seed in range(100):
            one(seed)
