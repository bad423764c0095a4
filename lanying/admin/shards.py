"""Shards: what each holds and owes; restart one."""

from __future__ import annotations

import asyncio
from typing import Any

from lanying import report
from lanying.admin.visit import CommandError, Visit
from lanying.runtime import shard_name

RESTART_S = 60.0
POLL_S = 0.1


async def list_all(visit: Visit) -> object:
    """Every shard with its slots, sessions, memory, disk and what it owes others."""
    found = await visit.server.control({"do": "status"})
    await asyncio.to_thread(report.measure, found["processes"])
    slots = visit.server.map.slots
    rows = []
    for row in found["processes"]:
        if not row["name"].startswith("shard-"):
            continue
        index, figures = int(row["name"].removeprefix("shard-")), row["figures"]
        rows.append(
            {
                "shard": index,
                "state": row["state"],
                "core": row["core"],
                "slots": slots.count(index),
                "sessions": int(figures.get("sessions", 0)),
                "messages": int(figures.get("messages", 0)),
                "cpu_percent": row["cpu_percent"],
                "rss_bytes": row["rss_bytes"],
                "disk_bytes": figures.get("disk_bytes"),
                "owes": int(sum(value for name, value in figures.items() if name.startswith("link_"))),
            }
        )
    return rows


async def restart(visit: Visit) -> object:
    """Drain a shard and start it again: its clients connect again by themselves."""
    name = _name(visit)
    before = _row(await visit.server.control({"do": "status"}), name)
    visit.will(f"restart {name}: {int(before['figures'].get('sessions', 0))} clients connect again, nothing is lost")
    await visit.server.control({"do": "restart", "process": name})
    visit.progress(0, 0, f"{name} drains and starts")
    async with asyncio.timeout(RESTART_S):
        while True:
            row = _row(await visit.server.control({"do": "status"}), name)
            if row["restarts"] > before["restarts"] and row["state"] == "ready":
                return {"shard": name, "pid": row["pid"], "restarts": row["restarts"]}
            await asyncio.sleep(POLL_S)


async def move(visit: Visit) -> object:
    """How slots are moved: with the server stopped."""
    data = visit.server.data
    raise CommandError(
        10010,
        "slots move between databases only while the server is stopped: "
        f"lanying-cluster stop --data {data}; lanying-cluster reshard --shards {visit.number('shards')} --data {data}; start again",
    )


def _name(visit: Visit) -> str:
    index = visit.number("shard")
    if not 0 <= index < visit.server.map.shards:
        raise CommandError(404, f"there is no shard {index}; there are 0 to {visit.server.map.shards - 1}")
    return shard_name(index)


def _row(status: dict[str, Any], name: str) -> dict[str, Any]:
    row: dict[str, Any] = next(row for row in status["processes"] if row["name"] == name)
    return row
