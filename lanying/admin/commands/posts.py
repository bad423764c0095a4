"""Messages from the console: to a user, to a group, to everybody."""

from __future__ import annotations

from lanying.admin.commands.users import STATES
from lanying.admin.context import CommandContext
from lanying.admin.errors import CommandError
from lanying.base.ids import typed_id
from lanying.bus.messages import (
    STATE_DELETED,
    STATE_NORMAL,
    AccountInfo,
    GetGroups,
    Notify,
    Post,
    StartBroadcast,
)
from lanying.protocol.schema.xsync_pb2 import MessageBody


async def send(context: CommandContext) -> object:
    """A text from the server, or in the name of a user (by the rules for their devices)."""
    server, app = context.server, context.server.app(context.text("app"))
    sender = (await server.user(app, context.text("from"))).uid if context.text("from") else 0
    to = typed_id(context.text("to"))
    groups = await server.ask(to, GetGroups(0, app.app_id, [to])) if to else []
    if groups and not sender:
        raise CommandError(10002, "a group has no messages of the server: say with --from in whose name")
    target = to if groups else _recipient(await server.user(app, context.text("to")))
    body = MessageBody(
        type=MessageBody.GROUPCHAT if groups else MessageBody.CHAT, content=context.text("text"), is_system=not sender
    )
    context.will(
        f"send a text of {len(context.text('text'))} characters to {target}"
        + (f" in the name of {sender}" if sender else "")
    )
    payload = body.SerializeToString()
    if sender:
        posted = await server.ask(sender, Post(sender, app.app_id, target, payload))
    else:
        posted = await server.ask(target, Notify(target, app.app_id, payload))
    return {"message": posted.mid, "time_ms": posted.time_ms}


def _recipient(info: AccountInfo) -> int:
    """Their id. :raises CommandError: 10010, this user is banned and gets no messages"""
    if info.state == STATE_NORMAL:
        return info.uid
    remedy = "for good" if info.state == STATE_DELETED else "`users restore` lets them in again"
    raise CommandError(10010, f"{info.username} ({info.uid}) is {STATES[info.state]} and gets no messages: {remedy}")


async def broadcast(context: CommandContext) -> object:
    """A text from the server to all users of an app, in the background."""
    server, app = context.server, context.server.app(context.text("app"))
    body = MessageBody(type=MessageBody.CHAT, content=context.text("text"), is_system=True)
    context.will(f"send a text of {len(context.text('text'))} characters to every user of app {app.app_id}")
    number = await server.ask_shard(0, StartBroadcast(app.app_id, body.SerializeToString(), context.who))
    return {"broadcast": number, "next": "`jobs list` shows how far it is"}
