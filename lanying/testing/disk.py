"""What can be said about a disk that is to keep a promise: how fast it says "written", and whether to believe it.

``kill -9`` cannot show what a power failure does: the kernel still has everything. What is left is to look at the device (sysfs) and
at the time a sync takes, and to be honest about the rest.
"""

from __future__ import annotations

import os
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

SYNC_SAMPLES: Final = 60
LEAST_SYNC_MS: Final = {"rotating": 2.0, "SD card": 0.2, "eMMC": 0.1, "disk": 0.05}
"""By kind of device: a faster answer came from a cache. A rotating disk waits for the platter, milliseconds; programming a flash
page takes some tenths of one; below 0.05 ms nothing has left the machine."""
ONLY_THE_PLUG: Final = (
    "kill -9 leaves the kernel alone, so this test cannot show what a power failure does. Some SD cards and USB adapters confirm a "
    "flush that is still in their cache; only pulling the plug under load, and `lanying-cluster verify` afterwards, shows it."
)


@dataclass(frozen=True)
class Disk:
    """A disk as the kernel and a stopwatch see it.

    :ivar device: name of the block device, empty when there is none behind the file system
    :ivar kind: ``rotating``, ``SD card``, ``eMMC``, ``disk`` (any other), ``memory``, ``unknown``
    :ivar write_cache: ``write back`` (a cache that is flushed), ``write through`` (none, says the device), or empty
    :ivar sync_p50_ms: time to write 4 KiB through, half of the time; ``sync_p99_ms``: all but one in a hundred
    """

    device: str
    kind: str
    write_cache: str
    sync_p50_ms: float
    sync_p99_ms: float
    notes: list[str] = field(default_factory=list)

    @property
    def believable(self) -> bool:
        """Nothing speaks against it. That is no proof."""
        return self.kind != "memory" and self.sync_p50_ms >= LEAST_SYNC_MS.get(self.kind, LEAST_SYNC_MS["disk"])


def examine(directory: Path, sysfs: Path = Path("/sys")) -> Disk:
    """Measure the disk below ``directory`` and say what follows."""
    p50, p99 = measure_sync(directory)
    device, kind, cache = identify(directory, sysfs)
    found = Disk(device, kind, cache, round(p50, 3), round(p99, 3))
    found.notes.extend(explain(found))
    return found


def explain(disk: Disk) -> list[str]:
    """Sentences for the user, the worst first."""
    notes = []
    if disk.kind == "memory":
        notes.append("this file system is in memory: a power failure takes all of it; name another with --directory")
        return notes
    least = LEAST_SYNC_MS.get(disk.kind, LEAST_SYNC_MS["disk"])
    if not disk.believable:
        notes.append(
            f"a sync takes {disk.sync_p50_ms:g} ms, less than the {least:g} ms this kind of device ({disk.kind}) needs: it, or a virtual "
            "machine, answers from a cache that a power failure may empty. Use a disk that honours fsync, or a power supply with a battery."
        )
    if disk.write_cache == "write through" and disk.kind in ("SD card", "rotating"):
        notes.append(
            "the device says it has no volatile cache, so the kernel sends it no flushes: it had better be true"
        )
    if disk.sync_p99_ms > 10 * max(disk.sync_p50_ms, 1.0):
        notes.append(
            f"one sync in a hundred takes {disk.sync_p99_ms:g} ms or more: acknowledgements wait that long, nothing is lost by it"
        )
    notes.append(ONLY_THE_PLUG)
    return notes


def identify(directory: Path, sysfs: Path) -> tuple[str, str, str]:
    """Device name, kind and write cache of the disk behind a directory."""
    number = os.stat(directory).st_dev
    node = sysfs / "dev" / "block" / f"{os.major(number)}:{os.minor(number)}"
    if not node.exists():
        return "", "memory" if _in_memory(directory) else "unknown", ""
    disk = node.resolve()
    if (disk / "partition").exists():
        disk = disk.parent
    cache = _read(disk / "queue/write_cache")
    if disk.name.startswith("mmcblk"):
        return disk.name, "SD card" if _read(disk / "device/type") == "SD" else "eMMC", cache
    # A virtual disk calls itself rotating because it does not know better.
    rotating = _read(disk / "queue/rotational") == "1" and not disk.name.startswith(("vd", "xvd", "loop", "zram"))
    return disk.name, "rotating" if rotating else "disk", cache


def measure_sync(directory: Path) -> tuple[float, float]:
    """Milliseconds to write 4 KiB through to the disk: median and 99th percentile."""
    took: list[float] = []
    with (directory / "sync").open("wb") as file:
        for _ in range(SYNC_SAMPLES):
            file.write(os.urandom(4096))
            file.flush()
            start = time.perf_counter()
            os.fdatasync(file.fileno())
            took.append((time.perf_counter() - start) * 1000)
    took.sort()
    return took[len(took) // 2], took[int(len(took) * 0.99)]


def _in_memory(directory: Path) -> bool:
    """By /proc/mounts: the file system of the longest mount point above."""
    best, kind = "", ""
    path = str(directory.resolve())
    for line in Path("/proc/mounts").read_text().splitlines():
        _, place, found, *_ = line.split(" ")
        place = place.replace("\\040", " ")
        if (path == place or path.startswith(place.rstrip("/") + "/")) and len(place) >= len(best):
            best, kind = place, found
    return kind in ("tmpfs", "ramfs")


def _read(file: Path) -> str:
    try:
        return file.read_text().strip()
    except OSError:
        return ""
