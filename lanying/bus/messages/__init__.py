"""Every message of the bus, one class each, in three parts: envelopes, link messages, calls.

Wire shape: a blob is a run of ``u32 length (big-endian) + MessagePack``; each piece is one *envelope*, an array
whose first element is the class's tag. Link messages and call bodies are encoded the same way inside their envelope,
so an outbox row holds bytes that are spliced into any number of resends unparsed.

One file, however long, because it is the list of who tells whom what.

A new field goes to the end with a default: during a restart old and new processes talk to each other.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec

from lanying.base import limits
from lanying.config.schema import AppOverrides


class Message(msgspec.Struct, array_like=True):
    """Base of everything on the bus: encoded as an array ``[tag, field, …]``."""


# --- envelopes -------------------------------------------------------------------------------------------------


class LinkBatch(Message, tag=1):
    """Shard to shard: a run of bundles (:func:`bundles`), ``items[0]`` has number ``first``.

    :ivar items: encoded bundles, in order without gap
    :ivar oldest: lowest number the source still keeps
    :ivar committed: of the link the other way, everything up to here is committed: saves a :class:`LinkAck`
    """

    source: int
    first: int
    items: list[bytes]
    oldest: int = 0
    committed: int = 0


class LinkAck(Message, tag=2):
    """Shard to shard: everything of the link ``receiver <- sender`` up to ``number`` is committed.

    ``rewind``: send again from the next one on.
    """

    source: int
    number: int
    rewind: bool = False


class Call(Message, tag=3):
    """A request. ``body`` is an encoded :class:`Request`; the answer goes to process ``caller``.

    :ivar deadline_ms: wall time after which nobody waits any more
    :ivar request: what caused it, for the log: the id of a REST request
    """

    id: int
    caller: str
    deadline_ms: int
    body: bytes
    request: str = ""


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


class LogControl(Message, tag=360):
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


class LogLine(Message, tag=361):
    """A line of a process's log, for who follows it."""

    process: str
    time_ms: int
    level: str
    module: str
    text: str


class Traced(Message, tag=362):
    """A frame of a traced user: shape and size, no payload.

    :ivar direction: in (from the client) or out
    """

    uid: int
    sn: int
    time_ms: int
    direction: str
    what: str
    bytes: int


class PushesWait(Message, tag=370):
    """Shard to push process: something is owed, ask with :class:`TakePushes`. May get lost: the push process asks anyway, now and then."""

    source: int


class ProcessEvent(Message, tag=381):
    """Supervisor to admin process: what became of a process.

    :ivar event: started, ready, died (by itself), exited (as it was told to), draining, killed
    :ivar detail: for people: how it ended, what follows
    """

    process: str
    event: str
    pid: int
    detail: str


class StartBackup(Message, tag=340):
    """Gateway to admin process: back the server up into ``storage.backup_path``; while that runs, once is enough.

    Result: :class:`JobInfo`.

    :ivar address: where the admin who asks is, for the audit log
    """

    address: str


class ListJobs(Message, tag=341):
    """Gateway to admin process: what runs there or ran. Result: list of :class:`JobInfo`, the latest first."""


class JobInfo(msgspec.Struct, array_like=True, frozen=True):
    """Long work of the admin process. ``state``: running, done, failed or cancelled; ``percent`` None: not known."""

    job: int
    what: str
    state: str
    percent: int | None
    now: str
    who: str
    started_ms: int


class Compact(Message, tag=363):
    """Console to shard: rewrite the database without what was deleted, in the background."""


class Reconfigure(Message, tag=364):
    """Console to shard or gateway: a setting of :data:`lanying.config.schema.AT_RUN_TIME` has this value from now on."""

    key: str
    value: bool | int


# --- link messages: shard to shard, exactly once, in order ------------------------------------------------------


class Deliver(Message, tag=20):
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


class NoticeFor(Message, tag=21):
    """A notice for queue 0 of ``uid``: a GroupNotice or RosterNotice (``ns``) with encoded ``payload``."""

    uid: int
    sender: int
    ns: int
    payload: bytes


class RosterChange(Message, tag=22):
    """The other side of a change of friendship: on the shard of ``uid`` set what ``uid`` and ``other`` are to each
    other.

    :ivar relation: 0 friend, 1 deleted, 2 stranger
    :ivar notice: RosterNotice type to put into the queue of ``uid``, 0 for none; from ``sender`` to [``target``]
    :ivar alias: remark ``uid`` gave ``other`` when he applied, empty to leave it
    """

    uid: int
    other: int
    relation: int
    notice: int = 0
    sender: int = 0
    target: int = 0
    content: str = ""
    alias: str = ""


class Barred(Message, tag=23):
    """``other`` has blocked (or unblocked) ``uid``: remembered on the shard of ``uid``, which refuses the messages.

    :ivar version: grows with every change of this pair; an older word (an overtaken :class:`PeerState`) is void
    """

    uid: int
    other: int
    barred: bool
    version: int = 0


class Seat(Message, tag=30):
    """``uid`` is a member of group ``gid`` from position ``start`` of its timeline on: kept on the member's shard."""

    uid: int
    gid: int
    start: int = 0


class Unseat(Message, tag=31):
    """``uid`` is no member of group ``gid`` any more."""

    uid: int
    gid: int


class GroupDeliver(Message, tag=32):
    """An entry of a group's timeline for the members on one shard, which keeps the position and pushes to who is there.

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


class Invited(Message, tag=33):
    """The copy an invitee keeps of an invitation into group ``gid``, on his shard.

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


