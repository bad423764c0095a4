"""Every command of the console: this table drives the console, ``--help``, completion, the documentation and the tests."""

from __future__ import annotations

from typing import Final

from lanying.admin.commands import (
    apps,
    backups,
    compaction,
    doctor,
    entries,
    events,
    groups,
    jobs,
    logs,
    posts,
    record,
    settings,
    shards,
    status,
    tokens,
    top,
    trace,
    users,
    why,
)
from lanying.admin.context import Argument, Command, Kind
from lanying.admin.keys import Role
from lanying.admin.messages import TOPICS
from lanying.base import limits
from lanying.config.runtime import AT_RUN_TIME

APP: Final = Argument("--app", "app id (default: the first app of the server)", required=False)
USER: Final = Argument("user", "user id or user name", Kind.USER)
GROUP: Final = Argument("group", "group id", Kind.GROUP)
BACKGROUND: Final = Argument(
    "--background", "return at once; `jobs list` shows how far it is", Kind.FLAG, required=False
)
DESTINATION: Final = Argument("destination", "a directory of the server's machine, from the root on")
YES_NO: Final = ("yes", "no")
ADDRESSES: Final = (("rest", "the REST API"), ("message", "messages"), ("rtc", "calls"))
LEVEL: Final = ("debug", "info", "warning", "error")
PASSWORD: Final = Argument("--password", "asked for without echo when not given", Kind.SECRET)

