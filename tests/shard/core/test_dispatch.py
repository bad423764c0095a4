"""Each kind of message has one handler, and it is the one in the table of its area: none hides another."""

from __future__ import annotations

import logging
import re
from collections import Counter
from pathlib import Path
from typing import Any

import msgspec
import pytest

import lanying.shard as shard_package
from lanying.base.errors import CallError, StoreError
from lanying.base.refusals import Refusal
from lanying.bus import messages as m
from lanying.bus.messages import Call, FindName, LinkAck, Reply, encode
from lanying.bus.messages.base import kinds
from lanying.shard.accounts import handlers as account_handlers
from lanying.shard.core.deferred import Deferred
from lanying.shard.core.dispatch import Dispatcher, bound, named
from lanying.shard.groups import handlers as group_handlers
from lanying.shard.store import schema
from lanying.testing.simulation import Simulation


def test_every_request_and_every_link_message_has_a_handler() -> None:
    dispatch = Simulation(1).shards[0].dispatch
    assert {*kinds(m.Request)} == dispatch.calls.keys()
    assert {*kinds(m.LinkMessage)} == dispatch.links.keys()


def test_what_runs_is_the_handler_of_the_area() -> None:
    shard = Simulation(1).shards[0]
    for table, areas in (
        (shard.dispatch.calls, (account_handlers.HANDLERS, group_handlers.HANDLERS)),
        (shard.dispatch.links, (account_handlers.LINK_CHANGES, group_handlers.LINK_CHANGES)),
    ):
        for area in areas:
            assert {kind: table[kind].func for kind in area} == dict(area)  # type: ignore[attr-defined]


def test_no_area_names_a_request_twice() -> None:
    """In one list of rows the last would win, and nothing would say so."""
    rooms = Path(shard_package.__file__).parent.rglob("*.py")
    rows = [kind for file in rooms for kind in re.findall(r"\b(?:answers|defers)\(([\w.]+)\)\(", file.read_text())]
    named_in = Counter(kind.rpartition(".")[2] for kind in rows)
    assert [kind for kind, times in named_in.items() if times > 1] == []
    own = {"AddApp", "Checked", "HoldLinks", "Joined"}
    assert {kind.__name__ for kind in kinds(m.Request)} - named_in.keys() == own, "rows of another form: count them too"


@pytest.mark.parametrize("table", ["calls", "links", "envelopes"])
def test_a_second_handler_is_refused(table: str) -> None:
    dispatch = Simulation(1).shards[0].dispatch
    handlers = getattr(dispatch, table)
    kind = next(iter(handlers))
    with pytest.raises(AssertionError, match=f"two handlers.*{kind.__name__}"):
        dispatch.add(handlers, {kind: lambda message: None})


def test_what_nobody_understands_is_refused_and_harms_nothing(caplog: pytest.LogCaptureFixture) -> None:
    shard = Simulation(1).shards[0]
    for body in (b"", b"\x91\xcd\x03\xe7", b"\xc1", m.encode(m.Reply(1, None, ""))):
        before = len(shard.tick.envelopes)
        with caplog.at_level(logging.ERROR):
            shard.dispatch.call(m.Call(7, "gateway", 1000, body))
        [(caller, reply)] = shard.tick.envelopes[before:]
        assert (caller, reply.id, reply.refusal) == ("gateway", 7, Refusal.NOT_OFFERED)  # type: ignore[attr-defined]
        assert named(body) == "unknown request"
    assert not shard.work.failed_events and not caplog.records
    assert named(m.encode(m.Joined(1))) == "Joined"


# --- what becomes of a call ---

FIND = FindName("app", "ann")


class Desk:
    def __init__(self) -> None:
        self.work = Simulation(1).shards[0].work
        self.dispatch = Dispatcher(self.work)

    def reply(self, handler: Any = None, body: bytes = b"") -> Reply:
        if handler is not None:
            self.dispatch.calls[FindName] = handler
        before = len(self.work.tick.envelopes)
        self.dispatch.call(Call(7, "gateway", 1000, body or encode(FIND)))
        [(process, reply)] = self.work.tick.envelopes[before:]
        assert process == "gateway" and isinstance(reply, Reply) and reply.id == 7
        return reply