class GroupReading(Message, tag=220):
    """A member acknowledges message ``target``, which is in one of the groups ``gids`` of the receiving shard: noted there for its
    author, who is told with ``meta`` (id ``mid``). Comes back as :class:`GroupRead` when there is such a message.

    :ivar operation: READ_ACK, PLAY_ACK or DELIVER_ACK
    """

    uid: int
    sn: int
    gids: list[int]
    target: int
    operation: int
    author: int
    mid: int
    meta: bytes


class GroupRead(Message, tag=221):
    """An acknowledgement of ``uid`` was for message ``target`` of group ``gid``: noted on his shard, his other devices are told."""

    uid: int
    sn: int
    gid: int
    target: int
    operation: int
    mid: int
    meta: bytes


class Silence(Message, tag=222):
    """``uid`` wants no messages of group ``gid`` delivered (mute mode 2), or wants them again: kept on his shard."""

    uid: int
    gid: int
    silent: bool


class Resign(Message, tag=223):
    """``uid``'s account was deleted: he leaves group ``gid``; told to the group's shard."""

    gid: int
    uid: int


class Broadcast(Message, tag=320):
    """A broadcast for the users of a shard: ``payload`` is an encoded MessageBody, ``id`` a message id."""

    id: int
    app: str
    payload: bytes
    who: str = ""


class PushTokenBound(Message, tag=379):
    """A device of ``uid`` has this vendor token, so no device of another user of the app has it: told to the shard that keeps whose it is
    (:mod:`lanying.shard.push.tokens`), and by that to the shard of ``loser``, whose it was.
    """

    app: str
    uid: int
    notifier: str
    token: str
    loser: int = 0


LinkMessage = (
    Deliver
    | Broadcast
    | NoticeFor
    | RosterChange
    | Barred
    | Seat
    | Unseat
    | GroupDeliver
    | Invited
    | GroupReading
    | GroupRead
    | Silence
    | Resign
    | PushTokenBound
)
Envelope = (
    LinkBatch
    | LinkAck
    | Call
    | Reply
    | Heartbeat
    | Drain
    | Deliver
    | GroupDeliver
    | LogControl
    | LogLine
    | Traced
    | Compact
    | Reconfigure
    | ProcessEvent
    | PushesWait
)
"""A bare :class:`Deliver` or :class:`GroupDeliver` is a live one: for connected devices, allowed to get lost."""


# --- calls to a shard -------------------------------------------------------------------------------------------


class PeerQuery(Message, tag=40):
    """May ``sender`` (app ``app``) write to ``uid``? Result: :class:`PeerState`. Asked by a shard before a first message."""

    uid: int
    sender: int
    app: str


class PeerState(msgspec.Struct, array_like=True, frozen=True):
    """What a sender's shard remembers about a recipient. ``version``: as in :class:`Barred`."""

    exists: bool
    barred: bool = False
    friend: bool = False
    version: int = 0


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
    """Result: list of :class:`AccountInfo` of those ``uids`` that exist and belong to ``app``, in the order asked."""

    app: str
    uids: list[int]


class CheckToken(Message, tag=44):
    """Is a token of this account and ``epoch`` still good? Result: True; 402 revoked, 10000 no such user, 10010 banned or frozen."""

    app: str
    uid: int
    epoch: int


class UpdateAccount(Message, tag=45):
    """Set fields of profile or settings (``shard/accounts.py`` lists them). Result: the new :class:`AccountInfo`."""

    uid: int
    changes: dict[str, Any]


class ListDevices(Message, tag=46):
    """Result: list of :class:`DeviceInfo`, online ones first, then the latest seen."""

    uid: int


class Kick(Message, tag=47):
    """Log devices of a user out: one serial number, or all with 0; ``except_sn`` is spared.

    ``notice`` is the UserNotice type. All without exception also revokes the user's tokens. Result: number of sessions closed.
    """

    uid: int
    device_sn: int
    notice: int
    except_sn: int = 0


class AccountInfo(msgspec.Struct, array_like=True, frozen=True):
    """An account without its secret: what the store keeps (``shard/accounts.py``) and what calls answer.

    :ivar state: ``STATE_NORMAL`` …
    :ivar epoch: tokens with a smaller one are revoked
    """

    uid: int
    app: str
    username: str
    epoch: int = 0
    created_ms: int = 0
    state: int = 0
    nick_name: str = ""
    avatar: str = ""
    description: str = ""
    mobile: str = ""
    email: str = ""
    public_info: str = ""
    private_info: str = ""
    alias: str = ""
    auth_mode: int = 1
    auth_question: str = ""
    auth_answer: str = ""
    group_confirm: bool = False
    auto_download: bool = True
    no_push: bool = False
    no_push_detail: bool = False
    no_push_start_hour: int = 0
    no_push_end_hour: int = 0
    no_sounds: bool = False
    vibratory: bool = True
    push_nick_name: str = ""
    push_token: str = ""
    silence_start_time: int = 0
    silence_end_time: int = 0


STATE_NORMAL: Final = 0
STATE_BANNED: Final = 1
STATE_FROZEN: Final = 2
STATE_DELETED: Final = 3


class GetCredentials(Message, tag=60):
    """Result: :class:`Credentials`; 10000 when ``uid`` is not a user of ``app``. For password checks only."""

    app: str
    uid: int


class Credentials(msgspec.Struct, array_like=True, frozen=True):
    """What a password check needs; ``hash`` is an Argon2id string."""

    uid: int
    username: str
    password_hash: str
    epoch: int
    state: int


class SetPassword(Message, tag=61):
    """Replace a password hash that still is ``expected`` (else 11001). Result: True.

    ``revoke``: end all tokens, and all sessions but ``except_sn``.
    """

    uid: int
    password_hash: str
    expected: str
    revoke: bool
    except_sn: int = 0


