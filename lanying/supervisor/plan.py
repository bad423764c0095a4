"""What a supervisor runs: a checked and bound :class:`Plan`, and how a process of it is started."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import msgspec

from lanying.cluster.launch import Launch
from lanying.cluster.runtime import ADMIN, GATEWAY, PUSH, ROUTER, TLS, shard_name
from lanying.cluster.shardmap import ShardMap
from lanying.config.allotment import Allotment
from lanying.config.apps import App
from lanying.config.schema import Config
from lanying.supervisor import kinship, machine
from lanying.supervisor.datadir import DataDirectory
from lanying.supervisor.move import MOVER

SHARD = "shard"
MODULES: Mapping[str, str] = {
    kind: f"lanying.{kind}.__main__" for kind in (SHARD, GATEWAY, ROUTER, ADMIN, PUSH, TLS)
} | {MOVER: "lanying.storage"}
"""What runs, by kind of process."""
TAKERS: Mapping[str, str] = {
    "listen": ROUTER,
    "listen_tls": TLS,
    "listen_redirect": TLS,
    "metrics_port": GATEWAY,
}
"""Which process accepts at a setting's listener."""
SHARED = ("lanying.shard.__main__", "lanying.router.__main__")
"""What is imported before the first process is forked."""


@dataclass(frozen=True)
class Plan:
    """Everything a supervisor needs, checked and bound before.

    :ivar config: with the addresses that were really bound
    :ivar listeners: by setting; what is not configured has none
    :ivar allotted: what may be taken of this machine
    :ivar push: some app has a notifier, so there is a push process
    :ivar recheck: the configuration as it is now, asked before a restart; raises ConfigError when it would not allow a start
    """

    config: Config
    data: DataDirectory
    shard_map: ShardMap
    apps: tuple[App, ...]
    listeners: Mapping[str, socket.socket]
    cores: list[int]
    modules: Mapping[str, str] = field(default_factory=lambda: MODULES)
    recheck: Callable[[], Config] = Config
    hung_after_s: float | None = None
    push: bool = False
    allotted: Allotment = field(default_factory=Allotment)

    @property
    def names(self) -> list[str]:
        """Process names in the order of their start."""
        return [
            *(shard_name(i) for i in self.shard_map.peers),
            GATEWAY,
            ADMIN,
            *([PUSH] if self.push else []),
            *([TLS] if "listen_tls" in self.listeners else []),
            ROUTER,
        ]

    def launch(self, name: str) -> Launch:
        """What a child has to know."""
        index = int(name.removeprefix("shard-")) if name.startswith("shard-") else -1
        return Launch(
            name=name,
            config=self.config,
            data=str(self.data.path),
            shard_map=self.shard_map,
            apps=self.apps,
            cpu=machine.pin(index, self.cores) if index >= 0 else None,
            index=index,
            fds={key: one.fileno() for key, one in self.listeners.items() if TAKERS[key] == name},
            push=self.push,
            allotted=self.allotted,
        )


def spawn(module: str, argument: str, launch: Launch, lock_fd: int) -> subprocess.Popen[bytes]:
    """A process that runs to its end while none of the others does: it is not forked, the mover is the only one.

    Its stdout is our stderr: stdout carries the ready line and nothing else.

    :raises OSError: no memory, no processes left, or no such program
    """
    parent = os.getpid()

    def prepare() -> None:
        signal.signal(signal.SIGHUP, signal.SIG_IGN)  # until it has a log to open again
        kinship.die_with(parent)

    process = subprocess.Popen(
        (sys.executable, "-m", module, argument),
        stdin=subprocess.PIPE,
        stdout=sys.stderr.fileno(),
        pass_fds=(*launch.fds.values(), lock_fd),
        start_new_session=True,
        preexec_fn=prepare,
    )
    assert process.stdin is not None
    try:
        process.stdin.write(msgspec.json.encode(launch))
        process.stdin.close()
    except BrokenPipeError:
        pass  # it is gone already; the pidfd reports its exit
    return process
