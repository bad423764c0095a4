"""Where a running server keeps its things, and what its processes are called.

Data directory (mode 0700)::

    shardmap.json        which shard owns which slot
    apps.json            apps: ids, signing keys, settings of added ones (mode 0600; :mod:`lanying.config.apps`)
    admin-token          admin token of the first app (mode 0600); admin-token.<app id>: of another one
    admin-keys.json      keys of consoles that come over the network (mode 0600)
    admin-keys.seen      those of them that are in the audit log (mode 0600)
    move.json            the last move of slots that was asked of the running server (:mod:`lanying.supervisor.move`)
    audit.log            what was done through the console, hash-chained (mode 0600)
    notifiers.json       vendor certificates, encrypted with notifiers.key (mode 0600)
    lock                 held by the supervisor, contains its pid
    shard-<n>/           RocksDB of one shard
    files/objects/       uploaded files and what was made of them (:mod:`lanying.gateway.services.objects`)
    files/incoming/      uploads under way
    cold-path            directory of the cold stores, if there are any
    run/                 sockets: bus-<process>.ipc, handoff-<process>.sock, control.ipc, admin.ipc, admin-events.ipc;
                         move: how far a move of slots is
    log/                 log files of a server started with --daemon
"""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import Final

SUPERVISOR = "supervisor"
ROUTER = "router"
GATEWAY = "gateway"
ADMIN = "admin"
PUSH = "push"
TLS = "tls"

OBJECTS = "files/objects"
INCOMING = "files/incoming"

EXIT_CONFIG: Final = 78
"""``EX_CONFIG`` of sysexits.h: configuration, machine or data do not allow a start; who exits with it has said why."""
EXIT_FENCED: Final = 79
"""Of a shard that has another owner: what it decided last was not kept, and nothing of it was let out."""


COLD_FILE = "cold-path"


def cold_path(data: Path, configured: str = "") -> str:
    """Directory of the cold stores: as configured, or where they were when the server was last started; empty: there are none."""
    if configured:
        return str(Path(configured).absolute())
    try:
        return (data / COLD_FILE).read_text("utf-8").strip()
    except FileNotFoundError:
        return ""


def shard_name(index: int) -> str:
    """Process name of a shard; process names are also bus addresses."""
    return f"shard-{index}"


class RunDirectory:
    """Socket paths. A Unix socket path is limited to 107 bytes: a deep data directory gets a short stand-in under /tmp."""

    def __init__(self, data: Path) -> None:
        self.path = Path(os.path.realpath(data)) / "run"
        if len(str(self.path)) > 70:
            digest = hashlib.sha256(str(self.path).encode()).hexdigest()[:16]
            self.path = Path("/tmp") / f"lanying-{os.getuid()}-{digest}"

    def create(self) -> None:
        """Make the directory, owner only.

        :raises PermissionError: somebody else owns it
        """
        self.path.mkdir(mode=0o700, exist_ok=True)
        if self.path.stat().st_uid != os.getuid():
            raise PermissionError(f"{self.path} belongs to another user")
        self.path.chmod(0o700)

    def bus(self, process: str) -> str:
        """ZeroMQ endpoint of a process's PULL socket."""
        return f"ipc://{self.path}/bus-{process}.ipc"

    def handoff(self, process: str) -> str:
        """Unix socket (SOCK_SEQPACKET) on which a process takes over client sockets."""
        return f"{self.path}/handoff-{process}.sock"

    @property
    def control(self) -> str:
        """ZeroMQ endpoint of the supervisor's ROUTER socket (status, stop)."""
        return f"ipc://{self.path}/control.ipc"

    @property
    def admin(self) -> str:
        """ZeroMQ endpoint of the admin process's ROUTER socket."""
        return f"ipc://{self.path}/admin.ipc"

    @property
    def admin_events(self) -> str:
        """ZeroMQ endpoint of the admin process's PUB socket."""
        return f"ipc://{self.path}/admin-events.ipc"
