"""An error about a path names the path, what is wrong, and what to do."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from lanying.base import paths


def error_of(path: str | Path) -> OSError:
    with pytest.raises(OSError) as found:
        os.listdir(path)
    return found.value


def test_a_missing_path_is_named_with_the_remedy(tmp_path: Path) -> None:
    said = paths.say(error_of(tmp_path / "no"))
    assert said == f"{tmp_path}/no: No such file or directory; check the name, or give another path"


def test_a_link_that_leads_nowhere_says_where(tmp_path: Path) -> None:
    link = tmp_path / "link"
    link.symlink_to("gone")
    assert paths.explain(link, error_of(link)) == f"{link}: is a link to gone, which is not there"
    assert paths.explain(link, PermissionError(errno.EACCES, "Permission denied")) == f"{link}: Permission denied"


def test_a_path_that_python_refuses_is_named_too() -> None:
    assert paths.explain(Path("x"), ValueError("embedded null byte")) == "x: embedded null byte"


@pytest.mark.parametrize(
    ("number", "remedy"),
    [
        (errno.ENOTDIR, "give a directory"),
        (errno.EACCES, "give this user the right"),
        (errno.EPERM, "give this user the right"),
        (errno.ENOSPC, "make room"),
        (errno.EROFS, "mount it writable"),
        (errno.EIO, "dmesg"),
    ],
)
def test_what_operators_meet_has_its_own_remedy(number: int, remedy: str) -> None:
    assert remedy in paths.say(OSError(number, os.strerror(number), "/data"))


def test_an_error_without_a_remedy_or_a_path_still_says_what_to_do() -> None:
    assert paths.say(OSError(errno.ESTALE, "Stale file handle")) == (
        "Stale file handle; try again; if it stays, ask your system's administrator"
    )
    assert paths.say(OSError(errno.ENOSPC, "No space left on device", b"/d\xff")).startswith("/d\udcff: No space left")
