"""``why MESSAGE_ID``: what became of one message, told from what the shards hold."""

from __future__ import annotations

from typing import Any

from lanying.admin.visit import CommandError, Visit
from lanying.bus.messages import ExplainMessage, MessageTrace
from lanying.ids import message_time_ms


async def why(visit: Visit) -> object:
    """Every mailbox that has a message, and how far each device there is with it."""
    server, mid = visit.server, visit.number("message_id")
    owner = await _owner(visit)
    found = [
        trace for traces in await server.ask_all(ExplainMessage(mid, owner), list[MessageTrace]) for trace in traces
    ]
    # Who else has it is known once one mailbox is found.
    for other in {trace.peer for trace in found} | {trace.sender for trace in found}:
        known = {trace.owner for trace in found}
        if other and other not in known:
            found += await server.ask(other, ExplainMessage(mid, other), list[MessageTrace])
    if not found:
        hint = (
            "with --user or --group of somebody who has it, older ones are found"
            if not owner
            else "he does not have it"
        )
        raise CommandError(404, f"message {mid} is not among the latest messages of any shard; {hint}")
    return {
        "message": mid,
        "made_ms": message_time_ms(mid),
        "sender": next((trace.sender for trace in found if trace.sender), None),
        "story": [step for trace in sorted(found, key=lambda one: one.owner != one.sender) for step in story(trace)],
    }


async def _owner(visit: Visit) -> int:
    if visit.text("group"):
        return int(visit.text("group"))
    if visit.text("user"):
        return (await visit.server.user(visit.server.app(visit.text("app")), visit.text("user"))).uid
    return 0


def story(trace: MessageTrace) -> list[dict[str, Any]]:
    """One mailbox's part of the story, in order."""
    group = trace.owner == trace.peer
    where = f"timeline of group {trace.owner}" if group else f"mailbox of {trace.owner}, conversation {trace.peer}"
    steps: list[dict[str, Any]] = []

    def step(what: str, time_ms: int | None = None) -> None:
        steps.append({"where": where, "what": what, "time_ms": time_ms})

    if trace.owner == trace.sender or group:
        step(f"received from device {trace.sender_sn} of {trace.sender}", trace.time_ms)
    if trace.seq:
        step(f"committed at position {trace.seq}", trace.accepted_ms or None)
    if trace.owner == trace.sender:
        for shard in trace.owed_to:
            step(f"the link to shard-{shard} has unacknowledged messages: it may still be among them")
    for sn, state in trace.devices:
        if trace.owner == trace.sender and sn == trace.sender_sn:
            continue  # it made the message
        step(
            {
                "acknowledged": f"device {sn} has acknowledged it",
                "sent": f"sent to device {sn}, which has not acknowledged it yet",
                "waiting": f"device {sn} is connected and has not been sent it: it has not asked for older entries yet",
                "offline": f"waits for device {sn}, which is offline",
            }[state]
        )
    if not trace.devices and not group and trace.owner != trace.sender:
        step("this user has no devices yet: it waits for the first login")
    for mark in trace.marks:
        step(mark)
    if trace.edited_ms:
        step("edited", trace.edited_ms)
    if trace.state == "removed":
        step("removed since: recalled, deleted, or older than the retention")
    return steps