class SetState(Message, tag=62):
    """Ban, freeze, delete or restore an account. Result: True.

    Anything but ``STATE_NORMAL`` ends its tokens and sessions.
    """

    uid: int
    state: int


class ForgetDevice(Message, tag=63):
    """Log a device out and forget it. Result: was it known?"""

    uid: int
    device_sn: int


class DeviceInfo(msgspec.Struct, frozen=True):
    """A remembered device, under the names of the REST API."""

    device_sn: int
    platform: int
    user_agent: str
    user_id: int
    online: bool = False
    last_seen_ms: int = 0


class ApplyFriend(Message, tag=64):
    """``applicant`` (of ``app``) asks ``uid`` to be friends. Result: True: friends now; False: ``uid`` decides.

    Errors: 10000, 10005 friends already, 10006 blocked, 10012 refused. Sent to the shard of ``uid``.

    :ivar alias: remark the applicant wants for ``uid``
    """

    uid: int
    applicant: int
    app: str
    reason: str = ""
    alias: str = ""
    answer: str = ""


class AnswerApplication(Message, tag=65):
    """``uid`` accepts or declines the application of ``applicant``. Result: True; 10007 when there is none."""

    uid: int
    applicant: int
    accept: bool
    reason: str = ""


class DeleteFriend(Message, tag=66):
    """``uid`` ends the friendship with ``other``, for both. Result: were they friends?"""

    uid: int
    other: int


class SetRelation(Message, tag=67):
    """What ``uid`` notes about ``other``; None leaves a field. Result: True."""

    uid: int
    other: int
    alias: str | None = None
    ext: str | None = None
    mute_notification: bool | None = None


class Block(Message, tag=68):
    """``uid`` blocks or unblocks ``other``. Result: True."""

    uid: int
    other: int
    blocked: bool


class ListFriends(Message, tag=69):
    """Result: ids of the friends of ``uid`` above ``after``, ascending, at most ``limit``."""

    uid: int
    after: int = 0
    limit: int = 1 << 31


class ListBlocked(Message, tag=70):
    """Result: ids ``uid`` has blocked, ascending."""

    uid: int


class ListApplications(Message, tag=71):
    """Result: list of :class:`ApplicationInfo` received by ``uid``, latest first, behind ``before`` (ms, applicant)."""

    uid: int
    before: tuple[int, int] | None = None
    limit: int = 1 << 31


class ApplicationInfo(msgspec.Struct, array_like=True, frozen=True):
    """A friend request. ``status`` 0 waiting, 1 accepted, 2 declined; times in ms."""

    applicant: int
    status: int
    reason: str
    expired_time: int
    created_ms: int


class GetRelations(Message, tag=72):
    """Result: :class:`RelationInfo` of ``uid`` to each of ``others``, in their order, strangers included."""

    uid: int
    others: list[int]


class RelationInfo(msgspec.Struct, array_like=True, frozen=True):
    """What ``uid`` notes about somebody. ``relation``: 0 friend, 1 deleted, 2 stranger."""

    relation: int = 2
    alias: str = ""
    ext: str = ""
    mute_notification: bool = False
    blocked: bool = False


class HoldLinks(Message, tag=90):
    """For ``seconds`` apply nothing that comes over links; 0: go on. Result: was a hold in force until now?

    While all shards hold, no shard's store can get ahead of another's: what a backup takes then is one consistent
    state of all of them (``docs/storage.md``). The hold ends by itself, and the links catch up from the outboxes.
    """

    seconds: float


# --- groups: posting and reading, asked by the shard of a member ---------------------------------------------------------


class GroupPost(Message, tag=100):
    """A member's upload for a group's timeline. Result: :class:`Posted`; a refusal's code is the client's Status code + 1000.

    :ivar client_mid: recognises a repetition, 0: not to be recognised
    :ivar payload: encoded MessageBody
    :ivar operation: MessageOperation type and ``target`` message id, 0 for an ordinary message
    :ivar priority: above 0 it may be dropped when there is too much
    """

    gid: int
    uid: int
    sn: int
    app: str
    client_mid: int
    payload: bytes
    operation: int = 0
    target: int = 0
    live: bool = False
    priority: int = 0


class Posted(msgspec.Struct, array_like=True, frozen=True):
    """An upload is taken: its message id, and its times in ms (``edit_ms`` of APPEND and REPLACE)."""

    mid: int
    time_ms: int
    edit_ms: int = 0


class FetchEntries(Message, tag=101):
    """Result: list of encoded Metas (empty bytes: removed) of a timeline from position ``first`` on."""

    gid: int
    first: int
    count: int


class FetchHistory(Message, tag=102):
    """A page of a group's history for a member, newest first, older than ``key``. Result: :class:`HistoryPage`."""

    gid: int
    uid: int
    key: int
    amount: int


class HistoryPage(msgspec.Struct, array_like=True, frozen=True):
    """Metas newest first and the next key. ``read``: ids of those somebody has read."""

    metas: list[bytes]
    next_key: int
    read: list[int] = []


class Joined(Message, tag=103):
    """Result: list of the group ids a user is a member of."""

    uid: int


# --- groups: administration, asked by the gateway of the group's shard ----------------------------------------------------


class Invitee(msgspec.Struct, array_like=True, frozen=True):
    """Somebody to bring into a group. ``confirm``: his account wants to be asked first (``group_confirm``)."""

    uid: int
    confirm: bool


