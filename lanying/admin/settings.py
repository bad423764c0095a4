"""Settings as the server runs with them."""

from __future__ import annotations

import msgspec

from lanying.admin.visit import CommandError, Visit
from lanying.config import Config, environment_name, flat


async def show(visit: Visit) -> object:
    """Every setting, or those whose key contains a text; ``set``: it is not the default."""
    wanted = visit.text("text")
    defaults = dict(flat(msgspec.to_builtins(Config())))
    rows = [
        {"key": key, "value": value, "set": value != defaults.get(key), "environment": environment_name(key)}
        for key, value in flat(msgspec.to_builtins(visit.server.config))
        if wanted in key
    ]
    if not rows:
        raise CommandError(404, f"no setting's key contains {wanted!r}; `config show` lists all")
    return rows
