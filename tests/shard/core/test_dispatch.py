"""Each kind of message has one handler, and it is the one in the table of its area: none hides another."""

from __future__ import annotations

import logging

import pytest

from lanying.base.refusals import Refusal
from lanying.bus import messages as m
from lanying.bus.messages.base import kinds
from lanying.shard.accounts import handlers as account_handlers
from lanying.shard.core.dispatch import named
from lanying.shard.groups import handlers as group_handlers
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