def test_a_call_is_answered_by_its_handler() -> None:
    reply = Desk().reply(lambda request: request.username)
    assert reply.refusal is None and msgspec.msgpack.decode(reply.body) == "ann"


@pytest.mark.parametrize(
    ("error", "refusal", "says"),
    [
        (CallError(Refusal.NAME_TAKEN, "why"), Refusal.NAME_TAKEN, "why"),
        (ValueError("secret detail"), Refusal.SERVER_FAILED, "the server failed on this request, its log says why"),
    ],
)
def test_a_call_that_fails_leaves_nothing_behind(error: Exception, refusal: Refusal, says: str) -> None:
    desk = Desk()
    undone: list[int] = []

    def handler(request: object) -> None:
        desk.work.put(schema.META, b"key", b"value")
        desk.work.undo((undone.append, 1))
        desk.work.tick.envelopes.append(("push", LinkAck(0, 1)))
        raise error

    rows = len(desk.work.tick.batch.operations)
    desk.work.tick.envelopes.append(("before", LinkAck(0, 1)))
    reply = desk.reply(handler)
    assert (reply.refusal, reply.message) == (refusal, says)
    assert len(desk.work.tick.batch.operations) == rows and undone == [1]
    assert [process for process, _ in desk.work.tick.envelopes] == ["before", "gateway"]
    assert desk.work.failed_events == (refusal is Refusal.SERVER_FAILED)


def test_a_store_that_cannot_be_read_is_no_matter_of_one_call() -> None:
    def handler(request: object) -> None:
        raise StoreError("disk")

    with pytest.raises(StoreError):
        Desk().reply(handler)


@pytest.mark.parametrize("result", [7, CallError(Refusal.NAME_TAKEN, "why")], ids=["answer", "refusal"])
@pytest.mark.parametrize("known", [True, False])
def test_an_answer_that_is_known_later_is_sent_then(result: int | CallError, known: bool) -> None:
    desk, later = Desk(), Deferred[int]()
    if known:
        later.settle(result)
    before = len(desk.work.tick.envelopes)
    desk.dispatch.calls[FindName] = lambda request: later
    desk.dispatch.call(Call(7, "gateway", 1000, encode(FIND)))
    if not known:
        assert len(desk.work.tick.envelopes) == before
        later.settle(result)
    [(_, reply)] = desk.work.tick.envelopes[before:]
    assert isinstance(reply, Reply)
    assert (reply.body == b"\x07") if isinstance(result, int) else (reply.refusal is Refusal.NAME_TAKEN)


@pytest.mark.parametrize("at_once", [True, False], ids=["at once", "in a later event"])
def test_a_call_refused_through_a_deferred_leaves_nothing(at_once: bool) -> None:
    desk, later, undone = Desk(), Deferred[int](), []

    def handler(request: object) -> Deferred[int]:
        if at_once:
            desk.work.put(schema.META, b"left", b"behind")
            desk.work.undo((undone.append, 1))
            later.settle(CallError(Refusal.NAME_TAKEN))
        return later

    rows = len(desk.work.tick.batch.operations)
    desk.dispatch.calls[FindName] = handler
    desk.dispatch.call(Call(7, "gateway", 1000, encode(FIND)))
    if not at_once:
        later.settle(CallError(Refusal.NAME_TAKEN))
    reply = desk.work.tick.envelopes[-1][1]
    assert isinstance(reply, Reply) and reply.refusal is Refusal.NAME_TAKEN
    assert len(desk.work.tick.batch.operations) == rows and undone == [1] * at_once


def test_what_nobody_here_answers_is_refused_by_name() -> None:
    reply = Desk().reply()
    assert reply.refusal is Refusal.NOT_OFFERED and reply.message == "this shard does not answer FindName"


def test_bound_handlers_get_their_owner_first() -> None:
    assert bound(5, {FindName: lambda owner, message: (owner, message.username)})[FindName](FIND) == (5, "ann")


def test_an_envelope_nobody_takes_is_passed_over() -> None:
    desk = Desk()
    desk.dispatch.envelopes.pop(LinkAck, None)
    desk.dispatch.arrive(LinkAck(0, 1))
    seen: list[object] = []
    desk.dispatch.envelopes[LinkAck] = seen.append
    desk.dispatch.arrive(LinkAck(0, 2))
    assert seen == [LinkAck(0, 2)]
