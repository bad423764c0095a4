"""What strangers and users may make the server take of its machine: a board with 512 MB is no server with 16 GB.

Computed from memory and cores when a server starts, and given to every process (:class:`~lanying.cluster.launch.Launch`); ``[limits]`` of
the configuration sets single ones. Where nothing is computed, in tests, the defaults are those of a machine with 2 GB.
"""

from __future__ import annotations

from typing import Final, NamedTuple

import msgspec

from lanying.base import limits
from lanying.config.schema import Config, LimitsSettings

PEER_SHARE: Final = 4
"""One address has a quarter."""
_MB: Final = 1 << 20
_KEPT_BACK: Final = 0.8
"""A board sold with 1 GB has 906 MB: it counts as one with 1,024, and so does whatever has a fifth less."""


class Machine(NamedTuple):
    """What there is.

    :ivar memory_mb: of the machine, or of what the processes are confined to, whichever is less
    """

    memory_mb: int
    cores: int

    def __str__(self) -> str:
        return f"{self.memory_mb} MB, {self.cores} cores"


class Allotment(msgspec.Struct, frozen=True):
    """See the module; ``docs/security.md`` has a table of boards.

    :ivar waiting_connections: sending their request's head; as many wait for a login, and as many shake hands for TLS
    :ivar rest_connections: HTTP connections of the gateway
    :ivar rest_bodies_mb: bodies of requests under way
    :ivar password_threads: hash passwords, each with ``accounts.argon2_memory_kib``
    :ivar uploads: at the same time
    :ivar unsent_mb: what the sessions of a shard have not read
    :ivar picture_megapixels: of the largest picture that is decoded
    """

    waiting_connections: int = limits.PENDING_CONNECTIONS
    rest_connections: int = limits.REST_CONNECTIONS
    rest_bodies_mb: int = limits.REST_BODIES_BYTES // _MB
    password_threads: int = limits.PASSWORD_THREADS
    uploads: int = limits.UPLOADS
    unsent_mb: int = limits.OUT_ALL_BYTES // _MB
    picture_megapixels: int = limits.PICTURE_PIXELS // 1_000_000

    @property
    def rest_bodies_bytes(self) -> int:
        """Of all together."""
        return self.rest_bodies_mb * _MB

    @property
    def waiting_per_peer(self) -> int:
        """Of ``waiting_connections``, those of one address."""
        return -(-self.waiting_connections // PEER_SHARE)

    @property
    def rest_connections_per_peer(self) -> int:
        """Of ``rest_connections``, those of one address."""
        return -(-self.rest_connections // PEER_SHARE)

    @property
    def rest_bodies_bytes_per_peer(self) -> int:
        """Of ``rest_bodies_bytes``, those of one address; one body fits."""
        return max(self.rest_bodies_bytes // PEER_SHARE, limits.REST_BODY_BYTES)

    @property
    def uploads_per_peer(self) -> int:
        """Of ``uploads``, those of one address: half, for it may be all there is."""
        return -(-self.uploads // 2)

    @property
    def unsent_bytes(self) -> int:
        """Of a shard."""
        return self.unsent_mb * _MB

    def __str__(self) -> str:
        """``waiting_connections 2048, …``."""
        return ", ".join(f"{name} {value}" for name, value in msgspec.structs.asdict(self).items())

    def worst_mb(self, shards: int, argon2_memory_kib: int) -> int:
        """What all of it takes when everything is used up at the same time."""
        kib = 2 * self.waiting_connections * limits.LOGIN_BYTES // 1024
        kib += self.rest_connections * REST_CONNECTION_KIB + self.uploads * limits.UPLOAD_WRITE_BYTES // 1024
        kib += self.password_threads * argon2_memory_kib
        return kib // 1024 + self.rest_bodies_mb + shards * self.unsent_mb + self.picture_megapixels * PICTURE_MB


REST_CONNECTION_KIB: Final = 10
"""Of an idle one (measured); one that is answered has 64 KB of its answer besides."""
PICTURE_MB: Final = 9
"""The child that decodes, per megapixel (measured: 80 MB for nine)."""


def nominal_mb(memory_mb: int) -> int:
    """Memory as it is sold: the power of two below, or just above, what the kernel leaves of it."""
    return 1 << max(int(memory_mb / _KEPT_BACK).bit_length() - 1, 7)


def allot(machine: Machine, shards: int, chosen: LimitsSettings | None = None) -> Allotment:
    """For this machine, but what was chosen."""
    size = nominal_mb(machine.memory_mb)
    cores = max(machine.cores, 1)
    found = Allotment(
        waiting_connections=_between(2 * size, 512, limits.PENDING_CONNECTIONS),
        rest_connections=_between(2 * size, 512, limits.REST_CONNECTIONS),
        rest_bodies_mb=_between(size // 64, 8, 128),
        password_threads=_between(min(max(cores // 2, 2), size // 256), 1, 8),
        uploads=_between(size // 64, 16, 128),
        unsent_mb=_between(size // 16 // shards, 8, 256),
        picture_megapixels=_between(9 * size // 1024, 4, limits.PICTURE_PIXELS // 1_000_000),
    )
    given = {} if chosen is None else {name: value for name, value in msgspec.structs.asdict(chosen).items() if value}
    return msgspec.structs.replace(found, **given)


def allot_start(config: Config, machine: Machine) -> Allotment:
    """As a start with this configuration would, in a new data directory."""
    return allot(machine, config.shards or machine.cores, config.limits)


def _between(value: int, least: int, most: int) -> int:
    return max(least, min(value, most))
