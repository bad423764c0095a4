"""Layers, checks and the texts of errors."""

import msgspec
import pytest

from lanying.base.errors import ConfigError
from lanying.config.load import NOT_SETTINGS, environment_name, layers, load, origins
from lanying.config.schema import Config, flat


@pytest.fixture
def toml(tmp_path):
    def write(text):
        file = tmp_path / "lanying.toml"
        file.write_text(text)
        return file

    return write


def refusal(file=None, environment=None, flags=None):
    with pytest.raises(ConfigError) as caught:
        load(file, environment or {}, flags)
    return str(caught.value)


def test_defaults_are_safe():
    found = load(environment={})
    assert found == Config()
    assert found.address == ("127.0.0.1", 8480)
    assert not found.accounts.open_registration and found.storage.durability == "fsync"


def test_file_then_environment_then_command_line(toml):
    file = toml(
        'listen = "127.0.0.1:1"\nshards = 1\nlog_level = "error"\n[storage]\ndurability = "os"\ninterval_ms = 7\n'
    )
    environment = {
        "LANYING_SHARDS": "2",
        "LANYING_LOG_LEVEL": "warning",
        "LANYING_STORAGE_DURABILITY": "interval",
        "PATH": "/",
    }
    found = load(file, environment, {"log_level": "debug", "data": None, "accounts": {"open_registration": None}})
    assert (found.address[1], found.shards, found.log_level) == (1, 2, "debug")
    assert (found.storage.durability, found.storage.interval_ms) == ("interval", 7)


def test_origins_name_the_last_source(toml):
    found = origins(layers(toml("shards = 1\nmax_connections = 5\n"), {"LANYING_SHARDS": "2"}, {"data": "x"}))
    assert found["shards"] == "environment" and found["data"] == "command line"
    assert found["max_connections"].endswith("lanying.toml") and "listen" not in found


@pytest.mark.parametrize("text", ["true", "1"])
def test_environment_booleans(text):
    assert load(environment={"LANYING_ACCOUNTS_OPEN_REGISTRATION": text}).accounts.open_registration is True


def test_every_key_can_be_set_from_the_environment():
    for key, value in flat(msgspec.to_builtins(Config())):
        text = ",".join(value) if isinstance(value, tuple | list) else str(value)
        text = text.lower() if isinstance(value, bool) else text
        assert load(environment={environment_name(key): text}) == Config(), key


def test_proxies_are_networks(toml):
    assert load(environment={"LANYING_LISTEN_PROXIES": "127.0.0.1/32, ::1/128"}).listen_proxies == (
        "127.0.0.1/32",
        "::1/128",
    )
    assert load(toml('listen_proxies = ["10.0.0.0/8"]')).listen_proxies == ("10.0.0.0/8",)
    text = refusal(environment={"LANYING_LISTEN_PROXIES": "10.0.0.1/8"})
    assert "LANYING_LISTEN_PROXIES" in text and "10.0.0.0/8" in text


def test_unknown_keys_name_source_key_and_what_is_allowed(toml):
    text = refusal(toml("lissten = 1"))
    assert "lanying.toml: unknown key lissten" in text and "listen" in text
    text = refusal(toml("[storage]\nengine = 1"))
    assert "unknown key storage.engine" in text and "durability" in text
    text = refusal(environment={"LANYING_STORAGE_ENGINE": "x"})
    assert "LANYING_STORAGE_ENGINE" in text and "durability" in text
    assert "LANYING_LISSTEN" in refusal(environment={"LANYING_LISSTEN": "x"})


def test_bad_values_name_source_key_value_and_what_is_allowed(toml):
    text = refusal(toml('[storage]\ndurability = "maybe"'))
    assert "lanying.toml: storage.durability = 'maybe'" in text and "fsync, interval, os" in text
    text = refusal(environment={"LANYING_LOG_LEVEL": "loud"})
    assert "LANYING_LOG_LEVEL = 'loud'" in text and "debug, info, warning, error" in text
    text = refusal(flags={"shards": 161})
    assert "command line: shards = 161" in text and "<= 160" in text
    assert "shards = 'many'" in refusal(environment={"LANYING_SHARDS": "many"}).replace("LANYING_SHARDS", "shards")
    assert "app_id" in refusal(flags={"app_id": "no spaces"})


def test_a_table_is_a_table(toml):
    assert "write [storage]" in refusal(toml("storage = 3"))


@pytest.mark.parametrize("listen", ["8480", ":8480", "host:", "host:x", "host:70000", "host:-1", " "])
def test_listen_shows_its_form(listen):
    text = refusal(flags={"listen": listen})
    assert "HOST:PORT" in text and "127.0.0.1:8480" in text


@pytest.mark.parametrize(
    ("listen", "address"),
    [("0.0.0.0:80", ("0.0.0.0", 80)), ("[::1]:8480", ("::1", 8480)), ("localhost:0", ("localhost", 0))],
)
def test_addresses(listen, address):
    assert load(environment={}, flags={"listen": listen}).address == address


def test_files_that_cannot_be_read(tmp_path, toml):
    assert "--config" in refusal(tmp_path / "absent.toml")
    assert "not valid TOML" in refusal(toml("= 3"))
    assert "not valid TOML" in refusal(toml("a = " + "[" * 1200))
    (tmp_path / "binary").write_bytes(b"\xff\xfe")
    assert "UTF-16" in refusal(tmp_path / "binary")


def test_fault_injection_is_not_a_setting():
    assert load(environment={NOT_SETTINGS[0] + "_COMMIT": "1"}) == Config()


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ('[apps.branch]\nnme = "x"', r"unknown key apps.branch.nme; apps.branch takes: name, open_registration"),
        ('[apps]\nname = "x"', r"write \[apps.APP_ID\]"),
        ('apps = "x"', r"write \[apps.APP_ID\]"),
        ('[apps."b b"]', r"an app id is 1 to 64 letters"),
        ("[apps.branch]\nopen_registration = 7", r"apps"),
    ],
)
def test_tables_of_apps_that_are_wrong(tmp_path, text, problem):
    file = tmp_path / "lanying.toml"
    file.write_text(text)
    with pytest.raises(ConfigError, match=problem):
        load(file, environment={})


def test_a_directory_for_backups_is_a_path_from_the_root_on():
    with pytest.raises(ConfigError, match="LANYING_STORAGE_BACKUP_PATH = 'backups': write a path from the root on"):
        load(environment={"LANYING_STORAGE_BACKUP_PATH": "backups"})
    assert load(environment={"LANYING_STORAGE_BACKUP_PATH": "/b"}).storage.backup_path == "/b"
