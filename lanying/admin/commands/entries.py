"""Stored entries that shards cannot judge: listed, and taken out; also any message, by its id."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

from lanying.admin.commands import why
from lanying.admin.context import CommandContext
from lanying.admin.errors import CommandError
from lanying.base.ids import MAX_ENTITY_ID
from lanying.bus.messages import EntryState, ExplainMessage, ListUnreadable, RemoveEntry, UnreadableEntry

SYNTAX: Final = "an entry is a message id, or OWNER/PEER/POSITION as `messages unreadable` shows it"
LARGEST: Final = (1 << 63) - 1
Place = tuple[int, int]


def name(entry: UnreadableEntry) -> str:
    """What ``messages remove`` takes; empty: nobody knows where it is."""
    if entry.mid:
        return str(entry.mid)
    return f"{entry.owner}/{entry.peer}/{entry.seq}" if entry.seq else ""


def rows(answers: Iterable[list[UnreadableEntry]]) -> list[dict[str, Any]]:
    """What shards have met, as a table: of a group's entry more than one shard may say so."""
    found = {(one.owner, one.peer, one.mid or one.seq): one for answer in answers for one in answer}
    return [
        {"entry": name(one), "owner": one.owner, "peer": one.peer, "bytes": one.size, "why": one.why}
        for _, one in sorted(found.items())
    ]


async def unreadable(context: CommandContext) -> object:
    """What shards have met since they started and could not judge."""
    answers, silent = await context.server.ask_all(ListUnreadable())
    if silent and not answers:
        raise CommandError(503, "no shard answers; `status` shows them")
    return rows(answers.values())


async def remove(context: CommandContext) -> object:
    """Take an entry out of every mailbox, or the timeline, that has it."""
    text = context.text("entry")
    mid, seq = 0, 0
    if "/" in text:
        owner, peer, seq = _place(text)
        places: set[Place] = {(owner, peer)}
    else:
        mid = _number(text)
        places = await _having(context, mid)
    where = ", ".join(why.place(owner, peer) for owner, peer in sorted(places))
    context.will(f"take {text} out of {where}, for good; devices that have fetched it keep it")
    return [await _remove(context, RemoveEntry(owner, peer, mid, seq)) for owner, peer in sorted(places)]


async def _remove(context: CommandContext, request: RemoveEntry) -> dict[str, Any]:
    answers, silent = await context.server.ask_all(request)
    home = context.server.map.shard_of(request.owner)
    if home in silent:
        raise CommandError(503, f"shard-{home} does not answer; try again when `status` shows it ready")
    return {"where": why.place(request.owner, request.peer), "removed": answers[home]}


async def _having(context: CommandContext, mid: int) -> set[Place]:
    """Mailboxes and timelines that have a message. :raises CommandError: 404, none is known"""
    server = context.server
    found = await why.places(context, mid)
    answers, silent = await server.ask_all(ListUnreadable())
    named = {(one.owner, one.peer) for answer in answers.values() for one in answer if one.mid == mid}
    for owner, peer in named | {(peer, owner) for owner, peer in named if peer}:
        if server.map.shard_of(owner) not in silent:
            traces = (await server.ask(owner, ExplainMessage(mid, owner, peer))).traces
            found |= {(trace.owner, trace.peer): trace for trace in traces}
    places = {place for place, trace in found.items() if trace.state is not EntryState.REMOVED}
    if not places:
        raise CommandError(404, f"nobody has message {mid}, as far as is known; --user or --group finds older ones")
    return places


def _place(text: str) -> tuple[int, int, int]:
    parts = text.split("/")
    if len(parts) != 3:
        raise CommandError(10002, f"{text!r}: {SYNTAX}")
    owner, peer, seq = map(_number, parts)
    if max(owner, peer) > MAX_ENTITY_ID or not seq:
        raise CommandError(10002, f"{text!r}: {SYNTAX}")
    return owner, peer, seq


def _number(text: str) -> int:
    if not (text.isdecimal() and text.isascii() and len(text) < 20) or int(text) > LARGEST:
        raise CommandError(10002, f"{text!r}: {SYNTAX}")
    return int(text)
