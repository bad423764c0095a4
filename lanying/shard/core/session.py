"""One logged-in device on its connection."""

from __future__ import annotations

from lanying.base.rate import Bucket
from lanying.protocol.connection import WRAPPERS, Connection
from lanying.shard.chat.sync import PullLoop

LOOPS_KEPT = 32
"""Pull loops of caught-up conversations kept per session; beyond that they are dropped and read back from the store when needed."""


class Session:
    """State of a logged-in device; one per connection, so every slot counts (docs/performance.md).

    :ivar fd: the client's socket, -1 once closed
    :ivar unsent: bytes the socket did not take yet
    :ivar loops: pull loops by queue, only of queues that moved
    :ivar highest_client_mid: a send with a larger client id cannot be a repetition
    :ivar listed: the unread list was asked for since the login
    :ivar sends: how much of the user's rate is taken, shared by all sessions of a user
    :ivar wrap: a frame as this connection carries it
    :ivar left: closing, nothing is accepted any more: why, in a word; empty before
    """

    __slots__ = (
        "address",
        "app",
        "connection",
        "fd",
        "highest_client_mid",
        "last_read",
        "left",
        "listed",
        "loops",
        "parked",
        "sends",
        "sn",
        "uid",
        "unsent",
        "wrap",
    )

    def __init__(self, fd: int, connection: Connection, app: str, uid: int, sn: int, address: str, now: float) -> None:
        self.fd = fd
        self.connection = connection
        self.wrap = WRAPPERS[connection.kind]
        self.app = app
        self.uid = uid
        self.sn = sn
        self.address = address
        self.last_read = now
        self.unsent = b""
        self.loops: dict[int, PullLoop] = {}
        self.highest_client_mid = 0
        self.listed = False
        self.left = ""
        self.parked = 0
        self.sends = Bucket()

    def forget_idle_loops(self) -> None:
        """Drop loops that have nothing outstanding; their cursors are in the store."""
        if len(self.loops) > LOOPS_KEPT:
            self.loops = {peer: loop for peer, loop in self.loops.items() if not loop.idle}