class Outcome(msgspec.Struct, array_like=True, frozen=True):
    """A row of a batch: what became of one user or file. ``code`` 200, or the REST code of ``reason``."""

    id: int
    code: int = 200
    reason: str = ""


class GroupInfo(msgspec.Struct, array_like=True, frozen=True):
    """A group under the names of the REST API, as the store keeps it and calls answer it.

    :ivar type: 0 private, 1 public, 2 chat room, 3 temporary
    :ivar status: 0 normal, 1 destroyed
    :ivar count: members, at most ``capacity``
    :ivar apply_approval: who applies is 0 let in, 1 judged by an admin, 2 refused
    :ivar ban_until_ms: only admins may write until then; 0 everybody may, -1 for ever
    """

    gid: int
    app: str
    owner: int
    type: int
    capacity: int
    created_ms: int
    updated_ms: int
    status: int = 0
    count: int = 0
    name: str = ""
    description: str = ""
    avatar: str = ""
    ext: str = ""
    member_invite: bool = True
    member_modify: bool = False
    read_ack: bool = False
    history_visible: bool = False
    hide_member_info: bool = False
    apply_approval: int = 1
    ban_until_ms: int = 0


class GroupView(msgspec.Struct, array_like=True, frozen=True):
    """A group as one user sees it. ``role`` 0 not a member, 1 member, 2 admin, 3 owner."""

    info: GroupInfo
    role: int = 0
    mute_mode: int = 0
    push_mode: int = 0


class CreateGroup(Message, tag=110):
    """``uid`` founds a group, in his own slot. Result: :class:`GroupView`. Sent to the shard of ``uid``."""

    uid: int
    app: str
    kind: int
    name: str
    description: str
    avatar: str
    invitees: list[Invitee]
    capacity: int


class GetGroups(Message, tag=111):
    """Result: :class:`GroupView` for ``uid`` of those ``gids`` that are groups of ``app``, destroyed ones included."""

    uid: int
    app: str
    gids: list[int]


class GroupRequest(Message):
    """Base of what a user asks of one group. Errors: 20001 no such group, 20011 members, 20012 admins, 20013 owner only.

    :ivar rights: role the caller has besides his own: 2 when an admin token acts in this group
    """

    gid: int
    uid: int
    app: str
    rights: int


class EditGroup(GroupRequest, tag=112):
    """Set one property of :class:`GroupInfo`. Result: is it different now?"""

    name: str
    value: str | bool | int


class BanGroup(GroupRequest, tag=113):
    """Let only admins write, for some minutes, -1 for ever, 0 to end it. Result: ``ban_until_ms``."""

    minutes: int


class DestroyGroup(GroupRequest, tag=114):
    """End the group. Result: True."""


class TransferGroup(GroupRequest, tag=115):
    """Make ``new_owner`` the owner. Result: True; 20005 when he is not a member."""

    new_owner: int


class SetAdmins(GroupRequest, tag=116):
    """Make members admins, or plain members again. Result: list of :class:`Outcome`."""

    uids: list[int]
    granted: bool


class InviteMembers(GroupRequest, tag=117):
    """Bring users in. Result: list of :class:`Outcome`."""

    invitees: list[Invitee]
    reason: str = ""


class AnswerInvitation(GroupRequest, tag=118):
    """``uid`` answers the invitation he has. Result: True; 20015 when there is none."""

    accept: bool


class ApplyMember(GroupRequest, tag=119):
    """``uid`` wants to join. Result: is he a member now?"""

    reason: str = ""


class AnswerApplicant(GroupRequest, tag=120):
    """An admin answers an application. Result: True; 20014 when there is none."""

    applicant: int
    accept: bool


class JoinByCode(GroupRequest, tag=121):
    """``uid`` comes with a QR text ``inviter`` has made. Result: True; 20024 when that one may not invite any more."""

    inviter: int


class MayInvite(GroupRequest, tag=122):
    """Result: True, ``uid`` may invite."""


class KickMembers(GroupRequest, tag=123):
    """Remove members. Result: list of :class:`Outcome`."""

    uids: list[int]
    reason: str = ""


class LeaveGroup(GroupRequest, tag=124):
    """``uid`` leaves. Result: True; 20004 for the owner."""


class BlockUsers(GroupRequest, tag=125):
    """Put users on the group's block list, which removes members; or take them off. Result: list of :class:`Outcome`."""

    uids: list[int]
    blocked: bool


class BanMembers(GroupRequest, tag=126):
    """Members may not write for some minutes, -1 for ever, 0 to end it. Result: list of :class:`Outcome`."""

    uids: list[int]
    minutes: int


class SetMember(GroupRequest, tag=127):
    """What ``uid`` sets for himself in the group; None leaves it. Result: True; 20003 no such push mode."""

    display_name: str | None = None
    mute_mode: int | None = None
    push_mode: int | None = None


class MemberInfo(msgspec.Struct, array_like=True, frozen=True):
    """A member. ``banned_until_ms`` 0 may write, -1 never again; ``joined_ms`` 0: is none."""

    uid: int
    joined_ms: int = 0
    display_name: str = ""
    banned_until_ms: int = 0


class MemberPage(msgspec.Struct, array_like=True, frozen=True):
    """Some of ``total`` members or users."""

    rows: list[MemberInfo]
    total: int


class ListMembers(GroupRequest, tag=128):
    """Result: :class:`MemberPage`, by id above ``after``. ``banned``: only those who may not write."""

    after: int = 0
    limit: int = 1 << 31
    banned: bool = False


class GetMembers(GroupRequest, tag=129):
    """Result: :class:`MemberInfo` for each of ``uids``."""

    uids: list[int]


