"""Notifiers on the disk: secrets sealed, changes seen, damage said with the remedy."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from lanying.base.errors import ConfigError
from lanying.config.notifiers import KEY_FILE, LIST_FILE, Notifiers, Secret

SECRET = Secret(app_key="a-key", app_secret="a-secret", certificate="a-certificate")


def put(notifiers: Notifiers, app: str, name: str, provider: int = 7, environment: int = 1) -> None:
    notifiers.put(app, name, provider, environment, "id", SECRET, "https://e", "https://l", "org.x")


def test_a_notifier_is_found_by_app_name_and_vendor(tmp_path: Path) -> None:
    notifiers = Notifiers(tmp_path)
    assert not notifiers.any() and notifiers.of("app") == []
    put(notifiers, "app", "zoe", 7)
    put(notifiers, "app", "ann", 1, 0)
    put(notifiers, "other", "bea", 7)
    assert notifiers.any() and [it.name for it in notifiers.of("app")] == ["ann", "zoe"]
    found = notifiers.find("app", 1, 0)
    assert found is not None and found.name == "ann"
    assert (found.endpoint, found.login_endpoint, found.package, found.app_id) == (
        "https://e",
        "https://l",
        "org.x",
        "id",
    )
    assert notifiers.find("app", 1, 1) is None and notifiers.find("app", 2, 0) is None
    assert notifiers.find("other", 1, 0) is None


def test_a_name_is_one_notifier_per_app(tmp_path: Path) -> None:
    notifiers = Notifiers(tmp_path)
    for app, provider in (("app", 1), ("other", 1), ("app", 2)):
        put(notifiers, app, "ann", provider)
    assert [it.provider for app in ("app", "other") for it in notifiers.of(app)] == [2, 1]
    assert notifiers.remove("app", "ann") and not notifiers.remove("app", "ann")
    assert notifiers.of("app") == [] and len(notifiers.of("other")) == 1


def test_secrets_are_sealed_and_both_files_their_owners_alone(tmp_path: Path) -> None:
    notifiers = Notifiers(tmp_path)
    put(notifiers, "app", "ann")
    put(notifiers, "app", "bea")
    content = (tmp_path / LIST_FILE).read_text()
    assert not any(text in content for text in ("a-key", "a-secret", "a-certificate"))
    assert [notifiers.secret(it) for it in notifiers.of("app")] == [SECRET, SECRET]
    assert {stat.S_IMODE((tmp_path / name).stat().st_mode) for name in (LIST_FILE, KEY_FILE)} == {0o600}


@pytest.mark.parametrize("key", [None, b"", b"x" * 44, b"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="])
def test_a_lost_or_foreign_key_is_said_with_the_remedy(tmp_path: Path, key: bytes | None) -> None:
    notifiers = Notifiers(tmp_path)
    put(notifiers, "app", "ann")
    (tmp_path / KEY_FILE).unlink()
    if key is not None:
        (tmp_path / KEY_FILE).write_bytes(key)
    with pytest.raises(
        ConfigError, match=r"notifiers.key: does not open notifier ann; restore it from a backup, or add"
    ):
        notifiers.secret(notifiers.of("app")[0])


def test_a_running_server_sees_what_the_command_line_wrote(tmp_path: Path) -> None:
    server, command = Notifiers(tmp_path), Notifiers(tmp_path)
    assert not server.any()
    put(command, "app", "ann")
    assert server.any()
    command.remove("app", "ann")
    assert not server.any()
    put(command, "app", "ann")
    assert server.any()
    (tmp_path / LIST_FILE).unlink()
    assert not server.any()


def test_a_list_is_read_again_only_when_it_has_changed(tmp_path: Path) -> None:
    notifiers = Notifiers(tmp_path)
    put(notifiers, "app", "ann")
    notifiers.any()
    file = tmp_path / LIST_FILE
    status = file.stat()
    with open(file, "r+b") as out:
        out.write(b"[")
        out.truncate()
    os.utime(file, ns=(status.st_atime_ns, status.st_mtime_ns))
    assert notifiers.any()
    os.utime(file)
    with pytest.raises(ConfigError, match=r"notifiers.json: damaged .*restore it from a backup"):
        notifiers.any()
    with pytest.raises(ConfigError, match="damaged"):
        put(notifiers, "app", "bea")
    assert file.read_bytes() == b"[", "nothing is written over it"
