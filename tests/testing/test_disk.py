"""What is said about a disk: by made-up sysfs trees and times."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from lanying.testing.disk import ONLY_THE_PLUG, Disk, examine, explain, identify


def device(sysfs: Path, behind: Path, name: str, **files: str) -> Path:
    """A block device below ``sysfs`` that ``behind`` is on."""
    number = os.stat(behind).st_dev
    disk = sysfs / "devices" / name
    for file, text in files.items():
        path = disk / file.replace("__", "/")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text + "\n")
    links = sysfs / "dev/block"
    links.mkdir(parents=True)
    part = disk / f"{name}p1"
    part.mkdir(parents=True)
    (part / "partition").write_text("1\n")
    (links / f"{os.major(number)}:{os.minor(number)}").symlink_to(part)
    return disk


@pytest.mark.parametrize(
    ("name", "files", "expected"),
    [
        ("mmcblk0", {"device__type": "SD", "queue__write_cache": "write through"}, ("SD card", "write through")),
        ("mmcblk0", {"device__type": "MMC", "queue__write_cache": "write back"}, ("eMMC", "write back")),
        ("sda", {"queue__rotational": "1", "queue__write_cache": "write back"}, ("rotating", "write back")),
        ("nvme0n1", {"queue__rotational": "0"}, ("disk", "")),
        ("vda", {"queue__rotational": "1"}, ("disk", "")),
    ],
)
def test_the_disk_behind_a_partition(tmp_path: Path, name: str, files: dict[str, str], expected: object) -> None:
    device(tmp_path / "sys", tmp_path, name, **files)
    assert identify(tmp_path, tmp_path / "sys") == (name, *expected)  # type: ignore[misc]


@pytest.mark.parametrize(
    ("kind", "sync_ms", "believable"),
    [
        ("rotating", 0.4, False),
        ("rotating", 9.0, True),
        ("SD card", 0.08, False),
        ("SD card", 3.0, True),
        ("disk", 0.02, False),
        ("disk", 0.1, True),
        ("memory", 5.0, False),
    ],
)
def test_a_sync_that_is_too_fast_is_not_believed(kind: str, sync_ms: float, believable: bool) -> None:
    disk = Disk("x", kind, "write back", sync_ms, sync_ms)
    assert disk.believable is believable
    assert ("power failure" in explain(disk)[0]) and (explain(disk)[0] != ONLY_THE_PLUG) is not believable


def test_nothing_suspicious_is_no_proof() -> None:
    assert explain(Disk("x", "disk", "write back", 1.0, 2.0)) == [ONLY_THE_PLUG]


def test_a_disk_that_sometimes_takes_long() -> None:
    first, last = explain(Disk("x", "SD card", "write back", 3.0, 400.0))
    assert "400 ms" in first
    assert last == ONLY_THE_PLUG


def test_this_disk_is_measured(tmp_path: Path) -> None:
    disk = examine(tmp_path)
    assert 0 < disk.sync_p50_ms <= disk.sync_p99_ms
    assert disk.notes
