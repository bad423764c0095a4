"""What a generator counts: stamps in every message, arrivals in their order, latencies by second.

Every message carries a *stamp* at the start of its content::

    offset  size  field
    0       6     "LB" + 4 characters of the run
    6       8     stream: one sender to one conversation, hexadecimal
    14      8     sequence in this stream, hexadecimal, from 0 without gap
    22      16    intended time of sending, microseconds of CLOCK_MONOTONIC (the same in all processes), hexadecimal
    38      …     filler
"""

from __future__ import annotations

import struct
from array import array
from typing import Final

STAMP_BYTES: Final = 38
MARKER_BYTES: Final = 6
unpack_stamp = struct.Struct(">IIQ").unpack
"""Of the stamp behind its marker, out of hexadecimal: stream, sequence, intended time."""


class Window:
    """Which messages are measured, by intended time in microseconds: ``start <= t < stop``; latencies per second."""

    __slots__ = ("acknowledged", "delivered", "start", "stop")

    def __init__(self, start: int = 0, stop: int = 0) -> None:
        self.start = start
        self.stop = stop
        seconds = max(0, -(-(stop - start) // 1_000_000))
        self.acknowledged = [array("I") for _ in range(seconds)]
        self.delivered = [array("I") for _ in range(seconds)]


class Tally:
    """Counters of all devices of one worker.

    :ivar owed: copies that what was sent makes: one for a 1:1 message, one per other member for a group's; a refused
        message takes its own back
    :ivar received: copies, each counted once; ``duplicated`` and ``reordered`` come on top
    :ivar reordered: messages that came behind a later one of the same stream
    :ivar foreign: messages of another run
    :ivar freed: streams whose message has arrived; taken by the closed loop
    """

    __slots__ = (
        "acknowledged",
        "batches",
        "disconnected",
        "duplicated",
        "ends",
        "errors",
        "foreign",
        "freed",
        "notices",
        "owed",
        "pages",
        "received",
        "refused",
        "reordered",
        "sent",
        "unknown_acknowledgements",
        "window",
    )

    COUNTERS: Final = (
        "sent", "owed", "acknowledged", "received", "duplicated", "reordered", "refused", "unknown_acknowledgements",
        "foreign", "batches", "ends", "notices", "disconnected",
    )  # fmt: skip

    def __init__(self) -> None:
        self.sent = self.owed = self.acknowledged = self.received = 0
        self.duplicated = self.reordered = self.refused = 0
        self.unknown_acknowledgements = self.foreign = self.batches = self.ends = self.notices = self.disconnected = 0
        self.errors: dict[str, int] = {}
        self.window = Window()
        self.freed: list[int] = []
        self.pages = array("I")

    def error(self, text: str) -> None:
        """Count something that should not happen, by its text."""
        if len(self.errors) < 50 or text in self.errors:
            self.errors[text] = self.errors.get(text, 0) + 1

    def counters(self) -> dict[str, int]:
        """The plain counters."""
        return {name: int(getattr(self, name)) for name in self.COUNTERS}
