"""What a successful ``fdatasync`` is worth in the moment an ext4 breaks, without any database: plain files, synced record by record.

``python -m tests.adversity.broken_sync --rounds 10`` (as root) breaks a small file system under three writers, repairs it, and compares
what was synced with what is there:

=============  ========================================================================================
append         as a log is written: a record, then ``fdatasync``
overwrite      into room that was written and synced before: nothing but data has to reach the disk
journalled     as ``append``, and behind each sync something that needs the journal (``setxattr``)
=============  ========================================================================================

Where records are missing, the kernel has called the sync of a file done whose size was in a transaction of the journal that was thrown
away.
"""

from __future__ import annotations

import argparse
import os
import random
import struct
import tempfile
import threading
import time
from pathlib import Path

from tests.adversity.disks import Ext4

MODES = ("append", "overwrite", "journalled")
RECORD = 600
MOST = 3900


def record(number: int) -> bytes:
    return struct.pack(">Q", number) * (RECORD // 8)


def write(file: Path, mode: str, synced: dict[Path, int]) -> None:
    """Until the file system breaks."""
    descriptor = os.open(file, os.O_CREAT | os.O_WRONLY)
    try:
        if mode == "overwrite":
            os.write(descriptor, bytes(RECORD * MOST))
            os.fsync(descriptor)
            os.lseek(descriptor, 0, os.SEEK_SET)
        for number in range(1, MOST):
            os.write(descriptor, record(number))
            os.fdatasync(descriptor)
            if mode == "journalled":
                os.setxattr(descriptor, "user.probe", b"1")
            synced[file] = number
    except OSError:
        pass
    finally:
        os.close(descriptor)


def lost(file: Path, synced: int) -> int:
    """Records that were synced and are not there."""
    data = file.read_bytes() if file.exists() else b""
    there = 0
    while data[there * RECORD : (there + 1) * RECORD] == record(there + 1):
        there += 1
    return max(0, synced - there)


def round_of(mode: str, place: Path) -> list[int]:
    """Records lost, by writer."""
    disk = Ext4(place / "image", place / "disk", 96)
    disk.mount()
    synced: dict[Path, int] = {}
    try:
        files = [disk.place / f"log{number}" for number in range(3)]
        writers = [threading.Thread(target=write, args=(file, mode, synced)) for file in files]
        for writer in writers:
            writer.start()
        time.sleep(0.6 + 0.2 * random.random())
        disk.fail()
        for writer in writers:
            writer.join()
        disk.unmount()
        disk.repair()
        disk.mount()
        return [lost(file, synced.get(file, 0)) for file in files]
    finally:
        disk.unmount()


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.adversity.broken_sync")
    parser.add_argument("--rounds", type=int, default=10)
    rounds = parser.parse_args().rounds
    for mode in MODES:
        found: list[int] = []
        for _ in range(rounds):
            with tempfile.TemporaryDirectory() as place:
                found += round_of(mode, Path(place))
        print(f"{mode}: {len(found)} files, {sum(map(bool, found))} of them lost synced records, {sum(found)} in all")


if __name__ == "__main__":
    main()
