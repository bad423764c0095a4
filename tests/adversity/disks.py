"""Small file systems to fill up and to break."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

_MIB = 1 << 20


def need(*programs: str) -> None:
    """Skip where one of these is missing: they are of other packages, and in /sbin, which not every user looks into."""
    missing = [program for program in programs if shutil.which(program) is None]
    if missing:
        pytest.skip(f"{', '.join(missing)} not found: apt install mount e2fsprogs, and have /usr/sbin in PATH")


def run(*command: object) -> None:
    done = subprocess.run([*map(str, command)], capture_output=True, text=True)
    assert done.returncode == 0, f"{command}: {done.stderr}"


@contextmanager
def small(place: Path, megabytes: int) -> Iterator[Path]:
    """A file system in memory. Skips where none may be mounted."""
    need("mount", "umount")
    place.mkdir()
    done = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={megabytes}m", "tmpfs", str(place)], capture_output=True, text=True
    )
    if done.returncode:
        pytest.skip(f"no file system can be mounted here: {done.stderr.strip()}")
    try:
        yield place
    finally:
        run("umount", "-l", place)


class Ext4:
    """An ext4 in a file, which goes read-only at its first error as it does on an SD card that fails."""

    def __init__(self, image: Path, place: Path, megabytes: int) -> None:
        need("mount", "umount", "mkfs.ext4", "e2fsck")
        self.image = image
        self.place = place
        place.mkdir()
        with image.open("wb") as file:
            file.truncate(megabytes * _MIB)
        run("mkfs.ext4", "-q", image)

    def mount(self) -> None:
        """Skips where none may be mounted."""
        command = ["mount", "-o", "loop,errors=remount-ro", str(self.image), str(self.place)]
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode:
            pytest.skip(f"no file system can be mounted here: {done.stderr.strip()}")

    def fail(self) -> None:
        """Let the kernel find an error: everything that is open can be read and not written any more."""
        device = os.stat(self.place).st_dev
        name = Path(f"/sys/dev/block/{os.major(device)}:{os.minor(device)}").resolve().name
        trigger = Path(f"/sys/fs/ext4/{name}/trigger_fs_error")
        if not trigger.exists():
            pytest.skip("this kernel cannot break a file system to order")
        trigger.write_text("broken by a test")

    def unmount(self) -> None:
        """Nobody uses it any more."""
        run("umount", self.place)

    def repair(self) -> None:
        """What the next boot does."""
        done = subprocess.run(["e2fsck", "-fy", str(self.image)], capture_output=True, text=True)
        assert done.returncode in (0, 1), done.stdout


def fill(place: Path, leave_bytes: int = 0) -> Path:
    """Take all the room of a file system but ``leave_bytes``. The file that has it."""
    filler = place / "filler"
    with filler.open("wb", buffering=0) as file:
        status = os.statvfs(place)
        left = status.f_bavail * status.f_frsize - leave_bytes
        try:
            while left > 0:
                left -= file.write(bytes(min(left, _MIB)))
        except OSError:
            pass  # full
    return filler
