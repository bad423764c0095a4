"""``why MESSAGE_ID``: what became of one message, from what the shards hold."""

from __future__ import annotations

from typing import Any

from lanying.admin.context import CommandContext
from lanying.admin.errors import CommandError
from lanying.base.ids import message_time_ms, typed_id
from lanying.bus.messages import EntryState, ExplainMessage, GetReached, MessageTrace, MessageTraces, PushTold

Found = dict[tuple[int, int], MessageTrace]


async def why(context: CommandContext) -> object:
    """Every mailbox that has a message, and how far each device there is with it."""
    server, mid = context.server, context.number("message_id")
    user, group = await _user(context), _group(context)
    answers, silent = await server.ask_all(ExplainMessage(mid))
    found = await _spread(context, mid, answers, silent, (user, group))
    if not found:
        hint = (
            "who was named does not have it"
            if user or group
            else "--user or --group of somebody who has it finds older ones"
        )
        hint += "".join(f"; shard-{shard} does not answer" for shard in silent)
        raise CommandError(404, f"message {mid} is not among the latest messages of any shard; {hint}")
    steps = [step for trace in sorted(found.values(), key=lambda one: one.owner != one.sender) for step in story(trace)]
    for trace in found.values():
        if user and _is_timeline(trace) and trace.seq:
            devices = await server.ask(user, GetReached(user, trace.owner, trace.seq))
            where = f"member {user} of group {trace.owner}"
            nobody = "has no devices yet, or is not a member"
            steps += [_step(where, what) for what in map(_of_device, devices)] or [_step(where, nobody)]
    steps += [_of_push(told) for answer in answers.values() for told in answer.pushes if user in (0, told.uid)]
    steps += [
        _step(f"shard-{shard}", "does not answer: what it has of the message is missing here") for shard in silent
    ]
    return {
        "message": mid,
        "made_ms": message_time_ms(mid),
        "sender": next((trace.sender for trace in found.values() if trace.sender), None),
        "story": steps,
    }


async def places(context: CommandContext, mid: int) -> Found:
    """Mailboxes and timelines that have, or had, a message: among the latest of all shards, and what the options name."""
    owners = await _user(context), _group(context)
    answers, silent = await context.server.ask_all(ExplainMessage(mid))
    return await _spread(context, mid, answers, silent, owners)


async def _spread(
    context: CommandContext, mid: int, answers: dict[int, MessageTraces], silent: list[int], owners: tuple[int, int]
) -> Found:
    """What the shards answered, with what these owners have, and the other side of each 1:1 conversation that one is known of."""
    server = context.server
    found = {(trace.owner, trace.peer): trace for answer in answers.values() for trace in answer.traces}
    for owner in filter(None, owners):
        found |= await _look_through(context, mid, owner)
    for owner, peer in list(found):
        if owner != peer and peer and (peer, owner) not in found and server.map.shard_of(peer) not in silent:
            other = await server.ask(peer, ExplainMessage(mid, peer, owner))
            found |= {(trace.owner, trace.peer): trace for trace in other.traces}
    return found


async def _look_through(context: CommandContext, mid: int, owner: int) -> Found:
    """All conversations of somebody, a bounded number with every question to their shard."""
    found: Found = {}
    after = 0
    while True:
        answer = await context.server.ask(owner, ExplainMessage(mid, owner, after=after))
        found |= {(trace.owner, trace.peer): trace for trace in answer.traces}
        after = answer.next
        if not after:
            return found


async def _user(context: CommandContext) -> int:
    if not context.text("user"):
        return 0
    return (await context.server.user(context.server.app(context.text("app")), context.text("user"))).uid


def _group(context: CommandContext) -> int:
    text = context.text("group")
    if text and not typed_id(text):
        raise CommandError(10002, f"--group is a group id, not {text!r}; `groups list` shows them")
    return typed_id(text)


def _is_timeline(trace: MessageTrace) -> bool:
    """Of a group? Notes to self have devices."""
    return trace.owner == trace.peer and trace.owner != trace.sender


def place(owner: int, peer: int) -> str:
    """A queue in words; of a group, or of somebody's notes to themselves, by its one id."""
    return f"mailbox of {owner}, conversation {peer}" if owner != peer else f"conversation {owner}"


def _step(where: str, what: str, time_ms: int | None = None) -> dict[str, Any]:
    return {"where": where, "what": what, "time_ms": time_ms}


def _of_device(found: tuple[int, str]) -> str:
    sn, state = found
    return {
        "acknowledged": f"device {sn} has acknowledged it",
        "sent": f"sent to device {sn}, which has not acknowledged it yet",
        "waiting": f"device {sn} is connected and has not been sent it: it has not asked for older entries yet",
        "offline": f"waits for device {sn}, which is offline",
    }[state]


def _of_push(told: PushTold) -> dict[str, Any]:
    where = f"push to {told.uid}" + (f", device {told.sn}" if told.sn else "")
    return _step(where, f"{told.what} ({told.channel})" if told.channel else told.what, told.time_ms)


def story(trace: MessageTrace) -> list[dict[str, Any]]:
    """One mailbox's part of the story, in order."""
    group = _is_timeline(trace)
    where = f"timeline of group {trace.owner}" if group else f"mailbox of {trace.owner}, conversation {trace.peer}"
    steps: list[dict[str, Any]] = []

    def step(what: str, time_ms: int | None = None) -> None:
        steps.append(_step(where, what, time_ms))

    if trace.owner == trace.sender or group:
        source = f"device {trace.sender_sn}" if trace.sender_sn else "a back end or the console, in the name"
        step(f"received from {source} of {trace.sender}", trace.time_ms)
    if trace.seq:
        step(f"committed at position {trace.seq}", trace.accepted_ms or None)
    elif trace.accepted_ms:
        step("committed", trace.accepted_ms)
    if trace.owner == trace.sender:
        for shard in trace.owed_to:
            step(f"the link to shard-{shard} has unacknowledged messages: it may still be among them")
    for sn, state in trace.devices:
        if trace.owner == trace.sender and sn == trace.sender_sn:
            continue  # it made the message
        step(_of_device((sn, state)))
    if trace.seq and not (trace.devices or trace.removed_how or group) and trace.owner != trace.sender:
        step("this user has no devices yet: it waits for the first login")
    for mark in trace.marks:
        step(mark)
    if trace.edited_ms:
        step("edited", trace.edited_ms)
    if trace.state is EntryState.COLD:
        step("moved to the cold store")
    elif trace.state is EntryState.COLD_MISSING:
        step("moved to the cold store, which is not there: `doctor` and the log of the shard say why")
    elif trace.state is EntryState.REMOVED:
        step(
            trace.removed_how or "removed since: recalled, deleted, or older than the retention",
            trace.removed_ms or None,
        )
    return steps
