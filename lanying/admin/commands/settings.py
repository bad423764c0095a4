"""Settings as the server runs with them."""

from __future__ import annotations

import msgspec

from lanying.admin.context import CommandContext
from lanying.admin.errors import CommandError
from lanying.base.errors import ConfigError
from lanying.bus.messages import Reconfigure
from lanying.cluster.runtime import GATEWAY, shard_name
from lanying.config.load import environment_name
from lanying.config.runtime import AT_RUN_TIME, changed
from lanying.config.schema import Config, flat


async def show(context: CommandContext) -> object:
    """Every setting, or those whose key contains a text; ``set``: it is not the default."""
    wanted = context.text("text")
    defaults = dict(flat(msgspec.to_builtins(Config())))
    rows = [
        {"key": key, "value": value, "set": value != defaults.get(key), "environment": environment_name(key)}
        for key, value in flat(msgspec.to_builtins(context.server.config))
        if wanted in key
    ]
    if not rows:
        raise CommandError(404, f"no setting's key contains {wanted!r}; `config show` lists all")
    return rows


async def set_value(context: CommandContext) -> object:
    """Change a setting of the running server, until it starts again."""
    server, key = context.server, context.text("key")
    if key not in dict(flat(msgspec.to_builtins(server.config))):
        raise CommandError(10002, f"there is no setting {key}; `config show` lists them")
    if key not in AT_RUN_TIME:
        raise CommandError(
            10002,
            f"{key} cannot change while the server runs: set it in the configuration file and restart; "
            f"these can: {', '.join(AT_RUN_TIME)}",
        )
    try:
        new = dict(flat(msgspec.to_builtins(changed(server.config, key, context.text("value")))))[key]
    except ConfigError as error:
        raise CommandError(10002, str(error)) from error
    context.will(f"set {key} to {msgspec.json.encode(new).decode()} until the server starts again")
    server.settings.change(key, new)
    for name in (*map(shard_name, server.map.peers), GATEWAY):
        server.send(name, Reconfigure(key, new))
    server.publish("config", {"key": key, "value": new, "who": context.who})
    return {"key": key, "value": new, "keep": f"write it into the configuration file, or set {environment_name(key)}"}
