"""Servers by name: options first, then the name, then the one in use, then ``./data``."""

from __future__ import annotations

import stat
from pathlib import Path

import msgspec
import pytest

from lanying.admin import keys
from lanying.admin.console import contexts
from lanying.admin.console.client import Address
from lanying.admin.console.contexts import Context, Contexts
from lanying.base.errors import ConfigError


@pytest.fixture(autouse=True)
def _home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))


@pytest.fixture
def key(tmp_path: Path) -> Path:
    file = tmp_path / "key"
    file.write_bytes(msgspec.json.encode(keys.add(tmp_path, "ann", keys.Role.READ)))
    return file


def test_what_is_kept_is_found_again_and_its_owners_alone(tmp_path: Path) -> None:
    assert contexts.load() == Contexts()
    kept = Contexts("home", {"home": Context(data="/srv/im")})
    contexts.save(kept)
    contexts.save(kept)
    assert contexts.load() == kept
    assert contexts.file() == tmp_path / "lanying/contexts.json"
    assert stat.S_IMODE(contexts.file().stat().st_mode) == 0o600
    assert stat.S_IMODE(contexts.file().parent.stat().st_mode) == 0o700


def test_the_server_that_is_meant(key: Path) -> None:
    assert contexts.address(None, None, None, None) == contexts.DEFAULT
    contexts.save(Contexts("home", {"home": Context(data="/home"), "far": Context(server="h:1", key=str(key))}))
    assert contexts.address(None, None, None, None) == Address(data=Path("/home"))
    far = contexts.address("far", None, None, None)
    assert far.host == "h:1" and far.ticket is not None and far.ticket.name == "ann"
    assert contexts.address("far", "/given", "h:2", None) == Address(data=Path("/given"))
    assert contexts.address(None, None, "h:2", str(key)).host == "h:2"


def test_a_name_nobody_gave_and_a_server_without_a_key_are_refused_with_the_remedy() -> None:
    with pytest.raises(ConfigError, match=r"no context 'far'; there are: none yet .`lanying-admin context add`"):
        contexts.address("far", None, None, None)
    contexts.save(Contexts("", {"a": Context(data="/a"), "b": Context(data="/b")}))
    with pytest.raises(ConfigError, match="no context 'far'; there are: a, b "):
        contexts.address("far", None, None, None)
    with pytest.raises(ConfigError, match="--server needs --key FILE"):
        contexts.address(None, None, "h:2", None)


@pytest.mark.parametrize("content", [b"[", b'{"current": 1}', b'{"servers": []}'])
def test_a_damaged_file_is_named_with_the_remedy(content: bytes) -> None:
    contexts.save(Contexts())
    contexts.file().write_bytes(content)
    with pytest.raises(ConfigError, match=r"contexts.json: .*mend or remove it"):
        contexts.address(None, None, None, None)
