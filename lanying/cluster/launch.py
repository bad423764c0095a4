"""What a child process is: the record it gets at its start."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import msgspec

from lanying.base.errors import DataDirectoryError
from lanying.cluster.runtime import RunDirectory
from lanying.cluster.shardmap import ShardMap
from lanying.config.allotment import Allotment
from lanying.config.apps import App, Apps, load, settle
from lanying.config.runtime import RuntimeSettings
from lanying.config.schema import Config


class Launch(msgspec.Struct, frozen=True):
    """Everything a child process needs at its start, as JSON on file descriptor 0 (never on the command line: it has keys).

    :ivar name: process name (``router``, ``gateway``, ``shard-0`` …)
    :ivar cpu: core to pin to, None for none
    :ivar allotted: what may be taken of this machine
    :ivar push: there is a push process, shards note what they owe it
    :ivar fds: inherited listeners by their setting: ``listen`` (router), ``listen_tls`` and ``listen_redirect`` (tls), ``metrics_port``
        (gateway)
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
    allotted: Allotment = Allotment()

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
