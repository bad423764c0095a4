"""Links: what may become of the numbers of an outgoing one, as a table (drawn in ``docs/states.md``).

Four numbers say where a sender is, ``trimmed <= acknowledged <= sent <= last``: removed from the outbox; committed by the
peer; given to the transport since the last going back; assigned and committed in the outbox. What may happen depends on
how the last three stand to each other:

- HELD: nothing is sent until the peer has said what it knows, which may be more than we do.
- IDLE: all is sent and acknowledged.
- MOVING: all is sent, acknowledgements are due.
- LAGGING: the rest is in the outbox alone and is read from there.
"""

from __future__ import annotations

from enum import IntEnum, auto
from typing import Final, TypeAlias

from lanying.base.states import State, transitions


class LinkEvent(IntEnum):
    """What became of the numbers."""

    MET = auto()
    """The peer has said what it knows; nothing is to be sent."""
    MET_BEHIND = auto()
    """It has, and there is something to send."""
    SENT = auto()
    """New messages, all given to the transport."""
    LEFT = auto()
    """New messages, not all of which may be sent yet."""
    READ_BACK = auto()
    """Some of what lagged was sent."""
    CAUGHT_UP = auto()
    """All of what lagged was sent."""
    CONFIRMED = auto()
    """An acknowledgement; not of everything."""
    COMPLETED = auto()
    """Everything is acknowledged."""
    WENT_BACK = auto()
    """What was sent has to be sent again."""


LinkState: TypeAlias = State[LinkEvent, None]

HELD: Final[LinkState] = State("HELD")
IDLE: Final[LinkState] = State("IDLE")
MOVING: Final[LinkState] = State("MOVING")
LAGGING: Final[LinkState] = State("LAGGING")

TRANSITIONS: Final = transitions(
    {
        (HELD, LinkEvent.LEFT): (None, HELD),
        (HELD, LinkEvent.MET): (None, IDLE),
        (HELD, LinkEvent.MET_BEHIND): (None, LAGGING),
        (IDLE, LinkEvent.SENT): (None, MOVING),
        (IDLE, LinkEvent.LEFT): (None, LAGGING),
        (IDLE, LinkEvent.COMPLETED): (None, IDLE),
        (IDLE, LinkEvent.WENT_BACK): (None, LAGGING),
        (MOVING, LinkEvent.SENT): (None, MOVING),
        (MOVING, LinkEvent.LEFT): (None, LAGGING),
        (MOVING, LinkEvent.CONFIRMED): (None, MOVING),
        (MOVING, LinkEvent.COMPLETED): (None, IDLE),
        (MOVING, LinkEvent.WENT_BACK): (None, LAGGING),
        (LAGGING, LinkEvent.LEFT): (None, LAGGING),
        (LAGGING, LinkEvent.READ_BACK): (None, LAGGING),
        (LAGGING, LinkEvent.CAUGHT_UP): (None, MOVING),
        (LAGGING, LinkEvent.CONFIRMED): (None, LAGGING),
        (LAGGING, LinkEvent.COMPLETED): (None, IDLE),
        (LAGGING, LinkEvent.WENT_BACK): (None, LAGGING),
    }
)
