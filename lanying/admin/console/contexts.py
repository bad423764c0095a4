"""Servers a person works with, by name: ``~/.config/lanying/contexts.json`` (or below ``XDG_CONFIG_HOME``), owner only."""

from __future__ import annotations

import os
from pathlib import Path

import msgspec

from lanying.admin.console.client import Address, read_ticket
from lanying.base import texts
from lanying.base.errors import ConfigError
from lanying.base.private import write_private

DEFAULT = Address(data=Path("data"))
"""The server of ``make run``."""


class Context(msgspec.Struct, frozen=True):
    """A server: ``data``, its data directory on this machine, or ``server`` (``HOST:PORT``) and ``key``, a file of ``keygen``."""

    data: str = ""
    server: str = ""
    key: str = ""

    def address(self) -> Address:
        """Where to connect. :raises ConfigError: the key file is not there"""
        if self.data:
            return Address(data=Path(self.data))
        return Address(host=self.server, ticket=read_ticket(Path(self.key)))


class Contexts(msgspec.Struct, frozen=True):
    """All of them, and the one in use."""

    current: str = ""
    servers: dict[str, Context] = {}

    def get(self, name: str) -> Context:
        """By name. :raises ConfigError: unknown"""
        if name not in self.servers:
            known = ", ".join(self.servers) or "none yet"
            raise ConfigError(f"no context {name!r}; there are: {known} (`lanying-admin context add` makes one)")
        return self.servers[name]


def file() -> Path:
    """Where they are kept."""
    return Path(os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config") / "lanying" / "contexts.json"


def load() -> Contexts:
    """What is kept; nothing yet is no error. :raises ConfigError: damaged"""
    try:
        if not file().exists():
            return Contexts()
        return msgspec.json.decode(texts.read(file(), "mend or remove it"), type=Contexts)
    except (OSError, msgspec.DecodeError) as error:
        raise ConfigError(f"{file()}: {error}; mend or remove it") from error


def save(contexts: Contexts) -> None:
    """Write them."""
    file().parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    write_private(file(), msgspec.json.format(msgspec.json.encode(contexts)) + b"\n")


def address(name: str | None, data: str | None, server: str | None, key: str | None) -> Address:
    """The server that is meant: options first, then the context in use, then ``./data``.

    :raises ConfigError: unknown context, or a server without a key
    """
    if data:
        return Address(data=Path(data))
    if server:
        if not key:
            raise ConfigError("--server needs --key FILE, a file that `lanying-admin keygen` wrote on the server")
        return Context(server=server, key=key).address()
    contexts = load()
    name = name or contexts.current
    return contexts.get(name).address() if name else DEFAULT
