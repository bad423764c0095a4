"""Which mailboxes `messages remove` asks, and what `messages unreadable` and the doctor show."""

from __future__ import annotations

import asyncio
from functools import partial
from types import SimpleNamespace
from typing import Any

import pytest

from lanying.admin.commands import doctor, entries
from lanying.admin.context import CommandContext
from lanying.admin.errors import CommandError, WouldDo
from lanying.admin.keys import Role
from lanying.admin.server import Server
from lanying.base.errors import CallError
from lanying.base.refusals import Refusal
from lanying.bus.messages import EntryState, ListUnreadable, MessageTrace, MessageTraces, RemoveEntry, UnreadableEntry

MID, ALICE, BOB = 7 << 40, 2, 3
POISON = UnreadableEntry(BOB, ALICE, 4, MID, 2048, "wrong wire type")


class Shards:
    """Two: alice lives on the first, bob on the other. ``has``: who has the message with whom."""

    def __init__(
        self, *has: tuple[int, int], down: tuple[int, ...] = (), met: list[UnreadableEntry] | None = None
    ) -> None:
        self.has = set(has)
        self.down = down
        self.met = met or []
        self.removed: set[tuple[int, int]] = set()

    async def answer(self, shard: int, request: Any) -> Any:
        if shard in self.down:
            raise CallError(Refusal.UNAVAILABLE)
        if isinstance(request, ListUnreadable):
            return self.met if shard == 1 else []
        if isinstance(request, RemoveEntry):
            here = request.owner % 2 == shard
            self.removed |= {(request.owner, request.peer)} if here else set()
            return here
        found = [(request.owner, request.peer)] if request.owner else []
        return MessageTraces([MessageTrace(*it, 1, EntryState.KEPT) for it in found if it in self.has])

    def run(self, handler: Any, dry: bool = False, **arguments: Any) -> Any:
        server = SimpleNamespace(
            map=SimpleNamespace(shards=2, peers=[0, 1], shard_of=lambda uid: uid % 2),
            ask_shard=self.answer,
            ask=lambda entity, request: self.answer(entity % 2, request),
        )
        server.ask_all = partial(Server.ask_all, server)  # type: ignore[arg-type]
        return asyncio.run(handler(CommandContext(server, "local", Role.ADMIN, arguments, dry)))  # type: ignore[arg-type]


def test_a_listed_message_leaves_both_mailboxes() -> None:
    shards = Shards((ALICE, BOB), (BOB, ALICE), met=[POISON])
    rows = shards.run(entries.remove, entry=str(MID))
    assert [(row["where"], row["removed"]) for row in rows] == [
        ("mailbox of 2, conversation 3", True),
        ("mailbox of 3, conversation 2", True),
    ]
    assert shards.removed == {(ALICE, BOB), (BOB, ALICE)}


def test_a_dry_run_says_where_it_is_and_leaves_it() -> None:
    shards = Shards((ALICE, BOB), (BOB, ALICE), met=[POISON])
    with pytest.raises(WouldDo, match="mailbox of 2, conversation 3, mailbox of 3, conversation 2"):
        shards.run(entries.remove, dry=True, entry=str(MID))
    assert not shards.removed


def test_by_its_place_only_that_entry_goes() -> None:
    shards = Shards()
    [row] = shards.run(entries.remove, entry=f"{BOB}/{ALICE}/4")
    assert row["removed"]
    assert shards.removed == {(BOB, ALICE)}


@pytest.mark.parametrize("text", ["", "abc", "1/2", "1/2/0", "1/2/3/4", "-5", "9" * 30, f"{1 << 62}/1/1", "1/x/3"])
def test_what_is_no_entry_is_refused_with_how_to_say_it(text: str) -> None:
    with pytest.raises(CommandError, match="OWNER/PEER/POSITION"):
        Shards().run(entries.remove, entry=text)


def test_a_message_nobody_has_and_a_shard_that_is_down_are_named() -> None:
    with pytest.raises(CommandError, match="nobody has message"):
        Shards().run(entries.remove, entry=str(MID))
    with pytest.raises(CommandError, match="shard-1 does not answer"):
        Shards(down=(1,)).run(entries.remove, entry=f"{BOB}/{ALICE}/4")


def test_the_list_and_the_doctor_say_what_to_run() -> None:
    torn = UnreadableEntry(BOB, ALICE, 9, 0, 3, "truncated")
    [one, other] = Shards(met=[torn, POISON, POISON]).run(entries.unreadable)
    assert {one["entry"], other["entry"]} == {str(MID), f"{BOB}/{ALICE}/9"}
    findings = [*doctor.stored(SimpleNamespace(unreadable=[one, other]))]  # type: ignore[arg-type]
    assert {it.state for it in findings} == {"warn"}
    assert f"lanying-admin messages remove {MID}" in {it.remedy for it in findings}
    assert len([*doctor.stored(SimpleNamespace(unreadable=[one] * 30))]) == 11  # type: ignore[arg-type]
    assert [it.state for it in doctor.stored(SimpleNamespace(unreadable=[]))] == ["ok"]  # type: ignore[arg-type]
