"""Keys of consoles that come over the network: CURVE, one key pair each, with a role.

``DATA/admin-keys.json`` (owner only): the server's key pair and, per console, name, public key and role. A console gets a file of
its own with its pair and the server's public key (``lanying-admin keygen NAME``).

``DATA/admin-keys.seen`` (owner only): the consoles whose coming is in the audit log, so that what changes while no
server runs gets there too.
"""

from __future__ import annotations

from collections.abc import Iterator
from enum import IntEnum
from pathlib import Path
from typing import Final

import msgspec
import zmq

from lanying.base import texts
from lanying.base.errors import ConfigError
from lanying.base.private import write_private

FILE: Final = "admin-keys.json"
SEEN: Final = "admin-keys.seen"


class Role(IntEnum):
    """What a key may do; each includes those before it."""

    READ = 1
    OPERATE = 2
    ADMIN = 3


class KeyPair(msgspec.Struct, frozen=True):
    """A CURVE key pair, Z85 text."""

    public: str
    secret: str


class ConsoleKey(msgspec.Struct, frozen=True):
    """A console that may connect. ``role`` is a name of :class:`Role` in lower case."""

    name: str
    public: str
    role: str


class Ring(msgspec.Struct, frozen=True):
    """The server's pair and the consoles it knows."""

    server: KeyPair
    consoles: tuple[ConsoleKey, ...] = ()

    def console(self, public: str) -> ConsoleKey | None:
        """The console with this key."""
        return next((console for console in self.consoles if console.public == public), None)


class Ticket(msgspec.Struct, frozen=True):
    """What a console needs to connect: the file ``keygen`` writes."""

    name: str
    role: str
    public: str
    secret: str
    server_public: str


class Change(msgspec.Struct, frozen=True):
    """What is different in a ring.

    :ivar added: keys that are new, replace another one or have another role, by name
    :ivar removed: keys that are gone, were replaced or had another role, by name
    :ivar public: the public keys there are now
    """

    added: dict[str, ConsoleKey]
    removed: dict[str, ConsoleKey]
    public: set[str]

    def commands(self) -> Iterator[tuple[str, dict[str, str]]]:
        """The commands that make this change, and their arguments; never the keys."""
        for name, console in self.added.items():
            yield "keygen", {"name": name, "role": console.role}
        for name in self.removed.keys() - self.added.keys():
            yield "keys remove", {"name": name, "role": self.removed[name].role}


class Watch:
    """Notices what changes in the ring of a data directory, and has changed since the last look of an earlier one."""

    def __init__(self, data: Path) -> None:
        self._data = data
        self._stamp: tuple[int, int] | None = None
        self._known = _seen(data)

    def look(self) -> Change | None:
        """What has changed since the last look; None: the file was not written, or cannot be read at the moment."""
        try:
            status = (self._data / FILE).stat()
            stamp = (status.st_mtime_ns, status.st_ino)
            if stamp == self._stamp:
                return None
            now = set(load(self._data).consoles)
        except (OSError, ConfigError):
            return None
        before, self._known, self._stamp = self._known, now, stamp
        added, removed = ({one.name: one for one in sorted(some, key=_name)} for some in (now - before, before - now))
        return Change(added, removed, {one.public for one in now})

    def keep(self) -> None:
        """What was found is written down elsewhere: a later watch does not find it again. :raises OSError: cannot be written"""
        write_private(self._data / SEEN, msgspec.json.encode(sorted(self._known, key=_name)))


def _name(console: ConsoleKey) -> str:
    return console.name


def _seen(data: Path) -> set[ConsoleKey]:
    """What an earlier watch has kept; nothing when there was none, or its file is damaged: all keys are reported then."""
    try:
        return set(msgspec.json.decode((data / SEEN).read_bytes(), type=list[ConsoleKey]))
    except (OSError, msgspec.DecodeError):
        return set()


def new_pair() -> KeyPair:
    """A fresh key pair."""
    public, secret = zmq.curve_keypair()
    return KeyPair(public.decode(), secret.decode())


def load(data: Path) -> Ring:
    """The ring of a data directory; made when there is none. :raises ConfigError: damaged or not readable"""
    file = data / FILE
    try:
        if not file.exists():
            ring = Ring(new_pair())
            save(data, ring)
            return ring
        return msgspec.json.decode(texts.read(file, "give this user the right to read it"), type=Ring)
    except (OSError, msgspec.DecodeError) as error:
        raise ConfigError(f"{file}: {error}; restore it from a backup, or remove it and make new keys") from error


def save(data: Path, ring: Ring) -> None:
    """Write the ring."""
    write_private(data / FILE, msgspec.json.format(msgspec.json.encode(ring)) + b"\n")


def add(data: Path, name: str, role: Role) -> Ticket:
    """Make and register a console's key; one of that name is replaced. The ticket is kept nowhere else."""
    ring, pair = load(data), new_pair()
    others = tuple(console for console in ring.consoles if console.name != name)
    save(data, msgspec.structs.replace(ring, consoles=(*others, ConsoleKey(name, pair.public, role.name.lower()))))
    return Ticket(name, role.name.lower(), pair.public, pair.secret, ring.server.public)


def remove(data: Path, name: str) -> bool:
    """Forget a console's key. Was it there?"""
    ring = load(data)
    others = tuple(console for console in ring.consoles if console.name != name)
    save(data, msgspec.structs.replace(ring, consoles=others))
    return len(others) != len(ring.consoles)
