"""Envelopes: what travels between two processes, one tag each. Tags: :data:`~lanying.bus.messages.base.AREAS`."""

from __future__ import annotations

from lanying.base.figures import Figure
from lanying.base.ids import DeviceNumber
from lanying.base.refusals import DONE, Refusal
from lanying.bus.messages.base import Envelope


class LinkBatch(Envelope, tag=1):
    """Shard to shard: a run of bundles (:func:`lanying.shard.core.links.bundles`), ``items[0]`` has number ``first``.

    :ivar items: encoded bundles, in order without gap
    :ivar oldest: lowest number the source still keeps
    :ivar committed: of the link the other way, everything up to here is committed: saves a :class:`LinkAck`
    """

    source: int
    first: int
    items: list[bytes]
    oldest: int = 0
    committed: int = 0


class LinkAck(Envelope, tag=2):
    """Shard to shard: everything of the link ``receiver <- sender`` up to ``number`` is committed.

    ``rewind``: send again from the next one on.

    :ivar last: highest number the source has given out on the link the other way, at least; -1: it does not say
    """

    source: int
    number: int
    rewind: bool = False
    last: int = -1


class Call(Envelope, tag=3):
    """A request. ``body`` is an encoded :class:`Request`; the answer goes to process ``caller``.

    :ivar left_ms: how long the caller still waits, when it is sent. No moment in time: the clocks of two machines differ
    :ivar slots: hash slots the request is for, all of which the callee has to own; none: it is for the process itself
    :ivar request: id of the REST request or console command that caused it, for log lines
    """

    id: int
    caller: str
    left_ms: int
    body: bytes
    request: str = ""
    slots: list[int] = []


class Reply(Envelope, tag=4):
    """The answer to a call: ``body`` (MessagePack of the result), or why it was refused and a text.

    :ivar retry_s: when a refused one is worth trying again, 0: that is not known
    """

    id: int
    refusal: Refusal | None
    message: str
    body: bytes = b""
    retry_s: float = 0.0

    @property
    def code(self) -> int:
        """REST code."""
        return DONE if self.refusal is None else self.refusal.code


class Heartbeat(Envelope, tag=5):
    """Child to supervisor, every two seconds and once when ready.

    :ivar figures: counters and gauges for ``status`` and the metrics page
    """

    process: str
    pid: int
    ready: bool
    figures: list[Figure] = []


class Drain(Envelope, tag=6):
    """Supervisor to child: stop accepting, finish, exit."""

    reason: str = ""


class LogControl(Envelope, tag=7):
    """Console to any process: set the level of a module (empty: of everything), send log lines to ``to`` for a while.

    :ivar level: debug, info, warning, error; empty to leave it
    :ivar tail_s: seconds from now, 0 to leave it
    :ivar uid: not 0: the level is for lines about this user, for ``watch_s`` (0: it ends)
    """

    module: str = ""
    level: str = ""
    tail_s: float = 0.0
    to: str = ""
    uid: int = 0
    watch_s: float = 0.0


class LogLine(Envelope, tag=8):
    """A line of a process's log, for a follower."""

    process: str
    time_ms: int
    level: str
    module: str
    text: str


class Traced(Envelope, tag=9):
    """A frame of a traced user: shape and size, no payload.

    :ivar direction: in (from the client) or out
    """

    uid: int
    sn: DeviceNumber
    time_ms: int
    direction: str
    what: str
    bytes: int


class PushesWait(Envelope, tag=10):
    """Shard to push process: something is owed, ask with :class:`TakePushes`. May get lost: the push process asks anyway, now and then."""

    source: int


class ProcessEvent(Envelope, tag=11):
    """Supervisor to admin process: what became of a process.

    :ivar event: started, ready, died (by itself), exited (as it was asked to), draining, killed
    :ivar detail: for people: how it ended, what follows
    """

    process: str
    event: str
    pid: int
    detail: str


class Compact(Envelope, tag=12):
    """Console to shard: rewrite the database without what was deleted, in the background."""


class Reconfigure(Envelope, tag=13):
    """Console to shard or gateway: a setting of :data:`lanying.config.runtime.AT_RUN_TIME` has this value from now on."""

    key: str
    value: bool | int
