"""Keys of consoles that come over the network: CURVE, one key pair each, with a role.

``DATA/admin-keys.json`` (owner only): the server's key pair and, per console, name, public key and role. A console gets a file of
its own with its pair and the server's public key (``lanying-admin keygen NAME``).
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

import msgspec
import zmq

from lanying.admin.visit import Role
from lanying.errors import ConfigError
from lanying.private import write_private

FILE: Final = "admin-keys.json"


class Pair(msgspec.Struct, frozen=True):
    """A CURVE key pair, Z85 text."""

    public: str
    secret: str


class Console(msgspec.Struct, frozen=True):
    """A console that may connect. ``role`` is a name of :class:`Role` in lower case."""

    name: str
    public: str
    role: str


class Ring(msgspec.Struct, frozen=True):
    """The server's pair and the consoles it knows."""

    server: Pair
    consoles: tuple[Console, ...] = ()

    def console(self, public: str) -> Console | None:
        """The console with this key."""
        return next((console for console in self.consoles if console.public == public), None)


class Ticket(msgspec.Struct, frozen=True):
    """What a console needs to connect: the file ``keygen`` writes."""

    name: str
    role: str
    public: str
    secret: str
    server_public: str


def new_pair() -> Pair:
    """A fresh key pair."""
    public, secret = zmq.curve_keypair()
    return Pair(public.decode(), secret.decode())


def load(data: Path) -> Ring:
    """The ring of a data directory; made when there is none. :raises ConfigError: damaged or not readable"""
    file = data / FILE
    try:
        return msgspec.json.decode(file.read_bytes(), type=Ring)
    except FileNotFoundError:
        ring = Ring(new_pair())
        save(data, ring)
        return ring
    except (OSError, msgspec.DecodeError) as error:
        raise ConfigError(f"{file}: {error}; restore it from a backup, or remove it and make new keys") from error


def save(data: Path, ring: Ring) -> None:
    """Write the ring."""
    write_private(data / FILE, msgspec.json.format(msgspec.json.encode(ring)) + b"\n")


def add(data: Path, name: str, role: Role) -> Ticket:
    """Make and register a console's key; one of that name is replaced. The ticket is kept nowhere else."""
    ring, pair = load(data), new_pair()
    others = tuple(console for console in ring.consoles if console.name != name)
    save(data, msgspec.structs.replace(ring, consoles=(*others, Console(name, pair.public, role.name.lower()))))
    return Ticket(name, role.name.lower(), pair.public, pair.secret, ring.server.public)


def remove(data: Path, name: str) -> bool:
    """Forget a console's key. Was it there?"""
    ring = load(data)
    others = tuple(console for console in ring.consoles if console.name != name)
    save(data, msgspec.structs.replace(ring, consoles=others))
    return len(others) != len(ring.consoles)
