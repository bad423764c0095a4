"""What operators ask: explanations, traces, slow turns, backups. Some are asked of the admin process (:class:`AdminRequest`)."""

from __future__ import annotations

from enum import StrEnum

import msgspec

from lanying.base.ids import DeviceNumber
from lanying.bus.messages.base import AdminRequest, Request
from lanying.bus.messages.push import PushTold
from lanying.config.schema import AppOverrides


class JobState(StrEnum):
    """What has become of long work."""

    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"


class EntryState(StrEnum):
    """Where an entry of a queue is. REMOVED: recalled, deleted, or beyond the retention."""

    KEPT = "kept"
    COLD = "cold"
    COLD_MISSING = "cold missing"
    REMOVED = "removed"


class JobInfo(msgspec.Struct, array_like=True, frozen=True):
    """Long work of the admin process. ``percent`` None: not known."""

    job: int
    what: str
    state: JobState
    percent: int | None
    now: str
    who: str
    started_ms: int


class StartBackup(AdminRequest[JobInfo], tag=340):
    """Gateway to admin process: back the server up into ``storage.backup_path``; while that runs, once is enough.

    :ivar address: network address of the admin, for the audit log
    """

    address: str


class ListJobs(AdminRequest[list[JobInfo]], tag=341):
    """Gateway to admin process: jobs that run there or ran, the latest first."""


class HoldLinks(Request[bool], tag=342):
    """For ``seconds`` apply nothing that comes over links; 0: go on. Result: whether a hold was in force until now.

    While all shards hold, no shard's store can get ahead of another's: what a backup takes then is one consistent
    state of all of them (``docs/storage.md``). The hold ends by itself, and the links catch up from the outboxes.
    """

    seconds: float


class MessageTraces(msgspec.Struct, array_like=True):
    """``next``: the peer to go on after, 0: all conversations were looked at; ``pushes``: what is known of pushes for it."""

    traces: list[MessageTrace]
    next: int = 0
    pushes: list[PushTold] = []


class ExplainMessage(Request[MessageTraces], tag=344):
    """What a shard knows about message ``mid``: the mailboxes and timelines here that have it.

    :ivar owner: a user or group whose mailbox is looked through; 0: look among the latest messages only
    :ivar peer: only this conversation of the owner; 0: the next ``limits.WHY_CONVERSATIONS`` of them
    :ivar after: conversations up to this peer were looked at before
    """

    mid: int
    owner: int = 0
    peer: int = 0
    after: int = 0


class MessageTrace(msgspec.Struct, array_like=True):
    """A message in one queue.

    :ivar owner: of the mailbox; the group for a timeline
    :ivar seq: position in the queue
    :ivar marks: names of what is noted: ``read by owner`` …
    :ivar accepted_ms: when it was accepted here, 0 when that was too long ago to be remembered
    :ivar devices: per device of the owner: serial number and one of acknowledged, sent, waiting
    """

    owner: int
    peer: int
    seq: int
    state: EntryState
    sender: int = 0
    sender_sn: int = 0
    time_ms: int = 0
    edited_ms: int = 0
    marks: list[str] = []
    accepted_ms: int = 0
    devices: list[tuple[int, str]] = []
    owed_to: list[int] = []
    removed_how: str = ""
    """Recalled, or removed by its owner; empty when that is not remembered."""
    removed_ms: int = 0


class GetReached(Request[list[tuple[int, str]]], tag=347):
    """How far the devices of ``uid`` are in a conversation. Result: serial number and one of acknowledged, sent, waiting,
    offline for the entry at ``seq``; empty for a conversation ``uid`` does not have.
    """

    uid: int
    peer: int
    seq: int


class UnreadableEntry(msgspec.Struct, array_like=True):
    """An entry of a queue that a shard could not judge. ``seq`` or ``mid`` 0: not known; ``size`` in bytes."""

    owner: int
    peer: int
    seq: int
    mid: int
    size: int
    why: str


class ListUnreadable(Request[list[UnreadableEntry]], tag=349):
    """Entries a shard has met since its start and could not judge; it delivers them as they are, or passes over them."""


class RemoveEntry(Request[bool], tag=350):
    """Take the message ``mid``, or without one the entry at position ``seq``, out of a queue; asked of all shards, of which the
    owner's does it. Result: whether it was there.
    """

    owner: int
    peer: int
    mid: int
    seq: int


class TraceUser(Request[int], tag=345):
    """Report every frame of ``uid`` as :class:`Traced` to process ``to``, for ``seconds`` (0: stop). Result: number of sessions."""

    uid: int
    seconds: float
    to: str


class Slow(msgspec.Struct, array_like=True, frozen=True):
    """Something took long. ``what``: frames, call, link, login, timer, envelope; tick, commit or lag. ``detail`` says what was in it."""

    time_ms: int
    what: str
    milliseconds: float
    detail: str = ""


class ListSlow(Request[list[Slow]], tag=346):
    """What took long, the latest last."""


class SlowReader(msgspec.Struct, array_like=True, frozen=True):
    """``unsent``: bytes that wait for the device."""

    uid: int
    sn: DeviceNumber
    unsent: int


class ListSlowReaders(Request[list[SlowReader]], tag=348):
    """Devices that do not take what they are sent. At most ``limit``, the worst first."""

    limit: int


class AddApp(Request[bool], tag=343):
    """An app was added to the running server, with settings of its own. A shard that starts later reads them itself."""

    app: str
    own: AppOverrides
