"""Which file is moved where when the log is too large."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from lanying.base.log_file import rotate

LARGE = b"x" * 11


@pytest.fixture
def log(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> Iterator[Path]:
    """A log that standard error goes to."""
    file = tmp_path / "lanying.log"
    kept = os.dup(2)
    write(file, b"")
    yield file
    os.dup2(kept, 2)
    os.close(kept)


def write(file: Path, content: bytes) -> None:
    """What SIGHUP and a process that writes do."""
    fd = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    os.dup2(fd, 2)
    os.close(fd)
    os.write(2, content)


def contents(log: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in log.parent.iterdir()}


def test_so_many_are_kept(log: Path) -> None:
    for number in range(5):
        write(log, b"%d" % number + LARGE)
        assert rotate(log, 10, kept=2)
    assert contents(log) == {"lanying.log.1": b"4" + LARGE, "lanying.log.2": b"3" + LARGE}


def test_a_log_that_is_not_too_large_stays(log: Path) -> None:
    write(log, b"x" * 10)
    assert not rotate(log, 10, kept=2)
    assert contents(log) == {"lanying.log": b"x" * 10}


def test_what_is_not_ours_to_move_stays(log: Path) -> None:
    write(log, LARGE)
    log.replace(log.with_name("moved"))
    assert not rotate(log, 10, kept=2), "somebody has moved it, and we have not opened it again yet"
    log.write_bytes(LARGE)
    assert not rotate(log, 10, kept=2), "standard error goes elsewhere"
    assert contents(log) == {"lanying.log": LARGE, "moved": LARGE}
