"""Where the configuration of a start comes from: board profile < TOML file < environment < command line.

Environment names are ``LANYING_`` + the key, or + table + key: ``LANYING_LISTEN``, ``LANYING_SHARDS``,
``LANYING_STORAGE_DURABILITY``. Every source is checked on its own, before anything starts; an error names where the value came
from, the key and what is allowed.
"""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Final, Literal, get_args, get_origin, get_type_hints

import msgspec

from lanying.base import texts
from lanying.base.errors import ConfigError
from lanying.base.peers import Proxies
from lanying.config import profiles
from lanying.config.schema import APP_ID_PATTERN, APP_ID_RULE, TABLES, AppOverrides, Config, flat

PREFIX = "LANYING_"
NOT_SETTINGS = ("LANYING_FAILPOINT",)
"""Beginnings of environment names that are not settings: fault injection of the tests."""

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
    addresses = {key: getattr(checked, key) for key in ("listen", "listen_tls", "listen_redirect")}
    for key, value in {**addresses, "admin.listen": checked.admin.listen}.items():
        if value:
            _check_listen(source, key, value)
    try:
        Proxies(checked.listen_proxies)
    except ValueError as error:
        raise ConfigError(
            f"{source}: {_named(source, 'listen_proxies')}: {error}; write networks such as 127.0.0.1/32, 10.0.0.0/8 or ::1/128"
        ) from error
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


def _check_listen(source: str, key: str, value: str) -> None:
    host, _, port = value.rpartition(":")
    if not host.strip("[]") or not (port.isascii() and port.isdecimal()) or int(port) > 65535:
        raise ConfigError(
            f"{source}: {_named(source, key)} = {value!r}: "
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
        return tomllib.loads(texts.read(file, "give another file with --config"))
    except (tomllib.TOMLDecodeError, RecursionError) as error:  # the second by hundreds of brackets
        raise ConfigError(f"{file}: not valid TOML: {error}; docs/configuration.md shows the form") from None


_LISTS: Final = frozenset(
    key.replace(".", "_") for key, value in flat(msgspec.to_builtins(Config())) if isinstance(value, tuple | list)
)
"""Written with commas."""


def _read_environment(environment: Mapping[str, str]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in environment.items():
        if not name.startswith(PREFIX) or name.startswith(NOT_SETTINGS):
            continue
        key = name.removeprefix(PREFIX).lower()
        table = next((t for t in TABLES if key.startswith(t + "_")), None)
        into = found if table is None else found.setdefault(table, {})
        inner = key if table is None else key.removeprefix(table + "_")
        into[inner] = [part.strip() for part in value.split(",") if part.strip()] if key in _LISTS else value
    return found


def _without_none(values: Mapping[str, Any]) -> dict[str, Any]:
    return {k: _without_none(v) if isinstance(v, Mapping) else v for k, v in values.items() if v is not None}


def _merge(into: dict[str, Any], values: dict[str, Any]) -> None:
    for key, value in values.items():
        if isinstance(value, dict):
            _merge(into.setdefault(key, {}), value)
        else:
            into[key] = value
