"""Files with secrets are their owner's from the first byte, and whole or not there."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from lanying.base.private import write_private


def mode(file: Path) -> int:
    return stat.S_IMODE(file.stat().st_mode)


def test_a_file_is_its_owners_alone_whatever_was_there(tmp_path: Path) -> None:
    file = tmp_path / "secret"
    file.write_bytes(b"old")
    file.chmod(0o644)
    before = os.umask(0)
    try:
        write_private(file, b"new")
    finally:
        os.umask(before)
    assert (file.read_bytes(), mode(file)) == (b"new", 0o600)
    assert [*tmp_path.iterdir()] == [file]


def test_a_rest_of_a_crash_is_in_nobodys_way_and_nobodys_link_is_followed(tmp_path: Path) -> None:
    file, victim = tmp_path / "secret", tmp_path / "victim"
    victim.write_bytes(b"mine")
    (tmp_path / "secret.part").symlink_to(victim)
    write_private(file, b"new")
    assert (file.read_bytes(), victim.read_bytes()) == (b"new", b"mine")


def test_a_write_that_fails_keeps_the_old_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "secret"
    write_private(file, b"old")

    def full(fd: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError):
        write_private(file, b"new")
    assert file.read_bytes() == b"old"