class ListAdmins(GroupRequest, tag=130):
    """Result: :class:`MemberInfo` of the admins, without the owner."""


class ListGroupBlocked(GroupRequest, tag=131):
    """Result: :class:`MemberPage` of the block list, by id above ``after``; ``joined_ms`` is when they were blocked."""

    after: int = 0
    limit: int = 1 << 31


class ListApplicants(Message, tag=132):
    """Applications to those of ``gids`` that ``uid`` administers, latest first, behind ``before`` (ms, gid, applicant).

    Result: list of :class:`Applicant`.

    :ivar rights: as in :class:`GroupRequest`, for group ``rights_in``
    """

    uid: int
    app: str
    gids: list[int]
    before: tuple[int, int, int] | None = None
    limit: int = 1 << 31
    rights: int = 0
    rights_in: int = 0


class Applicant(msgspec.Struct, array_like=True, frozen=True):
    """An application to join. ``status`` 0 waiting, 1 accepted, 2 declined."""

    gid: int
    uid: int
    status: int
    reason: str
    created_ms: int
    expires_ms: int


class ListInvitations(Message, tag=133):
    """Invitations ``uid`` has received, latest first, behind ``before`` (ms, gid). Result: list of :class:`Invited`.

    Sent to the shard of ``uid``.
    """

    uid: int
    before: tuple[int, int] | None = None
    limit: int = 1 << 31


class PublishAnnouncement(GroupRequest, tag=134):
    """Result: :class:`Announcement`."""

    title: str
    content: str


class Announcement(msgspec.Struct, array_like=True, frozen=True):
    """What an admin has to say to all."""

    id: int
    author: int
    title: str
    content: str
    created_ms: int


class DeleteAnnouncement(GroupRequest, tag=135):
    """Result: True; 20020 when there is none."""

    id: int


class ListAnnouncements(GroupRequest, tag=136):
    """Result: list of :class:`Announcement`, oldest first."""


class ShareFile(GroupRequest, tag=137):
    """Note an uploaded file. Result: :class:`SharedFile`."""

    name: str
    size: int
    kind: str
    url: str


class SharedFile(msgspec.Struct, array_like=True, frozen=True):
    """The record of a shared file; ``size`` in bytes."""

    id: int
    uploader: int
    name: str
    size: int
    type: str
    url: str
    created_ms: int
    updated_ms: int


class DeleteFiles(GroupRequest, tag=138):
    """Result: list of :class:`Outcome`."""

    ids: list[int]


class RenameFile(GroupRequest, tag=139):
    """Result: True; 20022 when there is none, 20023 it is somebody else's."""

    id: int
    name: str


class ListFiles(GroupRequest, tag=140):
    """Result: list of :class:`SharedFile`, oldest first."""


class ListPublic(Message, tag=141):
    """Look at the next groups of a shard, above ``after``, for public ones of ``app``. Result: :class:`PublicPage`."""

    app: str
    after: int = 0


class ListGroups(Message, tag=350):
    """Groups of ``app`` on one shard by id above ``after``, at most ``limit``; looks at a bounded number of rows.

    Result: :class:`GroupPage`.
    """

    app: str
    after: int = 0
    limit: int = 100


class GroupPage(msgspec.Struct, array_like=True, frozen=True):
    """Groups, destroyed ones included. ``next``: where to go on, 0 at the end."""

    groups: list[GroupInfo]
    next: int


class ExplainMessage(Message, tag=351):
    """What a shard knows about message ``mid``. Result: :class:`MessageTraces`, of the mailboxes and timelines here that have it.

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
    :ivar state: kept, cold (in the cold store), cold missing (which is not there), or removed (recalled, deleted, beyond the retention)
    :ivar marks: names of what is noted: ``read by owner`` …
    :ivar accepted_ms: when it was accepted here, 0 when that was too long ago to be remembered
    :ivar devices: per device of the owner: serial number and one of acknowledged, sent, waiting
    """

    owner: int
    peer: int
    seq: int
    state: str
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


class PushTold(msgspec.Struct, array_like=True, frozen=True):
    """What became of a push: for ``why``.

    :ivar sn: device, 0: all of the user's
    :ivar channel: vendor, empty: none was told
    :ivar what: in words
    """

    mid: int
    uid: int
    sn: int
    channel: str
    what: str
    time_ms: int


class MessageTraces(msgspec.Struct, array_like=True):
    """``next``: the peer to go on after, 0: all conversations were looked at; ``pushes``: what is known of pushes for it."""

    traces: list[MessageTrace]
    next: int = 0
    pushes: list[PushTold] = []


class GetReached(Message, tag=365):
    """How far the devices of ``uid`` are in a conversation. Result: list of serial number and one of acknowledged, sent, waiting,
    offline for the entry at ``seq``; empty when he does not have the conversation.
    """

    uid: int
    peer: int
    seq: int


class TraceUser(Message, tag=352):
    """Report every frame of ``uid`` as :class:`Traced` to process ``to``, for ``seconds`` (0: stop). Result: sessions he has."""

    uid: int
    seconds: float
    to: str


class ListSlow(Message, tag=353):
    """Result: list of :class:`Slow`, the latest last."""


class Slow(msgspec.Struct, array_like=True, frozen=True):
    """Something took long. ``what``: turn, flush or lag; ``detail`` says what was in it."""

    time_ms: int
    what: str
    milliseconds: float
    detail: str = ""


class ListSlowReaders(Message, tag=366):
    """Devices that do not take what they are sent. Result: list of :class:`SlowReader`, at most ``limit``, the worst first."""

    limit: int


