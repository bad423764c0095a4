"""State machines as tables."""

import enum

import pytest

from lanying.base.errors import UnexpectedEvent
from lanying.base.states import Transitions


class Door(enum.IntEnum):
    OPEN = 0
    SHUT = 1


class Push(enum.IntEnum):
    PUSHED = 0
    PULLED = 1


TABLE = Transitions({(Door.OPEN, Push.PUSHED): Door.SHUT, (Door.SHUT, Push.PULLED): Door.OPEN})


def test_a_pair_in_the_table_gives_what_follows():
    assert TABLE[Door.OPEN, Push.PUSHED] is Door.SHUT


@pytest.mark.parametrize("pair", [(Door.OPEN, Push.PULLED), (Door.SHUT, Push.PUSHED)])
def test_any_other_pair_raises_one_error_that_names_state_and_event(pair):
    state, event = pair
    with pytest.raises(UnexpectedEvent, match=f"{event.name} in state {state.name}"):
        TABLE[pair]
    assert pair not in TABLE
