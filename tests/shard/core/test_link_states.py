"""The states of a link are what its numbers say, whatever happens in whatever order; what cannot happen raises one error."""

from __future__ import annotations

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from lanying.base import limits
from lanying.base.errors import UnexpectedEvent
from lanying.shard.core.link_states import HELD, IDLE, LAGGING, MOVING, TRANSITIONS, LinkEvent
from lanying.shard.core.links import LinkReceiver, LinkSender


class Sender(RuleBasedStateMachine):
    """A sender and its outbox, against any peer that acknowledges no less than was trimmed."""

    @initialize(last=st.integers(0, 300), kept=st.integers(0, 300), held=st.booleans())
    def start(self, last: int, kept: int, held: bool) -> None:
        self.now = 0.0
        self.sender = LinkSender(last, max(1, last + 1 - kept), held=held)

    @rule(count=st.integers(1, limits.LINK_WINDOW + 10))
    def new_messages(self, count: int) -> None:
        first = self.sender.last + 1
        for _ in range(count):
            self.sender.assign()
        assert 0 <= self.sender.committed(first, count, self.now) <= count

    @rule(part=st.floats(0, 1))
    def read_back(self, part: float) -> None:
        lagging = self.sender.lagging()
        if lagging is not None:
            first, count = lagging
            self.sender.resent(first, max(1, int(count * part)), self.now)

    @precondition(lambda self: self.sender.state is not HELD)
    @rule(ahead=st.integers(-50, 50), rewind=st.booleans())
    def acknowledged(self, ahead: int, rewind: bool) -> None:
        self.sender.acknowledge(max(0, self.sender.sent + ahead), rewind, self.now)

    @precondition(lambda self: self.sender.state is HELD)
    @rule()
    def met(self) -> None:
        self.sender.held = False

    @rule(seconds=st.floats(0, 2 * limits.LINK_RESEND_MAX_S))
    def time_passes(self, seconds: float) -> None:
        self.now += seconds
        self.sender.tick(self.now)

    @rule()
    def trim(self) -> None:
        self.sender.trimmed = self.sender.acknowledged

    @invariant()
    def numbers_stand_as_they_should(self) -> None:
        it = self.sender
        assert it.trimmed <= it.acknowledged <= it.sent <= it.last
        assert it.sent - it.acknowledged <= limits.LINK_WINDOW
        assert (it.state is IDLE) <= (it.depth == 0)
        assert (it.state is MOVING) <= (it.sent == it.last and it.depth > 0)
        assert (it.lagging() is not None) <= (it.state is LAGGING)


Sender.TestCase.settings = settings(max_examples=60, stateful_step_count=30, deadline=None)
TestSender = Sender.TestCase


def test_what_cannot_happen_names_state_and_event() -> None:
    sender = LinkSender(5, 3, held=True)
    with pytest.raises(UnexpectedEvent, match="CONFIRMED in state HELD"):
        sender.acknowledge(3, False, 0.0)


def test_every_state_is_reached_and_left() -> None:
    reached = {state.name for _, state in TRANSITIONS.values()}
    left = {state.name for (state, _), (_, then) in TRANSITIONS.items() if state is not then}
    assert reached == left == {"HELD", "IDLE", "MOVING", "LAGGING"}
    assert {event for _, event in TRANSITIONS} == set(LinkEvent)


def test_a_receiver_takes_each_number_once_and_no_gap() -> None:
    receiver = LinkReceiver(4)
    assert receiver.fresh(3, 4, 1) == 2
    assert receiver.seen == 6
    assert receiver.fresh(8, 1, 1) is None, "7 is missing"
    assert receiver.fresh(8, 1, 8) == 0, "7 is lost for good"
    assert receiver.seen == 8