class SlowReader(msgspec.Struct, array_like=True, frozen=True):
    """``unsent``: bytes that wait for the device."""

    uid: int
    sn: int
    unsent: int


class PublicPage(msgspec.Struct, array_like=True, frozen=True):
    """Ids of public groups. ``next``: where to go on, 0 at the end."""

    gids: list[int]
    next: int


# --- files, asked by the gateway of the shard of who uploaded -------------------------------------------------------------


class FileRecord(msgspec.Struct, array_like=True, frozen=True):
    """An uploaded file.

    :ivar owner: who uploaded it; ``number`` is random, both together name the file and its bytes
    :ivar kind: media type found by looking at the content
    :ivar sha256: of the content, hexadecimal
    :ivar file_type: what it was uploaded as (rest-api.md section 4), ``to_type`` 1 user or 2 group and ``to_id`` for whom
    """

    owner: int
    number: int
    app: str
    name: str
    size: int
    kind: str
    sha256: str
    file_type: int
    to_type: int
    to_id: int
    created_ms: int


class FileUsage(msgspec.Struct, array_like=True, frozen=True):
    """How much a user has stored."""

    owner: int
    bytes: int = 0
    count: int = 0


class CheckFile(Message, tag=300):
    """May a file of this size come? Result: True; 10002 it is there already, 10009 more than ``quota`` bytes (0: no quota)."""

    owner: int
    number: int
    size: int
    quota: int


class AddFile(Message, tag=301):
    """Keep a record. Result: True; errors as :class:`CheckFile`."""

    record: FileRecord
    quota: int


class GetFile(Message, tag=302):
    """Result: :class:`FileRecord`, None if there is none."""

    owner: int
    number: int


class RemoveFiles(Message, tag=303):
    """Forget records by owner and number, all of this shard. Result: how many there were."""

    keys: list[tuple[int, int]]


class ListOldFiles(Message, tag=304):
    """Look at the next records of a shard, behind ``after``, for those made before ``before_ms`` or by a deleted account.

    Result: :class:`OldFiles`.
    """

    after: tuple[int, int]
    before_ms: int


class OldFiles(msgspec.Struct, array_like=True, frozen=True):
    """Records by owner and number; ``next``: where to go on, None at the end."""

    keys: list[tuple[int, int]]
    next: tuple[int, int] | None


class ListFileUsage(Message, tag=305):
    """Result: list of :class:`FileUsage` of the next owners of a shard behind ``after`` (-1: from the first)."""

    after: int


# --- accounts by REST: names, lists, extras, codes ------------------------------------------------------------------------


class ClaimName(Message, tag=260):
    """``name`` of ``app`` leads to ``uid`` from now on; sent to the shard of the name. Result: True; 10004 it leads elsewhere.

    Names are user names and, with a kind in front of them (``tel:``, ``alias:``), whatever else finds exactly one user.
    """

    app: str
    name: str
    uid: int


class ReleaseName(Message, tag=261):
    """``name`` leads to ``uid`` no more; sent to the shard of the name. Result: did it?"""

    app: str
    name: str
    uid: int


class ListAccounts(Message, tag=262):
    """Accounts of ``app`` on one shard by uid, above ``after``; looks at a bounded number of rows. Result: :class:`AccountPage`.

    :ivar skip: accounts left out first
    """

    app: str
    after: int
    skip: int
    limit: int


class AccountPage(msgspec.Struct, array_like=True, frozen=True):
    """``skipped`` of the accounts to skip were met, ``last`` is the uid to go on behind; ``end``: there are no more."""

    accounts: list[AccountInfo]
    skipped: int
    last: int
    end: bool


class ListOnline(Message, tag=263):
    """Result: those of ``uids`` who are connected."""

    uids: list[int]


class Extras(msgspec.Struct, array_like=True, frozen=True):
    """What an account has besides profile and settings: nobody else sees it.

    :ivar pins: conversations he pinned, the latest first
    :ivar tags: push tags
    :ivar alias: push alias
    :ivar badge: number he last reported for the app's icon
    """

    pins: list[int] = []
    tags: list[str] = []
    alias: str = ""
    badge: int = 0


class Rename(Message, tag=273):
    """Set the user name of ``uid``, after :class:`ClaimName`. Result: True."""

    uid: int
    username: str


class GetExtras(Message, tag=264):
    """Result: :class:`Extras`."""

    uid: int


class Pin(Message, tag=265):
    """Pin or unpin a conversation. Result: True."""

    uid: int
    conversation: int
    pinned: bool


class EditTags(Message, tag=266):
    """Add push tags and take some away, all with ``clear``. Result: True."""

    uid: int
    add: list[str] = []
    remove: list[str] = []
    clear: bool = False


class SetPushAlias(Message, tag=267):
    """Set the push alias, whose name (``alias:``) is claimed already. Result: the alias before."""

    uid: int
    alias: str


class SetBadge(Message, tag=268):
    """Set the badge number. Result: True."""

    uid: int
    badge: int


class BindPush(Message, tag=269):
    """Where vendor pushes for a device of ``uid`` go; empty texts for nowhere. Result: True; 10002 there is no such device."""

    uid: int
    device_sn: int
    notifier: str
    device_token: str


class PushTargets(Message, tag=274):
    """Devices of this shard that a push would go to. Result: :class:`PushTargetsPage`.

    :ivar uids: these users, else all behind ``after``; with ``tags`` who has one of them, with ``push_tokens`` whose
        settings or devices have one of them
    """

    app: str
    uids: list[int] = []
    tags: list[str] = []
    push_tokens: list[str] = []
    after: int = 0


