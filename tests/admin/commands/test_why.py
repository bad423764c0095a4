"""``why`` when not every shard answers."""

import asyncio
from functools import partial
from types import SimpleNamespace

import pytest

from lanying.admin.commands.why import why
from lanying.admin.context import CommandContext
from lanying.admin.errors import CommandError
from lanying.admin.server import Server
from lanying.base.errors import CallError
from lanying.base.refusals import Refusal
from lanying.bus.messages import EntryState, MessageTrace, MessageTraces


def asked(refusal, traces):
    """Shard 0 knows ``traces``, shard 1 answers with an error; alice (2) lives in the first, bob (3) in the other."""

    async def ask_shard(shard, request):
        if shard == 1:
            raise CallError(refusal, "shard-1 did not answer in time, try again")
        return MessageTraces(traces)

    server = SimpleNamespace(
        map=SimpleNamespace(shards=2, peers=[0, 1], shard_of=lambda uid: uid % 2), ask_shard=ask_shard
    )
    server.ask_all = partial(Server.ask_all, server)
    return asyncio.run(why(CommandContext(server, "local", 1, {"message_id": 7})))


def test_what_is_owed_to_a_shard_that_is_down_is_told():
    kept = MessageTrace(2, 3, 1, EntryState.KEPT, 2, 1, 5, owed_to=[1])
    told = [(step["where"], step["what"]) for step in asked(Refusal.UNAVAILABLE, [kept])["story"]]
    assert (
        "mailbox of 2, conversation 3",
        "the link to shard-1 has unacknowledged messages: it may still be among them",
    ) in told
    assert told[-1] == ("shard-1", "does not answer: what it has of the message is missing here")


def test_not_found_names_the_shard_that_said_nothing_and_other_errors_are_errors():
    with pytest.raises(CommandError, match="shard-1 does not answer"):
        asked(Refusal.UNAVAILABLE, [])
    with pytest.raises(CallError):
        asked(Refusal.INVALID_PARAMETER, [])
