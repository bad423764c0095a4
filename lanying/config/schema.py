"""Configuration: board profile < TOML file < environment (``LANYING_…``) < command line, checked before anything starts.

One table per concern below. Environment names are ``LANYING_`` + the key, or + table + key: ``LANYING_LISTEN``,
``LANYING_SHARDS``, ``LANYING_STORAGE_DURABILITY``. Every error names where the value came from, the key and what is
allowed. ``docs/configuration.md`` has a line for every key.
"""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, get_args, get_origin, get_type_hints

import msgspec

from lanying.base import limits
from lanying.base.errors import ConfigError
from lanying.config import profiles

Positive = Annotated[int, msgspec.Meta(ge=1)]
Port = Annotated[int, msgspec.Meta(ge=0, le=65535)]
APP_ID_PATTERN = "^[A-Za-z0-9_-]{1,64}$"
APP_ID_RULE = "an app id is 1 to 64 letters, digits, _ and -"
AppId = Annotated[str, msgspec.Meta(pattern=APP_ID_PATTERN)]

PREFIX = "LANYING_"
NOT_SETTINGS = ("LANYING_FAILPOINT",)
"""Beginnings of environment names that are not settings: fault injection of the tests."""


class Storage(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """``[storage]``: what a commit means and how much memory the store may take."""

    durability: Literal["fsync", "interval", "os"] = "fsync"
    """fsync: on the disk before it is acknowledged. interval: flushed every ``interval_ms``. os: left to the kernel."""
    interval_ms: Positive = 200
    block_cache_mb: Positive = 16
    write_buffer_mb: Positive = 8
    """Memory per shard for reads and for data not yet in a table file."""
    retention_days: Annotated[int, msgspec.Meta(ge=0)] = 0
    """Messages and notices older than this are deleted; 0: kept for ever."""
    cold_path: str = ""
    """Directory on another disk for messages older than ``hot_days``; empty: everything stays in the data directory."""
    hot_days: Positive = 30
    backup_path: str = ""
    """Directory of this machine, from the root on, that the admin page may back the server up into; empty: it may not."""
    min_free_bytes: Positive = 64 << 20
    """With less room on the disk new messages are refused and everything else goes on."""


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
    max_users: Annotated[int, msgspec.Meta(ge=0)] = 0
    """Accounts of an app that may log in; 0: any number."""
    token_lifetime_s: Positive = limits.TOKEN_LIFETIME_S
    password_min_chars: Positive = 6
    argon2_memory_kib: Annotated[int, msgspec.Meta(ge=8)] = 19_456
    argon2_passes: Positive = 2
    password_guesses_per_minute: Positive = 10


class Policy(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """``[policy]``: what users may do."""

    recall_seconds: Positive = 300
    """How old a message may be when its author recalls it."""
    group_members: Annotated[int, msgspec.Meta(ge=2, le=limits.GROUP_MEMBERS_MAX)] = limits.GROUP_MEMBERS
    """Members of one group; groups keep the number they were founded with."""
    message_bytes: Annotated[int, msgspec.Meta(ge=1024, le=limits.MAX_MESSAGE_BYTES - 4096)] = limits.MESSAGE_BYTES
    """Largest message; the content of a message and what clients add to it."""
    user_messages_per_s: Positive = limits.SENDS_PER_S
    group_messages_per_s: Positive = limits.SENDS_PER_S
    """More are refused with RATE_LIMIT_EXCEEDED."""
    words_file: str = ""
    """A text file of words that messages must not have, one per line; empty: none."""
    mask_words: bool = False
    """True: such words become asterisks; false: the message is refused with WORD_CENSORED."""


class Admin(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """``[admin]``: where consoles may come from besides the local socket."""

    listen: str = ""
    """``HOST:PORT`` for consoles with a key (CURVE); events are on the next port. Empty: local ones only."""


class Files(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """``[files]``: what users may upload and where it is kept."""

    max_mb: Positive = 64
    """Largest file."""
    user_mb: Annotated[int, msgspec.Meta(ge=0)] = 2048
    """All files of one user; 0: no quota."""
    total_mb: Annotated[int, msgspec.Meta(ge=0)] = 0
    """All files; 0: what the disk holds above ``storage.min_free_bytes``."""
    retention_days: Annotated[int, msgspec.Meta(ge=0)] = 0
    """Files older than this are deleted; 0: kept for ever."""
    link_days: Annotated[int, msgspec.Meta(ge=0)] = 0
    """A download address is good for this long; 0: as long as the file is there."""
    store: Literal["local", "s3"] = "local"
    s3_bucket: str = ""
    s3_prefix: str = ""
    s3_endpoint: str = ""
    """Where the bytes are: the data directory, or a bucket; credentials come as for every S3 client (``AWS_…``)."""


class Sms(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """``[sms]``: how codes reach a phone; everything that needs one answers 404 without a provider."""

    provider: Literal["none", "log"] = "none"
    """log: codes are written to the server's log, for development."""


class Rest(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """``[rest]``: what the REST API takes from one caller, and how long it waits for a shard."""

    requests_per_second_per_token: Annotated[int, msgspec.Meta(ge=0)] = 100
    requests_per_second_per_address: Annotated[int, msgspec.Meta(ge=0)] = 1000
    """0: any number. Ten seconds' worth may come at once."""
    call_timeout_ms: Positive = 900


class AppOverrides(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """``[apps.<app id>]``: another app on the same server, or what differs for the first one; what is not said is as for all."""

    name: str = ""
    open_registration: bool | None = None
    strangers_may_chat: bool | None = None
    max_users: Annotated[int, msgspec.Meta(ge=0)] | None = None
    rest_url: str = ""
    message_url: str = ""
    rtc_url: str = ""


class Config(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """The whole configuration of a server."""

    listen: str = "127.0.0.1:8480"
    data: str = "./data"
    shards: Annotated[int, msgspec.Meta(ge=0, le=limits.MAX_SHARDS)] = 0
    """0: as many as the data directory was built with, in a new one as many as cores."""
    app_id: AppId = "lanying"
    app_name: str = "Lanying"
    max_connections: Positive = 10_000
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    log_format: Literal["text", "json"] = "text"
    metrics_port: Port = 0
    """Prometheus metrics on this loopback port; 0: one the system picks, shown by ``status``."""
    storage: Storage = msgspec.field(default_factory=Storage)
    discovery: Discovery = msgspec.field(default_factory=Discovery)
    accounts: Accounts = msgspec.field(default_factory=Accounts)
    policy: Policy = msgspec.field(default_factory=Policy)
    files: Files = msgspec.field(default_factory=Files)
    admin: Admin = msgspec.field(default_factory=Admin)
    sms: Sms = msgspec.field(default_factory=Sms)
    rest: Rest = msgspec.field(default_factory=Rest)
    apps: dict[AppId, AppOverrides] = {}

    def accounts_of(self, app_id: str) -> Accounts:
        """``[accounts]`` as it is for an app."""
        own = self.apps.get(app_id)
        if own is None:
            return self.accounts
        given = {name: value for name in _OWN_ACCOUNTS if (value := getattr(own, name)) is not None}
        return msgspec.structs.replace(self.accounts, **given)

    def discovery_of(self, app_id: str) -> Discovery:
        """``[discovery]`` as it is for an app."""
        own = self.apps.get(app_id)
        if own is None:
            return self.discovery
        given = {name: value for name in Discovery.__struct_fields__ if (value := getattr(own, name))}
        return msgspec.structs.replace(self.discovery, **given)

    @property
    def address(self) -> tuple[str, int]:
        """Host and port of ``listen``; IPv6 hosts are written in brackets."""
        host, _, port = self.listen.rpartition(":")
        return host.removeprefix("[").removesuffix("]"), int(port)


TABLES: dict[str, type[msgspec.Struct]] = {
    "storage": Storage,
    "discovery": Discovery,
    "accounts": Accounts,
    "policy": Policy,
    "files": Files,
    "admin": Admin,
    "sms": Sms,
    "rest": Rest,
}
_OWN_ACCOUNTS = ("open_registration", "strangers_may_chat", "max_users")
"""Fields of ``[accounts]`` that an app may have its own of."""

AT_RUN_TIME = (
    "accounts.open_registration",
    "accounts.token_lifetime_s",
    "policy.recall_seconds",
    "policy.group_members",
    "storage.min_free_bytes",
)
"""Settings that a running server can change: they are read when they are used, by whoever holds the configuration."""


def changed(config: Config, key: str, value: Any) -> Config:
    """A copy with another value. :raises ConfigError: no such setting, or a bad value"""
    table, _, name = key.rpartition(".")
    values = msgspec.to_builtins(config)
    inner = values[table] if table in TABLES else values
    if name not in inner or (table and table not in TABLES):
        raise ConfigError(f"no setting {key!r}; `lanying-cluster check-config` lists them")
    inner[name] = value
    try:
        return msgspec.convert(values, Config, strict=False)
    except msgspec.ValidationError as error:
        raise ConfigError(f"{key} = {value!r}: {str(error).partition(' - at')[0]}") from error


def change(config: Config, key: str, value: Any) -> None:
    """Set it in place, for everybody in this process who holds ``config``. Only keys of :data:`AT_RUN_TIME`, checked before."""
    assert key in AT_RUN_TIME
    table, _, name = key.rpartition(".")
    msgspec.structs.force_setattr(getattr(config, table), name, value)


Layer = tuple[str, dict[str, Any]]
"""Where values come from, and the values, nested as in the TOML file."""


def layers(
    file: Path | None = None,
    environment: Mapping[str, str] | None = None,
    flags: Mapping[str, Any] | None = None,
    profile: str | None = None,
) -> list[Layer]:
    """Every source of a start, each checked on its own; later ones win.

    :param flags: keys as in the TOML file (tables nested); values that are None are not set
    :param profile: name of a board profile (:mod:`lanying.config.profiles`)
    :raises ConfigError: unreadable file, unknown key or bad value
    """
    found: list[Layer] = []
    if profile is not None:
        found.append((f"profile {profile}", _read_toml(profiles.file(profile))))
    if file is not None:
        found.append((str(file), _read_toml(file)))
    found.append(("environment", _read_environment(os.environ if environment is None else environment)))
    found.append(("command line", _without_none(flags or {})))
    for source, values in found:
        _check(source, values)
    return found


def load(
    file: Path | None = None,
    environment: Mapping[str, str] | None = None,
    flags: Mapping[str, Any] | None = None,
    profile: str | None = None,
) -> Config:
    """The configuration of a start: :func:`layers` laid over each other."""
    merged: dict[str, Any] = {}
    for _, values in layers(file, environment, flags, profile):
        _merge(merged, values)
    return msgspec.convert(merged, Config, strict=False)


def origins(found: list[Layer]) -> dict[str, str]:
    """Where each set key (``table.key``) has its value from; keys that are not there have their default."""
    return {name: source for source, values in found for name, _ in flat(values)}


def flat(values: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Nested tables as ``table.key`` and value."""
    for key, value in values.items():
        if isinstance(value, Mapping):
            yield from flat(value, f"{prefix}{key}.")
        else:
            yield prefix + key, value


def environment_name(key: str) -> str:
    """``storage.durability`` → ``LANYING_STORAGE_DURABILITY``."""
    return PREFIX + key.replace(".", "_").upper()


def _check(source: str, values: dict[str, Any]) -> None:
    for key, value in values.items():
        if key in TABLES:
            if not isinstance(value, dict):
                raise ConfigError(f"{source}: {key} is a table: write [{key}] and its keys below")
            for inner in value:
                if inner not in TABLES[key].__struct_fields__:
                    allowed = ", ".join(TABLES[key].__struct_fields__)
                    raise ConfigError(
                        f"{source}: unknown key {_named(source, f'{key}.{inner}')}; {key} takes: {allowed}"
                    )
        elif key == "apps":
            _check_apps(source, value)
        elif key not in Config.__struct_fields__:
            allowed = ", ".join(Config.__struct_fields__)
            raise ConfigError(f"{source}: unknown key {_named(source, key)}; allowed: {allowed}")
    try:
        checked = msgspec.convert(values, Config, strict=False)
    except msgspec.ValidationError as error:
        raise ConfigError(f"{source}: {_explain(source, values, error)}") from error
    _check_listen(source, checked)
    backups = checked.storage.backup_path
    if backups and not Path(backups).is_absolute():
        raise ConfigError(
            f"{source}: {_named(source, 'storage.backup_path')} = {backups!r}: write a path from the root on"
        )


def _check_apps(source: str, apps: object) -> None:
    if not isinstance(apps, dict) or not all(isinstance(own, dict) for own in apps.values()):
        raise ConfigError(f"{source}: apps are tables of a file: write [apps.APP_ID] and the keys of this app below")
    for app_id, own in apps.items():
        if not re.fullmatch(APP_ID_PATTERN, app_id):
            raise ConfigError(f"{source}: [apps.{app_id}]: {APP_ID_RULE}")
        for key in own:
            if key not in AppOverrides.__struct_fields__:
                allowed = ", ".join(AppOverrides.__struct_fields__)
                raise ConfigError(f"{source}: unknown key apps.{app_id}.{key}; apps.{app_id} takes: {allowed}")


def _check_listen(source: str, config: Config) -> None:
    try:
        host, port = config.address
    except ValueError:
        host, port = "", -1
    if not host or not 0 <= port <= 65535:
        raise ConfigError(
            f"{source}: {_named(source, 'listen')} = {config.listen!r}: "
            "write HOST:PORT, for example 127.0.0.1:8480, 0.0.0.0:8480 or [::]:8480"
        )


def _named(source: str, key: str) -> str:
    """A key as it was written in its source."""
    return environment_name(key) if source == "environment" else key


def _explain(source: str, values: dict[str, Any], error: msgspec.ValidationError) -> str:
    problem, _, place = str(error).partition(" - at ")
    key = place.strip("`").removeprefix("$.")
    if not key:
        return problem
    value = dict(flat(values)).get(key)
    table, _, name = key.rpartition(".")
    hint = get_type_hints(TABLES.get(table, Config), include_extras=True).get(name)
    kind = get_args(hint)[0] if get_origin(hint) is Annotated else hint
    allowed = f"; allowed: {', '.join(map(str, get_args(kind)))}" if get_origin(kind) is Literal else ""
    return f"{_named(source, key)} = {value!r}: {problem}{allowed}"


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
        if not name.startswith(PREFIX) or name.startswith(NOT_SETTINGS):
            continue
        key = name.removeprefix(PREFIX).lower()
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
