"""What the admin page asks and no other client: status of the processes, groups of the app, backups. Admin tokens only."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Annotated, Any, Final

import msgspec
import psutil

from lanying.base import limits
from lanying.base.errors import CallError, LanyingError
from lanying.base.refusals import Refusal
from lanying.bus.messages import GroupInfo, ListGroups, ListJobs, StartBackup
from lanying.bus.shards import ask_shard
from lanying.cluster.runtime import RunDirectory
from lanying.gateway.http.endpoint import GET, POST, Endpoint, PagedResult, RequestContext
from lanying.supervisor import control
from lanying.supervisor.requests import StatusRequest

MANIFEST: Final = "manifest.json"
"""As in :mod:`lanying.storage.manifest`, which would load the database engine."""


class GroupsPage(msgspec.Struct):
    """A page of the app's groups, behind the ``cursor`` of the one before."""

    page_size: Annotated[int, msgspec.Meta(ge=1, le=limits.REST_PAGE)] = 50
    cursor: str = ""


async def status(context: RequestContext) -> object:
    """What ``lanying-cluster status --json`` says: the supervisor's account of every process, with memory and CPU time."""
    _need_first_app(context)
    try:
        found = await asyncio.to_thread(control.ask, RunDirectory(context.services.data), StatusRequest())
    except LanyingError as error:
        raise CallError(Refusal.UNAVAILABLE, str(error)) from error
    rows = [msgspec.to_builtins(row) | _measured(row.pid) for row in found.processes]
    return msgspec.to_builtins(found) | {
        "processes": rows,
        "apps": sorted(context.services.apps),
        "now": context.services.now_ms(),
    }


async def groups(context: RequestContext, given: GroupsPage) -> object:
    """Groups of the app, by shard and id; ``cursor`` of the answer goes on."""
    shards, size = context.shards, given.page_size
    place, _, after = given.cursor.partition("-")
    shard, behind = (int(place), int(after)) if place.isdecimal() and after.isdecimal() else (0, 0)
    found: list[GroupInfo] = []
    while shard < shards.map.shards and len(found) < size:
        page = await ask_shard(shards, shard, ListGroups(context.app.app_id, behind, size - len(found)))
        found += page.groups
        shard, behind = (shard, page.next) if page.next else (shard + 1, 0)
    rows = [
        {"group_id": it.gid, "name": it.name, "owner_id": it.owner, "count": it.count, "status": it.status}
        for it in found
    ]
    return PagedResult(rows, {"cursor": f"{shard}-{behind}"} if shard < shards.map.shards else {})


async def backups(context: RequestContext) -> object:
    """Where backups go (empty: switched off), when the last whole one was made (0: never), and the jobs since the server's start."""
    _need_first_app(context)
    path = context.services.config.storage.backup_path
    jobs = await context.services.ask_admin(ListJobs())
    made_ms = await asyncio.to_thread(_made_ms, Path(path)) if path else 0
    return {"path": path, "made_ms": made_ms, "jobs": [msgspec.structs.asdict(job) for job in jobs]}


async def start_backup(context: RequestContext) -> object:
    """Back the server up into ``storage.backup_path``; the job, which goes on by itself."""
    _need_first_app(context)
    job = await context.services.ask_admin(StartBackup(context.address))
    return msgspec.structs.asdict(job)


def _need_first_app(context: RequestContext) -> None:
    """What is about the server, or has the data of all apps, is for the owner of the server."""
    if context.app.app_id != next(iter(context.services.apps)):
        raise CallError(Refusal.PERMISSION_DENIED, "this needs the admin token of the server's first app")


def _made_ms(backup: Path) -> int:
    """A backup's manifest is replaced when all of it is on the disk."""
    try:
        return int((backup / MANIFEST).stat().st_mtime * 1000)
    except OSError:
        return 0


def _measured(pid: int | None) -> dict[str, Any]:
    """Memory and CPU time of a process; nothing of one that is gone."""
    try:
        process = psutil.Process(pid)
        times = process.cpu_times()
        return {"memory_bytes": process.memory_info().rss, "cpu_s": round(times.user + times.system, 2)}
    except (psutil.Error, ValueError):
        return {"memory_bytes": 0, "cpu_s": 0.0}


ENDPOINTS: Final = (
    Endpoint(GET, "/admin/api/status", status, admin=True),
    Endpoint(GET, "/admin/api/groups", groups, admin=True),
    Endpoint(GET, "/admin/api/backups", backups, admin=True),
    Endpoint(POST, "/admin/api/backups", start_backup, admin=True),
)
