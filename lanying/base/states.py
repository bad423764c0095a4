"""State machines as tables: what an event does in a state. A pair that is not in the table is a defect and says so.

A machine is two :class:`enum.IntEnum` (their hash is that of an int, which a hot path feels) and one table::

    TABLE: Final = Transitions({
        (State.IDLE, Event.ENTRIES): (Answer.BATCH, State.AWAITING),
        ...
    })
    answer, self.state = TABLE[self.state, event]

``tools/states.py`` draws the tables into ``docs/states.md``.
"""

from __future__ import annotations

from enum import IntEnum
from typing import NoReturn, TypeVar

from lanying.base.errors import UnexpectedEvent

S = TypeVar("S", bound=IntEnum)
E = TypeVar("E", bound=IntEnum)
V = TypeVar("V")


class Transitions(dict[tuple[S, E], V]):
    """(state, event) → what follows.

    :raises UnexpectedEvent: on a look-up of a pair that is not there
    """

    def __missing__(self, pair: tuple[S, E]) -> NoReturn:
        state, event = pair
        raise UnexpectedEvent(f"{type(state).__module__}: {event.name} in state {state.name}")
