"""What the admin page asks and no other client: status of the processes, groups of the app. Admin tokens only."""

from __future__ import annotations

import asyncio
from typing import Any, Final

import psutil

from lanying import control, limits
from lanying.bus.messages import GroupInfo, GroupPage, ListGroups
from lanying.bus.shards import ask_shard
from lanying.errors import LanyingError
from lanying.gateway.codes import refuse
from lanying.gateway.endpoint import GET, Endpoint, Page, Visit
from lanying.runtime import RunDirectory


async def status(visit: Visit) -> object:
    """What ``lanying-cluster status --json`` says: the supervisor's account of every process, with memory and CPU time."""
    try:
        found = await asyncio.to_thread(control.ask, RunDirectory(visit.services.data), {"do": "status"})
    except LanyingError as error:
        raise refuse(503, str(error)) from error
    for row in found["processes"]:
        row |= _measured(row["pid"])
    return {**found, "apps": sorted(visit.services.apps), "now": visit.services.now_ms()}


async def groups(visit: Visit) -> object:
    """Groups of the app, by shard and id; ``cursor`` of the answer goes on."""
    params, shards = visit.params, visit.services.shards
    size = params.number("page_size", 50, least=1, most=limits.REST_PAGE)
    place, _, after = params.text("cursor", "").partition("-")
    shard, behind = (int(place), int(after)) if place.isdecimal() and after.isdecimal() else (0, 0)
    found: list[GroupInfo] = []
    while shard < shards.map.shards and len(found) < size:
        page = await ask_shard(shards, shard, ListGroups(visit.app.app_id, behind, size - len(found)), GroupPage)
        found += page.groups
        shard, behind = (shard, page.next) if page.next else (shard + 1, 0)
    rows = [
        {"group_id": it.gid, "name": it.name, "owner_id": it.owner, "count": it.count, "status": it.status}
        for it in found
    ]
    return Page(rows, {"cursor": f"{shard}-{behind}"} if shard < shards.map.shards else {})


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
)
