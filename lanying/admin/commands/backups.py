"""Backups of the running server, as ``lanying-cluster backup`` makes them."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Final

from lanying.admin.context import CommandContext
from lanying.admin.errors import CommandError
from lanying.admin.jobs import Job
from lanying.admin.keys import Role

if TYPE_CHECKING:  # the engine and its tools are loaded when a backup is made: 15 MB most servers never need here
    from lanying.storage.progress import Advance

BACKUP: Final = "backup to "
"""Begins the titles of jobs that make one."""


class _Progress:
    """Hands the progress of storage tools to a job."""

    def __init__(self, job: Job) -> None:
        self._job = job

    def step(self, title: str, total: int, unit: str = "rows") -> Advance:
        """See :class:`~lanying.storage.progress.ProgressReport`."""
        done = 0

        def advance(amount: int) -> None:
            nonlocal done
            done += amount
            self._job.tell(done, total, title)

        self._job.tell(0, total, title)
        return advance


def _destination(context: CommandContext) -> Path:
    """Where the backup is or will be; links and ``..`` count as what they lead to.

    :raises CommandError: not from the root on, or not for this role: who may name any directory may write wherever the server may
    """
    path = Path(context.text("destination"))
    if not path.is_absolute():
        raise CommandError(10002, f"{path}: give a path from the root on, it is one of the server's machine")
    path = Path(os.path.realpath(path))
    if context.role < Role.ADMIN:
        allowed = context.server.config.storage.backup_path
        if not allowed:
            raise CommandError(
                402, f"{path}: needs the role admin, or storage.backup_path in the configuration for backups below it"
            )
        if not path.is_relative_to(os.path.realpath(allowed)):
            raise CommandError(
                402, f"{path}: the role operate backs up below {allowed} (storage.backup_path); elsewhere needs admin"
            )
    return path


def start(context: CommandContext, destination: Path) -> Job:
    """Begin to back the running server up into ``destination``."""
    server = context.server

    def work(job: Job) -> dict[str, object]:
        return server.files.back_up(destination, server.config, _Progress(job), server.now_ms())

    return server.jobs.start(context.who, f"{BACKUP}{destination}", work)


async def create(context: CommandContext) -> object:
    """Back the running server up into a directory of its machine; again into the same one only what is new is copied."""
    server, destination = context.server, _destination(context)
    context.will(f"back up {server.files} into {destination}")
    job = start(context, destination)
    return job.row() if context.flag("background") else await server.jobs.follow(job, context.progress)


async def verify(context: CommandContext) -> object:
    """Read all of a backup: hashes, databases and their invariants."""
    server, destination = context.server, _destination(context)
    context.will(f"read all of {destination}")

    def work(job: Job) -> dict[str, object]:
        from lanying.storage.check import check

        return dict(check(destination, _Progress(job))._asdict())

    job = server.jobs.start(context.who, f"verify {destination}", work)
    return job.row() if context.flag("background") else await server.jobs.follow(job, context.progress)
