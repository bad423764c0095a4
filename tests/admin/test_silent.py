"""Lists of what all shards have when one of them is down."""

import asyncio
from functools import partial
from types import SimpleNamespace

import pytest

from lanying.admin.commands import jobs, trace
from lanying.admin.context import CommandContext
from lanying.admin.errors import CommandError
from lanying.admin.files import ServerFiles
from lanying.admin.server import Server
from lanying.base.errors import CallError
from lanying.base.refusals import Refusal
from lanying.bus.messages import BroadcastInfo, JobState, Slow


def context(answer, tmp_path, refusal=Refusal.UNAVAILABLE, **arguments):
    """Shard 0 answers, shard 1 is down."""

    async def ask_shard(shard, request):
        if shard == 1:
            raise CallError(refusal, "shard-1 did not answer in time, try again")
        return answer

    none = SimpleNamespace(rows=list)
    server = SimpleNamespace(
        map=SimpleNamespace(shards=2, peers=[0, 1]),
        ask_shard=ask_shard,
        jobs=none,
        files=ServerFiles(tmp_path),
        now_ms=lambda: 9,
    )
    server.ask_all = partial(Server.ask_all, server)
    return CommandContext(server, "local", 1, arguments)


def test_broadcasts_of_the_others_are_listed_and_the_silent_shard_is_named(tmp_path):
    unknown, row = asyncio.run(
        jobs.list_all(context([BroadcastInfo(7, "lanying", 5, 3, JobState.RUNNING, "night")], tmp_path))
    )
    assert (unknown["what"], unknown["state"]) == ("shard-1", "unknown") and "does not answer" in unknown["now"]
    assert (row["job"], row["now"], row["who"]) == ("b7", "3 sent", "night")


def test_a_broadcast_is_not_called_stopped_while_a_shard_may_go_on(tmp_path):
    with pytest.raises(CommandError, match="shard-1 did not answer and may go on") as caught:
        asyncio.run(jobs.cancel(context(True, tmp_path, job="b7")))
    assert caught.value.code == 503


def test_the_slowlog_of_the_others_is_shown_and_the_silent_shard_is_named(tmp_path):
    rows = asyncio.run(trace.slowlog(context([Slow(5, "commit", 120.0, "")], tmp_path)))
    assert [(row["shard"], row["what"]) for row in rows] == [(0, "commit"), (1, "does not answer")]


def test_other_errors_are_errors(tmp_path):
    with pytest.raises(CallError):
        asyncio.run(trace.slowlog(context([], tmp_path, refusal=Refusal.INVALID_PARAMETER)))
