"""State machines as tables."""

import enum

import pytest

from lanying.base.errors import UnexpectedEvent
from lanying.base.states import State, transitions


class Push(enum.IntEnum):
    PUSHED = 0
    PULLED = 1


OPEN: State[Push, str] = State("OPEN")
SHUT: State[Push, str] = State("SHUT")
TABLE = transitions({(OPEN, Push.PUSHED): ("bang", SHUT), (SHUT, Push.PULLED): ("creak", OPEN)})


def test_a_pair_in_the_table_gives_what_follows():
    assert OPEN.on[Push.PUSHED] == ("bang", SHUT)


@pytest.mark.parametrize("pair", [(OPEN, Push.PULLED), (SHUT, Push.PUSHED)])
def test_any_other_pair_raises_one_error_that_names_state_and_event(pair):
    state, event = pair
    with pytest.raises(UnexpectedEvent, match=f"{event.name} in state {state.name}"):
        state.on[event]
    assert pair not in TABLE
