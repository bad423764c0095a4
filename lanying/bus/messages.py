"""Every message of the bus, one class each, in three parts: envelopes, link messages, calls.

Wire shape: a blob is a run of ``u32 length (big-endian) + MessagePack``; each piece is one *envelope*, an array whose first element is the class's
tag. Link messages and call bodies are encoded the same way inside their envelope, so an outbox row holds link message bytes that are
spliced into any number of resends unparsed.

A new field goes to the end with a default: during a restart old and new processes talk to each other.
"""

from __future__ import annotations

from typing import Any

import msgspec


class Message(msgspec.Struct, array_like=True, frozen=True):
    """Base of everything on the bus: encoded as an array ``[tag, field, …]``."""


# --- envelopes -------------------------------------------------------------------------------------------------


class LinkBatch(Message, tag=1):
    """Shard to shard: a run of link messages, ``items[0]`` has number ``first``.

    :ivar items: encoded link messages, in order without gap
    """

    source: int
    first: int
    items: list[bytes]


class LinkAck(Message, tag=2):
    """Shard to shard: everything of the link ``receiver <- sender`` up to ``number`` is committed. ``rewind``: send again from the next one on."""

    source: int
    number: int
    rewind: bool = False


class Call(Message, tag=3):
    """A request. ``body`` is an encoded :class:`Request`; the answer goes to process ``caller``.

    :ivar deadline_ms: wall time after which nobody waits any more
    """

    id: int
    caller: str
    deadline_ms: int
    body: bytes


class Reply(Message, tag=4):
    """The answer to a call: ``code`` 200 and ``body`` (MessagePack of the result), or a REST error code and a text."""

    id: int
    code: int
    message: str
    body: bytes = b""


class Heartbeat(Message, tag=5):
    """Child to supervisor, every two seconds and once when ready.

    :ivar figures: flat counters and gauges for ``status`` and the metrics page, for example ``{"sessions": 12}``
    """

    process: str
    pid: int
    ready: bool
    figures: dict[str, float] = {}


class Drain(Message, tag=6):
    """Supervisor to child: stop accepting, finish, exit."""

    reason: str = ""


Envelope = LinkBatch | LinkAck | Call | Reply | Heartbeat | Drain


# --- link messages: shard to shard, exactly once, in order ------------------------------------------------------


class Deliver(Message, tag=20):
    """A message or operation for the mailbox of ``uid``, in its queue ``peer``; ``meta`` is the encoded Meta, stored and pushed as it is.

    :ivar mid: the Meta's id, listed in history when ``listed``
    :ivar live: for connected devices only, never stored (typing, ``AT_MOST_ONCE``)
    """

    uid: int
    peer: int
    mid: int
    meta: bytes
    listed: bool = True
    live: bool = False


class NoticeFor(Message, tag=21):
    """A notice for queue 0 of ``uid``: a GroupNotice or RosterNotice (``ns``) with encoded ``payload``."""

    uid: int
    sender: int
    ns: int
    payload: bytes


class RosterChange(Message, tag=22):
    """The other side of a change of friendship: on the shard of ``uid`` set what ``uid`` and ``other`` are to each other.

    :ivar relation: 0 friend, 1 deleted, 2 stranger
    :ivar notice: RosterNotice type to put into the queue of ``uid``, 0 for none; from ``sender`` to [``target``]
    """

    uid: int
    other: int
    relation: int
    notice: int = 0
    sender: int = 0
    target: int = 0
    content: str = ""


class Barred(Message, tag=23):
    """``other`` has blocked (or unblocked) ``uid``: remembered on the shard of ``uid``, which refuses the messages."""

    uid: int
    other: int
    barred: bool


LinkMessage = Deliver | NoticeFor | RosterChange | Barred


# --- calls to a shard -------------------------------------------------------------------------------------------


class PeerQuery(Message, tag=40):
    """May ``sender`` (app ``app``) write to ``uid``? Result: :class:`PeerState`. Asked by a shard before a first message."""

    uid: int
    sender: int
    app: str


class PeerState(msgspec.Struct, array_like=True, frozen=True):
    """What a sender's shard remembers about a recipient."""

    exists: bool
    barred: bool = False
    friend: bool = False


class ClaimAccount(Message, tag=41):
    """Create an account; sent to the shard of the name's slot. Result: the uid (same slot). 10004 when the name is taken."""

    app: str
    username: str
    password_hash: str


class FindName(Message, tag=42):
    """Result: the uid of a user name of an app, 0 when there is none. Sent to the shard of the name."""

    app: str
    username: str


class GetAccounts(Message, tag=43):
    """Result: list of account records (see ``shard/accounts.py``) of those ``uids`` that exist and belong to ``app``."""

    app: str
    uids: list[int]


class CheckToken(Message, tag=44):
    """Is a token of this account and ``epoch`` still good? Result: True; 402 revoked, 10000 no such user, 10010 banned or frozen."""

    app: str
    uid: int
    epoch: int


class UpdateAccount(Message, tag=45):
    """Set the fields of a profile or of settings (``shard/accounts.py`` lists them). Result: the account record."""

    uid: int
    changes: dict[str, Any]


class ListDevices(Message, tag=46):
    """Result: list of ``{device_sn, platform, user_agent, user_id, online, last_seen_ms}``."""

    uid: int


class Kick(Message, tag=47):
    """Log devices of a user out: one serial number, or all with 0; ``except_sn`` is spared. ``notice`` is the UserNotice type.

    Result: number of sessions closed.
    """

    uid: int
    device_sn: int
    notice: int
    except_sn: int = 0


Request = PeerQuery | ClaimAccount | FindName | GetAccounts | CheckToken | UpdateAccount | ListDevices | Kick

encode = msgspec.msgpack.Encoder().encode
decode_envelope = msgspec.msgpack.Decoder(Envelope).decode
decode_link_message = msgspec.msgpack.Decoder(LinkMessage).decode
decode_request = msgspec.msgpack.Decoder(Request).decode
