"""The configuration while a process runs: which settings may change, and who has the current ones."""

from __future__ import annotations

from typing import Any

import msgspec

from lanying.base.errors import ConfigError
from lanying.config.schema import TABLES, AppOverrides, Config

AT_RUN_TIME = (
    "accounts.open_registration",
    "accounts.token_lifetime_s",
    "policy.recall_seconds",
    "policy.group_members",
    "storage.min_free_bytes",
)
"""Settings that a running server can change, until it starts again."""


class RuntimeSettings:
    """The current configuration of a process. There is one in each.

    :ivar config: a value that is replaced and never changed: read it when a setting of :data:`AT_RUN_TIME` or of an app is needed,
        and keep no copy of those
    """

    __slots__ = ("config",)

    def __init__(self, config: Config) -> None:
        self.config = config

    def change(self, key: str, value: Any) -> None:
        """Another value for a key of :data:`AT_RUN_TIME`. :raises ConfigError: a bad value"""
        assert key in AT_RUN_TIME
        self.config = changed(self.config, key, value)

    def add_app(self, app_id: str, own: AppOverrides) -> None:
        """What differs for an app that was added."""
        self.config = msgspec.structs.replace(self.config, apps={**self.config.apps, app_id: own})


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