class PushTargetsPage(msgspec.Struct, array_like=True, frozen=True):
    """Numbers of devices by notifier; ``next``: the user to go on behind, 0 at the end."""

    counts: dict[str, int]
    next: int


# --- pushes: what shards owe the push process ------------------------------------------------------------------------------


class TakePushes(Message, tag=371):
    """Push process to shard: what is owed behind ``after`` of this ``epoch``. Result: :class:`TakenPushes`. Takes nothing away."""

    epoch: int
    after: int


class OwedPush(msgspec.Struct, array_like=True, frozen=True):
    """User ``uid`` is owed a push; one row of ``pushes``.

    :ivar mid: the message, or the push task
    :ivar peer: conversation of the message: a user, a group, 0 the server
    :ivar seq: its position in there or a later one, 0: a push task
    :ivar group: the conversation is a group's
    """

    uid: int
    mid: int
    peer: int
    seq: int
    group: bool
    since_ms: int


class TakenPushes(msgspec.Struct, array_like=True, frozen=True):
    """In the order they came to be owed. ``epoch`` changes when a shard starts again; ``after``: where to go on; ``more``: at once."""

    epoch: int
    after: int
    rows: list[OwedPush]
    more: bool


class PushDone(msgspec.Struct, array_like=True, frozen=True):
    """A push has come to its end, or (not ``final``) has to wait longer.

    :ivar gone: tokens that are dead
    :ivar shown: a vendor took it, so the badge has gone up
    """

    uid: int
    mid: int
    told: list[PushTold]
    gone: list[str] = []
    shown: bool = False
    final: bool = True


class FinishPushes(Message, tag=372):
    """Push process to the shard that owed them. Result: True."""

    done: list[PushDone]


class GetPushFacts(Message, tag=373):
    """What decides about a push to ``uid``, of whom the shard asked has the account. Result: :class:`PushFacts`; 10000 he is gone."""

    uid: int
    mid: int
    peer: int
    task: bool


class PushFacts(msgspec.Struct, array_like=True, frozen=True):
    """The recipient, now.

    :ivar devices: serial number, notifier and token of those that are bound
    :ivar meta: the message as it is in his mailbox; empty: recalled or removed, or of a group
    :ivar seq: its position there, 0: of a group
    :ivar acknowledged: up to where in the conversation a device of his has
    :ivar muted: he wants no pushes of this friend
    :ivar alias: what he calls this friend
    """

    info: AccountInfo
    badge: int
    devices: list[tuple[int, str, str]]
    meta: bytes = b""
    seq: int = 0
    acknowledged: int = 0
    muted: bool = False
    alias: str = ""


class GetGroupPushFacts(Message, tag=374):
    """The same of a message in group ``gid``, asked of the group's shard. Result: :class:`GroupPushFacts`; 20001 there is none."""

    gid: int
    mid: int
    uid: int


class GroupPushFacts(msgspec.Struct, array_like=True, frozen=True):
    """The message in its group.

    :ivar meta: empty: recalled
    :ivar seq: position in the timeline
    :ivar member: the recipient still is one
    :ivar card: name card of the sender
    """

    meta: bytes
    seq: int
    member: bool
    push_mode: int = 0
    mute_mode: int = 0
    from_admin: bool = False
    card: str = ""


class PushTask(msgspec.Struct, array_like=True):
    """Record in ``push_tasks``: a push a back end ordered.

    :ivar order: JSON of the request's ``message``
    :ivar targets: devices by channel
    :ivar sent: of these, taken by the vendor
    """

    task_id: int
    app: str
    order: str
    created_ms: int
    targets: dict[str, int] = {}
    sent: dict[str, int] = {}


class PutPushTask(Message, tag=375):
    """Keep a task, on the shard of its id. Result: True; 10002 it is too long, 503 there are too many."""

    task: PushTask


class GetPushTask(Message, tag=376):
    """Result: a :class:`PushTask`, None when there is none of this app (empty: of any)."""

    task_id: int
    app: str = ""


class OrderPushes(Message, tag=378):
    """Owe the users of this shard that ``targets`` means the push of a task, a few at a time. Result: True, once this is kept.

    Record in ``push_orders``: ``targets.after`` is how far it has come.
    """

    task_id: int
    targets: PushTargets


class CountPushTask(Message, tag=377):
    """Add to a task's counts; one that is gone is none to count for. Result: True."""

    task_id: int
    targets: dict[str, int] = {}
    sent: dict[str, int] = {}


class PutCode(Message, tag=270):
    """Keep a short-lived secret under a code; sent to the shard of :func:`lanying.cluster.shardmap.slot_of_name` of ``kind:code``.
    Result: True; 503 when there are too many.

    :ivar attempts: wrong answers :class:`CheckCode` takes before the code is gone
    """

    app: str
    kind: str
    code: str
    value: str
    expires_ms: int
    attempts: int = 1


class ReadCode(Message, tag=271):
    """Result: the value of a code, None when it is not there or has expired. ``take``: it is gone then."""

    app: str
    kind: str
    code: str
    take: bool = False


class CheckCode(Message, tag=272):
    """Is ``answer`` the value of a code? A right answer takes the code, wrong ones use up its attempts. Result: bool."""

    app: str
    kind: str
    code: str
    answer: str


# --- conversations over REST, asked by the gateway ------------------------------------------------------------------------


class Post(Message, tag=310):
    """``uid`` sends something by the rules for his devices. Result: :class:`Posted`.

    :ivar sn: device that did it and is not told, 0 for none
    :ivar ns: Meta namespace, MESSAGE or CONVERSATION; ``payload`` is encoded accordingly
    :ivar client_mid: recognises a repetition, 0: none is
    :ivar system: may look like the server's (``is_system``)
    """

    uid: int
    app: str
    to: int
    payload: bytes
    ns: int = 1
    sn: int = 0
    client_mid: int = 0
    system: bool = False


