"""State machines as tables: what an event does in a state. A pair that is not in the table is a defect and says so.

A machine is its states, an :class:`enum.IntEnum` of events (their hash is that of an int, which a hot path feels) and one table::

    IDLE: State[Event, Answer] = State("IDLE")
    TRANSITIONS: Final = transitions({
        (IDLE, Event.ENTRIES): (Answer.BATCH, AWAITING),
        ...
    })
    answer, self.state = self.state.on[event]

``tools/states.py`` draws the tables into ``docs/states.md``.
"""

from __future__ import annotations

from enum import IntEnum
from typing import Generic, NoReturn, TypeAlias, TypeVar

from lanying.base.errors import UnexpectedEvent

E = TypeVar("E", bound=IntEnum)
A = TypeVar("A")


class State(Generic[E, A]):
    """One state; compared by identity.

    :ivar on: by event, the answer and the next state; a look-up of another event raises :exc:`UnexpectedEvent`
    """

    __slots__ = ("name", "on")

    def __init__(self, name: str) -> None:
        self.name = name
        self.on: dict[E, tuple[A, State[E, A]]] = _Row(name)

    def __repr__(self) -> str:
        return self.name


Table: TypeAlias = dict[tuple[State[E, A], E], tuple[A, State[E, A]]]


def transitions(table: Table[E, A]) -> Table[E, A]:
    """The table, laid out by state: a look-up makes no pair."""
    for (state, event), then in table.items():
        state.on[event] = then
    return table


class _Row(dict[E, tuple[A, State[E, A]]]):
    def __init__(self, state: str) -> None:
        super().__init__()
        self._state = state

    def __missing__(self, event: E) -> NoReturn:
        raise UnexpectedEvent(f"{type(event).__module__}: {event.name} in state {self._state}")
