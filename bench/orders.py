"""What a :class:`~bench.fleet.Fleet` tells its workers to do, and what they answer."""

from __future__ import annotations

import time
from array import array
from dataclasses import dataclass, field


def now_us() -> int:
    """Microseconds of CLOCK_MONOTONIC, the same clock in every process."""
    return time.monotonic_ns() // 1000


@dataclass(frozen=True)
class LoginOrder:
    """Log devices in. ``rate`` per second and worker, 0: as fast as ``concurrency`` allows.

    :ivar resume: with TLS: take up the session of the device's last connection, where it has one
    :ivar retry_s: a device whose connection ends before it is in tries again after that long, up to twice that; 0: it has failed
    """

    first: int
    count: int
    rate: float = 0.0
    concurrency: int = 32
    start: int = 0
    unread: bool = True
    resume: bool = False
    retry_s: float = 0.0


@dataclass(frozen=True)
class ChatOrder:
    """Send messages.

    :ivar rate: per second and worker, 0: closed loop with ``window`` messages per sender under way
    :ivar start: microseconds; measured from ``start + warm`` to ``start + warm + duration``
    :ivar once: every sender sends exactly one message, at ``rate`` (the greeting: first contacts, device rows)
    :ivar senders: how many send, 0: all that have a route
    :ivar pages: history pages asked per second and worker
    :ivar weights: how often each route of a sender is taken
    """

    start: int
    warm: int
    duration: int
    rate: float = 0.0
    window: int = 1
    senders: int = 0
    once: bool = False
    poisson: bool = True
    pages: float = 0.0
    weights: tuple[float, ...] = (1.0,)


@dataclass(frozen=True)
class RescueOrder:
    """A device whose loop hangs would ask again at its next heartbeat: ask now what is pending."""


@dataclass(frozen=True)
class CountOrder:
    """Tell everything that was counted since the start."""


@dataclass(frozen=True)
class LogoutOrder:
    """Close all connections."""


@dataclass(frozen=True)
class QuitOrder:
    """End the process."""


@dataclass
class LoginResult:
    """``latencies``: microseconds from the intended connect to the answer to the login; ``resumed``: TLS sessions taken up."""

    latencies: array[int] = field(default_factory=lambda: array("I"))
    failed: int = 0
    resumed: int = 0
    retries: int = 0
    started_us: int = 0
    ended_us: int = 0


@dataclass
class ChatResult:
    """What was counted between the edges of the window, and the latencies of the messages meant for it, per second.

    :ivar late: microseconds between intended and real send
    :ivar cpu_s: CPU seconds of this worker in the window
    """

    counters: dict[str, int]
    cpu_s: float
    late: array[int]
    pages: array[int]


@dataclass
class Stream:
    """One sender's messages in one conversation, as one recipient has seen them."""

    expected: int
    missing: list[int]


@dataclass
class CountResult:
    """Everything of a worker since its start.

    :ivar sent: messages by stream; ``unacknowledged`` and ``refused``: their sequences
    :ivar streams: by (stream, index of the recipient)
    """

    counters: dict[str, int]
    errors: dict[str, int]
    sent: dict[int, int]
    unacknowledged: dict[int, list[int]]
    refused: dict[int, list[int]]
    streams: dict[tuple[int, int], Stream]
    acknowledged: list[array[int]]
    delivered: list[array[int]]


@dataclass(frozen=True)
class Progress:
    """What a worker has done so far in its order."""

    counters: dict[str, int]
    ready: int
