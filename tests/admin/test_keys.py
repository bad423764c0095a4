"""Keys of consoles: one per name, never kept where they were made, and what changes is noticed once."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from lanying.admin import keys
from lanying.admin.keys import FILE, Role, Watch
from lanying.base.errors import ConfigError


def test_a_ring_is_made_once_and_is_its_owners_alone(tmp_path: Path) -> None:
    first = keys.load(tmp_path)
    assert keys.load(tmp_path) == first and not first.consoles
    assert stat.S_IMODE((tmp_path / FILE).stat().st_mode) == 0o600


def test_a_ticket_opens_the_server_and_its_secret_stays_nowhere(tmp_path: Path) -> None:
    ticket = keys.add(tmp_path, "ann", Role.OPERATE)
    ring = keys.load(tmp_path)
    found = ring.console(ticket.public)
    assert found is not None and (found.name, found.role) == ("ann", "operate")
    assert (ticket.name, ticket.role, ticket.server_public) == ("ann", "operate", ring.server.public)
    assert ticket.secret not in (tmp_path / FILE).read_text()
    assert ring.console(ring.server.public) is None


def test_a_name_has_one_key(tmp_path: Path) -> None:
    old = keys.add(tmp_path, "ann", Role.READ)
    other = keys.add(tmp_path, "bea", Role.READ)
    new = keys.add(tmp_path, "ann", Role.ADMIN)
    ring = keys.load(tmp_path)
    assert ring.console(old.public) is None
    assert [(one.name, one.role) for one in ring.consoles] == [("bea", "read"), ("ann", "admin")]
    assert keys.remove(tmp_path, "bea") and not keys.remove(tmp_path, "bea")
    assert [one.public for one in keys.load(tmp_path).consoles] == [new.public]
    assert other.public != new.public


@pytest.mark.parametrize("content", [b"", b"{}", b"\xff", b'{"server": 1}'])
def test_a_damaged_ring_is_an_error_with_the_remedy_and_is_kept(tmp_path: Path, content: bytes) -> None:
    (tmp_path / FILE).write_bytes(content)
    with pytest.raises(ConfigError, match=r"restore it from a backup, or remove it and make new keys|UTF-8"):
        keys.load(tmp_path)
    assert (tmp_path / FILE).read_bytes() == content


def commands(watch: Watch) -> list[tuple[str, dict[str, str]]]:
    change = watch.look()
    return [] if change is None else [*change.commands()]


def test_a_watch_finds_each_change_once_and_names_no_key(tmp_path: Path) -> None:
    watch = Watch(tmp_path)
    assert watch.look() is None, "there is no file yet"
    keys.add(tmp_path, "ann", Role.READ)
    assert commands(watch) == [("keygen", {"name": "ann", "role": "read"})]
    assert watch.look() is None
    keys.add(tmp_path, "ann", Role.ADMIN)
    keys.add(tmp_path, "bea", Role.READ)
    assert commands(watch) == [
        ("keygen", {"name": "ann", "role": "admin"}),
        ("keygen", {"name": "bea", "role": "read"}),
    ]
    keys.remove(tmp_path, "ann")
    change = watch.look()
    assert change is not None and [*change.commands()] == [("keys remove", {"name": "ann", "role": "admin"})]
    assert change.public == {one.public for one in keys.load(tmp_path).consoles}


def test_what_changed_while_nobody_watched_is_found(tmp_path: Path) -> None:
    keys.add(tmp_path, "ann", Role.READ)
    watch = Watch(tmp_path)
    watch.look()
    watch.keep()
    keys.remove(tmp_path, "ann")
    keys.add(tmp_path, "bea", Role.READ)
    again = Watch(tmp_path)
    assert commands(again) == [
        ("keygen", {"name": "bea", "role": "read"}),
        ("keys remove", {"name": "ann", "role": "read"}),
    ]


def test_a_damaged_note_tells_all_keys_and_a_damaged_ring_none(tmp_path: Path) -> None:
    keys.add(tmp_path, "ann", Role.READ)
    (tmp_path / keys.SEEN).write_bytes(b"[")
    watch = Watch(tmp_path)
    assert len(commands(watch)) == 1
    (tmp_path / FILE).write_bytes(b"[")
    assert watch.look() is None