TABLE: Final = (
    Command("status", "every process with its state, CPU, memory and figures", status.status),
    Command("top", "load, rates, latencies and slow readers, live", top.top, streams=True),
    Command(
        "doctor",
        "what is wrong with machine, disk, clock and settings, with the remedy",
        doctor.doctor,
        judges=True,
        columns=("state", "check", "found", "remedy"),
    ),
    Command(
        "why",
        "everything that happened to one message",
        why.why,
        (
            Argument("message-id", "its id", Kind.NUMBER),
            Argument("--user", "somebody who has it: finds older ones", Kind.USER, required=False),
            Argument("--group", "the group it was sent to", Kind.GROUP, required=False),
            APP,
        ),
    ),
    Command(
        "trace",
        "a user's frames as they come and go, without what people wrote",
        trace.trace,
        (USER, APP),
        Role.OPERATE,
        streams=True,
    ),
    Command(
        "messages unreadable",
        "stored entries that shards met since their start and could not judge",
        entries.unreadable,
        columns=("entry", "owner", "peer", "bytes", "why"),
    ),
    Command(
        "messages remove",
        "take an entry out of all mailboxes that have it, for good",
        entries.remove,
        (
            Argument("entry", "a message id, or OWNER/PEER/POSITION as `messages unreadable` shows it"),
            Argument("--user", "somebody who has it: finds older ones", Kind.USER, required=False),
            Argument("--group", "the group it was sent to", Kind.GROUP, required=False),
            APP,
        ),
        Role.ADMIN,
        destructive=True,
    ),
    Command("slowlog", "what took long in the shards", trace.slowlog),
    Command(
        "users create",
        "create an account",
        users.create,
        (Argument("username", "its name"), PASSWORD, APP),
        Role.OPERATE,
    ),
    Command(
        "users list",
        "users of an app",
        users.list_all,
        (APP,),
        columns=("uid", "username", "nick_name", "state", "created_ms"),
    ),
    Command(
        "users search",
        "users whose name or nickname contains a text",
        users.list_all,
        (Argument("text", "part of a name"), APP),
        columns=("uid", "username", "nick_name", "state", "created_ms"),
    ),
    Command(
        "users sessions",
        "devices of a user that are connected now",
        users.sessions,
        (USER, APP),
        columns=("device_sn", "platform", "user_agent", "last_seen_ms"),
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
        "give a user a new password and log their devices out",
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
    Command(
        "groups list",
        "groups of an app",
        groups.list_all,
        (APP,),
        columns=("gid", "name", "owner", "members", "state", "created_ms"),
    ),
    Command("groups show", "a group and its settings", groups.show, (GROUP, APP)),
    Command("groups members", "members of a group", groups.members, (GROUP, APP)),
    Command(
        "groups mute",
        "let only admins write in a group",
        groups.mute,
        (GROUP, Argument("--minutes", "how long; -1: for ever", Kind.NUMBER, required=False, default=-1), APP),
        Role.OPERATE,
        destructive=True,
    ),
    Command("groups unmute", "let everybody write again", groups.unmute, (GROUP, APP), Role.OPERATE),
    Command(
        "groups kick",
        "remove members from a group",
        groups.kick,
        (GROUP, Argument("users", "user ids or names", Kind.USER, many=True), APP),
        Role.OPERATE,
        destructive=True,
    ),
    Command("groups destroy", "end a group for good", groups.destroy, (GROUP, APP), Role.ADMIN, destructive=True),
    Command(
        "send",
        "a text from the server to a user, or in somebody's name to a user or group",
        posts.send,
        (
            Argument("to", "user id, user name or group id"),
            Argument("text", "what to say", Kind.WORDS),
            Argument("--from", "in whose name", Kind.USER, required=False),
            APP,
        ),
        Role.OPERATE,
    ),
    Command(
        "broadcast",
        "a text from the server to all users of an app, in the background",
        posts.broadcast,
        (Argument("text", "what to say", Kind.WORDS), APP),
        Role.ADMIN,
        destructive=True,
    ),
    Command("apps list", "apps of the server with what differs for each", apps.list_all),
    Command("apps show", "what an app runs with", apps.show, (Argument("app", "its id"),)),
    Command(
        "apps add",
        "add an app to the running server, for good",
        apps.add,
        (
            Argument("app-id", "1 to 64 letters, digits, _ and -"),
            Argument("--name", "what people call it", required=False),
            Argument("--open-registration", "may anybody create an account?", required=False, choices=YES_NO),
            Argument("--strangers-may-chat", "no: only friends may", required=False, choices=YES_NO),
            Argument("--max-users", "0: any number", Kind.NUMBER, required=False),
            *(
                Argument(f"--{what}-url", f"address for clients of {service}", required=False)
                for what, service in ADDRESSES
            ),
        ),
        Role.ADMIN,
    ),
    Command(
        "tokens issue",
        "a token that speaks for a user",
        tokens.issue,
        (USER, Argument("--hours", "how long it is good", Kind.NUMBER, required=False, default=24), APP),
        Role.ADMIN,
    ),
    Command(
        "tokens admin",
        "a further admin token of an app, which ends; with the role read it changes nothing",
        tokens.admin,
        (
            Argument("--role", "what it may do", required=False, default="admin", choices=tokens.ROLES),
            Argument("--days", "how long it is good", Kind.NUMBER, required=False, default=90),
            APP,
        ),
        Role.ADMIN,
    ),
    Command(
        "tokens rotate",
        "end the admin tokens of an app, or all of its tokens, and write a new admin token",
        tokens.rotate,
        (
            Argument("which", "admin, or all: those of users too", choices=("admin", tokens.ALL)),
            Argument("--grace-hours", "how long the old ones are good", Kind.NUMBER, required=False, default=24),
            Argument("--now", "no grace: they end at once", Kind.FLAG, required=False),
            Argument(
                "--days", "how long the new admin token is good; 0: for ever", Kind.NUMBER, required=False, default=0
            ),
            APP,
        ),
        Role.ADMIN,
        destructive=True,
    ),
    Command(
        "tokens revoke",
        "end all tokens and sessions of a user",
        tokens.revoke,
        (USER, APP),
        Role.OPERATE,
        destructive=True,
    ),
    Command("shards list", "every shard with its slots, sessions, memory, disk and what it owes", shards.list_all),
    Command(
        "shards restart",
        "drain a shard and start it again",
        shards.restart,
        (Argument("shard", "its number", Kind.NUMBER),),
        Role.ADMIN,
        destructive=True,
        deadline_s=shards.RESTART_S + limits.ADMIN_COMMAND_S,
    ),
    Command(
        "shards move",
        "move everybody to another number of shards, or chosen hash slots to a shard; the server stops meanwhile",
        shards.move,
        (
            Argument("--shards", "how many there will be, the slots dealt out evenly", Kind.NUMBER, required=False),
            Argument("--slots", "slots that move, like 0-99,512", required=False),
            Argument("--to", "the shard they go to", Kind.NUMBER, required=False),
        ),
        Role.ADMIN,
        destructive=True,
        deadline_s=limits.ADMIN_LONG_S,
    ),
    Command(
        "shards drain",
        "move everybody away from a shard; the server stops meanwhile",
        shards.drain,
        (Argument("shard", "its number", Kind.NUMBER),),
        Role.ADMIN,
        destructive=True,
        deadline_s=limits.ADMIN_LONG_S,
    ),
    Command("shards outcome", "how the last move of slots ended", shards.outcome),
    Command(
        "config show",
        "settings as the server runs with them",
        settings.show,
        (Argument("text", "only keys that contain this", required=False),),
        columns=("key", "value", "set"),
    ),
    Command(
        "config set",
        "change a setting of the running server, until it starts again",
        settings.set_value,
        (
            Argument("key", "for example policy.recall_seconds", suggestions=AT_RUN_TIME),
            Argument("value", "its new value"),
        ),
        Role.ADMIN,
        destructive=True,
    ),
    Command(
        "events",
        "what happens to processes, settings, keys and jobs, and what consoles do, live",
        events.events,
        (Argument("--topic", "only these", required=False, choices=TOPICS),),
        streams=True,
    ),
    Command(
        "log tail",
        "log lines of all processes as they are written",
        logs.tail,
        (
            Argument("--process", "router, gateway, shard-0 …", required=False),
            Argument("--level", "at least this", required=False, default="debug", choices=LEVEL),
            Argument("--user", "only lines about this user", Kind.USER, required=False),
            APP,
        ),
        role=Role.OPERATE,
        streams=True,
    ),
    Command(
        "log level",
        "how much is logged, until the processes start again; about one user, for a while",
        logs.level,
        (
            Argument("level", "debug, info, warning or error", choices=LEVEL),
            Argument("--module", "a module, for example lanying.shard (default: everything)", required=False),
            Argument("--process", "one process (default: all)", required=False),
            Argument("--user", "lines about this user: debug logs each of their frames", Kind.USER, required=False),
            Argument(
                "--minutes", "with --user: how long, up to 60; 0: no more", Kind.NUMBER, required=False, default=30
            ),
            APP,
        ),
        Role.OPERATE,
    ),
    Command(
        "backup create",
        "back the running server up",
        backups.create,
        (DESTINATION, BACKGROUND),
        Role.OPERATE,
        deadline_s=limits.ADMIN_LONG_S,
    ),
    Command(
        "backup verify",
        "read all of a backup",
        backups.verify,
        (DESTINATION, BACKGROUND),
        Role.OPERATE,
        deadline_s=limits.ADMIN_LONG_S,
    ),
    Command(
        "compact",
        "rewrite the databases without what was deleted",
        compaction.compact,
        (BACKGROUND,),
        Role.ADMIN,
        destructive=True,
        deadline_s=limits.ADMIN_LONG_S,
    ),
    Command("jobs list", "long work, the latest first", jobs.list_all),
    Command(
        "jobs cancel",
        "end a job",
        jobs.cancel,
        (Argument("job", "its number, as `jobs list` shows it"),),
        Role.OPERATE,
        destructive=True,
    ),
    Command(
        "audit list",
        "what was changed through consoles",
        record.list_all,
        columns=("line", "time_ms", "who", "command", "arguments", "outcome"),
    ),
    Command("audit verify", "was the log tampered with?", record.verify),
)

COMMANDS: Final[dict[str, Command]] = {command.name: command for command in TABLE}
