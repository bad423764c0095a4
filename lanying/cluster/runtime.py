"""Where a running server keeps its things, and how a child process learns what it is.

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
import sys
from pathlib import Path
from typing import Final

import msgspec

from lanying.base.errors import DataDirectoryError
from lanying.cluster.shardmap import ShardMap
from lanying.config.apps import App, Apps, load, settle
from lanying.config.runtime import RuntimeSettings
from lanying.config.schema import Config

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


class Launch(msgspec.Struct, frozen=True):
    """Everything a child process needs at its start, as JSON on file descriptor 0 (never on the command line: it has keys).

    :ivar name: process name (``router``, ``gateway``, ``shard-0`` …)
    :ivar cpu: core to pin to, None for none
    :ivar push: there is a push process, shards note what they owe it
    :ivar fds: inherited descriptors by name: ``listener`` (router: the public port), ``tls`` (tls: the public port for
        TLS), ``metrics`` (gateway: loopback listener)
    """

    name: str
    config: Config
    data: str
    shard_map: ShardMap
    apps: tuple[App, ...]
    cpu: int | None = None
    index: int = -1
    fds: dict[str, int] = {}
    push: bool = False

    @classmethod
    def read(cls) -> Launch:
        """The launch record of this process, with the apps that were added since the server started; pins the process to its core."""
        launch = msgspec.json.decode(sys.stdin.buffer.read(), type=cls)
        try:
            now = load(Path(launch.data)) or launch.apps
        except DataDirectoryError as error:  # the supervisor read it when it was whole: serve those
            print(f"{launch.name}: {error}", file=sys.stderr, flush=True)
            now = launch.apps
        config, apps = settle(launch.config, now)
        launch = msgspec.structs.replace(launch, config=config, apps=apps)
        if launch.cpu is not None:
            os.sched_setaffinity(0, {launch.cpu})
        return launch

    @property
    def run(self) -> RunDirectory:
        """The sockets of this server."""
        return RunDirectory(Path(self.data))

    def app_list(self, settings: RuntimeSettings | None = None) -> Apps:
        """The apps of this server, and those that will be added while this process runs.

        :param settings: gets those of the added ones; None: nobody here asks for them
        """
        return Apps(self.apps, settings or RuntimeSettings(self.config), Path(self.data))


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
