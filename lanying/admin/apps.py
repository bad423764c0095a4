"""Apps of the server. They are made by the configuration: users and groups of one reach nothing of another."""

from __future__ import annotations

from lanying.admin.visit import CommandError, Visit


async def list_all(visit: Visit) -> object:
    """Every app with what differs for it."""
    server = visit.server
    return [
        {
            "app": app.app_id,
            "name": app.name,
            "open_registration": server.config.accounts_of(app.app_id).open_registration,
            "strangers_may_chat": server.config.accounts_of(app.app_id).strangers_may_chat,
            "admin_token": str(server.data / ("admin-token" if first else f"admin-token.{app.app_id}")),
        }
        for first, app in zip([True] + [False] * len(server.apps), server.apps.values(), strict=False)
    ]


async def add(visit: Visit) -> object:
    """How an app is added."""
    name = visit.text("app_id")
    raise CommandError(
        10010,
        f"apps are part of the configuration: add a table [apps.{name}] to the configuration file and restart the server",
    )