class Notify(Message, tag=311):
    """The server itself writes to ``uid``. Result: :class:`Posted`; 10000 no such user."""

    uid: int
    app: str
    payload: bytes
    client_mid: int = 0


class GetPage(Message, tag=312):
    """History of ``uid`` with a user or group, newest first, older than id ``before`` (0: the newest). Result: :class:`HistoryPage`."""

    uid: int
    peer: int
    before: int
    limit: int


class ListUnread(Message, tag=313):
    """Result: list of :class:`Unread` of ``uid``, latest conversation first."""

    uid: int


class Unread(msgspec.Struct, array_like=True, frozen=True):
    """Messages not read yet with a user (0: the server) or group."""

    peer: int
    count: int


class StartBroadcast(Message, tag=314):
    """Write to every user of ``app``, in the background. Result: the broadcast's id. Any shard may be asked, once.

    :ivar who: asked for it: the name of a console's key, ``local``, or ``rest``
    """

    app: str
    payload: bytes
    who: str = ""


class ListBroadcasts(Message, tag=315):
    """Result: list of :class:`BroadcastInfo`, latest first, what this shard has to do of each."""


class BroadcastInfo(msgspec.Struct, array_like=True, frozen=True):
    """One shard's part of a broadcast. ``state``: running, done, cancelled; ``sent`` so far."""

    id: int
    app: str
    created_ms: int
    sent: int
    state: str
    who: str = ""


class CancelBroadcast(Message, tag=316):
    """Stop one shard's part of a broadcast. Result: was it running?"""

    id: int


class CountUsers(Message, tag=317):
    """Count those of the next accounts of a shard, above ``after``, that may log in. Result: :class:`UserCount`."""

    app: str
    after: int


class AddApp(Message, tag=380):
    """An app was added to the running server, with settings of its own. Result: true. A shard that starts later reads them itself."""

    app: str
    own: AppOverrides


class UserCount(msgspec.Struct, array_like=True, frozen=True):
    """``next``: where to go on, 0 at the end."""

    count: int
    next: int


Request = (
    PeerQuery
    | Post
    | Notify
    | GetPage
    | ListUnread
    | StartBroadcast
    | ListBroadcasts
    | CancelBroadcast
    | CountUsers
    | AddApp
    | CheckFile
    | AddFile
    | GetFile
    | RemoveFiles
    | ListOldFiles
    | ListFileUsage
    | ListGroups
    | ExplainMessage
    | GetReached
    | TraceUser
    | ListSlow
    | ListSlowReaders
    | GroupPost
    | FetchEntries
    | FetchHistory
    | Joined
    | CreateGroup
    | GetGroups
    | EditGroup
    | BanGroup
    | DestroyGroup
    | TransferGroup
    | SetAdmins
    | InviteMembers
    | AnswerInvitation
    | ApplyMember
    | AnswerApplicant
    | JoinByCode
    | MayInvite
    | KickMembers
    | LeaveGroup
    | BlockUsers
    | BanMembers
    | SetMember
    | ListMembers
    | GetMembers
    | ListAdmins
    | ListGroupBlocked
    | ListApplicants
    | ListInvitations
    | PublishAnnouncement
    | DeleteAnnouncement
    | ListAnnouncements
    | ShareFile
    | DeleteFiles
    | RenameFile
    | ListFiles
    | ListPublic
    | ClaimAccount
    | FindName
    | GetAccounts
    | CheckToken
    | UpdateAccount
    | ListDevices
    | Kick
    | GetCredentials
    | SetPassword
    | SetState
    | ForgetDevice
    | ApplyFriend
    | AnswerApplication
    | DeleteFriend
    | SetRelation
    | Block
    | ListFriends
    | ListBlocked
    | ListApplications
    | GetRelations
    | ClaimName
    | ReleaseName
    | ListAccounts
    | ListOnline
    | GetExtras
    | Rename
    | Pin
    | EditTags
    | SetPushAlias
    | SetBadge
    | BindPush
    | PushTargets
    | TakePushes
    | FinishPushes
    | GetPushFacts
    | GetGroupPushFacts
    | PutPushTask
    | OrderPushes
    | GetPushTask
    | CountPushTask
    | PutCode
    | ReadCode
    | CheckCode
    | HoldLinks
)

AdminRequest = StartBackup | ListJobs
"""What the admin process is asked in a call; every :data:`Request` is for shards."""

encode = msgspec.msgpack.Encoder().encode
decode_envelope = msgspec.msgpack.Decoder(Envelope).decode
decode_bundle = msgspec.msgpack.Decoder(list[LinkMessage]).decode
decode_request = msgspec.msgpack.Decoder(Request).decode
decode_admin_request = msgspec.msgpack.Decoder(AdminRequest).decode


def bundles(items: list[bytes]) -> list[bytes]:
    """Encoded link messages as few MessagePack arrays of at most ``LINK_BUNDLE_BYTES`` (a larger message goes alone)."""
    found: list[bytes] = []
    start = size = 0
    for at, item in enumerate(items):
        size += len(item)
        if size > limits.LINK_BUNDLE_BYTES and at > start:
            found.append(_array(items[start:at]))
            start, size = at, len(item)
    found.append(_array(items[start:]))
    return found


def _array(items: list[bytes]) -> bytes:
    return b"\xdc%b%b" % (len(items).to_bytes(2, "big"), b"".join(items))
