"""Every command of the console: this table drives the console, ``--help``, completion, the documentation and the tests."""

from __future__ import annotations

from typing import Final

from lanying.admin import status, users
from lanying.admin.visit import Argument, Command, Kind, Role

APP: Final = Argument("--app", "app id (default: the first app of the server)", required=False)
USER: Final = Argument("user", "user id or user name", Kind.USER)
PASSWORD: Final = Argument("--password", "asked for without echo when not given", Kind.SECRET)

TABLE: Final = (
    Command("status", "every process with its state, CPU, memory and figures", status.status),
    Command("top", "the same live, with rates per second", status.top, streams=True),
    Command(
        "users create",
        "create an account",
        users.create,
        (Argument("username", "its name"), PASSWORD, APP),
        Role.OPERATE,
    ),
    Command("users show", "profile, state and devices of a user", users.show, (USER, APP)),
    Command(
        "users devices",
        "devices a user has logged in with",
        users.devices,
        (USER, APP),
        columns=("device_sn", "online", "platform", "user_agent", "last_seen_ms"),
    ),
    Command(
        "users password",
        "give a user a new password and log his devices out",
        users.set_password,
        (USER, PASSWORD, APP),
        Role.OPERATE,
        destructive=True,
    ),
    Command(
        "users kick",
        "log one device of a user out, or all with their tokens",
        users.kick,
        (USER, Argument("--device", "serial number, see `users devices`", Kind.NUMBER, required=False), APP),
        Role.OPERATE,
        destructive=True,
    ),
    Command("users ban", "keep a user out", users.ban, (USER, APP), Role.OPERATE, destructive=True),
    Command("users freeze", "keep a user out for a while", users.freeze, (USER, APP), Role.OPERATE, destructive=True),
    Command("users restore", "undo ban and freeze", users.restore, (USER, APP), Role.OPERATE),
    Command("users delete", "close an account for good", users.delete, (USER, APP), Role.ADMIN, destructive=True),
)

COMMANDS: Final[dict[str, Command]] = {command.name: command for command in TABLE}
