"""Link messages: shard to shard, exactly once and in order. They wait in outbox rows, so their tags never change."""

from __future__ import annotations

from lanying.base.ids import DeviceNumber
from lanying.bus.messages.base import Envelope, LinkMessage


class Deliver(LinkMessage, Envelope, tag=20):
    """A message or operation for the mailbox of ``uid``, in its queue ``peer``; ``meta`` is the encoded Meta, stored
    and pushed as it is.

    :ivar mid: the Meta's id, listed in history when ``listed``
    :ivar live: for connected devices only, never stored (typing, ``AT_MOST_ONCE``)
    :ivar operation: MessageOperation type with an effect on the stored message ``target`` (a message id), 0 for none
    """

    uid: int
    peer: int
    mid: int
    meta: bytes
    listed: bool = True
    live: bool = False
    operation: int = 0
    target: int = 0


class NoticeFor(LinkMessage, tag=21):
    """A notice for queue 0 of ``uid``: a GroupNotice or RosterNotice (``ns``) with encoded ``payload``."""

    uid: int
    sender: int
    ns: int
    payload: bytes


class RosterChange(LinkMessage, tag=22):
    """The other side of a change of friendship: on the shard of ``uid`` set what ``uid`` and ``other`` are to each
    other.

    :ivar relation: 0 friend, 1 deleted, 2 stranger
    :ivar notice: RosterNotice type to put into the queue of ``uid``, 0 for none; from ``sender`` to [``target``]
    :ivar alias: remark ``uid`` gave ``other`` when applying, empty to leave it
    """

    uid: int
    other: int
    relation: int
    notice: int = 0
    sender: int = 0
    target: int = 0
    content: str = ""
    alias: str = ""


class Barred(LinkMessage, tag=23):
    """``other`` has blocked (or unblocked) ``uid``: remembered on the shard of ``uid``, which refuses the messages.

    :ivar version: grows with every change of this pair; a lower one (an overtaken :class:`PeerState`) is ignored
    """

    uid: int
    other: int
    barred: bool
    version: int = 0


class Seat(LinkMessage, tag=30):
    """``uid`` is a member of group ``gid`` from position ``start`` of its timeline on: kept on the member's shard.

    :ivar unasked: somebody put them in
    """

    uid: int
    gid: int
    start: int = 0
    unasked: bool = False


class Unseat(LinkMessage, tag=31):
    """``uid`` is no member of group ``gid`` any more."""

    uid: int
    gid: int


class GroupDeliver(LinkMessage, Envelope, tag=32):
    """An entry of a group's timeline for the members on one shard, which keeps the position and pushes to those connected.

    :ivar seq: position in the timeline, 0 for a live one (typing): pushed and forgotten
    :ivar author: member whose device ``author_sn`` shows it already
    :ivar previous_mid: newest listed message before it
    """

    gid: int
    seq: int
    mid: int
    meta: bytes
    author: int
    author_sn: int
    listed: bool
    previous_mid: int


class Invited(LinkMessage, tag=33):
    """The invitee's copy of an invitation into group ``gid``, kept on the invitee's shard.

    :ivar status: 0 waiting, 1 accepted, 2 declined; -1 forget it
    """

    uid: int
    gid: int
    inviter: int = 0
    status: int = 0
    reason: str = ""
    created_ms: int = 0
    expires_ms: int = 0
    updated_ms: int = 0


class GroupReading(LinkMessage, tag=220):
    """A member acknowledges message ``target``, which is in one of the groups ``gids`` of the receiving shard: noted there for its
    author, whose devices get ``meta`` (id ``mid``). Comes back as :class:`GroupRead` when there is such a message.

    :ivar operation: READ_ACK, PLAY_ACK or DELIVER_ACK
    """

    uid: int
    sn: DeviceNumber
    gids: list[int]
    target: int
    operation: int
    author: int
    mid: int
    meta: bytes


class GroupRead(LinkMessage, tag=221):
    """An acknowledgement of ``uid`` was for message ``target`` of group ``gid``: noted on the member's shard and sent to their devices."""

    uid: int
    sn: DeviceNumber
    gid: int
    target: int
    operation: int
    mid: int
    meta: bytes


class Silence(LinkMessage, tag=222):
    """``uid`` wants no messages of group ``gid`` delivered (mute mode 2), or wants them again: kept on the member's shard."""

    uid: int
    gid: int
    silent: bool


class Resign(LinkMessage, tag=223):
    """``uid``'s account was deleted, so ``uid`` leaves group ``gid``; sent to the group's shard."""

    gid: int
    uid: int


class GroupPost(LinkMessage, Envelope, tag=224):
    """A member's upload for the timeline of group ``gid``, for the group's shard, which answers with :class:`GroupPosted`.

    :ivar client_mid: recognises a repetition, 0: not to be recognised
    :ivar payload: encoded MessageBody
    :ivar operation: MessageOperation type and ``target`` message id, 0 for an ordinary message
    :ivar live: for connected devices only: travels without a link and is not answered
    :ivar priority: above 0 it may be dropped when there is too much
    :ivar ticket: named by the answer; of a live one its message id
    """

    gid: int
    uid: int
    sn: DeviceNumber
    app: str
    client_mid: int
    payload: bytes
    operation: int = 0
    target: int = 0
    live: bool = False
    priority: int = 0
    ticket: int = 0


class GroupPosted(LinkMessage, tag=225):
    """What became of the :class:`GroupPost` of ``uid`` with this ticket: its message id and times in ms, or why it was refused.

    :ivar edit_ms: of APPEND and REPLACE, else 0
    :ivar refusal: value of a :class:`~lanying.base.refusals.Refusal`, empty when it was accepted. As text, because a row with one that
        only another release knows must not stop the link
    :ivar reason: what the refusal says
    """

    ticket: int
    uid: int
    mid: int = 0
    time_ms: int = 0
    edit_ms: int = 0
    refusal: str = ""
    reason: str = ""


class Broadcast(LinkMessage, tag=320):
    """A broadcast for the users of a shard: ``payload`` is an encoded MessageBody, ``id`` a message id."""

    id: int
    app: str
    payload: bytes
    who: str = ""


class PushTokenBound(LinkMessage, tag=379):
    """``uid`` now owns this vendor token; sent to the shard that indexes tokens (:mod:`lanying.shard.push.tokens`), which sends it
    on to the shard of ``loser``, the previous owner.
    """

    app: str
    uid: int
    notifier: str
    token: str
    loser: int = 0
