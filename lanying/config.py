"""Configuration: TOML file < environment (``LANYING_…``) < command line, checked as a whole before anything starts.

One table per concern below. Environment names are ``LANYING_`` + the key, or + table + key: ``LANYING_LISTEN``, ``LANYING_SHARDS``,
``LANYING_STORAGE_DURABILITY``. Every error names where the value came from, the key and what is allowed.
"""

from __future__ import annotations

import os
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, get_args, get_origin, get_type_hints

import msgspec

from lanying import limits
from lanying.errors import ConfigError

Positive = Annotated[int, msgspec.Meta(ge=1)]
Port = Annotated[int, msgspec.Meta(ge=0, le=65535)]


class Storage(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """``[storage]``: what a commit means and how much memory the store may take."""

    durability: Literal["fsync", "interval", "os"] = "fsync"
    """fsync: flushed to the disk before it is acknowledged. interval: flushed every ``interval_ms``. os: left to the kernel."""
    interval_ms: Positive = 200
    block_cache_mb: Positive = 16
    write_buffer_mb: Positive = 8
    """Memory per shard for reads and for data not yet in a table file."""


class Discovery(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """``[discovery]``: the addresses told to clients; empty means those of the request."""

    rest_url: str = ""
    message_url: str = ""
    rtc_url: str = ""


class Accounts(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """``[accounts]``: who may register and how passwords are kept."""

    open_registration: bool = False
    strangers_may_chat: bool = True
    """False: only friends may send messages to each other."""
    token_lifetime_s: Positive = limits.TOKEN_LIFETIME_S
    password_min_chars: Positive = 6
    argon2_memory_kib: Annotated[int, msgspec.Meta(ge=8)] = 19_456
    argon2_passes: Positive = 2
    password_guesses_per_minute: Positive = 10


class Config(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """The whole configuration of a server."""

    listen: str = "127.0.0.1:8480"
    data: str = "./data"
    shards: Annotated[int, msgspec.Meta(ge=0, le=limits.MAX_SHARDS)] = 0
    """0: as many as cores."""
    app_id: Annotated[str, msgspec.Meta(min_length=1, max_length=64, pattern="^[A-Za-z0-9_-]+$")] = "lanying"
    app_name: str = "Lanying"
    max_connections: Positive = 10_000
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    metrics_port: Port = 0
    """Prometheus metrics on this loopback port; 0: one the system picks, shown by ``status``."""
    storage: Storage = msgspec.field(default_factory=Storage)
    discovery: Discovery = msgspec.field(default_factory=Discovery)
    accounts: Accounts = msgspec.field(default_factory=Accounts)

    @property
    def address(self) -> tuple[str, int]:
        """Host and port of ``listen``; IPv6 hosts are written in brackets."""
        host, _, port = self.listen.rpartition(":")
        return host.strip("[]"), int(port)


TABLES: dict[str, type[msgspec.Struct]] = {"storage": Storage, "discovery": Discovery, "accounts": Accounts}


def load(
    file: Path | None = None,
    environment: Mapping[str, str] | None = None,
    flags: Mapping[str, Any] | None = None,
) -> Config:
    """The configuration of a start.

    :param flags: keys as in the TOML file (tables nested); values that are None are not set
    :raises ConfigError: unreadable file, unknown key or bad value
    """
    layers: list[tuple[str, dict[str, Any]]] = []
    if file is not None:
        layers.append((str(file), _read_toml(file)))
    layers.append(("environment", _read_environment(os.environ if environment is None else environment)))
    layers.append(("command line", _without_none(flags or {})))
    merged: dict[str, Any] = {}
    for source, values in layers:
        _check(source, values)
        _merge(merged, values)
    config = msgspec.convert(merged, Config, strict=False)
    host, port = "", -1
    try:
        host, port = config.address
    except ValueError:
        pass
    if not host or not 0 <= port <= 65535:
        raise ConfigError(f"listen = {config.listen!r}: write HOST:PORT, for example 127.0.0.1:8480 or 0.0.0.0:8480")
    return config


def _check(source: str, values: dict[str, Any]) -> None:
    for key, value in values.items():
        if isinstance(value, dict) and key in TABLES:
            for inner in value:
                if inner not in TABLES[key].__struct_fields__:
                    allowed = ", ".join(TABLES[key].__struct_fields__)
                    raise ConfigError(f"{source}: unknown key {key}.{inner}; [{key}] takes: {allowed}")
        elif key not in Config.__struct_fields__:
            raise ConfigError(f"{source}: unknown key {key}; allowed: {', '.join(Config.__struct_fields__)}")
    try:
        msgspec.convert(values, Config, strict=False)
    except msgspec.ValidationError as error:
        raise ConfigError(f"{source}: {_explain(error)}") from error


def _explain(error: msgspec.ValidationError) -> str:
    text = str(error)
    key = text.rpartition("`$.")[2].rstrip("`") if "`$." in text else ""
    if not key:
        return text
    table, _, name = key.rpartition(".")
    owner: type[msgspec.Struct] = TABLES.get(table, Config)
    hint = get_type_hints(owner, include_extras=True).get(name)
    origin = get_args(hint)[0] if get_origin(hint) is Annotated else hint
    allowed = (
        f" (allowed: {', '.join(map(str, get_args(origin)))})" if get_origin(origin) is Literal else ""
    )
    return f"{key}: {text.split(' - at')[0]}{allowed}"


def _read_toml(file: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(file.read_text("utf-8"))
    except OSError as error:
        raise ConfigError(f"{file}: {error.strerror}; give another file with --config") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{file}: not valid TOML: {error}") from error


def _read_environment(environment: Mapping[str, str]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in environment.items():
        if not name.startswith("LANYING_") or name.startswith("LANYING_FAILPOINT"):
            continue
        key = name.removeprefix("LANYING_").lower()
        table = next((t for t in TABLES if key.startswith(t + "_")), None)
        if table:
            found.setdefault(table, {})[key.removeprefix(table + "_")] = value
        else:
            found[key] = value
    return found


def _without_none(values: Mapping[str, Any]) -> dict[str, Any]:
    return {k: _without_none(v) if isinstance(v, Mapping) else v for k, v in values.items() if v is not None}


def _merge(into: dict[str, Any], values: dict[str, Any]) -> None:
    for key, value in values.items():
        if isinstance(value, dict):
            _merge(into.setdefault(key, {}), value)
        else:
            into[key] = value
